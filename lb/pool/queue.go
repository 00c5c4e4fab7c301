package pool

import "time"

// Turn is a place in a pool's queue of requests that wait because every eligible
// endpoint, or the pool, has as many as it may.
type Turn struct{}

// Queue takes a place at the end of the pool's queue, or returns nil if that is
// full. Leave is owed for it.
func (p *Pool) Queue() *Turn { return nil }

// PendingTimeout is how long a request may wait in the queue.
func (p *Pool) PendingTimeout() time.Duration { return 0 }

// Come is closed, or sent to, when it is worth picking again.
func (t *Turn) Come() <-chan struct{} { return nil }

// Leave gives the place up, whether its request got an endpoint or not.
func (t *Turn) Leave() {}
