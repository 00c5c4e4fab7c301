package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/upstream"
)

// TestConnect: every way not to get a connection is of kind Connect.
func TestConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	tr := upstream.NewTransport(upstream.Options{Address: address})
	defer tr.Abort()
	if _, err := tr.Open(); kind(err) != upstream.Connect || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v", err)
	}

	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, network, address string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		tr := upstream.NewTransport(upstream.Options{Address: "a:1", Dial: hang})
		tr.SetLimits(upstream.Limits{ConnectTimeout: 3 * time.Second})
		start := time.Now()
		_, err := tr.Open()
		if kind(err) != upstream.Connect || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("timeout: %v after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Second, tr.Abort)
		start = time.Now()
		if _, err := tr.Open(); kind(err) != upstream.Aborted || time.Since(start) != time.Second {
			t.Errorf("aborted: %v after %v", err, time.Since(start))
		}
	})
}

// pipes dials in-memory connections to a backend that answers every request.
type pipes struct {
	mu     sync.Mutex
	dialed int
	closed int
	all    sync.WaitGroup
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	p.dialed++
	p.mu.Unlock()
	p.all.Go(func() {
		defer far.Close()
		for r := bufio.NewReader(far); ; {
			if _, err := http.ReadRequest(r); err != nil {
				break
			}
			io.WriteString(far, okHello)
		}
		p.mu.Lock()
		p.closed++
		p.mu.Unlock()
	})
	return near, nil
}

// open is how many connections are open.
func (p *pipes) open() int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialed - p.closed
}

// lend lends n streams at once, has each serve a request and releases them.
func lend(t *testing.T, tr *upstream.Transport, n int) {
	t.Helper()
	var all []upstream.Stream
	for range n {
		s := open(t, tr)
		if _, _, err := exchange(t, s, get()); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		s.Release()
	}
}

// bubble runs a test of a transport over in-memory connections in virtual time.
func bubble(t *testing.T, l upstream.Limits, test func(t *testing.T, tr *upstream.Transport, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pipes)
		tr := upstream.NewTransport(upstream.Options{Address: "a:1", Dial: p.dial})
		tr.SetLimits(l)
		test(t, tr, p)
		tr.Abort()
		p.all.Wait()
	})
}

func expect(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, upstream.Limits{IdleTimeout: 10 * time.Second}, func(t *testing.T, tr *upstream.Transport, p *pipes) {
		lend(t, tr, 3)
		expect(t, "idle", tr.Idle(), 3)
		time.Sleep(6 * time.Second)
		lend(t, tr, 1) // one of them is used again
		expect(t, "dialed", p.dialed, 3)
		time.Sleep(4*time.Second + time.Millisecond)
		expect(t, "idle after its time", tr.Idle(), 1)
		expect(t, "open after its time", p.open(), 1)
		time.Sleep(6 * time.Second)
		expect(t, "idle at last", tr.Idle(), 0)
		expect(t, "open at last", p.open(), 0)
		lend(t, tr, 1)
		expect(t, "dialed again", p.dialed, 4)
		time.Sleep(11 * time.Second)
		expect(t, "open in the end", p.open(), 0)
	})
}

// TestIdleTimeoutChanged: a shorter time holds for connections that are idle
// already, and so does a longer one.
func TestIdleTimeoutChanged(t *testing.T) {
	bubble(t, upstream.Limits{IdleTimeout: time.Hour}, func(t *testing.T, tr *upstream.Transport, p *pipes) {
		lend(t, tr, 2)
		time.Sleep(time.Second)
		tr.SetLimits(upstream.Limits{IdleTimeout: 10 * time.Second})
		time.Sleep(8 * time.Second)
		expect(t, "idle before its time", tr.Idle(), 2)
		time.Sleep(time.Second + time.Millisecond)
		expect(t, "idle after its time", tr.Idle(), 0)
		lend(t, tr, 2)
		tr.SetLimits(upstream.Limits{IdleTimeout: time.Minute})
		time.Sleep(59 * time.Second)
		expect(t, "idle before its longer time", tr.Idle(), 2)
		time.Sleep(time.Second + time.Millisecond)
		expect(t, "idle after its longer time", tr.Idle(), 0)
	})
}

