package session

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How much a replica remembers at the most, those forgotten first that are unused for
// about the longest: 50 MiB in all.
const (
	mostBeliefs   = 1 << 17
	mostTickets   = 1 << 16
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
	home Home
	// provisional: the store has not said so. It has the last word when it can be
	// asked.
	provisional bool
	asking      bool          // it is being asked
	checked     time.Duration // when it was last asked that
	spoiled     time.Duration // when somebody was last heard to change it
	touched     time.Duration // when it was last told that the session is used
	used        time.Duration // when it was last used here
	against     Home          // what a ticket said that the store was asked about since
}

// stranger is a home that is unknown here.
type stranger struct {
	home      Home
	unknownTo *Persistence // of the policy that does not have it
	since     time.Duration
}

// lru is a bounded cache. Its values are copied in and out under a lock.
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
	values *simplelru.LRU[K, *lruValue[V]]
	put    uint64   // how many values were put at the end of the queue so far
	far    uint64   // half of what there is room for
	_      [32]byte // each on a cache line of its own
}

type lruValue[V any] struct {
	put uint64 // the shard's, when this one was put there
	v   V
}

func newLRU[K comparable, V any](most int, number func(K) uint64) *lru[K, V] {
	c := &lru[K, V]{number: number}
	for i := range c.shards {
		s := &c.shards[i]
		s.values, _ = simplelru.NewLRU[K, *lruValue[V]](most/lruShards, nil) // fails for a size of 0 only
		s.far = uint64(most / lruShards / 2)
	}
	return c
}

func (c *lru[K, V]) shard(k K) *lruShard[K, V] { return &c.shards[c.number(k)%lruShards] }

// look finds a value, which is used with that; nil if there is none. The shard is
// locked.
func (s *lruShard[K, V]) look(k K) *V {
	p, ok := s.values.Peek(k)
	if !ok {
		return nil
	}
	if s.put-p.put > s.far {
		s.values.Get(k)
		s.put++
		p.put = s.put
	}
	return &p.v
}

func (c *lru[K, V]) get(k K) (v V, ok bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.look(k)
	if p != nil {
		v = *p
	}
	return v, p != nil
}

// change replaces a value by what f makes of it, or removes it. f must not block.
func (c *lru[K, V]) change(k K, f func(known bool, v V) (V, bool)) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.look(k)
	var v V
	if p != nil {
		v = *p
	}
	v, keep := f(p != nil, v)
	switch {
	case !keep:
		s.values.Remove(k)
	case p != nil:
		*p = v
	default:
		s.put++
		s.values.Add(k, &lruValue[V]{s.put, v})
	}
}

func (c *lru[K, V]) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.values.Purge()
		s.mu.Unlock()
	}
}

// tickets are sealed tickets that were opened before: to open one costs about a
// microsecond.
type tickets struct {
	seed   maphash.Seed
	opened *lru[uint64, openedTicket]
	keys   atomic.Uint64 // counts the keys' changes
}

type openedTicket struct {
	realm string
	text  [SealedLen]byte
	Ticket
	stale bool
	keys  uint64 // by which it was opened
}

func (t *tickets) init() {
	t.seed = maphash.MakeSeed()
	t.opened = newLRU[uint64, openedTicket](mostTickets, func(hash uint64) uint64 { return hash })
}

// rekeyed is called once other keys are in use. What was opened by those of before, or
// is just being opened, does not count any more.
func (t *tickets) rekeyed() {
	t.keys.Add(1)
	t.opened.clear()
}

func (t *tickets) find(realm string, text []byte) (Ticket, bool, bool) {
	if len(text) != SealedLen {
		return Ticket{}, false, false
	}
	k := maphash.Bytes(t.seed, text)
	s := t.opened.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	// The seed is secret, so that no client finds two texts with the same hash.
	o := s.look(k)
	if o == nil || o.keys != t.keys.Load() || o.realm != realm || string(o.text[:]) != string(text) {
		return Ticket{}, false, false
	}
	return o.Ticket, o.stale, true
}

// keep remembers a ticket. keys is what t.keys was before it was opened.
func (t *tickets) keep(keys uint64, realm string, text []byte, opened Ticket, stale bool) {
	o := openedTicket{realm: realm, Ticket: opened, stale: stale, keys: keys}
	copy(o.text[:], text)
	t.opened.change(maphash.Bytes(t.seed, text), func(bool, openedTicket) (openedTicket, bool) { return o, true })
}
