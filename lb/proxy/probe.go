package proxy

import (
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
)

// A probe of a half-open breaker holds one of few places, so it is judged in time,
// whatever becomes of its request: by the time that a try may take, and by
// breaker.ProbeTimeout at most. If there is no answer by then the endpoint has
// failed; if there is one, and no end of it, it has not.

// probeLeft is how long until the attempt must be judged; pending is false if it
// is no probe, or was judged.
func (c *call) probeLeft() (left time.Duration, pending bool) {
	if !c.probe || c.done == nil {
		return 0, false
	}
	most := breaker.ProbeTimeout
	if limit := c.limit(); limit > 0 && limit < most {
		most = limit
	}
	return most - time.Since(c.at.Start), true
}

// overdue judges a probe whose time is over. answered: a good response has begun.
func (c *call) overdue(answered bool) {
	switch {
	case answered:
		c.judge(event.OK)
	case c.uplink.sending && c.uplink.sentAt.Load() == 0:
		c.judge(event.ClientCanceled) // the client has not said all it wants to
	default:
		c.judge(event.TimedOut)
	}
}
