package session

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How much a replica remembers at the most, those forgotten first that are unused for
// about the longest. With mostTickets that is 50 MiB in all.
const (
	mostBeliefs   = 1 << 17
	mostStrangers = 1 << 14
)

// lruShards is how many locks a cache is spread over. It is a power of two.
const lruShards = 16

// place is a session in a pool.
type place struct {
	pool string
	id   ID
}

// number is by the id alone, which is random.
func (p place) number() uint64 { return uint64(p.id[0]) }

// belief is what this replica knows of a session in the shared store. The times
// count from the Sessions' epoch.
type belief struct {
	home    Home
	checked time.Duration // when it was last asked that
	spoiled time.Duration // when somebody was last heard to change it
	touched time.Duration // when it was last told that the session is used
	used    time.Duration // when it was last used here
	against Home          // what a ticket said that the store was asked about since
	// provisional: the store has not said so. It has the last word when it can be
	// asked.
	provisional bool
	asking      bool // it is being asked
}

// stranger is a home that is unknown here.
type stranger struct {
	home      Home
	unknownTo *Persistence // of the policy that does not have it
	since     time.Duration
}

// lru is a bounded cache. Its values are used under a lock.
//
// A value that is used is put at the end of the queue to be forgotten only when half
// as many as there is room for were put there after it: that touches its neighbours,
// which are in no processor's cache, and most uses are spared it. So what is forgotten
// has not been used since so many others were, half of what there is room for at least.
type lru[K comparable, V any] struct {
	number func(K) uint64 // whose low bits choose a shard
	shards [lruShards]lruShard[K, V]
}

type lruShard[K comparable, V any] struct {
	mu     sync.Mutex
	values *simplelru.LRU[K, *lruSlot[K, V]]
	put    uint32   // how many values were put at the end of the queue so far
	far    uint32   // half of what there is room for
	_      [40]byte // each on a cache line of its own
}

// lruSlot holds a value while that is cached. Who keeps a pointer to it is spared
// looking it up: see [lru.change].
type lruSlot[K comparable, V any] struct {
	k    K
	put  uint32 // the shard's, when this one was put there
	gone bool   // it is no longer cached
	v    V
}

func newLRU[K comparable, V any](most int, number func(K) uint64) *lru[K, V] {
	c := &lru[K, V]{number: number}
	gone := func(_ K, e *lruSlot[K, V]) { e.gone = true }
	for i := range c.shards {
		s := &c.shards[i]
		s.values, _ = simplelru.NewLRU(most/lruShards, gone) // fails for a size of 0 only
		s.far = uint32(most / lruShards / 2)
	}
	return c
}

func (c *lru[K, V]) shard(k K) *lruShard[K, V] { return &c.shards[c.number(k)%lruShards] }

// look finds a value, which is used with that; nil if there is none. hint is where it
// was once, if not nil. The shard is locked.
func (s *lruShard[K, V]) look(k K, hint *lruSlot[K, V]) *lruSlot[K, V] {
	e := hint
	if e == nil || e.gone {
		var ok bool
		if e, ok = s.values.Peek(k); !ok {
			return nil
		}
	}
	if s.put-e.put > s.far {
		s.values.Get(k)
		s.put++
		e.put = s.put
	}
	return e
}

// add puts a slot in the place of the one that there may be. The shard is locked.
func (s *lruShard[K, V]) add(e *lruSlot[K, V]) {
	s.values.Remove(e.k)
	s.put++
	e.put = s.put
	s.values.Add(e.k, e)
}

func (c *lru[K, V]) get(k K) (v V, ok bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.look(k, nil)
	if e != nil {
		v = e.v
	}
	return v, e != nil
}

// peek is get, but that the value does not count as used.
func (c *lru[K, V]) peek(k K) (v V, ok bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.values.Peek(k)
	if ok {
		v = e.v
	}
	return v, ok
}

// change lets f change a value, which is a new one if it is not known, and forgets it
// if f does not keep it. f must not block. hint is where the value may be, or nil; what
// is returned is where it is.
func (c *lru[K, V]) change(k K, hint *lruSlot[K, V], f func(known bool, v *V) (keep bool)) *lruSlot[K, V] {
	if hint != nil && hint.k != k {
		hint = nil
	}
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.look(k, hint)
	if e != nil {
		if f(true, &e.v) {
			return e
		}
		s.values.Remove(k)
		return nil
	}
	e = &lruSlot[K, V]{k: k}
	if !f(false, &e.v) {
		return nil
	}
	s.add(e)
	return e
}
