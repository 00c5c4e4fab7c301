package ratelimit

import (
	"hash/maphash"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// MaxKeys is how many keys a limiter remembers at most. With a key more, the
// one of its shard that was used longest ago is forgotten.
const MaxKeys = 65_536

// shards is how many locks the keys are spread over. It is a power of two.
const shards = 16

// buckets are the buckets of all keys.
type buckets struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex
	keys *simplelru.LRU[Key, *rate.Limiter]
	_    [48]byte // each on a cache line of its own
}

func newBuckets() *buckets {
	b := &buckets{seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].keys, _ = simplelru.NewLRU[Key, *rate.Limiter](MaxKeys/shards, nil) // fails for a size of 0 only
	}
	return b
}

func (b *buckets) hash(v []byte) uint64 { return maphash.Bytes(b.seed, v) }

func (b *buckets) shard(k Key) *shard { return &b.shards[k.hash%shards] }

func (b *buckets) len() int {
	n := 0
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		n += s.keys.Len()
		s.mu.Unlock()
	}
	return n
}
