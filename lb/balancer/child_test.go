//go:build unix

package balancer_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// TestInAnotherProcess is not a test but a balancer in a process of its own, for
// tests that look at a whole process. It tells of itself on its standard output
// and answers questions on its standard input.
func TestInAnotherProcess(t *testing.T) {
	text := os.Getenv("LB_TEST_POLICY")
	if text == "" {
		t.Skip("run by other tests")
	}
	if n, _ := strconv.ParseUint(os.Getenv("LB_TEST_DESCRIPTORS"), 10, 64); n > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			t.Fatal(err)
		}
	}
	l := start(t, setup{whole: text}, func(o *balancer.Options) {
		o.Logger = slog.New(slog.NewTextHandler(os.Stdout, nil))
		o.Events = &event.Listener{
			AcceptPaused:     func(listener string) { fmt.Println("paused", listener) },
			AttemptEnded:     func(a *event.Attempt) { fmt.Println("attempt", a.Result) },
			ConnectionClosed: func(_ string, why event.CloseReason) { fmt.Println("closed", why) },
		}
	})
	fmt.Println("listening", l.addr)
	asked := 0
	for questions := bufio.NewScanner(os.Stdin); questions.Scan(); {
		asked++
		runtime.GC()
		runtime.GC() // a pool's last buffers go with the second one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		descriptors, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Error(err)
		}
		fmt.Printf("state %d: %d %d %d\n", asked, m.HeapAlloc+m.StackInuse, runtime.NumGoroutine(), len(descriptors))
	}
	fmt.Println("breaker", l.settled().Breaker.State)
}

// child is a balancer in another process, told by its output.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	asked int
	mu    sync.Mutex
	lines []string
	come  chan struct{} // a line did
}

func startChild(t *testing.T, s setup, descriptors int) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInAnotherProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "LB_TEST_POLICY="+s.text(), "LB_TEST_DESCRIPTORS="+strconv.Itoa(descriptors))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: cmd, in: in, come: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.mu.Lock()
			c.lines = append(c.lines, lines.Text())
			c.mu.Unlock()
			select {
			case c.come <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		in.Close()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other process: %v\n%s", err, strings.Join(c.lines, "\n"))
		}
	})
	return c
}

// count is how many lines have the text.
func (c *child) count(text string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// says waits for a line with the text, and returns what follows it.
func (c *child) says(text string) (rest string) {
	c.t.Helper()
	within(c.t, text, func() {
		for rest == "" {
			c.mu.Lock()
			for _, line := range c.lines {
				if _, after, ok := strings.Cut(line, text); ok {
					rest = after + " "
				}
			}
			c.mu.Unlock()
			if rest == "" {
				<-c.come
			}
		}
	})
	return strings.TrimSpace(rest)
}

// state is what another process costs.
type state struct{ memory, goroutines, descriptors int }

func (c *child) state() (s state) {
	c.t.Helper()
	c.asked++
	io.WriteString(c.in, "?\n")
	if _, err := fmt.Sscan(c.says(fmt.Sprintf("state %d: ", c.asked)), &s.memory, &s.goroutines, &s.descriptors); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// counts waits until there are n lines with the text.
func (c *child) counts(text string, n int) {
	c.t.Helper()
	for late := time.After(patience); c.count(text) < n; {
		select {
		case <-c.come:
		case <-late:
			c.t.Fatalf("%q was said %d times, want %d", text, c.count(text), n)
		}
	}
}
