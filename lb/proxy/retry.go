package proxy

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// maxPause bounds the pause before a retry, however often it doubled. An endpoint that
// asks for more is not asked again.
const maxPause = time.Minute

// plan is what is to become of a request whose try failed.
type plan struct {
	again bool // another try is made
	pause time.Duration
}

// planFor says whether a try that failed is made again. asked is for how long the
// endpoint asked to be left alone.
//
// A try that failed before anything of the request was sent may always be made
// again; any other only if the method may be sent twice. Nothing that the client
// has seen, or that might be seen twice, is ever repeated.
func (c *call) planFor(r event.Result, asked time.Duration) plan {
	if c.p.isCut() {
		return plan{} // no endpoint can be asked any more
	}
	retry := c.route.Retry
	if c.leftHome(r) && !c.replied && !c.interim && c.pool.Retry() {
		return plan{again: true}
	}
	if retry == nil || c.ev.Attempts > retry.Attempts || c.replied || c.interim {
		return plan{}
	}
	switch r {
	case event.ConnectFailed:
	case event.ClientCanceled, event.Exhausted, event.Overflowed:
		return plan{}
	default:
		if !retry.Method(c.req.Method) {
			return plan{}
		}
	}
	if c.uplink.sending && c.kept.lost {
		return c.refuseRetry(event.RetryBodyGone)
	}
	if asked > maxPause {
		return c.refuseRetry(event.RetryTooLate)
	}
	pause := max(c.backoff(retry), asked)
	if left, bounded := c.requestLeft(); bounded && pause >= left {
		return c.refuseRetry(event.RetryTooLate)
	}
	if !c.pool.Retry() {
		c.flag(event.RetryRefused)
		return c.refuseRetry(event.RetryBudgetSpent)
	}
	return plan{true, pause}
}

func (c *call) refuseRetry(why event.RetryRefusal) plan {
	if f := c.p.events.RetryRefused; f != nil {
		f(c.pool.ID, why)
	}
	return plan{}
}

// backoff is the pause before the next try: it doubles with each, and is cut at
// random by up to half, so that requests that failed together do not come back
// together.
func (c *call) backoff(r *snapshot.Retry) time.Duration {
	pause := min(r.Backoff<<(c.ev.Attempts-1), maxPause)
	if pause <= 0 {
		return 0
	}
	return pause - time.Duration(c.p.rand()%uint64(pause/2+1))
}

// unwanted reports whether a response is to be tried again, and plans that. An
// answer is thrown away only if there is somebody else to ask, or the same one
// again: else the client gets it.
func (c *call) unwanted(resp *wire.Response) bool {
	retry := c.route.Retry
	if retry == nil || !retry.Codes.Has(resp.Status) {
		return false
	}
	if c.uplink.sending && !c.kept.ended.Load() {
		return false // its body is still under way: it was refused for what it is
	}
	if c.pool.Failures.Has(resp.Status) {
		c.judge(event.Failed) // first: with this one its breaker may open
	}
	if !c.pool.Serves(c.fit) {
		return false
	}
	c.plan = c.planFor(event.Failed, c.askedFor(resp))
	return c.plan.again
}

// askedFor is the time that a response's Retry-After asks for, in seconds or as a
// date (RFC 9110 section 10.2.3); 0 if there is none, or none that is understood.
func (c *call) askedFor(resp *wire.Response) time.Duration {
	v, ok := resp.Fields.Get("retry-after")
	if !ok {
		return 0
	}
	switch seconds, err := strconv.ParseUint(string(v), 10, 31); {
	case err == nil:
		return time.Duration(seconds) * time.Second
	case errors.Is(err, strconv.ErrRange):
		return math.MaxInt64 // more seconds than fit
	}
	at, err := http.ParseTime(string(v))
	if err != nil {
		return 0
	}
	return max(0, at.Sub(c.p.date.wall()))
}
