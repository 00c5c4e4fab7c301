package balancer_test

import (
	"context"
	"testing"

	"go-loadbalancer/lb/event"
)

// The policy's connectionAge ends a connection with a reply that says so, also
// one that was open when the policy came.
func TestConnectionAge(t *testing.T) {
	b := answering(t, ok)
	s := setup{endpoints: []string{b.addr}, timeouts: "connectionAge: 0s"}
	l := start(t, s)
	c := l.dial()
	if r, _ := c.answered(200, get); r.Close {
		t.Error("without an age, the first reply is the last")
	}
	s.timeouts = "connectionAge: 5ms"
	l.source.set(s.text())
	l.Reload(context.Background())
	for last := false; !last; {
		r, _ := c.answered(200, get)
		last = r.Close
	}
	c.closed()
	c.Close()
	if why := l.reason(1); why != event.ClosedAged {
		t.Errorf("closed for %q", why)
	}
}
