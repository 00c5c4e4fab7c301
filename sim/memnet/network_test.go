package memnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"go-loadbalancer/sim/memnet"
)

// No instant is given twice, however many are taken in between and however far ahead.
func TestInstants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(memnet.Options{Seed: 1})
		one, other := n.Clock(), n.Clock()
		taken := map[time.Time]bool{}
		for i := range 40_000 {
			// Others are a multiple of every size of a table away.
			far := time.Now().Add(50 * time.Millisecond)
			for _, at := range []time.Time{one.Round(far), one.Round(far.Add(time.Duration(i%64) << 14)), other.Round(far)} {
				if taken[at] {
					t.Fatalf("%v is taken twice", at)
				}
				taken[at] = true
			}
			if i%3 == 0 {
				time.Sleep(time.Microsecond)
			}
		}
	})
}

// The network's connections do what net.Conn promises.
func TestConn(t *testing.T) {
	for name, latency := range map[string]time.Duration{"hardly any latency": 1, "with latency": 20 * time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				w := newWorld(t, memnet.Options{Seed: 1, Least: latency / 2, Most: latency})
				a, b := w.dialed()
				return a, b, func() { a.Close(); b.Close() }, nil
			})
		})
	}
}

// world is a shop and a client.
type world struct {
	*memnet.Network
	t            *testing.T
	shop, client *memnet.Host
}

const shopAddress = "10.0.0.1:80"

func newWorld(t *testing.T, o memnet.Options) *world {
	n := memnet.New(o)
	return &world{n, t, n.Host("shop", netip.MustParseAddr("10.0.0.1")), n.Host("client", netip.MustParseAddr("10.2.0.1"))}
}

func (w *world) listen() net.Listener {
	w.t.Helper()
	l, err := w.shop.Listen(w.t.Context(), "tcp", ":80")
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// dialed is a new connection, its far end accepted.
func (w *world) dialed() (near, far net.Conn) {
	w.t.Helper()
	l := w.listen()
	defer l.Close()
	near, err := w.client.Dial(w.t.Context(), "tcp", shopAddress)
	if err != nil {
		w.t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	return near, far
}

// dialFails dials and returns the error, and how long it took.
func (w *world) dialFails(patience time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	began := time.Now()
	c, err := w.client.Dial(ctx, "tcp", shopAddress)
	if err == nil {
		c.Close()
	}
	return time.Since(began), err
}

const lag = 10 * time.Millisecond

func play(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{Seed: 1, Least: lag / 2, Most: lag, Window: 1000})
		f(t, w)
		if left := w.Left(); len(left) != 0 || w.Open() != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func read(c net.Conn) (string, error) {
	b := make([]byte, 100)
	n, err := c.Read(b)
	return string(b[:n]), err
}

// And what sockets do besides.
func TestSockets(t *testing.T) {
	for name, f := range map[string]func(t *testing.T, w *world){
		"nobody listens": func(t *testing.T, w *world) {
			if took, err := w.dialFails(time.Minute); !errors.Is(err, syscall.ECONNREFUSED) || took > 2*lag+time.Millisecond {
				t.Error(err, took)
			}
		},
		"taken": func(t *testing.T, w *world) {
			defer w.listen().Close()
			if _, err := w.shop.Listen(t.Context(), "tcp", ":80"); !errors.Is(err, syscall.EADDRINUSE) {
				t.Error(err)
			}
		},
		"half closed": func(t *testing.T, w *world) {
			a, b := w.dialed()
			io.WriteString(a, "last")
			a.(interface{ CloseWrite() error }).CloseWrite()
			if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
				t.Error(string(got), err)
			}
			io.WriteString(b, "answer")
			b.Close()
			if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
				t.Error(string(got), err)
			}
			a.Close()
		},
		"aborted": func(t *testing.T, w *world) {
			a, b := w.dialed()
			io.WriteString(b, "came before")
			time.Sleep(2 * lag)
			abort(b)
			time.Sleep(2 * lag)
			if got, err := read(a); got != "came before" || err != nil {
				t.Error(got, err)
			}
			if _, err := read(a); err != syscall.ECONNRESET {
				t.Error(err)
			}
			if _, err := a.Write([]byte("x")); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"written to a closed end": func(t *testing.T, w *world) {
			a, b := w.dialed()
			b.Close()
			time.Sleep(2 * lag)
			if !a.(interface{ Readable() bool }).Readable() {
				t.Error("not stale")
			}
			if _, err := a.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * lag)
			if _, err := a.Write([]byte("x")); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"closed before it was read": func(t *testing.T, w *world) {
			const request = "a request"
			for what, c := range map[string]struct {
				closes func(b net.Conn)
				want   bool
			}{
				"closed before":         {func(b net.Conn) { b.Close(); time.Sleep(2 * lag) }, true},
				"closed on its way":     {func(b net.Conn) { go func() { time.Sleep(lag / 10); b.Close() }() }, true},
				"read, and then closed": {func(b net.Conn) { go func() { io.ReadFull(b, make([]byte, len(request))); b.Close() }() }, false},
				"one half closed, read": {func(b net.Conn) {
					b.(interface{ CloseWrite() error }).CloseWrite()
					go func() { io.Copy(io.Discard, b); b.Close() }()
				}, false},
			} {
				a, b := w.dialed()
				c.closes(b)
				io.WriteString(a, request)
				if _, err := a.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("%s: %v, want the end", what, err)
				}
				if got := a.(interface{ Unread(int64) bool }).Unread(int64(len(request))); got != c.want {
					t.Errorf("%s: unread %t, want %t", what, got, c.want)
				}
				a.Close()
				time.Sleep(3 * lag)
			}
		},
		"closed unread": func(t *testing.T, w *world) {
			a, b := w.dialed()
			io.WriteString(a, "never read")
			time.Sleep(2 * lag)
			b.Close()
			if _, err := read(a); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"lingering for nothing": func(t *testing.T, w *world) {
			a, b := w.dialed()
			b.(interface{ SetLinger(int) error }).SetLinger(0)
			b.Close()
			if _, err := read(a); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"a full window": func(t *testing.T, w *world) {
			a, b := w.dialed()
			a.SetWriteDeadline(time.Now().Add(time.Second))
			if n, err := a.Write(make([]byte, 2000)); n != 1000 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(n, err)
			}
			a.Close()
			b.Close()
		},
		"a full backlog": func(t *testing.T, w *world) {
			small := newWorld(t, memnet.Options{Seed: 1, Backlog: 1})
			l := small.listen()
			waits, err := small.client.Dial(t.Context(), "tcp", shopAddress)
			if err != nil {
				t.Fatal(err)
			}
			if took, err := small.dialFails(time.Minute); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
				t.Error(err, took)
			}
			l.Close()
			time.Sleep(lag)
			if _, err := read(waits); err != syscall.ECONNRESET {
				t.Error(err)
			}
			waits.Close()
		},
		"bandwidth": func(t *testing.T, w *world) {
			thin := newWorld(t, memnet.Options{Seed: 1, Least: 1, Most: 2, Bandwidth: 1000})
			a, b := thin.dialed()
			began := time.Now()
			a.Write(make([]byte, 3000))
			io.ReadFull(b, make([]byte, 3000))
			if took := time.Since(began); took < 3*time.Second || took > 3*time.Second+time.Millisecond {
				t.Error(took)
			}
			a.Close()
			b.Close()
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, f) })
	}
}

