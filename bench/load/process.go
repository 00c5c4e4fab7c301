package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"go-loadbalancer/bench/procfs"

	"golang.org/x/sys/unix"
)

// settle is how long the proxy gets, after its last answer, to go back to
// sleep: only then is its CPU time up to date.
const settle = 3 * time.Millisecond

// hello is the process's first line.
type hello struct {
	Backend int // port
}

// Main is the load process: it serves the backend, runs the slots that come as
// JSON lines on standard input, one after the other, and answers each with a
// [Result] on standard output. It returns when its input ends.
func Main() error {
	runtime.LockOSThread()
	// Nothing is allocated while it counts; slots collect between them.
	debug.SetGCPercent(-1)
	l, err := newLoop()
	if err != nil {
		return err
	}
	b, err := listenBackend(l)
	if err != nil {
		return err
	}
	in := &commands{}
	if err := unix.SetNonblock(0, true); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if err := l.add(0, in); err != nil {
		return fmt.Errorf("standard input must be a pipe: %w", err)
	}
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(hello{Backend: b.port}); err != nil {
		return err
	}
	var g *generator // of the last slot, if it holds its connections open
	for {
		line, err := in.next(l)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var s Slot
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("slot: %w", err)
		}
		if g != nil {
			g.close()
			g = nil
		}
		runtime.GC()
		l.failures = failures{}
		var r Result
		if g, r, err = run(l, b, s); err != nil {
			l.failures.add("%v", err)
		}
		r.Errors, r.Error = l.failures.count, l.failures.first
		if err := answers.Encode(r); err != nil {
			return err
		}
	}
}

// run runs a slot and returns the generator if its connections stay open.
func run(l *loop, b *backend, s Slot) (*generator, Result, error) {
	var r Result
	g, err := newGenerator(l, s)
	if err != nil {
		return nil, r, err
	}
	if err := g.open(); err != nil {
		g.close()
		return nil, r, err
	}
	if s.HoldOpen {
		err := g.each(min(64, s.Spec.Connections))
		r.Requests = g.done
		return g, r, err
	}
	defer g.close()

	l.awake = s.Spec.Awake
	defer func() { l.awake = false }()
	g.verify, b.verify = true, true
	err = g.drive(s.Warmup)
	g.verify, b.verify = false, false
	if err != nil {
		return nil, r, err
	}
	if err := l.pause(settle); err != nil {
		return nil, r, err
	}
	before, err := procfs.ReadCPU(s.PIDs)
	if err != nil {
		return nil, r, err
	}
	r.Began = time.Now()
	if s.Requests > 0 {
		err = g.count(s.Requests, s.Window)
	} else {
		err = g.drive(s.Window)
	}
	if err != nil {
		return nil, r, err
	}
	r.Elapsed = time.Since(r.Began)
	if err := l.pause(settle); err != nil {
		return nil, r, err
	}
	after, err := procfs.ReadCPU(s.PIDs)
	if err != nil {
		return nil, r, err
	}
	r.Requests = g.done
	if r.CPU, err = after.Since(before); err != nil {
		return nil, r, err
	}
	if n := len(g.latency); n > 0 {
		slices.Sort(g.latency)
		r.P50, r.P99, r.Slowest = g.latency[n/2], g.latency[n*99/100], g.latency[n-1]
	}
	return nil, r, nil
}

// pause goes on handling events for a time.
func (l *loop) pause(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := l.poll(end); err != nil {
			return err
		}
	}
	return nil
}

// commands reads lines from standard input as they come.
type commands struct {
	text []byte
	err  error
}

func (c *commands) ready(l *loop, _ uint32) {
	var buf [4096]byte
	for {
		n, err := read(0, buf[:])
		if err == unix.EAGAIN {
			return
		}
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			err = io.EOF
		}
		if err != nil {
			c.err = err
			return
		}
		c.text = append(c.text, buf[:n]...)
	}
}

// next serves the backend until there is a line.
func (c *commands) next(l *loop) ([]byte, error) {
	for {
		if i := bytes.IndexByte(c.text, '\n'); i >= 0 {
			line := bytes.Clone(c.text[:i])
			c.text = c.text[i+1:]
			return line, nil
		}
		if c.err != nil {
			return nil, c.err
		}
		if err := l.poll(time.Time{}); err != nil {
			return nil, err
		}
	}
}
