package scenario

// Invariant is something that holds in every scenario that does not waive it.
type Invariant struct{ ID, Meaning string }

// Ids of invariants.
const (
	ExactlyOnce        = "exactly-once"
	Deadline           = "deadline"
	CleanSuccess       = "clean-success"
	NonIdempotentRetry = "non-idempotent-retry"
	RetryBudget        = "retry-budget"
	OpenEndpoint       = "open-endpoint"
	DrainingEndpoint   = "draining-endpoint"
	BreakerTransitions = "breaker-transitions"
	Affinity           = "affinity"
	PolicyVersion      = "policy-version"
	ReloadLoss         = "reload-loss"
	Leaks              = "leaks"
	RetryAfter         = "retry-after"
	Metrics            = "metrics"
	NonVacuity         = "non-vacuity"
)

// Invariants lists them, in the order of docs/scenarios.md.
func Invariants() []Invariant {
	return []Invariant{
		{ExactlyOnce, "Each request ends exactly once; one on a connection that is closed unread, over a limit, is none."},
		{Deadline, "Each request ends by its deadline, give or take 100 ms."},
		{CleanSuccess, "A body that broke is never a clean success, except one that only the end of its connection ends."},
		{NonIdempotentRetry, "A request that is not idempotent is not tried again once it was sent."},
		{RetryBudget, "Retries stay within the budget of their pool."},
		{OpenEndpoint, "Nothing but probes goes to an endpoint whose breaker is open."},
		{DrainingEndpoint, "Nothing new goes to an endpoint that drains."},
		{BreakerTransitions, "Breakers only make the transitions that there are."},
		{Affinity, "A session leaves its home only when that is not eligible or its binding was lost with Redis, and then once."},
		{PolicyVersion, "A request is served by one policy from beginning to end, and an invalid policy never serves."},
		{ReloadLoss, "No request is lost by a change of the policy."},
		{Leaks, "Connections and goroutines are gone when the run is over."},
		{RetryAfter, "Whoever is refused by a 503 of the balancer's own is told when to come again, by Retry-After."},
		{Metrics, "The metrics of the balancers that were not killed say what happened."},
		{NonVacuity, "Every fault touched a request, and the load came as it should have. Without it the run says nothing, and exits 3."},
	}
}

func invariantIDs() []string {
	var ids []string
	for _, i := range Invariants() {
		ids = append(ids, i.ID)
	}
	return ids
}
