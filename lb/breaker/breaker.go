// Package breaker is the Closed/Open/Half-Open machine of one endpoint: it
// stops sending requests to an endpoint that fails, and lets a few through
// after a while to see whether it has recovered.
//
//	b := breaker.New(breaker.Settings{
//		ConsecutiveFailures: 5,
//		OpenDuration:        5 * time.Second,
//		MaxOpenDuration:     30 * time.Second,
//		HalfOpenRequests:    3,
//	}, rand.Uint64, nil)
//
//	done, _, ok := b.Allow(breaker.Willing)
//	if !ok {
//		return errRefused // the endpoint is left alone for now
//	}
//	if err := send(); err != nil {
//		done(breaker.Failed)
//	} else {
//		done(nil)
//	}
//
// # States
//
// Closed: every request is allowed, and its result is counted. Open: none is,
// for a while. Half-open: a few requests (the probes) are, at most
// HalfOpenRequests at once and no more than are still needed; once so many
// have succeeded the breaker closes, and with the first failure it opens again.
//
// It is open for OpenDuration at first, and for twice as long each time it
// opens again, up to MaxOpenDuration. Only a breaker that stayed closed for
// MaxOpenDuration begins with OpenDuration again. Each closing takes everything
// else back: the next trip needs the same evidence as the first.
//
// A breaker owns no goroutine and no timer: what time brings about is found out
// by whoever asks next. When that happens changes nothing but the moment at
// which it is told: a scrape of the state has no influence on it.
//
// # Probes
//
// A request that can be sent again may be a probe at any time. One that cannot
// may be when for OpenDuration nobody took a probe that was to be had, so that a
// pool without retryable requests recovers too, only later.
//
// Whoever takes a probe owes its result within [ProbeTimeout]. One that is late
// has failed, so a result that never comes cannot hold a slot for ever. A result
// that comes after its half-open period counts for nothing, but its request is
// under way until then, and takes up a slot of the next period. Probes whose clients
// leave before the answer is late are judged together, see [Unanswered].
//
// # What is counted
//
// A result counts at the moment it arrives, not at the moment its request was
// sent, so that requests which hang for longer than Interval before they fail
// are seen too. Results of requests that were allowed before the last change of
// state say nothing about the present one and are dropped. Which results are
// failures is for the caller to say.
//
// # Concurrency
//
// All methods may be called by any number of goroutines. Allow, State and
// Admits take no lock while the breaker is closed or open; half-open, only to
// take a probe or to tell of a late one.
package breaker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ProbeTimeout is how long the result of a probe may take. Without one by then,
// and a second more so that one told at the last moment is heard, the probe has
// failed. That is the last resort: callers are expected to judge for themselves.
const ProbeTimeout = 30 * time.Second

// Failed is what done is told of a failure of the endpoint. Any other error
// but [Excluded] and [Unanswered] counts as one too.
var Failed = errors.New("endpoint failed")

// Excluded is what done is told when a request says nothing about its
// endpoint: the client left, or the request was refused before it was sent.
var Excluded = errors.New("no judgement of the endpoint")

// Unanswered is what done is told when nobody waits any longer for an answer that
// the endpoint owes, before it was late: the client left. That says nothing about the
// endpoint, and counts as [Excluded]. But where one such probe comes after the other
// none would ever be judged. So once probes have waited for Limit together, and the
// endpoint has answered none of them, it is as if one had not been answered in time.
type Unanswered struct {
	Waited time.Duration // until now
	Limit  time.Duration // after which an answer is late
}

// Error implements error.
func (u Unanswered) Error() string { return "the endpoint has not answered yet" }

// State is a state of a breaker. The values are those of event.BreakerState.
type State string

const (
	Closed   State = "closed"
	Open     State = "open"
	HalfOpen State = "half-open"
)

// Reasons of a transition, as [New]'s changed is told them.
const (
	ConsecutiveFailures = "consecutive_failures" // closed → open
	FailurePercent      = "failure_percent"      // closed → open
	OpenElapsed         = "open_elapsed"         // open → half-open
	ProbeFailed         = "probe_failed"         // half-open → open
	ProbeTimedOut       = "probe_timeout"        // half-open → open
	ProbesSucceeded     = "probes_succeeded"     // half-open → closed
	TurnedOff           = "turned_off"           // any → closed: the settings cannot trip it any more
)

