package memnet

import (
	"sync"
	"sync/atomic"
)

// Fault is something that goes wrong until it is ended.
type Fault struct {
	touched atomic.Int64
	once    sync.Once
	end     func()
}

// Touched is how many packets and attempts to connect have met it.
func (f *Fault) Touched() int { return int(f.touched.Load()) }

// End ends it. It may be called again.
func (f *Fault) End() { f.once.Do(f.end) }
