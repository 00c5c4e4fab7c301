//go:build unix

package balancer_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// fewDescriptors is how many a balancer may have open in TestOutOfDescriptors.
const fewDescriptors = 48

// TestFewDescriptors is not a test but the balancer of TestOutOfDescriptors,
// which runs it in a process of its own.
func TestFewDescriptors(t *testing.T) {
	backend := os.Getenv("LB_TEST_BACKEND")
	if backend == "" {
		t.Skip("run by TestOutOfDescriptors")
	}
	limit := syscall.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	l := start(t, setup{endpoints: []string{backend}, breaker: "consecutiveFailures: 1, failurePercent: 0"}, func(o *balancer.Options) {
		o.Logger = slog.New(slog.NewTextHandler(os.Stdout, nil))
		o.Events = event.Tee(o.Events, &event.Listener{
			AcceptPaused: func(listener string) { fmt.Println("paused", listener) },
			AttemptEnded: func(a *event.Attempt) { fmt.Println("attempt", a.Result) },
		})
	})
	fmt.Println("listening", l.addr)
	io.Copy(io.Discard, os.Stdin) // until the parent has seen enough
	fmt.Println("breaker", l.settled().Breaker.State)
}

// child is a balancer in another process, told by its output.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Closer
	mu    sync.Mutex
	lines []string
	come  chan struct{} // a line did, or the end
	ended bool
}

func startChild(t *testing.T, backend string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFewDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), "LB_TEST_BACKEND="+backend)
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

// A balancer that is out of descriptors goes on with the connections it has, does
// not blame its endpoints, says so once, and accepts again when it can.
func TestOutOfDescriptors(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	b := listen(t, func(p *peer) {
		for {
			h, err := p.head()
			if err != nil {
				return
			}
			if strings.HasPrefix(h, "GET /hold ") {
				close(held)
				await(t, release)
			}
			p.send(ok)
		}
	})
	c := startChild(t, b.addr)
	l := &lb{t: t, addr: c.says("listening ")}
	one, two := l.dial(), l.dial()
	one.answered(200, get)
	two.answered(200, get) // on the same upstream connection
	var crowd []net.Conn
	for range 2 * fewDescriptors {
		crowd = append(crowd, l.dial())
	}
	c.says("paused http")

	one.answered(200, get)
	two.answered(200, get)
	one.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
	await(t, held)
	r, body := two.answered(503, get) // a second upstream connection cannot be had
	if r.Header.Get("Retry-After") == "" || r.Close || !strings.Contains(body, "out of resources") {
		t.Errorf("%v %q", r.Header, body)
	}
	close(release)
	one.response("GET")
	two.answered(200, get) // nobody thinks ill of the endpoint

	if n := c.count("accepting connections failed"); n != 1 {
		t.Errorf("the log says %d times that accepting failed", n)
	}
	for _, conn := range crowd {
		conn.Close()
	}
	l.dial().answered(200, get)
	c.says("accepting connections again")
	c.in.Close()
	if state := c.says("breaker "); state != "closed" {
		t.Errorf("the breaker is %s", state)
	}
	if n := c.count("attempt exhausted"); n != 1 {
		t.Errorf("%d attempts failed for want of a descriptor, want 1", n)
	}
}

// Clients have no more than their share of the process's descriptors, whatever
// the policy allows, and the operator is told.
func TestShareOfClients(t *testing.T) {
	b := answering(t, ok)
	var log lines
	l := start(t, setup{endpoints: []string{b.addr}}, func(o *balancer.Options) {
		o.MaxConnections = 1
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	if s := log.String(); !strings.Contains(s, "policy=20000 accepted=1") {
		t.Errorf("log: %s", s)
	}
	l.dial().answered(200, get)
	l.dial().gone()
	if why := l.reason(1); why != event.ClosedOverLimit {
		t.Errorf("closed for %q", why)
	}
}
