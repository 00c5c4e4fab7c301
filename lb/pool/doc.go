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
// healthy. If no priority of the pool has the panic threshold's share of its
// endpoints healthy, the pool is in panic and health is ignored: many checks failing
// at once says more about the checks. As long as one priority has, it serves and the
// unhealthy ones are left alone. Weight 0 is never picked, and neither it nor an
// endpoint the policy drains counts among the pool's endpoints here. Of those not
// yet tried by the request, the lowest priority number with an eligible one is used;
// if there is none, the tried ones are considered as well.
//
// # Homes
//
// A session is at home at one endpoint, known by a number that is the same in every
// process, [HomeOf]. [Pool.Home] finds it and says how it stands ([Lodging]): open to a
// request, busy and worth waiting for, away and perhaps back some time, gone for good, or
// unknown here. What comes of that is the caller's to decide.
//
//	switch e, lodging := p.Home(home, session, breaker.Willing); lodging {
//	case pool.Open:
//		start = e.BeginHome(nil)
//	case pool.Busy:
//		turn = p.QueueAt(e)
//	default:
//		e, refusal = p.PickFor(session, &tried, breaker.Willing)
//	}
//
// Home asks neither weights, unless that is 0, nor priorities, nor the algorithm: a
// session is at home where it began, also where others would be picked now. Panic and
// slow start hold for homes too: sessions of an endpoint that starts slowly come back
// as its share grows, the same ones on every replica that began at the same time.
//
// [Pool.PickFor] is for a session that has no home, or cannot be there. It ranks the
// eligible endpoints by rendezvous hashing, weighted, or asks a ring where there are
// many: replicas that find the same ones eligible choose the same one.
//
// # Slow start
//
// In a pool with a slow start window an endpoint that could not be picked before, and
// can now, gets its share bit by bit: it is passed over with a probability that falls
// from 99% to nothing over the window. That is so if it joins a pool which serves
// already, is healthy again, its breaker closed again, or it no longer drains; not if
// the pool was in panic, since then it was picked all the time. What is passed
// over goes to the others, to those of the next priority too if there is nobody else.
// If there is nobody at all, an endpoint that starts slowly is picked all the same.
// Load counts for as much less: LeastRequest and PeakEWMA compare it to the share, so
// that an endpoint is not drowned for having nothing to do.
//
// # Failing fast
//
// An endpoint that fails has little to do. LeastRequest must not take that for a
// virtue, and the breaker opens only after a while, if at all. So each endpoint
// remembers how much failed lately, and is not preferred to one that fails less,
// however little it has in flight: its share is then what chance gives it. It is told
// by [Wait].
//
// # Many endpoints
//
// Picking looks at a few endpoints, drawn by each algorithm in its way. If none of
// them can be picked, a tier of up to 64 members is looked through. In a larger one
// all members are looked at once in a while, for many requests together, and those
// that were eligible are drawn from; what is drawn is checked. So a change may take
// a few milliseconds to be noticed in a large pool most of which cannot be picked,
// and it is the same for why it refuses, and for how long.
//
// # Limits and the queue
//
// A pool has at most so many requests in flight, over all its endpoints and policies,
// and so may each endpoint; a tunnel counts for as long as it lives. Begin counts
// exactly, so a limit is never exceeded but by what was in flight when it was lowered.
// An endpoint that has as many as it may is not picked. Where nothing else is left,
// Pick says [AllFull] or Begin [Full], and the request may wait for its [Turn]: first
// come, first served. While anybody waits, nobody who came later begins, and no free
// place stays free for longer than it takes the first to notice. Only the first is
// told of a place, and when it leaves, the next one is: a thousand that wait cost no
// more than one.
//
// A request of a session whose home is full waits for that one, in a queue that the
// endpoint has ([Pool.QueueAt]), and so is in nobody's way who can go elsewhere. What
// waits in all queues of a pool is counted together, and bounded by one limit.
//
// What only waiting can bring is waited for, and nothing else: where no endpoint is
// healthy, or each breaker refuses, full or not, the request is refused at once.
//
// The connections have a limit of their own, [upstream.Gate]. There can be no more
// requests than connections, and an idle connection is closed if its place is needed,
// so a request hardly ever waits there.
//
// # Draining
//
// An endpoint that a policy drains or no longer names gets no new request from
// the moment the policy serves, but for those of sessions that are at home there.
// These begin by BeginHome until the drain timeout is over, or the endpoint ceases to be
// eligible otherwise: then Home says [Gone]. An endpoint at which sessions may be at
// home and which no policy names any more is found by Home nevertheless, as long as
// its pool keeps sessions.
//
// A request that still holds the policy before it is refused by Pick or by Begin and must be matched again, in the policy that
// serves now. Requests in flight finish; those left after the pool's drain
// timeout are broken off. An endpoint no policy names is retired when its last
// request ends, one with sessions when its drain timeout is over besides: its
// connections are closed and its id may go to another.
//
// # Concurrency
//
// Pick, Begin, End and everything that reads may be called by any number of
// goroutines and takes no lock, except where most of a large pool is not eligible:
// there one goroutine looks at all, and others may wait for it the first time.
// Finding a home that no policy names takes a lock for reading.
// PanicChanged is told by the goroutine that changed a health or committed, one call
// at a time, without any lock: it may ask the pool whatever it likes. Stage, Commit,
// Discard and Close belong to one goroutine, the one that reloads. The timers of drains
// and queues belong to the Registry; Close joins them and ends every wait.
//
// Who waits takes the queue's lock, and so do Begin and End while somebody waits. A
// breaker tells of its changes under its own lock and that of the queue is taken then,
// so no breaker is ever asked under the queue's.
package pool
