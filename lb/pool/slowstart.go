package pool

import (
	"sync/atomic"
	"time"
)

// leastShare is what of its share an endpoint gets at least while it starts
// slowly: enough for something to be learnt of it.
const leastShare = 0.01

// slowStart is when an endpoint began to get its share bit by bit. Whether it is
// under way says the slow bit of the endpoint's flags.
type slowStart struct {
	salt   uint64       // the hash of the endpoint's address
	since  atomic.Int64 // in ns since the registry was made
	window atomic.Int64 // in ns; 0: the pool has no slow start
}

// startSlowly begins a slow start, anew if one is under way. It does nothing if
// the pool has none. why is recovering or 0.
func (e *Endpoint) startSlowly(why uint32) {
	if e.slowStart.window.Load() > 0 {
		e.slowStart.since.Store(int64(e.registry.now()))
		e.flags.Or(slow | why)
	}
}

// setSlowStart makes a window act, at once on a slow start that is under way. One
// that is over stays so.
func (e *Endpoint) setSlowStart(window time.Duration) {
	e.SlowStart()
	e.slowStart.window.Store(int64(window))
}

// SlowStart returns the part of its share that the endpoint gets by now: it grows
// from 0.01 to 1 over the pool's slow start window. on is false, and the share 1,
// if no slow start is under way.
func (e *Endpoint) SlowStart() (share float64, on bool) {
	if e.flags.Load()&slow == 0 {
		return 1, false
	}
	s := &e.slowStart
	since, window := s.since.Load(), s.window.Load()
	elapsed := int64(e.registry.now()) - since
	if elapsed < window {
		return max(leastShare, float64(elapsed)/float64(window)), true
	}
	e.flags.And(^(slow | recovering))
	if s.since.Load() != since { // it began anew just now
		e.flags.Or(slow)
	}
	return 1, false
}

// due says whether an endpoint that starts slowly takes part in a pick. The pick's
// seed decides, so that it is asked once however often the endpoint is drawn: else
// an endpoint that is drawn again and again would be taken in the end. By
// consistent hash the seed is the key's hash: its keys come over one by one, and
// on every replica the same ones.
func (e *Endpoint) due(seed uint64) bool {
	share, on := e.SlowStart()
	return !on || fraction(mix(seed^e.slowStart.salt)) < share
}
