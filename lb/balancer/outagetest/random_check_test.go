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
	{event.BreakerHalfOpen, event.BreakerClosed}: {"probes_succeeded", "turned_off"},
	{event.BreakerOpen, event.BreakerClosed}:     {"turned_off"},
}

// check looks for what must never happen. That nothing is left over when all was
// stopped is looked at by [world.end].
func (d *drama) check() {
	seen := map[life]bool{}
	for i := range d.r.attempts {
		seen[d.r.attempts[i].life] = true
	}
	for _, l := range d.r.lives {
		seen[l] = true
	}
	for l := range seen {
		d.checkBreaker(l)
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
func (d *drama) checkBreaker(l life) {
	states, since := []event.BreakerState{event.BreakerClosed}, []time.Duration{0}
	for i, c := range d.r.breakers {
		if d.r.lives[i] != l {
			continue
		}
		state := states[len(states)-1]
		reasonable := false
		for _, reason := range legal[[2]event.BreakerState{c.From, c.To}] {
			reasonable = reasonable || reason == c.Reason
		}
		if c.From != state || !reasonable {
			d.w.t.Errorf("%s, which was %s: %+v", c.Address, state, c)
		}
		states, since = append(states, c.To), append(since, c.At.Sub(d.w.began))
	}
	for i := range d.r.attempts {
		a := &d.r.attempts[i]
		if a.life != l || a.Probe {
			continue
		}
		for n, s := range states {
			if s != event.BreakerClosed && a.start > since[n] && (n+1 == len(states) || a.start < since[n+1]) {
				d.w.t.Errorf("%s is %s from %v on, and got %+v", a.to, s, since[n], a)
			}
		}
	}
	if n := d.r.probes(min(d.try, d.request), func(a *attempt) bool { return a.life == l }); n > d.probes {
		d.w.t.Errorf("%d probes of one endpoint under way at once, want at most %d", n, d.probes)
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
		if e.Attempts > d.tries() {
			d.w.t.Errorf("%s was tried %d times", e.id, e.Attempts)
		}
	}
	attempts := 0
	for i := range d.r.attempts {
		if !d.r.attempts[i].Mirror {
			attempts++
		}
	}
	if tries != attempts {
		d.w.t.Errorf("%d tries of all requests, %d attempts ended", tries, attempts)
	}
	for i := range d.results {
		c := &d.results[i]
		e := ends[c.id]
		if e == nil {
			if !d.stops || c.status != 0 { // else it may have come when nobody listened any more
				d.w.t.Errorf("never ended: %v", c)
			}
			continue
		}
		delete(ends, c.id)
		// A client that left may not have seen the status.
		if c.status != e.Status && c.status != 0 {
			d.w.t.Errorf("told as %d: %v", e.Status, c)
		}
		if c.status == 0 && e.Status != 0 && e.Flags&(event.DownstreamGone|event.UpstreamReset|event.Draining) == 0 && c.took() < 100*time.Millisecond {
			d.w.t.Errorf("told as %d with %v: %v", e.Status, e.Flags, c)
		}
	}
	for id := range ends {
		d.w.t.Errorf("%s ended and was never sent", id)
	}
}

// tries is how many a request may take. One whose session's home drains, and does not
// listen any more, has a further one.
func (d *drama) tries() int {
	if d.sessions != "" {
		return 2 + d.retries
	}
	return 1 + d.retries
}

// checkResult: a broken body never looks whole, a request that may not be sent
// twice is not, and the balancer's own answers come in time and say when to ask
// again.
func (d *drama) checkResult(c *result) {
	if c.looksWhole && !c.whole || c.unsolicited {
		d.w.t.Errorf("broken, and looks whole: %v", c)
	}
	most := 2 * d.tries() // a try on a kept connection may be two
	if c.method == "POST" && !d.again {
		most = 1
	}
	if n := d.w.arrivals[c.id]; n > most {
		d.w.t.Errorf("reached an endpoint %d times: %v", n, c)
	}
	if c.status > 0 && c.by == "" {
		if c.took() > d.request+c.uploaded+100*time.Millisecond {
			d.w.t.Errorf("the balancer's own answer after %v, want it in %v: %v", c.took(), d.request, c)
		}
		if c.status == 503 && c.retryAfter == "" {
			d.w.t.Errorf("no Retry-After: %v", c)
		}
	}
}
