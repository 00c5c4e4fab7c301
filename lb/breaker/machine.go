package breaker

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// period is one stay in one state. A change of state replaces it, so that a
// result which comes late finds out by comparing pointers.
//
// Times are counted from the breaker's epoch.
type period struct {
	state State
	since time.Duration // when it began
	until time.Duration // open: when that is over
	trips int           // how many times in a row the breaker opened, this one included
	open  time.Duration // for how long it did the last time

	// Closed.
	done func(error) // shared by all requests of the period
	// consecutive counts the failures since the last success. It is kept here
	// since gobreaker forgets those older than its window, which would spare an
	// endpoint that fails every one of its few requests.
	consecutive atomic.Int32
	window      atomic.Pointer[window]

	// Half-open, guarded by the breaker's mu.
	underway  int // its own among the probes under way
	succeeded int
	silent    time.Duration // for how long in all its probes have waited since the last success, in vain
	heard     time.Duration // when the last of that was counted
}

// window counts a closed period's results, and trips. gobreaker's own open and
// half-open states are not used: it can neither change an open time nor a number
// of probes, nor does it miss a result that never comes. So each closed period
// has a machine of its own, which is over when it trips, and with it whatever
// arrives late.
type window = gobreaker.CircuitBreaker[struct{}]

// windowSteps is in how many steps the window of FailurePercent moves on.
const windowSteps = 10

// count begins the counting of the closed period p, or begins it anew: gobreaker
// freezes the window's length. The thresholds it asks for each time.
func (b *Breaker) count(p *period) {
	var reason string // guarded by the machine's lock
	interval := b.settings.Load().Interval
	p.window.Store(gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval:     interval,
		BucketPeriod: (interval + windowSteps - 1) / windowSteps,
		Timeout:      math.MaxInt64,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			reason = b.settings.Load().trips(p.consecutive.Load(), c.TotalSuccesses, c.TotalFailures)
			return reason != ""
		},
		OnStateChange: func(string, gobreaker.State, gobreaker.State) { b.trip(p, reason) },
	}))
	if p.done == nil {
		p.done = func(err error) { p.record(err) }
	}
}

// record counts the result of a request that was allowed in the closed period.
func (p *period) record(err error) {
	switch {
	case excluded(err):
	case err != nil:
		p.consecutive.Add(1)
		p.window.Load().Execute(failed)
	default:
		if p.consecutive.Load() != 0 {
			p.consecutive.Store(0)
		}
		p.window.Load().Execute(succeeded)
	}
}

// excluded says whether a result alone says nothing about the endpoint.
func excluded(err error) bool {
	if err == nil || err == Excluded {
		return err != nil
	}
	_, is := err.(Unanswered)
	return is
}

// What is executed has already happened: gobreaker is only told of it. Told
// this way it allocates nothing, and counts when the result is there.
func succeeded() (struct{}, error) { return struct{}{}, nil }
func failed() (struct{}, error)    { return struct{}{}, Failed }

// trip ends the closed period p. It runs under the lock of p's window, so mu is
// taken after that one, and a window is never told anything under mu.
func (b *Breaker) trip(p *period, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.period.Load() == p {
		b.turn(Open, reason, b.now())
	}
}

// turn begins a new period, which began at. It is called under mu.
func (b *Breaker) turn(to State, reason string, at time.Duration) *period {
	old, s := b.period.Load(), b.settings.Load()
	next := &period{state: to, since: at, trips: old.trips, open: old.open}
	switch to {
	case Open:
		if old.recovered(s, at) {
			next.trips = 0
		}
		next.trips++
		next.open = b.jittered(s.openFor(next.trips))
		next.until = at + next.open
	case Closed:
		b.count(next)
	}
	b.period.Store(next)
	b.publish()
	if b.changed != nil {
		b.changed(old.state, to, reason)
	}
	return next
}

// recovered says whether the breaker was closed for so long that what was
// before is forgotten.
func (p *period) recovered(s *Settings, now time.Duration) bool {
	return p.state == Closed && now-p.since >= s.maxOpenDuration()
}

// jittered adds up to a tenth at random.
func (b *Breaker) jittered(d time.Duration) time.Duration {
	if b.rand == nil || d <= 0 {
		return d
	}
	return d + time.Duration(b.rand()%uint64(d/10+1))
}
