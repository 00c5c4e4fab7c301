package proxy

import (
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
)

// forward sends the request to the endpoint that was picked and passes the response
// on. Where a try fails, others may be made.
func (c *call) forward() {
	c.buildHead()
	c.spendHop()
	body, whole := c.x.Body().Whole()
	if c.route.Mirror != nil {
		c.mirrorTo(c.route.Mirror, body, whole)
	}
	c.kept.begin(!whole && c.keeps(), &c.p.kept)
	for {
		result, err := c.try(body, whole)
		if !c.plan.again {
			if !c.replied {
				c.refuseFailed(result, err)
				c.ev.Duration = 0
			}
			return
		}
		if !c.another(result, err) {
			return
		}
	}
}

// try sends the request to the endpoint, once. The request counts on it until all
// is told: the endpoint's id must not go to another before that.
func (c *call) try(body []byte, whole bool) (event.Result, error) {
	e := c.endpoint
	c.tried.Add(e)
	c.ev.Attempts++
	c.ev.Endpoint, c.ev.Upstream = e.ID, e.Address
	c.at = event.Attempt{
		Route: c.route.ID, Pool: c.pool.ID, Endpoint: e.ID, Number: c.ev.Attempts, Start: c.start, Probe: c.trial != nil,
		RequestID: c.id, Span: c.nextSpan(),
	}
	if c.at.Span.Sampled {
		c.at.PoolName, c.at.Upstream, c.at.Method, c.at.Target = c.pool.Name, e.Address, c.out.Method, c.out.Target
	}
	if c.late {
		// By the same reading of the wall clock as the request's start: one that is set
		// meanwhile would have the try end after its request.
		c.at.Start = c.start.Add(time.Since(c.start))
	}
	c.plan = plan{}
	c.trying = true
	c.latency = e.Wait(whole)
	result, err := c.attempt(e, body, whole)
	if result == event.OK && c.pool.Failures.Has(c.at.Status) {
		result = event.Failed
	}
	if err != nil {
		c.plan = c.planFor(result, 0)
	}
	blamed := result
	if c.cutShort(result) {
		blamed = event.ClientCanceled
	}
	c.judge(blamed)
	c.recant(e, blamed)
	c.measure(blamed)
	c.ev.Duration = time.Since(c.start)
	c.tellAttempt(result, told(c.pool.Judge(blamed)))
	return result, err
}

// tellAttempt tells how the attempt ended, when the request has taken as long as its event
// says.
func (c *call) tellAttempt(r event.Result, v event.Verdict) {
	c.trying = false
	if f := c.p.events.AttemptEnded; f != nil {
		c.at.Result, c.at.Verdict = r, v
		c.at.Duration = c.ev.Duration - c.at.Start.Sub(c.start)
		f(&c.at)
	}
}

// cutShort says whether a try failed because it began late, after a wait or other tries,
// and had less than its time: that says nothing about its endpoint.
func (c *call) cutShort(r event.Result) bool {
	if !c.late || r != event.TimedOut && r != event.ConnectFailed || c.replied {
		return false
	}
	left, bounded := c.requestLeft()
	return bounded && left <= 0 && time.Since(c.at.Start) < c.limit()
}

// another waits out the pause before another try and finds an endpoint for it. If
// that fails it answers: by what the last try came to, or if that was an answer,
// which is gone, by why there is no other. So it does if nothing was sent and there is
// no room: it was refused like all who come now, and may come again as they may.
func (c *call) another(result event.Result, err error) bool {
	c.late = true
	c.uplink.again()
	c.endpoint.End() // its place may be the only one
	c.endpoint = nil
	c.ev.Endpoint, c.ev.Duration = event.None, 0 // its id may be another's from now on
	if c.wait(nil, c.plan.pause) == left {
		c.leave()
		return false
	}
	what, refusal := c.pick()
	for what == replaced {
		what, refusal = c.pick() // it is still this policy's request
	}
	if what == chosen {
		c.flag(event.Retried)
		return true
	}
	switch {
	case what == departed:
		c.leave()
	case result == event.ConnectFailed && !refusal.Final():
		c.refuseUnpicked(refusal)
	case err != nil:
		c.flag(refusal.Flags())
		c.refuseFailed(result, err)
	default:
		c.refuseUnpicked(refusal)
	}
	return false
}

// leave ends a request whose client has left.
func (c *call) leave() {
	c.flag(event.DownstreamGone)
	c.x.Abort()
}

// answered tells the endpoint's latency of a response's head. The time that a
// body took to stream is the client's.
func (c *call) answered() {
	if c.pool.Failures.Has(c.at.Status) {
		c.latency.Failed()
		c.latency = pool.Wait{}
		return
	}
	took := time.Duration(-1)
	if at := c.uplink.sentAt.Load(); at > 0 {
		took = time.Since(c.start) - time.Duration(at)
	}
	c.latency.Answered(took)
}

// measure tells the endpoint's latency how the attempt ended.
func (c *call) measure(r event.Result) {
	switch r {
	case event.OK:
	case event.ClientCanceled:
		c.latency.Abandoned()
	case event.Exhausted, event.Overflowed, event.Aborted:
		c.latency.Excluded()
	default:
		c.latency.Failed()
	}
	c.latency = pool.Wait{}
}

// judge tells the endpoint's breaker of the attempt, if it was not told already.
func (c *call) judge(r event.Result) {
	if done := c.done; done != nil {
		c.done = nil
		if u, is := c.unanswered(r); is {
			done(u)
			return
		}
		done(verdict(c.pool.Judge(r)))
	}
}

// told is what an event says that a breaker is told of an attempt.
func told(j pool.Judgement) event.Verdict {
	switch j {
	case pool.Good:
		return event.VerdictSuccess
	case pool.Bad:
		return event.VerdictFailure
	}
	return event.VerdictNone
}

// verdict is what a breaker is told of an attempt.
func verdict(j pool.Judgement) error {
	switch j {
	case pool.Good:
		return nil
	case pool.Bad:
		return breaker.Failed
	}
	return breaker.Excluded
}
