// Package breaker is the Closed/Open/Half-Open machine of one endpoint: it
// stops sending requests to an endpoint that fails, and lets a few through
// after a while to see whether it has recovered.
//
//	b := breaker.New(breaker.Settings{
//		ConsecutiveFailures: 5,
//		OpenDuration:        5 * time.Second,
//		HalfOpenRequests:    3,
//	}, nil)
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
// for OpenDuration. Half-open: HalfOpenRequests requests (the probes) are; if
// they all succeed the breaker closes, and with the first failure it opens
// again. It turns half-open lazily, when the first request asks after the open
// time: a breaker owns no goroutine and no timer.
//
// # What is counted
//
// A result counts at the moment it arrives, not at the moment its request was
// sent, so that requests which hang for longer than Interval before they fail
// are seen too. Results of requests that were allowed before the last change of
// state say nothing about the present one and are dropped.
//
// # Concurrency
//
// All methods may be called by any number of goroutines. Allow, State and
// Admits take no lock while the breaker is closed.
package breaker

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Failed is what done is told of a failure of the endpoint. Any other error
// but [Excluded] counts as one too.
var Failed = errors.New("endpoint failed")

// Excluded is what done is told when a request says nothing about its
// endpoint: the client left, or the request was refused before it was sent.
var Excluded = errors.New("no judgement of the endpoint")

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
	ProbesSucceeded     = "probes_succeeded"     // half-open → closed
)

// Breaker is the circuit breaker of one endpoint. A nil *Breaker is one that
// never trips: it is closed and allows everything.
type Breaker struct {
	settings atomic.Pointer[Settings]
	period   atomic.Pointer[period]
	changed  func(from, to State, reason string)

	// consecutive counts the failures since the last success or closing. It is
	// kept here since gobreaker forgets those older than its window, which
	// would spare an endpoint that fails every one of its few requests.
	consecutive atomic.Int32
}

// period is one stay in one state. A change of state replaces it.
type period struct {
	number    uint64 // counts changes of state
	state     State
	machine   *gobreaker.CircuitBreaker[struct{}]
	openUntil time.Time   // open
	done      func(error) // closed: shared by all requests of the period
	probes    probes      // half-open
}

// New returns a closed breaker; nil if the settings can never trip it. changed
// is told every transition, in order, under the breaker's lock: it must not
// block and must not call the breaker. It may be nil.
func New(s Settings, changed func(from, to State, reason string)) *Breaker {
	if !s.CanTrip() {
		return nil
	}
	b := &Breaker{changed: changed}
	b.settings.Store(&s)
	b.period.Store(b.closed(0))
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
// with [Failed] or with [Excluded]. If not ok, done is nil. It allocates for a
// probe only.
func (b *Breaker) Allow(how Probing) (done func(error), probe, ok bool) {
	if b == nil {
		return ignore, false, true
	}
	p := b.period.Load()
	if p.state == Closed {
		return p.done, false, true
	}
	if how == Unwilling {
		return nil, false, false
	}
	if p.state == Open {
		if time.Now().Before(p.openUntil) {
			return nil, false, false
		}
		p.machine.State() // open → half-open, unless another request was first
		if p = b.period.Load(); p.state == Closed {
			return p.done, false, true
		}
	}
	if p.state != HalfOpen || !p.probes.take(b.settings.Load()) {
		return nil, false, false
	}
	return func(err error) { b.probed(p, err) }, true, true
}

// Admits says whether Allow would allow a request, as far as can be told
// without asking it.
func (b *Breaker) Admits(how Probing) bool {
	if b == nil {
		return true
	}
	p := b.period.Load()
	if p.state == Closed {
		return true
	}
	if how == Unwilling {
		return false
	}
	switch p.state {
	case Open:
		return !time.Now().Before(p.openUntil)
	default:
		return p.probes.free(b.settings.Load())
	}
}

// State returns the state as the next request will find it: an open breaker
// whose time is over is half-open. openUntil is zero unless the state is Open.
func (b *Breaker) State() (s State, openUntil time.Time) {
	if b == nil {
		return Closed, time.Time{}
	}
	p := b.period.Load()
	if p.state != Open {
		return p.state, time.Time{}
	}
	if !time.Now().Before(p.openUntil) {
		return HalfOpen, time.Time{}
	}
	return Open, p.openUntil
}

// Update changes the settings and keeps the state. A new Interval empties the
// window of FailurePercent, at once if the breaker is closed, else when it
// closes; a new OpenDuration acts from the next opening. Settings that cannot
// trip are accepted: an open breaker still has to find its way to closed.
func (b *Breaker) Update(s Settings) {
	if b == nil {
		return
	}
	old := b.settings.Swap(&s)
	if old.Interval == s.Interval {
		return
	}
	for {
		p := b.period.Load()
		if p.state != Closed {
			return // closing builds a new machine
		}
		if b.period.CompareAndSwap(p, b.closed(p.number)) {
			return
		}
	}
}

// record counts the result of a request allowed in the closed period number.
func (b *Breaker) record(number uint64, err error) {
	p := b.period.Load()
	if p.number != number || err == Excluded {
		return
	}
	if err != nil {
		b.consecutive.Add(1)
		p.machine.Execute(failed)
		return
	}
	if b.consecutive.Load() != 0 {
		b.consecutive.Store(0)
	}
	p.machine.Execute(succeeded)
}

// probed counts the result of a probe of the half-open period p.
func (b *Breaker) probed(p *period, err error) {
	switch {
	case b.period.Load() != p:
	case err == Excluded:
		p.probes.giveBack()
	case err != nil:
		p.machine.Execute(failed)
	case p.probes.succeed(b.settings.Load()):
		p.machine.Execute(succeeded)
	}
}

// What is executed has already happened: gobreaker is only told of it. Told
// this way it allocates nothing, and counts when the result is there.
func succeeded() (struct{}, error) { return struct{}{}, nil }
func failed() (struct{}, error)    { return struct{}{}, Failed }
func ignore(error)                 {}
