package sessiontest

import (
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

// Subject is what is tested.
type Subject struct {
	// Stores are one store, seen from as many places: calls go to them in turn. They
	// hold nothing yet, and whoever opened them closes them.
	Stores []session.Store
	// Stateless says that the ticket is all the memory the stores have.
	Stateless bool
	// Now is the time of the stores.
	Now func() time.Time
	// Advance lets time pass for the stores, whole seconds of it.
	Advance func(time.Duration)
	// Plant puts something unreadable where the home of a session is kept. It is nil
	// if there is no such place.
	Plant func(t *testing.T, pool string, id session.ID)
}

// Clock is a clock that only moves when it is told to.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that begins with the present.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
