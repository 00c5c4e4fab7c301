//go:build unix

package balancer_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

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
	const descriptors = 48
	c := startChild(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0"}, descriptors)
	l := &lb{t: t, addr: c.says("listening ")}
	one, two := l.dial(), l.dial()
	// What the balancer answers itself needs no upstream connection, and behind
	// another answer on the same connection it tells that theirs is free again.
	const trace = "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"
	one.answered(200, get)
	two.answered(405, trace)
	var crowd []net.Conn
	for range 2 * descriptors {
		crowd = append(crowd, l.dial())
	}
	c.says("paused http")

	one.answered(200, get)
	one.answered(405, trace)
	two.answered(200, get)
	two.answered(405, trace)
	one.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
	await(t, held)
	r, body := two.answered(503, get) // a second upstream connection cannot be had
	if r.Header.Get("Retry-After") == "" || r.Close || !strings.Contains(body, "out of resources") {
		t.Errorf("%v %q", r.Header, body)
	}
	close(release)
	one.response("GET")
	one.answered(405, trace)
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
	if s := log.String(); !strings.Contains(s, "allowed=20000 accepted=1") {
		t.Errorf("log: %s", s)
	}
	l.dial().answered(200, get)
	l.dial().gone()
	if why := l.reason(1); why != event.ClosedOverLimit && why != event.ClosedCrowded {
		t.Errorf("closed for %q", why)
	}
}

// One address has no larger part of what is accepted than of what the policy
// allows: by default half.
func TestShareOfAddress(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}}, func(o *balancer.Options) { o.MaxConnections = 9 })
	for range 5 {
		l.dial().answered(200, get)
	}
	l.dial().gone()
	if why := l.reason(1); why != event.ClosedCrowded {
		t.Errorf("closed for %q", why)
	}
}
