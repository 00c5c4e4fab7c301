package proxy

import (
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
)

// choice is what came of looking for an endpoint.
type choice uint8

const (
	chosen   choice = iota
	refused         // none is to be had, and a refusal says why
	replaced        // another policy serves, and what this one has drains or is full
	departed        // the client left while the request waited for its turn
)

// pick finds an endpoint of the call's pool and counts the request on it. Where all
// that are eligible have as many requests as they may, it waits for its turn. The
// endpoint's End and its breaker's done are owed from then on.
func (c *call) pick() (choice, pool.Refusal) {
	key, probing := c.hashKey(c.pool), c.fit
	if c.turn != nil && !c.turn.Of(c.pool) {
		c.unqueue()
	}
	c.queued = c.turn != nil
	for {
		e, home, refusal := c.candidate(key, probing)
		if e != nil {
			start := pool.Drained
			if home {
				start = e.BeginHome(c.turn)
			} else {
				start = e.Begin(c.turn)
			}
			switch start {
			case pool.Drained:
				if home {
					continue // its drain is over: the session goes elsewhere
				}
				return c.unpicked(replaced, pool.None)
			case pool.Full:
				refusal = pool.AllFull
				if home && e.Full() {
					c.full = e
				}
			default:
				if c.allowed(e, probing) {
					return c.picked(chosen, pool.None)
				}
				e.End()
				// Another request took its last probe since Pick looked. It counts as tried,
				// so that Pick finds another; if it is the only one left, that was all.
				if c.tried.Has(e) {
					return c.unpicked(refused, pool.BreakersOpen)
				}
				c.tried.Add(e)
				continue
			}
		}
		if (refusal == pool.BreakersOpen || refusal == pool.AllFull) && probing == breaker.Reluctant {
			probing = breaker.Willing // rather than refuse it, or have it wait before others
			continue
		}
		if refusal != pool.AllFull || c.superseded() {
			return c.unpicked(refused, refusal)
		}
		if what, refusal := c.queue(); what != chosen {
			return c.picked(what, refusal)
		}
	}
}

// picked gives up the request's place in the queue, if it had one.
func (c *call) picked(what choice, r pool.Refusal) (choice, pool.Refusal) {
	c.unqueue()
	return what, r
}

// unpicked ends a search in vain. A request that waited while its policy was
// replaced keeps its place: it asks the new one.
func (c *call) unpicked(what choice, r pool.Refusal) (choice, pool.Refusal) {
	if c.superseded() {
		return replaced, pool.None
	}
	return c.picked(what, r)
}

// superseded says whether another policy serves than the one by which the request
// waits. The new one may have room, which nobody gets while this one is first in
// the queue. A retry cannot change over: it waits on for the endpoints that stay.
func (c *call) superseded() bool {
	return c.turn != nil && c.ev.Attempts == 0 && c.p.current.Load() != c.snap
}

func (c *call) unqueue() {
	if c.turn != nil {
		c.turn.Leave()
		c.turn = nil
	}
}

// allowed asks the endpoint's breaker, which Pick has looked at before.
func (c *call) allowed(e *pool.Endpoint, probing breaker.Probing) bool {
	done, probe, ok := e.Breaker().Allow(probing)
	if !ok {
		return false
	}
	c.endpoint, c.done, c.trial = e, done, nil
	if probe {
		c.trial = &trial{done: done}
		c.done = c.trial.end
	}
	if !e.Healthy() {
		c.flag(event.PanicMode)
	}
	return true
}

// queue waits until it is worth picking again.
func (c *call) queue() (choice, pool.Refusal) {
	now := time.Now()
	other := c.turn != nil && c.turn.Home() != c.full
	if other { // its home has room by now, or has none left
		c.unqueue()
	}
	if c.turn == nil {
		if c.full != nil {
			c.turn = c.pool.QueueAt(c.full)
		} else {
			c.turn = c.pool.Queue()
		}
		if c.turn == nil {
			return refused, pool.AllFull
		}
	}
	if !c.queued {
		c.queued = true
		most := c.pool.PendingTimeout() - c.waited
		if left, bounded := c.requestLeft(); bounded {
			most = min(most, left)
		}
		c.turnBy = now.Add(most)
		c.late = true
	}
	what := c.wait(c.turn.Come(), c.turnBy.Sub(now))
	c.waited += time.Since(now)
	switch what {
	case came:
		return chosen, pool.None
	case left:
		return departed, pool.None
	}
	if c.p.isCut() {
		c.flag(event.Draining)
	}
	return refused, pool.QueueTimeout
}

// waited is what ended a wait.
type waited uint8

const (
	came    waited = iota // what was waited for
	expired               // the time was over
	left                  // the client left
)

// wait waits for ch, at most for a time, while nothing is sent anywhere. If ch is
// closed there is nothing to come, and if the proxy is cut short nothing is worth
// waiting for: that is as if the time was over. The
// client's departure ends it, unless more of the client's body is to be read: then
// that is not looked for.
func (c *call) wait(ch <-chan struct{}, most time.Duration) waited {
	if most <= 0 {
		return expired
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	gone := make(chan struct{})
	if c.bodyRead() {
		c.lookOut(func() { close(gone) })
	}
	what := expired
	select {
	case _, open := <-ch:
		if open {
			what = came
		}
	case <-timer.C:
	case <-c.p.cut:
	case <-gone:
	}
	c.join()
	if c.uplink.gone {
		return left
	}
	return what
}
