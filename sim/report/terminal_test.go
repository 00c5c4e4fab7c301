package report_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"go-loadbalancer/sim/report"
)

// pty opens a terminal: what is written to it can be read from screen.
func pty(t *testing.T) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return terminal, screen
}

// TestTerminal: on a terminal a live line shows how far a run is, at most ten times a
// second, and it is gone when the run is done; colours are there unless they are not
// wanted.
func TestTerminal(t *testing.T) {
	const wipe = "\r\x1b[2K"
	for _, c := range []struct {
		name, env      string
		colour, counts bool
	}{
		{"coloured", "", true, true},
		{"plain", "NO_COLOR=1", false, true},
		{"dumb", "TERM=dumb", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			terminal, screen := pty(t)
			env, value, _ := strings.Cut(c.env, "=")
			synctest.Test(t, func(t *testing.T) {
				out := report.NewTerminal(terminal, func(name string) string {
					if name == env {
						return value
					}
					return ""
				})
				r := passing()
				out.Begin("calm")
				out.Begin(strings.Repeat("long", 100))
				time.Sleep(time.Second)
				for i := range 200 {
					out.Count("calm", time.Duration(i)*s, 200*s, 10*i, 1)
					time.Sleep(time.Millisecond)
				}
				out.Done(suite(r), r)
			})
			terminal.Close()
			shown, _ := io.ReadAll(screen) // ends with an error, as screens do
			got := string(shown)
			if has := strings.Contains(got, "\x1b[32mpassed\x1b[0m"); has != c.colour {
				t.Errorf("coloured: %v\n%q", has, got)
			}
			want := 0
			if c.counts {
				want = 2 // at once, and after a tenth of a second
			}
			if n := strings.Count(got, "requests, 1 error,"); n != want {
				t.Errorf("%d live lines with counters, want %d\n%q", n, want, got)
			}
			if c.counts && !strings.Contains(got, "0%, 0 requests, 1 error, and 1 more"+wipe) {
				t.Errorf("the live line is not what it should be:\n%q", got)
			}
			if !c.counts && strings.Contains(got, "\x1b") {
				t.Errorf("a dumb terminal is told to do something:\n%q", got)
			}
			for line := range strings.SplitSeq(got, wipe) {
				if live, _, ok := strings.Cut(line, "\n"); !ok && len([]rune(live)) > 79 {
					t.Errorf("the live line wraps: %q", live)
				}
			}
		})
	}
}
