package breaker

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// probes are the probes under way, those of earlier half-open periods included:
// the endpoint has to bear them too.
type probes struct {
	underway []probe // in the order they were taken; guarded by the breaker's mu

	// For those who ask without the lock.
	room atomic.Bool  // another may be taken
	due  atomic.Int64 // when the first one under way is out of time
	last atomic.Int64 // when the last one was taken
}

// probe is a probe under way. Two that are equal are interchangeable.
type probe struct {
	period *period
	taken  time.Duration
}

// admits says whether the breaker, being in period p, would allow a request.
func (b *Breaker) admits(p *period, how Probing, room bool, now time.Duration) bool {
	if p.state == Closed {
		return true
	}
	free := p.until // since when nobody took the probe that was to be had
	switch how {
	case Willing:
	case Reluctant:
		free = max(free, time.Duration(b.probes.last.Load())) + b.settings.Load().OpenDuration
	default:
		return false
	}
	return room && now >= free
}

// take is Allow unless the breaker is closed.
func (b *Breaker) take(how Probing) (done func(error), isProbe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	p := b.expire(now)
	if !b.admits(p, how, b.room(p), now) {
		return nil, false, false
	}
	switch p.state {
	case Closed: // just now
		return p.done, false, true
	case Open:
		p = b.turn(HalfOpen, OpenElapsed, now)
	}
	taken := probe{p, now}
	p.underway++
	b.probes.underway = append(b.probes.underway, taken)
	b.probes.last.Store(int64(now))
	b.publish()
	return func(err error) { b.probed(taken, err) }, true, true
}

// probed ends a probe and counts its result.
func (b *Breaker) probed(ended probe, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	p := b.expire(now)
	i := slices.Index(b.probes.underway, ended)
	if i < 0 {
		return // it was late
	}
	b.remove(i)
	switch {
	case ended.period != p:
	case excluded(err):
		if u, is := err.(Unanswered); is && p.wait(u, now) {
			b.turn(Open, ProbeTimedOut, now)
		}
	case err != nil:
		b.turn(Open, ProbeFailed, now)
	default:
		p.silent, p.heard = 0, now
		p.succeeded++
		if p.succeeded >= b.settings.Load().halfOpenRequests() {
			b.turn(Closed, ProbesSucceeded, now)
		}
	}
	b.publish()
}

// wait counts for how long a probe waited for nothing, and says whether all have for
// long enough. When several did at once that counts once.
func (p *period) wait(u Unanswered, now time.Duration) bool {
	p.silent += now - max(now-u.Waited, p.heard)
	p.heard = now
	return p.silent >= u.Limit
}

// lookAt returns the present period, after what time has brought about. p is
// what it was a moment ago.
func (b *Breaker) lookAt(p *period, now time.Duration) *period {
	if p.state == Closed || int64(now) < b.probes.due.Load() {
		return p
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.expire(now)
}

// expire gives up the probes that are out of time, and returns the period. If a
// probe was of this period the breaker has opened at that moment, even if it is
// long ago. It is called under mu.
func (b *Breaker) expire(now time.Duration) *period {
	for len(b.probes.underway) > 0 && now >= b.probes.underway[0].due() {
		late := b.probes.underway[0]
		b.remove(0)
		if late.period == b.period.Load() {
			b.turn(Open, ProbeTimedOut, late.due())
		}
		b.publish()
	}
	return b.period.Load()
}

func (p probe) due() time.Duration { return p.taken + ProbeTimeout + time.Second }

// remove forgets a probe under way.
func (b *Breaker) remove(i int) {
	b.probes.underway[i].period.underway--
	b.probes.underway = slices.Delete(b.probes.underway, i, i+1)
}

// room says whether another probe may be taken in period p: no more are let
// through at once than HalfOpenRequests, nor than may still be needed.
func (b *Breaker) room(p *period) bool {
	most := b.settings.Load().halfOpenRequests()
	return len(b.probes.underway) < most && p.underway+p.succeeded < most
}

// publish has those who ask without the lock see what was changed under it.
func (b *Breaker) publish() {
	due := int64(math.MaxInt64)
	if len(b.probes.underway) > 0 {
		due = int64(b.probes.underway[0].due())
	}
	b.probes.due.Store(due)
	b.probes.room.Store(b.room(b.period.Load()))
}
