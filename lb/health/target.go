package health

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// State is what is known of an endpoint by its checks, for people to see.
type State struct {
	Phase     Phase
	Error     string    // why the last check failed, or said nothing; empty: it passed, or there was none
	At        time.Time // when the last check ended; zero: there was none
	Falls     int       // how often it turned unhealthy, since that was last forgotten
	HeldUntil time.Time // it is held out until then, however well it does; zero: it is not
}

// Phase is how far an endpoint's checks are.
type Phase string

const (
	None    Phase = "none"    // it is not checked
	Pending Phase = "pending" // its first check is still to come
	Passing Phase = "passing" // the last check passed
	Failing Phase = "failing" // the last check failed
)

// target is an endpoint that is checked.
type target struct {
	endpoint *pool.Endpoint
	host     string                // and port, as the policy writes them
	state    atomic.Pointer[State] // never nil

	// Guarded by Checker.mu.
	check   *policy.ActiveCheck // of the next check
	applied uint64              // the last Apply that named it
	paused  bool                // it drains
	due     time.Time           // of the next check, while it is scheduled
	place   int                 // in a schedule, or unscheduled
	in      *schedule           // that one
	line    *line               // its pool's
	cancel  context.CancelFunc  // of the check under way; nil: none is
	timeout time.Duration       // its own
	anew    bool                // it was given up: the next is at a random time

	mu     sync.Mutex
	over   bool // a check that is still under way counts no more
	record record
}

const unscheduled = -1

func newTarget(m *pool.Member, l *line) *target {
	t := &target{endpoint: m.Endpoint, host: m.Address, line: l, place: unscheduled, record: record{healthy: m.Healthy()}}
	if _, port, err := net.SplitHostPort(m.Address); err == nil && m.Name != "" {
		t.host = net.JoinHostPort(m.Name, port)
	}
	t.state.Store(&State{Phase: Pending})
	return t
}

func (t *target) scheduled() bool { return t.place != unscheduled }

// rejoin has the next check decide alone: nobody has looked for a while. How
// often it fell is not forgotten.
func (t *target) rejoin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record.decided, t.record.passes, t.record.failures = false, 0, 0
	s := *t.state.Load()
	s.Phase = Pending
	t.state.Store(&s)
}

// recall has the endpoint go on as what is remembered of it: whoever was held out
// when it was removed stays so.
func (t *target) recall(check *policy.ActiveCheck, old record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	now := time.Now()
	r := &t.record
	r.found, r.falls, r.fell, r.changed = true, old.falls, old.fell, now
	s := *t.state.Load()
	s.Falls = r.falls
	if until := r.heldUntil(check); until.After(now) {
		r.healthy, s.HeldUntil = false, until
		held := until.Sub(now)
		t.endpoint.HoldOut(held, fmt.Sprintf("it was removed and is back; held out for %v more after %d falls", held, r.falls))
	}
	t.state.Store(&s)
}

// finish makes nothing count any more, and returns what counted.
func (t *target) finish() record {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	return t.record
}

// judge counts the result of a check and tells the endpoint, if it is news.
func (t *target) judge(check *policy.ActiveCheck, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	now := time.Now()
	r := &t.record
	first := !r.decided
	changed := r.judge(check, err == nil, now)
	s := &State{Phase: Passing, At: now, Falls: r.falls}
	if err != nil {
		s.Phase, s.Error = Failing, err.Error()
	}
	if until := r.heldUntil(check); !r.healthy && until.After(now) {
		s.HeldUntil = until
	}
	t.state.Store(s)
	if !changed {
		return
	}
	reason := r.reason(first, err)
	if s.HeldUntil.IsZero() {
		t.endpoint.SetHealthy(r.healthy, reason)
		return
	}
	held := s.HeldUntil.Sub(now)
	t.endpoint.HoldOut(held, fmt.Sprintf("%s; held out for %v after %d falls", reason, held, r.falls))
}

// reason says why the verdict changed by its last check.
func (r *record) reason(first bool, err error) string {
	switch {
	case first && err != nil:
		return "its first check failed: " + err.Error()
	case first:
		return "its first check passed"
	case err != nil && r.failures == 1:
		return "a check failed: " + err.Error()
	case err != nil:
		return fmt.Sprintf("%d checks in a row failed, the last one: %v", r.failures, err)
	case r.passes == 1:
		return "a check passed"
	}
	return fmt.Sprintf("%d checks in a row passed", r.passes)
}

// excuse notes a check that could not be made for our own reasons.
func (t *target) excuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := *t.state.Load()
	s.Error, s.At = "the check could not be made: "+err.Error(), time.Now()
	t.state.Store(&s)
}