func TestMaxIdle(t *testing.T) {
	bubble(t, upstream.Limits{MaxIdle: 2}, func(t *testing.T, tr *upstream.Transport, p *pipes) {
		lend(t, tr, 5)
		expect(t, "dialed", p.dialed, 5)
		expect(t, "idle", tr.Idle(), 2)
		expect(t, "open", p.open(), 2)
	})
}

// TestRelieve: a dial that has no descriptor is tried again once unused
// connections were closed, the older ones first, and not otherwise.
func TestRelieve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pipes)
		other := upstream.NewTransport(upstream.Options{Address: "b:1", Dial: p.dial})
		limit, tries := 3, 0
		tr := upstream.NewTransport(upstream.Options{Address: "a:1", Relieve: other.Shed, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if tries++; p.open() >= limit {
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
			}
			return p.dial(ctx, network, address)
		}})
		lend(t, other, 3)
		lend(t, tr, 1)
		expect(t, "the other's idle connections", other.Idle(), 1)
		expect(t, "tries", tries, 2)
		other.Close()
		limit = 0
		if _, err := tr.OpenNew(0); kind(err) != upstream.Exhausted {
			t.Errorf("nothing to close: %v", err)
		}
		expect(t, "tries", tries, 3)
		tr.Abort()
		other.Abort()
		p.all.Wait()
	})
}

// TestClose: idle connections end at once, lent ones when they are released, and
// nothing is lent until Reopen.
func TestClose(t *testing.T) {
	bubble(t, upstream.Limits{}, func(t *testing.T, tr *upstream.Transport, p *pipes) {
		lend(t, tr, 3)
		s := open(t, tr)
		tr.Close()
		expect(t, "open after Close", p.open(), 1)
		if _, _, err := exchange(t, s, get()); err != nil {
			t.Errorf("a lent stream after Close: %v", err)
		}
		s.Release()
		expect(t, "open after Release", p.open(), 0)
		if _, err := tr.Open(); kind(err) != upstream.Aborted {
			t.Errorf("Open after Close: %v", err)
		}
		if _, err := tr.OpenNew(0); kind(err) != upstream.Aborted {
			t.Errorf("OpenNew after Close: %v", err)
		}
		tr.Close() // once more does no harm
	})
}

// TestAbort: lent streams fail.
func TestAbort(t *testing.T) {
	stuck := make(chan bool)
	b := serve(t, func(p *peer) {
		if p.head() == nil {
			close(stuck)
			io.Copy(io.Discard, p)
		}
	})
	tr := b.transport(t)
	s := open(t, tr)
	var aborting sync.WaitGroup
	aborting.Go(func() {
		<-stuck
		tr.Abort()
	})
	if _, _, err := exchange(t, s, get()); kind(err) != upstream.Aborted {
		t.Errorf("%v, want %v", err, upstream.Aborted)
	}
	aborting.Wait()
	s.Release()
	if _, err := tr.Open(); kind(err) != upstream.Aborted {
		t.Errorf("Open after Abort: %v", err)
	}
}

// TestCloseRaces: closing and using a transport at once leaves neither a
// connection nor a timer behind.
func TestCloseRaces(t *testing.T) {
	b := serve(t, answering(okHello))
	tr := upstream.NewTransport(upstream.Options{Address: b.address})
	tr.SetLimits(upstream.Limits{IdleTimeout: time.Millisecond, MaxIdle: 2})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				s, err := tr.Open()
				if err != nil {
					if kind(err) != upstream.Aborted {
						t.Error(err)
					}
					continue
				}
				s.SetTimeout(patience, patience)
				if _, _, err := exchange(t, s, get()); err != nil && kind(err) != upstream.Stale {
					t.Error(err)
				}
				s.Release()
			}
		})
	}
	all.Go(func() {
		time.Sleep(5 * time.Millisecond) // in the midst of it
		tr.Close()
	})
	all.Wait()
	tr.Abort()
	if n := tr.Idle(); n > 0 {
		t.Errorf("%d idle connections after Abort", n)
	}
}
