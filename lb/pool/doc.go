// Package pool holds the endpoints requests are sent to: which of a pool's
// endpoints takes the next request, and what is known of each.
//
//	registry := pool.NewRegistry(pool.Options{Dial: dial, Events: events})
//	defer registry.Close()
//
//	staged, err := registry.Stage(policy.Pools) // nothing live is touched
//	if err != nil {
//		return err
//	}
//	staged.Commit(func() { current.Store(staged.Pools()) })
//
//	var tried pool.Tried
//	e, refusal := p.Pick(rand.Uint64(), pool.Key{}, &tried, breaker.Willing)
//	if refusal != pool.None {
//		return refusal // and why
//	}
//	if e.Begin(nil) != pool.Started {
//		return again // it began to drain just now: pick once more
//	}
//	defer e.End()
//
// # What lives how long
//
// A [Pool] is immutable and belongs to one policy. An [Endpoint] is live state
// (breaker, health, requests in flight, connections) known by its pool's name
// and its address; it belongs to the [Registry] and is lent to the pools of one
// policy after another, so that a reload forgets nothing.
//
// # Which endpoint may be picked
//
// An endpoint is eligible if it is not draining, its breaker admits and it is
// healthy. If fewer than the panic threshold's share of the pool's endpoints
// are healthy, health is ignored: many checks failing at once says more about
// the checks. Weight 0 is never picked, and neither it nor an endpoint the
// policy drains counts among the pool's endpoints here. Of those not yet tried
// by the request, the lowest priority number with an eligible one is used; if
// there is none, the tried ones are considered as well.
//
// # Draining
//
// An endpoint that a policy drains or no longer names gets no new request from
// the moment the policy serves. A request that still holds the policy before it
// is refused by Pick or by Begin and must be matched again, in the policy that
// serves now. Requests in flight finish; those left after the pool's drain
// timeout are broken off. An endpoint no policy names is retired when its last
// request ends: its connections are closed and its id may go to another.
//
// # Concurrency
//
// Pick, Begin, End and everything that reads may be called by any number of
// goroutines and takes no lock. Stage, Commit, Discard and Close belong to one
// goroutine, the one that reloads. The drain timers belong to the Registry;
// Close joins them.
package pool
