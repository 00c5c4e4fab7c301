package affinitytest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is for how long a test waits for what must happen.
const patience = 30 * time.Second

// binary is the lb that is tested, built as these tests are: with the race detector
// or without.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "affinity")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "lb")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "go-loadbalancer/lb")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building lb: %v\n%s", err, out)
		return 1
	}
	flag.Parse()
	flag.Set("test.parallel", "4") // they wait more than they work
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// scaled is a number of sessions or reloads: with the race detector, with which a
// request costs many times as much, fewer.
func scaled(n int) int {
	if raceEnabled {
		return n / 8
	}
	return n
}

// pace is a pause between requests: with the race detector, a longer one.
func pace(d time.Duration) time.Duration {
	if raceEnabled {
		return max(4*d, 2*time.Millisecond)
	}
	return d
}

// eventually asks again until what is true.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ask(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
