package proxy

import (
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
)

// trial is an attempt that is a probe of a half-open breaker. A probe holds one of few
// places, so it is judged in time, whatever becomes of its request: by the time that a
// try may take, counted as for any from the end of a body that streams, and by
// [breaker.ProbeTimeout] at most. If there is no answer by then the endpoint has failed,
// unless the body took so long that it had less time than a try has; if there is one, and
// no end of it, it has not. If its client left before that its wait is added to that of
// others.
type trial struct {
	done  func(error)
	over  atomic.Bool // done was called
	early atomic.Bool // for a good answer, before its end
}

// end tells the breaker, once.
func (t *trial) end(err error) {
	if t.over.CompareAndSwap(false, true) {
		t.done(err)
	}
}

// answered is called with a good answer's head. How long its content takes is not
// the endpoint's affair alone: a client that does not read would keep the place. The
// timer that is returned is to be stopped at the content's end.
func (t *trial) answered(left time.Duration) *time.Timer {
	return time.AfterFunc(left, func() {
		if t.over.CompareAndSwap(false, true) {
			t.early.Store(true)
			t.done(nil)
		}
	})
}

// probeLeft is how long until the attempt must be judged; pending is false if it
// is no probe, or was judged.
func (c *call) probeLeft() (left time.Duration, pending bool) {
	if c.trial == nil || c.done == nil {
		return 0, false
	}
	left = breaker.ProbeTimeout - time.Since(c.at.Start)
	if owes, since := c.owesAnswer(); owes {
		left = min(left, c.probeLimit()-since)
	}
	return left, true
}

// owesAnswer says whether the endpoint was sent all of the request, and for how long.
func (c *call) owesAnswer() (owes bool, since time.Duration) {
	if !c.uplink.sending {
		return true, time.Since(c.at.Start)
	}
	sent := time.Duration(c.uplink.sentAt.Load())
	return sent > 0, time.Since(c.start) - sent
}

// probeLimit is after how long a probe is judged.
func (c *call) probeLimit() time.Duration {
	most := breaker.ProbeTimeout
	if limit := c.limit(); limit > 0 && limit < most {
		most = limit
	}
	return most
}

// unanswered says for how long a probe waited for an answer that nobody waits for any
// longer, if the endpoint owed one, and would have failed without it.
func (c *call) unanswered(r event.Result) (breaker.Unanswered, bool) {
	if c.trial == nil || r != event.ClientCanceled || c.at.Status != 0 || c.pool.Judge(event.TimedOut) != pool.Bad {
		return breaker.Unanswered{}, false
	}
	owes, since := c.owesAnswer()
	if !owes {
		return breaker.Unanswered{}, false // the client had not said all it wanted to
	}
	return breaker.Unanswered{Waited: since, Limit: c.probeLimit()}, true
}

// overdue judges a probe whose time is over without an answer.
func (c *call) overdue() {
	if owes, since := c.owesAnswer(); owes && since >= c.probeLimit() {
		c.judge(event.TimedOut)
	} else {
		c.judge(event.ClientCanceled) // its body took up the time
	}
}

// recant tells the breaker of a probe that broke off after it was judged well: as of
// any request, if the breaker has closed since.
func (c *call) recant(e *pool.Endpoint, r event.Result) {
	t := c.trial
	c.trial = nil
	if t == nil || !t.early.Load() || c.pool.Judge(r) != pool.Bad {
		return
	}
	if done, _, ok := e.Breaker().Allow(breaker.Unwilling); ok {
		done(breaker.Failed)
	}
}
