package session

import (
	"context"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// MaxBindings is how many bindings a [Memory] has room for unless it is told
// otherwise: 213 MB when it is full.
const MaxBindings = 1_000_000

const (
	memoryShards = 16   // locks that bindings are spread over
	leastShard   = 1024 // bindings that are worth a lock of their own
)

// Memory is a [Store] in the process, for a single replica: others do not know what
// it knows, and it ends with the process. It never fails, and ends a session neither
// early nor late.
//
// Its memory is bounded. When there is no room for one more binding, the one that was
// used longest ago is forgotten, of those under the same lock: there are sixteen, or
// a single one if there is room for fewer than 16,384. That is also how sessions
// that are over and never asked for again make room.
type Memory struct {
	wall   func() time.Time
	passed func() time.Duration // time that has passed; nil: by the wall clock, which may jump
	epoch  time.Time
	shards []memoryShard
}

type memoryShard struct {
	mu       sync.Mutex
	bindings *simplelru.LRU[bindingKey, binding]
	_        [48]byte // each on a cache line of its own
}

type bindingKey struct {
	id   ID
	pool string
}

type binding struct {
	home  Home
	until time.Duration // since the epoch; a time.Time is three times as large
}

// NewMemory returns a store with room for so many bindings; 0 is [MaxBindings]. wall
// is the clock it goes by; nil is [time.Now].
func NewMemory(room int, wall func() time.Time) *Memory {
	if room <= 0 {
		room = MaxBindings
	}
	if wall == nil {
		wall = time.Now
	}
	shards := memoryShards
	if room < shards*leastShard {
		shards = 1
	}
	m := &Memory{wall: wall, epoch: wall(), shards: make([]memoryShard, shards)}
	for i := range m.shards {
		m.shards[i].bindings, _ = simplelru.NewLRU[bindingKey, binding](room/shards, nil) // fails for a size of 0 only
	}
	return m
}

// Len is how many bindings take up room, those among them that are over and have
// not been asked for since.
func (m *Memory) Len() (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.bindings.Len()
		s.mu.Unlock()
	}
	return n
}

func (m *Memory) Find(_ context.Context, pool string, t *Ticket, l Lifetime) (Home, error) {
	v := m.look(pool, t, l)
	defer v.shard.mu.Unlock()
	return v.home, nil
}

func (m *Memory) Bind(_ context.Context, pool string, t *Ticket, home Home, l Lifetime) (Home, error) {
	v := m.look(pool, t, l)
	defer v.shard.mu.Unlock()
	return v.keep(first(v.home, home)), nil
}

func (m *Memory) Rebind(_ context.Context, pool string, t *Ticket, from, to Home, l Lifetime) (Home, error) {
	v := m.look(pool, t, l)
	defer v.shard.mu.Unlock()
	return v.keep(moved(v.home, from, to)), nil
}

func (m *Memory) Touch(_ context.Context, pool string, t *Ticket, l Lifetime) (bool, error) {
	v := m.look(pool, t, l)
	defer v.shard.mu.Unlock()
	return v.keep(v.home) != None, nil
}

// visit is a look at one binding. Its shard is locked.
type visit struct {
	shard *memoryShard
	key   bindingKey
	home  Home          // None if there is no binding
	ttl   time.Duration // of the binding, if it is used now
	until time.Duration
}

// peek is Find, but that the binding does not count as used.
func (m *Memory) peek(pool string, t *Ticket, l Lifetime) Home {
	v, since := m.at(pool, t, l)
	v.shard.mu.Lock()
	defer v.shard.mu.Unlock()
	if b, known := v.shard.bindings.Peek(v.key); known && b.until > since && v.ttl > 0 {
		return b.home
	}
	return None
}

// at is where the binding of a session is, and the time since the epoch.
func (m *Memory) at(pool string, t *Ticket, l Lifetime) (v visit, since time.Duration) {
	now := m.wall()
	since = now.Sub(m.epoch)
	if m.passed != nil {
		since = m.passed()
	}
	v = visit{
		shard: &m.shards[xxhash.Sum64(t.ID[:])%uint64(len(m.shards))],
		key:   bindingKey{t.ID, pool},
		ttl:   l.TTL(t.Created, now),
	}
	v.until = since + v.ttl
	return v, since
}

func (m *Memory) look(pool string, t *Ticket, l Lifetime) visit {
	v, since := m.at(pool, t, l)
	v.shard.mu.Lock()
	switch b, known := v.shard.bindings.Get(v.key); {
	case !known:
	case b.until <= since || v.ttl <= 0:
		v.shard.bindings.Remove(v.key)
	default:
		v.home = b.home
	}
	return v
}

// keep has the session last, at home there, unless it is over or has no home.
func (v *visit) keep(home Home) Home {
	if home != None && v.ttl > 0 {
		v.shard.bindings.Add(v.key, binding{home, v.until})
	}
	return home
}