// Each fault does what it says, counts what meets it, and ends.
func TestFaults(t *testing.T) {
	touched := func(t *testing.T, f *memnet.Fault, want int) {
		t.Helper()
		if got := f.Touched(); got != want {
			t.Errorf("touched %d, want %d", got, want)
		}
	}
	for name, f := range map[string]func(t *testing.T, w *world){
		"refuse": func(t *testing.T, w *world) {
			a, b := w.dialed()
			defer a.Close()
			defer b.Close()
			defer w.listen().Close()
			f := w.Refuse(w.shop)
			if _, err := w.dialFails(time.Minute); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(err)
			}
			io.WriteString(a, "goes on")
			if got, err := read(b); got != "goes on" || err != nil {
				t.Error(got, err)
			}
			f.End()
			f.End()
			if _, err := w.dialFails(time.Minute); err != nil {
				t.Error(err)
			}
			touched(t, f, 1)
		},
		"blackhole": func(t *testing.T, w *world) {
			a, b := w.dialed()
			defer a.Close()
			defer b.Close()
			defer w.listen().Close()
			io.WriteString(a, "on its way, ")
			f := w.Blackhole(w.shop)
			io.WriteString(a, "sent")
			b.SetReadDeadline(time.Now().Add(time.Minute))
			if got, err := read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(got, err)
			}
			if took, err := w.dialFails(time.Minute); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
				t.Error(err, took)
			}
			f.End()
			b.SetReadDeadline(time.Time{})
			got := make([]byte, len("on its way, sent"))
			if _, err := io.ReadFull(b, got); err != nil || string(got) != "on its way, sent" {
				t.Errorf("%q %v", got, err)
			}
			touched(t, f, 2+6) // two packets; SYNs after 0, 1, 3, 7, 15, 31 s
		},
		"a close in a blackhole": func(t *testing.T, w *world) {
			a, b := w.dialed()
			f := w.Blackhole(w.shop)
			abort(a)
			b.SetReadDeadline(time.Now().Add(time.Minute))
			if got, err := read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(got, err)
			}
			f.End()
			b.SetReadDeadline(time.Time{})
			if _, err := read(b); err != syscall.ECONNRESET {
				t.Error(err)
			}
			b.Close()
		},
		"partition": func(t *testing.T, w *world) {
			defer w.listen().Close()
			f := w.Partition(w.shop, []*memnet.Host{w.client})
			if _, err := w.dialFails(time.Minute); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			other := w.Host("other", netip.MustParseAddr("10.2.0.2"))
			c, err := other.Dial(t.Context(), "tcp", shopAddress)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			time.AfterFunc(1500*time.Millisecond, f.End)
			if took, err := w.dialFails(time.Minute); err != nil || took < 3*time.Second || took > 3*time.Second+3*lag {
				t.Error(err, took) // the third SYN
			}
		},
		"reset": func(t *testing.T, w *world) {
			a, b := w.dialed()
			if n := w.Reset(w.shop); n != 1 {
				t.Error(n)
			}
			for _, c := range []net.Conn{a, b} {
				if _, err := read(c); err != syscall.ECONNRESET {
					t.Error(err)
				}
				c.Close()
			}
		},
		"crash": func(t *testing.T, w *world) {
			a, b := w.dialed()
			l := w.listen()
			f := w.Crash(w.shop)
			touched(t, f, 1)
			if _, err := read(a); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
			if _, err := read(b); err != net.ErrClosed {
				t.Error(err)
			}
			if _, err := l.Accept(); err != net.ErrClosed {
				t.Error(err)
			}
			if _, err := w.dialFails(time.Minute); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(err)
			}
			if _, err := w.shop.Dial(t.Context(), "tcp", "10.2.0.1:1"); err == nil {
				t.Error("a host that has crashed dials")
			}
			touched(t, f, 2)
			f.End()
			defer w.listen().Close()
			if _, err := w.dialFails(time.Minute); err != nil {
				t.Error(err)
			}
		},
		"slow": func(t *testing.T, w *world) {
			a, b := w.dialed()
			defer a.Close()
			defer b.Close()
			f := w.Slow(w.shop, time.Second)
			began := time.Now()
			io.WriteString(b, "late")
			read(a)
			if took := time.Since(began); took < time.Second || took > time.Second+2*lag {
				t.Error(took)
			}
			f.End()
			began = time.Now()
			io.WriteString(b, "in time")
			read(a)
			if took := time.Since(began); took > 2*lag {
				t.Error(took)
			}
			touched(t, f, 1)
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, f) })
	}
}

