package pool

import (
	"fmt"
	"time"

	"go-loadbalancer/lb/breaker"
)

// filter says which endpoints may be picked for a request.
type filter struct {
	pool    *Pool
	tried   *Tried
	probing breaker.Probing
	seed    uint64 // decides which of those that start slowly take part
	slowly  bool   // not all of them do
	passed  bool   // set once one of them did not
	lodging bool   // for a session: see [Pool.PickFor]
}

// bar is what keeps an endpoint from being picked.
type bar uint8

const (
	noBar bar = iota
	barTried
	barDraining
	barUnhealthy
	barSlow // it starts slowly, and this is not its turn
	barFull
	barBreaker
)

// admits says whether e may be picked. Every algorithm asks it of every endpoint
// that it takes.
func (f *filter) admits(e *Endpoint) bool { return f.bars(e) == noBar }

// bars says what keeps e from being picked.
func (f *filter) bars(e *Endpoint) bar {
	if f.tried != nil && f.tried.n > 0 && f.tried.Has(e) {
		return barTried
	}
	if flags := e.flags.Load(); flags != 0 {
		if b := f.barsBy(e, flags); b != noBar {
			return b
		}
	}
	if e.full() {
		return barFull
	}
	if !e.breaker.Load().Admits(f.probing) {
		return barBreaker
	}
	return noBar
}

// barsBy is bars as far as the flags of e tell.
func (f *filter) barsBy(e *Endpoint, flags uint32) bar {
	if b := f.pool.unavailable(flags); b != noBar {
		return b
	}
	if flags&slow != 0 && f.slowly && !e.due(f.seed) {
		f.passed = true
		return barSlow
	}
	return noBar
}

// available is what of eligible the flags of an endpoint tell: all but the breaker
// and the limit.
func (p *Pool) available(flags uint32) bool { return p.unavailable(flags) == noBar }

// unavailable is what the flags of an endpoint have against it.
func (p *Pool) unavailable(flags uint32) bar {
	switch {
	case flags&draining != 0:
		return barDraining
	case flags&unhealthy != 0 && !p.Panic():
		return barUnhealthy
	}
	return noBar
}

// Eligible says whether m may be picked, and if not, why.
func (p *Pool) Eligible(m *Member) (ok bool, why string) { return p.EligibleFor(m, breaker.Willing) }

// EligibleFor is Eligible for a request of which probing says whether it may be a probe.
func (p *Pool) EligibleFor(m *Member, probing breaker.Probing) (ok bool, why string) {
	switch {
	case m.Drain:
		return false, "draining"
	case m.Weight == 0 && !m.Draining():
		return false, "weight 0"
	}
	f := filter{pool: p, probing: probing}
	b := f.bars(m.Endpoint)
	if b == noBar {
		return true, ""
	}
	if b != barDraining {
		// What a breaker saw of real requests says more than a check, or a limit.
		switch state, until := m.Breaker().State(); {
		case state == breaker.Open:
			return false, "breaker open until " + until.UTC().Format(time.RFC3339)
		case m.Breaker().Admits(probing):
		case m.Breaker().Admits(breaker.Willing):
			return false, fmt.Sprintf("breaker %s, its probes left to requests that can be sent again", state)
		default:
			return false, fmt.Sprintf("breaker %s, its probes under way", state)
		}
	}
	switch b {
	case barDraining:
		return false, "draining"
	case barUnhealthy:
		return false, "unhealthy"
	}
	return false, "as many requests as it may have"
}
