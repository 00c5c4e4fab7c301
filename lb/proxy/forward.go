package proxy

import (
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
)

// pick finds an endpoint of the call's pool and counts the request on it: its
// End and the breaker's done are owed from then on. again means that the policy
// changed meanwhile. If neither holds the refusal says why.
func (c *call) pick() (e *pool.Endpoint, done func(error), refusal pool.Refusal, again bool) {
	key := c.hashKey(c.pool)
	for {
		e, refusal = c.pool.Pick(c.p.rand(), key, &c.tried, breaker.Willing)
		if e == nil {
			return nil, nil, refusal, false
		}
		if e.Begin(nil) != pool.Started {
			return nil, nil, pool.None, true
		}
		if done, _, ok := e.Breaker().Allow(breaker.Willing); ok {
			return e, done, pool.None, false
		}
		e.End()
		// Another request took its last probe since Pick looked. It counts as tried,
		// so that Pick finds another; if it is the only one left, that was all.
		if c.tried.Has(e) {
			return nil, nil, pool.BreakersOpen, false
		}
		c.tried.Add(e)
	}
}

// forward sends the request to the endpoint and passes the response on. The
// request counts on the endpoint until all is told: the endpoint's id must not
// go to another before that.
func (c *call) forward(e *pool.Endpoint, done func(error)) {
	c.buildHead()
	c.spendHop()
	c.tried.Add(e)
	c.ev.Attempts++
	c.ev.Endpoint, c.ev.Upstream = e.ID, e.Address
	c.at = event.Attempt{
		Route: c.route.ID, Pool: c.pool.ID, Endpoint: e.ID, Number: c.ev.Attempts, Start: c.start,
	}
	c.endpoint, c.done = e, done
	body, whole := c.x.Body().Whole()
	c.wait = e.Wait(whole)
	if c.route.Mirror != nil && c.ev.Attempts == 1 {
		c.mirrorTo(c.route.Mirror, body, whole)
	}
	result, err := c.attempt(e)
	if result == event.OK && c.pool.Failures.Has(c.at.Status) {
		result = event.Failed
	}
	c.judge(result)
	c.measure(result)
	c.ev.Duration = time.Since(c.start)
	if f := c.p.events.AttemptEnded; f != nil {
		c.at.Result = result
		c.at.Duration = c.ev.Duration - c.at.Start.Sub(c.start)
		f(&c.at)
	}
	if !c.replied {
		c.refuseFailed(result, err)
		c.ev.Duration = 0
	}
}

// answered tells the endpoint's latency of a response's head. The time that a
// body took to stream is the client's.
func (c *call) answered() {
	if c.pool.Failures.Has(c.at.Status) {
		c.wait.Failed()
		c.wait = pool.Wait{}
		return
	}
	took := time.Duration(-1)
	if at := c.uplink.sentAt.Load(); at > 0 {
		took = time.Since(c.start) - time.Duration(at)
	}
	c.wait.Answered(took)
}

// measure tells the endpoint's latency how the attempt ended.
func (c *call) measure(r event.Result) {
	switch r {
	case event.OK:
	case event.ClientCanceled:
		c.wait.Abandoned()
	case event.Exhausted:
		c.wait.Excluded()
	default:
		c.wait.Failed()
	}
	c.wait = pool.Wait{}
}

// judge tells the endpoint's breaker of the attempt, if it was not told already.
func (c *call) judge(r event.Result) {
	if done := c.done; done != nil {
		c.done = nil
		done(verdict(r))
	}
}

// verdict is what a breaker is told of an attempt.
func verdict(r event.Result) error {
	switch r {
	case event.OK:
		return nil
	case event.ClientCanceled, event.Exhausted:
		return breaker.Excluded
	}
	return breaker.Failed
}