// The same seed gives the same run to the nanosecond, another seed another one, and no
// two things of a run happen at one instant.
func TestRepeatable(t *testing.T) {
	run := func(seed uint64) (log []string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, memnet.Options{Seed: seed})
			began := time.Now()
			var mu sync.Mutex
			instants := map[time.Duration]bool{}
			note := func(what string) {
				mu.Lock()
				defer mu.Unlock()
				at := time.Since(began)
				if instants[at] {
					t.Errorf("%s: something happened at %v already", what, at)
				}
				instants[at] = true
				log = append(log, fmt.Sprint(at, what))
			}
			l := w.listen()
			done := make(chan bool)
			for i := range 20 {
				go func() {
					defer func() { done <- true }()
					w.Clock().Sleep(time.Millisecond + time.Duration(i)*time.Microsecond)
					note(fmt.Sprint("begin ", i))
					c, err := w.client.Dial(t.Context(), "tcp", shopAddress)
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					far, err := l.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					defer far.Close()
					for range 20 {
						io.WriteString(c, "ping")
						read(far)
						note(fmt.Sprint("ping ", i))
						io.WriteString(far, "pong")
						read(c)
						note(fmt.Sprint("pong ", i))
					}
				}()
			}
			for range 20 {
				<-done
			}
			l.Close()
		})
		return log
	}
	var logs [3][]string
	for i, seed := range []uint64{1, 1, 2} { // one place in the code: that is part of what a connection is
		logs[i] = run(seed)
	}
	for i := range logs[0] {
		if i >= len(logs[1]) || logs[0][i] != logs[1][i] {
			t.Fatalf("step %d of %d: %v, and then %v", i, len(logs[0]), logs[0][i], logs[1][min(i, len(logs[1])):min(i+1, len(logs[1]))])
		}
	}
	if slices.Equal(logs[0], logs[2]) {
		t.Error("another seed gave the same run")
	}
}

// abort closes a connection by a reset.
func abort(c net.Conn) {
	c.(interface{ SetLinger(int) error }).SetLinger(0)
	c.Close()
}
