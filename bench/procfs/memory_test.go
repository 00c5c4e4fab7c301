package procfs

import (
	"os"
	"testing"
)

func TestMemoryGroup(t *testing.T) {
	for _, tt := range []struct {
		text, dir string
		v1        bool
	}{
		{"0::/system.slice/docker-1.scope\n", "/sys/fs/cgroup/system.slice/docker-1.scope", false},
		{"3:cpu,cpuacct:/a\n2:memory:/docker/1\n1:name=systemd:/b\n0::/c\n", "/sys/fs/cgroup/memory/docker/1", true},
		{"1:cpu,memory:/a:b\n", "/sys/fs/cgroup/memory/a:b", true},
		{"1:memoryless:/a\n", "", false},
		{"nonsense", "", false},
	} {
		dir, v1, err := memoryGroup(tt.text)
		if dir != tt.dir || v1 != tt.v1 || (err == nil) != (tt.dir != "") {
			t.Errorf("%q: %s, %v, %v", tt.text, dir, v1, err)
		}
	}
}

func TestStat(t *testing.T) {
	const text = "anon 1\ninactive_file 4096\ntotal_inactive_file 8192\n"
	for name, want := range map[string]int64{"inactive_file": 4096, "total_inactive_file": 8192, "file": 0} {
		if got, err := statOf(text, name); got != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func TestFileLimit(t *testing.T) {
	const row = "Max open files            20000                1048576              files     \n"
	if got, err := parseFileLimit("Max processes 1 2 processes\n" + row); got != 20000 || err != nil {
		t.Error(got, err)
	}
	if got, err := parseFileLimit("Max open files unlimited unlimited files"); got < 1<<30 || err != nil {
		t.Error(got, err)
	}
	if _, err := parseFileLimit("Max processes 1 2 processes\n"); err == nil {
		t.Error("no error")
	}
	if got, err := ReadFileLimit(os.Getpid()); got <= 0 || err != nil {
		t.Error(got, err)
	}
}
