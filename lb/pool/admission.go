package pool

import (
	"math"
	"sync/atomic"

	"go-loadbalancer/lb/policy"
)

// noLimit stands for a limit that is not set.
const noLimit = math.MaxInt64

// limitOf is a number of a policy as a limit: 0 is none.
func limitOf(n int) int64 {
	if n <= 0 {
		return noLimit
	}
	return int64(n)
}

// setLimits makes a pool's limits act. What is in flight above them stays, and
// nothing begins until it is below. A request of HTTP/1.1 needs a connection to
// itself, so there can be no more requests than connections.
func (g *group) setLimits(l *policy.Limits) {
	g.limit.Store(min(limitOf(l.MaxParallelRequests), limitOf(l.MaxConnections)))
	g.gate.SetLimit(l.MaxConnections)
	g.pending.most.Store(int64(l.MaxPendingRequests))
}

// Begin counts a request that is about to be sent. Unless it is [Started], the
// request must not be sent to the endpoint, and End must not be called. turn is
// the request's place in the pool's queue, if it has waited there, else nil.
//
// It is [Full] if the endpoint or the pool has as many requests as it may, or if
// others wait that came before: nobody without a turn begins while anybody
// waits, and of those who wait only the first.
func (e *Endpoint) Begin(turn *Turn) Start { return e.begin(turn, draining) }

// BeginHome is Begin for a request of a session that is at home at the endpoint. It
// may begin while the endpoint drains, and is [Drained] only once that is over.
func (e *Endpoint) BeginHome(turn *Turn) Start { return e.begin(turn, drained) }

// begin is [Drained] if the endpoint's flags have one of refuses.
func (e *Endpoint) begin(turn *Turn, refuses uint32) Start {
	if turn != nil {
		return turn.begin(e, refuses)
	}
	// The counts are raised first and looked at then, so that never more begin
	// than may. What had to be taken back may have kept out somebody else
	// meanwhile, who waits now: ended tells him.
	g := e.group
	if g.queue.waiting.Load() > 0 || e.queue.waiting.Load() > 0 {
		return Full
	}
	n := e.inFlight.Add(1)
	if n <= 0 || e.flags.Load()&refuses != 0 {
		e.leave()
		e.ended()
		return Drained
	}
	if n > e.limit.Load() {
		e.leave()
		e.ended()
		return Full
	}
	if g.inFlight.Add(1) > g.limit.Load() {
		e.End()
		return Full
	}
	return Started
}

// beginInTurn is Begin for the first of those who wait. Nobody else begins
// meanwhile, so it need not be quick, and must not keep others out in vain: it
// raises no count above its limit, not even for a moment.
func (e *Endpoint) beginInTurn(refuses uint32) Start {
	if !addBelow(&e.inFlight, e.limit.Load()) {
		return Full
	}
	if e.inFlight.Load() <= 0 || e.flags.Load()&refuses != 0 {
		e.leave()
		return Drained
	}
	if !addBelow(&e.group.inFlight, e.group.limit.Load()) {
		e.leave()
		return Full
	}
	return Started
}

// addBelow adds 1 to a count that is below a limit.
func addBelow(count *atomic.Int64, limit int64) bool {
	for {
		n := count.Load()
		if n >= limit {
			return false
		}
		if count.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// End counts a request as ended, after its last byte. If others wait, the first
// of them is told. The last request of an endpoint that no policy names retires
// it.
func (e *Endpoint) End() {
	e.group.inFlight.Add(-1)
	e.leave()
	e.ended()
}

func (e *Endpoint) leave() {
	if e.inFlight.Add(-1) == 0 && e.flags.Load()&draining != 0 {
		e.registry.retire(e)
	}
}

// Full says whether a request that comes now has to wait for e: it has as many as it
// may, or others wait for it.
func (e *Endpoint) Full() bool { return e.full() }

// full says whether e has as many requests as it may, or will have: some wait for it
// and no other.
func (e *Endpoint) full() bool {
	return !e.room() || e.queue.waiting.Load() > 0
}

// room says whether e may have another request.
func (e *Endpoint) room() bool {
	limit := e.limit.Load()
	return limit == noLimit || e.inFlight.Load() < limit
}

// ended is called after a count was lowered. Whoever waits put that down before
// he looked at the counts a last time, so either he has seen them lowered or he
// is seen here.
func (e *Endpoint) ended() {
	if e.queue.waiting.Load() > 0 {
		e.queue.tell(e.room)
	}
	if q := &e.group.queue; q.waiting.Load() > 0 {
		q.tell(e.group.room)
	}
}

// rouse tells the first who waits for e, and the first of its pool, that everything
// may be different with it.
func (e *Endpoint) rouse() {
	e.queue.rouse()
	e.group.queue.rouse()
}

// room says whether the pool may have another request. If not, the end of one
// that it has will tell those who wait.
func (g *group) room() bool { return g.inFlight.Load() < g.limit.Load() }

// rouse tells the first who waits that everything may be different: a policy
// was committed, or an endpoint's health or breaker changed.
func (q *queue) rouse() {
	if q.waiting.Load() > 0 {
		q.tell(nil)
	}
}
