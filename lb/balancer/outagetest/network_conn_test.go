package outagetest

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

// The network's connections do what net.Conn promises.
func TestNetworkConn(t *testing.T) {
	for name, latency := range map[string]time.Duration{"at once": 0, "with latency": 20 * time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				n := newNetwork(1, latency/2, latency)
				a, b := dialed(t, n)
				return a, b, func() { a.Close(); b.Close() }, nil
			})
		})
	}
}

// dialed is a new connection, its far end accepted.
func dialed(t *testing.T, n *network) (near, far *conn) {
	t.Helper()
	l, err := n.listen(t.Context(), "tcp", "10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := n.dial(t.Context(), "tcp", "10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a.(*conn), b.(*conn)
}

// And what sockets do besides.
func TestNetworkFailures(t *testing.T) {
	const lag = 10 * time.Millisecond
	read := func(c *conn) (string, error) {
		b := make([]byte, 100)
		n, err := c.Read(b)
		return string(b[:n]), err
	}
	for name, f := range map[string]func(t *testing.T, n *network){
		"refused": func(t *testing.T, n *network) {
			if _, err := n.dial(t.Context(), "tcp", "10.0.0.9:80"); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(err)
			}
		},
		"silent": func(t *testing.T, n *network) {
			n.silence("10.0.0.9:80", true)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			if _, err := n.dial(ctx, "tcp", "10.0.0.9:80"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
				t.Error(err, time.Since(began))
			}
		},
		"half closed": func(t *testing.T, n *network) {
			a, b := dialed(t, n)
			io.WriteString(a, "last")
			a.CloseWrite()
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
		"reset": func(t *testing.T, n *network) {
			a, b := dialed(t, n)
			io.WriteString(b, "came before")
			time.Sleep(lag)
			b.reset()
			time.Sleep(lag)
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
		"written to a closed end": func(t *testing.T, n *network) {
			a, b := dialed(t, n)
			b.Close()
			time.Sleep(lag)
			if !a.Readable() {
				t.Error("not stale")
			}
			if _, err := a.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * lag)
			if _, err := a.Write([]byte("x")); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"closed unread": func(t *testing.T, n *network) {
			a, b := dialed(t, n)
			io.WriteString(a, "never read")
			time.Sleep(lag)
			b.Close()
			if _, err := read(a); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"lingering for nothing": func(t *testing.T, n *network) {
			a, b := dialed(t, n)
			b.SetLinger(0)
			b.Close()
			if _, err := read(a); err != syscall.ECONNRESET {
				t.Error(err)
			}
			a.Close()
		},
		"a full window": func(t *testing.T, n *network) {
			a, b := dialed(t, n)
			a.SetWriteDeadline(time.Now().Add(time.Second))
			if n, err := a.Write(make([]byte, 2*window)); n != window || err == nil {
				t.Error(n, err)
			}
			a.Close()
			b.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(1, lag/2, lag)
				f(t, n)
				if open := n.ends.Load(); open != 0 {
					t.Errorf("%d ends are open", open)
				}
			})
		})
	}
}
