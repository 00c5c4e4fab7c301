package ratelimit

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// Limiter is a rate limit as one policy has it. It is immutable but for its
// buckets, which it may share with the limiters of other policies, and is safe
// for concurrent use.
type Limiter struct {
	limit   rate.Limit
	burst   int
	buckets *buckets
}

// New returns a limiter that lets requests through for each key in each period
// of per, and up to burst of them at once. All three are positive.
func New(requests int, per time.Duration, burst int) *Limiter {
	return &Limiter{limit: rate.Limit(float64(requests) / per.Seconds()), burst: burst, buckets: newBuckets()}
}

// Adopt makes the limiter go on with the buckets of another one, whose keys must
// mean the same. It is called before the first Take. What a key has left is
// kept; the rate and the burst are the limiter's own from its first request on.
func (l *Limiter) Adopt(earlier *Limiter) { l.buckets = earlier.buckets }

// Key is what a limiter counts by.
type Key struct{ hash uint64 }

// Address is the key of a client's address: an IPv4 address, or an IPv6 network
// of 64 bits, all of whose addresses a single client may use at will (RFC 4291
// section 2.5.4, RFC 8981).
func (l *Limiter) Address(a netip.Addr) Key {
	a = a.Unmap()
	bytes := a.As16()
	if a.Is6() {
		return l.Value(bytes[:8])
	}
	return l.Value(bytes[:])
}

// Value is the key of any bytes. They are hashed with a number drawn when the
// process started, so that nobody can find values that share a bucket.
func (l *Limiter) Value(v []byte) Key { return Key{l.buckets.hash(v)} }

// Take takes a token out of the key's bucket. If there is none left it returns
// how long it will be until there is one, which is more than 0; else 0.
func (l *Limiter) Take(k Key) (wait time.Duration) {
	s := l.buckets.shard(k)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, known := s.keys.Get(k)
	switch {
	case !known:
		bucket = rate.NewLimiter(l.limit, l.burst)
		s.keys.Add(k, bucket)
	case bucket.Limit() != l.limit || bucket.Burst() != l.burst:
		// Another policy serves than when it was last used.
		bucket.SetLimitAt(now, l.limit)
		bucket.SetBurstAt(now, l.burst)
	}
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return max(time.Duration(missing/float64(l.limit)*float64(time.Second)), 1)
}

// Left is how many requests of the key may come at once by now, without taking any.
func (l *Limiter) Left(k Key) float64 {
	s := l.buckets.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, known := s.keys.Peek(k)
	if !known {
		return float64(l.burst)
	}
	return min(bucket.Tokens(), float64(l.burst))
}

// Keys is how many keys have a bucket.
func (l *Limiter) Keys() int { return l.buckets.len() }
