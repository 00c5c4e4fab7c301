package procfs

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"1500 20 3\n", 1500, true},
		{"0 0 0\n", 0, true},
		{"1500 20\n", 0, false},
		{"", 0, false},
		{"x 20 3\n", 0, false},
		{"-1 20 3\n", 0, false},
	} {
		got, err := parseSchedstat([]byte(c.text))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: got %v, %v", c.text, got, err)
		}
	}
}

func TestParseStat(t *testing.T) {
	for _, c := range []struct {
		text        string
		pid, parent int
		ok          bool
	}{
		{"12 (nginx) S 7 12 12 0 -1", 12, 7, true},
		{"12 (a) b (c)) R 7 12", 12, 7, true},
		{"12 nginx S 7", 0, 0, false},
		{"12 (nginx) S", 0, 0, false},
		{"x (nginx) S 7", 0, 0, false},
	} {
		pid, parent, err := parseStat([]byte(c.text))
		if (err == nil) != c.ok || c.ok && (pid != c.pid || parent != c.parent) {
			t.Errorf("%q: got %d, %d, %v", c.text, pid, parent, err)
		}
	}
}

func TestParsePSS(t *testing.T) {
	text := "55d-7ff ---p 0 00:00 0 [rollup]\nRss:   2000 kB\nPss:   1024 kB\nPss_Dirty: 5 kB\n"
	if got, err := parsePSS([]byte(text)); got != 1<<20 || err != nil {
		t.Errorf("got %d, %v; want %d", got, err, 1<<20)
	}
	if _, err := parsePSS([]byte("Rss: 2000 kB\n")); err == nil {
		t.Error("no error without a Pss line")
	}
}

func TestParseTCPMemory(t *testing.T) {
	text := "sockets: used 29\nTCP: inuse 1 orphan 0 tw 289 alloc 1 mem 71\nUDP: inuse 0 mem 5\n"
	if got, err := parseTCPMemory([]byte(text)); got != 71*int64(os.Getpagesize()) || err != nil {
		t.Errorf("got %d, %v; want 71 pages", got, err)
	}
	if _, err := parseTCPMemory([]byte("UDP: inuse 0 mem 5\n")); err == nil {
		t.Error("no error without a TCP line")
	}
}

func TestSince(t *testing.T) {
	earlier := CPU{1: 100, 2: 50}
	got, err := CPU{1: 130, 2: 50, 3: 7}.Since(earlier)
	if got != 37 || err != nil {
		t.Errorf("got %v, %v; want 37ns: the new thread counts in full", got, err)
	}
	if _, err := (CPU{1: 130}).Since(earlier); err == nil {
		t.Error("no error though a thread ended")
	}
}

// The figures are of this very process, which can make them move.
func TestLive(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := ReadCPU(self)
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
	}
	after, err := ReadCPU(self)
	if err != nil {
		t.Fatal(err)
	}
	// A thread that ended meanwhile would be an error here, rightly.
	if used, err := after.Since(before); err == nil && used < time.Millisecond {
		t.Errorf("50 ms of work cost %v", used)
	}
	if pss, err := ReadPSS(self); err != nil || pss < 1<<20 {
		t.Errorf("PSS %d, %v", pss, err)
	}
	if rss, err := ReadRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("RSS %d, %v", rss, err)
	}
	files, err := CountFiles(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if more, err := CountFiles(os.Getpid()); err != nil || more != files+1 {
		t.Errorf("%d files open, after one more %d, %v", files, more, err)
	}

	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	tree, err := Tree(os.Getpid())
	if err != nil || tree[0] != os.Getpid() || !slices.Contains(tree, child.Process.Pid) {
		t.Errorf("tree %v, %v: want %d first and %d in it", tree, err, os.Getpid(), child.Process.Pid)
	}
}
