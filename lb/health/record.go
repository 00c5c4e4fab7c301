package health

import (
	"time"

	"go-loadbalancer/lb/policy"
)

// record is what an endpoint's checks have said so far. It knows no clock, lock
// or endpoint.
type record struct {
	healthy  bool
	decided  bool      // a check has decided since it joined or came back
	found    bool      // a check has found it healthy, ever
	passes   int       // in a row
	failures int       // in a row
	falls    int       // not forgotten yet
	fell     time.Time // the last of them
	changed  time.Time // from healthy to unhealthy, or back
}

// judge counts the result of a check that was made with these settings, and says
// whether that changes whether the endpoint is healthy.
func (r *record) judge(a *policy.ActiveCheck, passed bool, now time.Time) (changed bool) {
	if r.healthy && now.Sub(r.changed) >= a.MaxHoldDown {
		r.falls = 0
	}
	first := !r.decided
	r.decided = true
	if passed {
		r.found = r.found || r.healthy
		r.passes, r.failures = r.passes+1, 0
		if r.healthy || !first && r.passes < a.HealthyThreshold || now.Before(r.heldUntil(a)) {
			return false
		}
		r.healthy, r.found, r.changed = true, true, now
		return true
	}
	r.passes, r.failures = 0, r.failures+1
	if !r.healthy || !first && r.failures < a.UnhealthyThreshold {
		return false
	}
	r.healthy, r.changed = false, now
	if r.found { // what never was did not fall
		r.falls, r.fell = r.falls+1, now
	}
	return true
}

// heldUntil is when the last fall's hold ends.
func (r *record) heldUntil(a *policy.ActiveCheck) time.Time { return r.fell.Add(hold(a, r.falls)) }

// hold is how long an endpoint that has fallen so often is held out: flap
// damping, as BGP has it for routes (RFC 2439), by doubling instead of a
// decaying penalty. The first fall is free.
func hold(a *policy.ActiveCheck, falls int) time.Duration {
	if falls < 2 {
		return 0
	}
	d := a.HoldDown
	for range falls - 2 {
		if d == 0 || d >= a.MaxHoldDown {
			break
		}
		d *= 2
	}
	return min(d, a.MaxHoldDown)
}
