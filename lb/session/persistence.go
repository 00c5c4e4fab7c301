package session

import (
	"time"

	"go-loadbalancer/lb/event"
)

// Kind is which store a pool's sessions are in.
type Kind uint8

const (
	InRedis  Kind = iota // the store that replicas share
	InCookie             // the ticket itself
	InMemory             // this process
)

// Persistence is how a pool keeps sessions.
type Persistence struct {
	Pool     string
	PoolID   event.ID
	Tag      uint32 // PoolTag of Pool
	Kind     Kind
	Homeless bool // it keeps no homes: its route's sessions stay in the pool, anywhere
	Lifetime Lifetime
	Rebind   bool          // a session whose home is not eligible gets another one
	Timeout  time.Duration // how long a request waits for the store in all
}

// renewal is after which part of the idle timeout a ticket, and what a store holds,
// are renewed. A tenth would do for the store; two replicas that take turns then
// write more than once in a hundred requests of a session with one a second.
const renewal = 8

func (p *Persistence) renewAfter() time.Duration { return p.Lifetime.Idle / renewal }