// Breaker is the circuit breaker of one endpoint. A nil *Breaker is one that
// never trips: it is closed and allows everything.
type Breaker struct {
	settings atomic.Pointer[Settings]
	period   atomic.Pointer[period]
	rand     func() uint64
	changed  func(from, to State, reason string)
	epoch    time.Time // what all times below are counted from

	mu     sync.Mutex // held to change any of the above and the probes
	probes probes
}

// New returns a closed breaker; nil if the settings can never trip it.
//
// rand gives the random numbers by which its open times are made longer, by up
// to a tenth, so that replicas do not probe an endpoint all at once; nil: they
// are as long as the settings say. changed is told every transition, in order;
// nil: nobody is. Both are called under the breaker's lock: they must not block
// and must not call the breaker. Any method may have to tell of a transition, so
// no lock that changed takes may be held while calling one.
func New(s Settings, rand func() uint64, changed func(from, to State, reason string)) *Breaker {
	if !s.CanTrip() {
		return nil
	}
	b := &Breaker{rand: rand, changed: changed, epoch: time.Now()}
	b.settings.Store(&s)
	p := &period{state: Closed}
	b.count(p)
	b.period.Store(p)
	b.publish()
	return b
}

// Probing says whether a request may be a probe.
type Probing uint8

const (
	Willing   Probing = iota // it can be sent again if it fails
	Reluctant                // it cannot: only if nobody else was willing for a while
	Unwilling                // never
)

// Allow says whether a request may be sent now, and whether it is a probe. If
// ok, done must be called exactly once, on every path: with nil after a success,
// with [Failed], [Excluded] or [Unanswered]. If not ok, done is nil. It allocates for a
// probe only.
func (b *Breaker) Allow(how Probing) (done func(error), probe, ok bool) {
	if b == nil {
		return ignore, false, true
	}
	if p := b.period.Load(); p.state == Closed {
		return p.done, false, true
	}
	if !b.Admits(how) {
		return nil, false, false
	}
	return b.take(how)
}

// Admits says whether Allow would allow a request now.
func (b *Breaker) Admits(how Probing) bool {
	if b == nil {
		return true
	}
	p := b.period.Load()
	if p.state == Closed {
		return true
	}
	now := b.now()
	p = b.lookAt(p, now)
	return b.admits(p, how, b.probes.room.Load(), now)
}

// State returns the state as the next request will find it: an open breaker
// whose time is over is half-open. openUntil is zero unless the state is Open.
func (b *Breaker) State() (s State, openUntil time.Time) {
	if b == nil {
		return Closed, time.Time{}
	}
	p := b.period.Load()
	if p.state == Closed {
		return Closed, time.Time{}
	}
	now := b.now()
	p = b.lookAt(p, now)
	if p.state != Open {
		return p.state, time.Time{}
	}
	if now >= p.until {
		return HalfOpen, time.Time{}
	}
	return Open, b.epoch.Add(p.until)
}

// Trips says how many times in a row it opened, that is without staying closed
// for MaxOpenDuration in between, and for how long it did the last time. Both
// are 0 if that is over.
func (b *Breaker) Trips() (inARow int, open time.Duration) {
	if b == nil {
		return 0, 0
	}
	now := b.now()
	p := b.lookAt(b.period.Load(), now)
	if p.recovered(b.settings.Load(), now) {
		return 0, 0
	}
	return p.trips, p.open
}

// Update changes the settings and keeps the state and how many times in a row
// it opened. A new Interval empties the window of FailurePercent, at once if the
// breaker is closed. An open breaker is open for as long as new open times say,
// counted from when it opened. Settings that cannot trip it close it: it would stay
// open as long as probes fail, and nobody could help that.
func (b *Breaker) Update(s Settings) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	p := b.expire(now) // by the old settings
	old := b.settings.Swap(&s)
	switch {
	case p.state == Closed && old.Interval != s.Interval:
		b.count(p)
	case p.state != Closed && !s.CanTrip():
		b.turn(Closed, TurnedOff, now)
	case p.state == Open && now < p.until && old.openFor(p.trips) != s.openFor(p.trips):
		open := b.jittered(s.openFor(p.trips))
		b.period.Store(&period{state: Open, since: p.since, until: max(now, p.since+open), trips: p.trips, open: open})
	case p.state == HalfOpen && p.succeeded >= s.halfOpenRequests():
		b.turn(Closed, ProbesSucceeded, now)
	}
	b.publish()
}

func (b *Breaker) now() time.Duration { return time.Since(b.epoch) }

func ignore(error) {}
