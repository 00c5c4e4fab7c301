package breaker

import (
	"sync/atomic"
	"time"
)

// probes counts the requests of one half-open period.
//
// A probe whose result never comes must not hold its slot for ever. So when
// all are taken and OpenDuration has passed since the last was, another is let
// through: at worst one request in OpenDuration more than was asked for.
type probes struct {
	since     time.Time
	taken     atomic.Int32 // under way or succeeded
	succeeded atomic.Int32
	last      atomic.Int64 // when the last was taken: nanoseconds after since
}

// free says whether take would succeed.
func (p *probes) free(s *Settings) bool {
	return p.taken.Load() < s.halfOpenRequests() ||
		time.Since(p.since)-time.Duration(p.last.Load()) > s.OpenDuration
}

// take takes a slot.
func (p *probes) take(s *Settings) bool {
	now := int64(time.Since(p.since))
	for {
		n := p.taken.Load()
		if n >= s.halfOpenRequests() {
			break
		}
		if p.taken.CompareAndSwap(n, n+1) {
			p.last.Store(now)
			return true
		}
	}
	last := p.last.Load()
	if time.Duration(now-last) <= s.OpenDuration || !p.last.CompareAndSwap(last, now) {
		return false
	}
	p.taken.Add(1)
	return true
}

// giveBack frees the slot of a probe without a judgement.
func (p *probes) giveBack() { p.taken.Add(-1) }

// succeed counts a success and says whether it was the last one needed.
func (p *probes) succeed(s *Settings) bool { return p.succeeded.Add(1) >= s.halfOpenRequests() }
