package balancer_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// A tunnel of which one side has ended is bounded by the other side's silence.
func TestIdleHalfOfATunnel(t *testing.T) {
	for _, ended := range []string{"client", "backend"} {
		b := switching(t, func(p *peer) {
			if ended == "backend" {
				p.CloseWrite()
			}
			p.gone()
		})
		l := start(t, setup{endpoints: []string{b.addr}, route: "streamIdle: 100ms"})
		c := l.dial()
		c.send(upgrade)
		c.head()
		if ended == "client" {
			c.CloseWrite()
		}
		c.gone()
		if why := l.reason(1); why != event.ClosedAfterTunnel {
			t.Errorf("the %s has ended: closed for %q", ended, why)
		}
	}
}

// explosive is a connection on which writing a word panics. It is no socket, so
// that nobody writes past it.
type explosive struct{ net.Conn }

func (e explosive) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "boom") {
		panic("a mistake in the second goroutine")
	}
	return e.Conn.Write(p)
}

func (e explosive) CloseWrite() error { return e.Conn.(*net.TCPConn).CloseWrite() }

// A panic while a tunnel carries the client's words, which is the work of its
// second goroutine, ends that tunnel and nothing else.
func TestPanicInATunnel(t *testing.T) {
	b := switching(t, func(p *peer) { p.gone() })
	var log lines
	l := start(t, setup{endpoints: []string{b.addr}}, func(o *balancer.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return explosive{c}, err
		}
	})
	bad, good := l.dial(), l.dial()
	for _, c := range []*peer{bad, good} {
		c.send(upgrade)
		if head, err := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatalf("%q, %v", head, err)
		}
	}
	bad.send("boom")
	bad.gone()
	if why := l.reason(1); why != event.ClosedBroken {
		t.Errorf("closed for %q", why)
	}
	if s := log.String(); !strings.Contains(s, "a mistake in the second goroutine") {
		t.Errorf("log: %s", s)
	}
	if e := l.ended(1); e.Flags != event.Upgraded|event.InternalError || e.Status != 101 {
		t.Errorf("event %+v", e)
	}
	if a := l.lastAttempt(); a.Result != event.Aborted || a.Verdict != event.VerdictNone {
		t.Errorf("attempt %+v", a)
	}
	good.send("words")
	good.Close()
	if why := l.reason(2); why != event.ClosedAfterTunnel {
		t.Errorf("closed for %q", why)
	}
	if s := l.settled(); s.InFlight != 0 {
		t.Errorf("endpoint %+v", s)
	}
}
