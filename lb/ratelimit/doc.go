// Package ratelimit says whether one more request of a key is within a rate: a
// token bucket for each key, in bounded memory.
//
//	limit := ratelimit.New(100, time.Second, 50)
//	if wait := limit.Take(limit.Address(client)); wait > 0 {
//		return tooMany(wait)
//	}
//
// A key that is not known has a full bucket. So it costs nothing to forget one
// that has not been used for as long as an empty bucket takes to fill, and little
// to forget one that was used long ago: beyond [MaxKeys] the key of a shard used
// longest ago is forgotten, and if it comes back, it has a full bucket again.
// Whoever can send from more addresses, or with more values of a header, than
// that is not limited by this: the route's pool has limits of its own.
//
// # Concurrency
//
// Keys are spread over shards with a lock each, held for the time of a look-up.
// A known key costs no allocation.
package ratelimit
