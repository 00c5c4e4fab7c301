package pool

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// Turn is a place in a pool's queue of requests that wait because every eligible
// endpoint, or the pool, has as many as it may. It belongs to one goroutine.
//
//	t := p.Queue()
//	if t == nil {
//		return overflow
//	}
//	for {
//		select {
//		case _, open := <-t.Come():
//			if !open { // the registry was closed
//				t.Leave()
//				return queueTimeout
//			}
//		case <-timeout: // of p.PendingTimeout()
//			t.Leave()
//			return queueTimeout
//		}
//		e, refusal := p.Pick(rnd, key, &tried, probing)
//		if refusal == pool.AllFull || refusal == pool.None && e.Begin(t) == pool.Full {
//			continue
//		}
//		t.Leave() // at once: the next one begins only then
//		…
//	}
//
// The queue belongs to the pool's name: it outlives policies, and a turn of one
// policy's pool counts in the next one's. A request that finds its policy replaced
// asks the new one, and may take its turn with it: see [Turn.Of]. It must not go on
// waiting for what the old one has, since the new one may have more, and nobody
// behind it gets any of that.
type Turn struct {
	queue *queue
	group *group
	home  *Endpoint // the one endpoint it waits for; nil: any of the pool
	come  chan struct{}
	place *list.Element // nil: left
	began bool          // its last Begin
}

// queue is who waits, in the order they came: a pool's for any of its endpoints,
// and an endpoint's, of requests of sessions that are at home there, for that one.
// Only the first is ever told that it is worth picking again; when he leaves the
// next one is.
//
// No free place is left beside anybody who waits: the first is told when he
// becomes first, and after that whenever a request ends, health, a breaker or
// the policy changes, and every [again] besides, for what happens by the mere
// passing of time, such as a breaker's turning half-open.
type queue struct {
	waiting atomic.Int64 // how many; written under mu

	timers *sync.WaitGroup // the registry's

	mu     sync.Mutex
	turns  list.List // of *Turn
	timer  *time.Timer
	busy   uint64 // counts the times anybody began to wait, so that a late timer is known
	closed bool
}

// again is how long the first who waits goes without being told at most.
const again = 100 * time.Millisecond

// pending is how many requests of a pool wait, in its queue and its endpoints'
// queues together, and how many may.
type pending struct{ now, most atomic.Int64 }

func (p *pending) enter() bool {
	return addBelow(&p.now, p.most.Load())
}

func (p *pending) leave() { p.now.Add(-1) }

// Queue takes a place at the end of the pool's queue, or returns nil if as many
// wait as may, or if the policy has no queue: MaxPendingRequests or PendingTimeout
// is 0. Leave is owed for it. A registry that was closed has no queues.
func (p *Pool) Queue() *Turn { return p.wait(&p.group.queue, nil) }

// QueueAt is Queue for a request that is to be sent to e and nowhere else.
func (p *Pool) QueueAt(e *Endpoint) *Turn { return p.wait(&e.queue, e) }

func (p *Pool) wait(q *queue, home *Endpoint) *Turn {
	if p.limits.PendingTimeout <= 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || !p.group.pending.enter() {
		return nil
	}
	t := &Turn{queue: q, group: p.group, home: home, come: make(chan struct{}, 1)}
	t.place = q.turns.PushBack(t)
	q.waiting.Store(int64(q.turns.Len()))
	if q.turns.Len() == 1 {
		// What ended before it was seen to wait told nobody.
		t.tell()
		q.busy++
		busy := q.busy
		q.timers.Add(1)
		q.timer = time.AfterFunc(again, func() { q.tick(busy) })
	}
	return t
}

// PendingTimeout is how long a request may wait in a queue.
func (p *Pool) PendingTimeout() time.Duration { return p.limits.PendingTimeout }

// Waiting is how many requests wait, in the pool's queue and its endpoints'.
func (p *Pool) Waiting() int { return int(p.group.pending.now.Load()) }

// Come is sent to when it is worth picking again, the first time at once if
// nobody else waits. Only the first in the queue is told, and again at least
// every 100 ms: there is no need to pick without having been told. It is closed
// when the registry is: then the wait was in vain.
func (t *Turn) Come() <-chan struct{} { return t.come }

// Of says whether the place is in p's queue, or an endpoint's of p: the same pool's in
// another policy has the same ones.
func (t *Turn) Of(p *Pool) bool { return t.group == p.group }

// Home is the one endpoint that it waits for; nil: any of its pool.
func (t *Turn) Home() *Endpoint { return t.home }

// Leave gives the place up, whether its request got an endpoint or not, and
// tells the next in the queue. Only the first call does anything.
func (t *Turn) Leave() {
	if t.place == nil {
		return
	}
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.turns.Front() == t.place
	q.turns.Remove(t.place) // nothing, if the queue was closed
	t.place = nil
	t.group.pending.leave()
	q.waiting.Store(int64(q.turns.Len()))
	switch {
	case q.turns.Len() == 0:
		q.stopTimer()
	case first && (!t.began || t.room()):
		// If it took the last place there is, the end of a request will tell. If it
		// took none, why it gave up may be news to the next.
		q.turns.Front().Value.(*Turn).tell()
	}
}

// room says whether another request may begin of those that the queue is of. If
// not, the end of one will tell those who wait.
func (t *Turn) room() bool { return t.group.room() && (t.home == nil || t.home.room()) }

// begin is [Endpoint.Begin] for a request that waits. Those who wait for an endpoint
// and no other go before those who may have others.
func (t *Turn) begin(e *Endpoint, refuses uint32) Start {
	t.began = false
	if t.home == nil && (e.group != t.group || e.queue.waiting.Load() > 0) || t.home != nil && t.home != e || !t.first() {
		return Full
	}
	s := e.beginInTurn(refuses)
	t.began = s == Started
	return s
}

// first says whether nobody is before t. That stays so until it leaves.
func (t *Turn) first() bool {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return t.place != nil && q.turns.Front() == t.place
}

// close ends everybody's wait, and lets nobody wait from now on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.turns.Len() > 0 {
		close(q.turns.Remove(q.turns.Front()).(*Turn).come)
	}
	q.waiting.Store(0)
	q.stopTimer()
}

// stopTimer is for when nobody waits any more. The caller holds mu.
func (q *queue) stopTimer() {
	if q.timer != nil && q.timer.Stop() {
		q.timers.Done()
	}
	q.timer = nil
}

func (t *Turn) tell() {
	select {
	case t.come <- struct{}{}:
	default: // it has yet to look at what it was told last
	}
}

// tell tells the first who waits, if the condition holds or there is none.
func (q *queue) tell(condition func() bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if first := q.turns.Front(); first != nil && (condition == nil || condition()) {
		first.Value.(*Turn).tell()
	}
}

// tick tells the first who waits, for as long as anybody does.
func (q *queue) tick(busy uint64) {
	defer q.timers.Done()
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.turns.Front()
	if first == nil || q.busy != busy {
		return
	}
	first.Value.(*Turn).tell()
	q.timers.Add(1)
	q.timer.Reset(again)
}
