package outagetest

import (
	"time"

	"go-loadbalancer/lb/event"
)

// legal is every transition a breaker may make, and why.
var legal = map[[2]event.BreakerState][]string{
	{event.BreakerClosed, event.BreakerOpen}:     {"consecutive_failures", "failure_percent"},
	{event.BreakerOpen, event.BreakerHalfOpen}:   {"open_elapsed"},
	{event.BreakerHalfOpen, event.BreakerOpen}:   {"probe_failed", "probe_timeout"},
	{event.BreakerHalfOpen, event.BreakerClosed}: {"probes_succeeded"},
}

// check looks for what must never happen. That nothing is left over when all was
// stopped is looked at by [world.end].
func (d *drama) check() {
	for _, b := range d.pool {
		d.checkBreaker(b)
	}
	d.checkEnds()
	for i := range d.results {
		d.checkResult(&d.results[i])
	}
	// Once all is well, all that comes is served. The last breaker opened for 0.88 s
	// at most, a check took 0.4 s to pass again, and held an endpoint for some
	// doublings of 0.5 s.
	for _, c := range during(d.results, d.recovery+calm-time.Second, time.Hour) {
		if !c.good() {
			d.w.t.Errorf("not served though all is well: %v", &c)
		}
	}
}

// checkBreaker: only legal transitions; nothing but probes goes to an endpoint
// that is not closed; and no more of them at once than may be.
func (d *drama) checkBreaker(b *backend) {
	d.r.mu.Lock()
	state := event.BreakerClosed
	for _, c := range d.r.breakers {
		if c.Address != b.address {
			continue
		}
		reasonable := false
		for _, reason := range legal[[2]event.BreakerState{c.From, c.To}] {
			reasonable = reasonable || reason == c.Reason
		}
		if c.From != state || !reasonable {
			d.w.t.Errorf("%s, which was %s: %+v", b.address, state, c)
		}
		state = c.To
	}
	d.r.mu.Unlock()
	states, since := d.r.path(b)
	for i := range d.r.attempts {
		a := &d.r.attempts[i]
		if a.to != b.address || a.Probe {
			continue
		}
		for n, s := range states {
			if s != event.BreakerClosed && a.start > since[n] && (n+1 == len(states) || a.start < since[n+1]) {
				d.w.t.Errorf("%s is %s from %v on, and got %+v", b.address, s, since[n], a)
			}
		}
	}
	if n := d.r.probesAtOnce(b, min(d.try, d.request)); n > d.probes {
		d.w.t.Errorf("%d probes of %s under way at once, want at most %d", n, b.address, d.probes)
	}
}

// checkEnds: every request ends once, after no more tries than may be, and what
// the balancer tells of it is what its client saw.
func (d *drama) checkEnds() {
	ends, tries := map[string]*request{}, 0
	for i := range d.r.requests {
		e := &d.r.requests[i]
		if ends[e.id] != nil {
			d.w.t.Errorf("%s ended twice", e.id)
		}
		ends[e.id] = e
		tries += e.Attempts
		if e.Attempts > 1+d.retries {
			d.w.t.Errorf("%s was tried %d times", e.id, e.Attempts)
		}
	}
	if tries != len(d.r.attempts) {
		d.w.t.Errorf("%d tries of all requests, %d attempts ended", tries, len(d.r.attempts))
	}
	for i := range d.results {
		c := &d.results[i]
		e := ends[c.id]
		if e == nil {
			d.w.t.Errorf("never ended: %v", c)
			continue
		}
		delete(ends, c.id)
		// A client that left may not have seen the status.
		if c.status != e.Status && c.status != 0 {
			d.w.t.Errorf("told as %d: %v", e.Status, c)
		}
		if c.status == 0 && e.Status != 0 && e.Flags&(event.DownstreamGone|event.UpstreamReset) == 0 && c.took() < 100*time.Millisecond {
			d.w.t.Errorf("told as %d with %v: %v", e.Status, e.Flags, c)
		}
	}
	for id := range ends {
		d.w.t.Errorf("%s ended and was never sent", id)
	}
}

// checkResult: a broken body never looks whole, a request that may not be sent
// twice is not, and the balancer's own answers come in time and say when to ask
// again.
func (d *drama) checkResult(c *result) {
	if c.looksWhole && !c.whole || c.unsolicited {
		d.w.t.Errorf("broken, and looks whole: %v", c)
	}
	most := 2 * (1 + d.retries) // a try on a kept connection may be two
	if c.method == "POST" && !d.again {
		most = 1
	}
	if n := d.w.arrivals[c.id]; n > most {
		d.w.t.Errorf("reached an endpoint %d times: %v", n, c)
	}
	if c.status > 0 && c.by == "" {
		if c.took() > d.request+100*time.Millisecond {
			d.w.t.Errorf("the balancer's own answer after %v, want it in %v: %v", c.took(), d.request, c)
		}
		if c.status == 503 && c.retryAfter == "" {
			d.w.t.Errorf("no Retry-After: %v", c)
		}
	}
}
