package expect

import (
	"fmt"
	"time"
)

// What holds in every run, by id.
const (
	ExactlyOnce        = "exactly-once"         // each request ends once
	Deadline           = "deadline"             // and by its deadline, or at most 100 ms later
	CleanSuccess       = "clean-success"        // a broken body never looks whole
	NonIdempotentRetry = "non-idempotent-retry" // a request that may not be sent twice is not, once any of it was
	RetryBudget        = "retry-budget"         // no more retries than the pool's budget has
	OpenEndpoint       = "open-endpoint"        // nothing but probes goes to an endpoint whose breaker is not closed
	DrainingEndpoint   = "draining-endpoint"    // nothing but those at home there to one that drains
	BreakerTransitions = "breaker-transitions"  // only legal ones, and no more probes at once than there may be
	Affinity           = "affinity"             // a session leaves its home only if it must, and then once
	PolicyVersion      = "policy-version"       // each request is served by one policy, which was valid and serving
	ReloadLoss         = "reload-loss"          // no request is lost as the policy changes
	Leaks              = "leaks"                // nothing is left when all has stopped
	RetryAfter         = "retry-after"          // a 503 of the balancer's own says when to come again
	Metrics            = "metrics"              // the balancer counts what came to pass
	NonVacuity         = "non-vacuity"          // every fault touched something, and the load came in time
)

// invariants are all of them, in the order of the report.
var invariants = []struct {
	id    string
	check func(*index, *violations)
}{
	{ExactlyOnce, exactlyOnce},
	{Deadline, deadline},
	{CleanSuccess, cleanSuccess},
	{NonIdempotentRetry, nonIdempotentRetry},
	{RetryBudget, retryBudget},
	{OpenEndpoint, openEndpoint},
	{DrainingEndpoint, drainingEndpoint},
	{BreakerTransitions, breakerTransitions},
	{Affinity, affinity},
	{PolicyVersion, policyVersion},
	{ReloadLoss, reloadLoss},
	{Leaks, leaks},
	{RetryAfter, retryAfter},
	{Metrics, metrics},
	{NonVacuity, nonVacuity},
}

// Invariants lists the ids.
func Invariants() (ids []string) {
	for _, i := range invariants {
		ids = append(ids, i.id)
	}
	return ids
}

// mostViolations is how many of each invariant are kept.
const mostViolations = 5

// violations collects what should not have happened.
type violations struct {
	count int
	kept  []Violation
}

func (v *violations) add(at time.Duration, request, format string, args ...any) {
	v.count++
	if len(v.kept) < mostViolations {
		v.kept = append(v.kept, Violation{At: at, Request: request, Text: fmt.Sprintf(format, args...)})
	}
}

// invariants judges all of them.
func (p *Program) invariants(x *index) (out []Invariant) {
	for _, one := range invariants {
		var v violations
		one.check(x, &v)
		i := Invariant{ID: one.id, Status: Held, Count: v.count, Violations: v.kept}
		if v.count > 0 {
			i.Status = Violated
		}
		for _, w := range p.scenario.Waive {
			if w.ID == one.id {
				i.Because = w.Because
				if v.count > 0 {
					i.Status = Waived
				}
			}
		}
		out = append(out, i)
	}
	return out
}

// slack is by how much times may be apart that are one: nothing in virtual time.
func (x *index) slack() time.Duration {
	if x.Stage == virtual {
		return 0
	}
	return 20 * time.Millisecond
}
