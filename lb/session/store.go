package session

import (
	"context"
	"errors"
	"time"
)

// ErrUnreadable is returned of a session for which the store holds something that
// this release cannot read: garbage, or a binding written by a newer release. It
// is left alone; the client gets a session of another id.
var ErrUnreadable = errors.New("what the store holds of the session cannot be read")

// Lifetime is how long a session lasts.
type Lifetime struct {
	Idle     time.Duration // without a request
	Absolute time.Duration // from its creation
}

// TTL is for how long a binding of a session that was created then is to be kept if
// it is used now; 0 or less: the session is over.
func (l Lifetime) TTL(created Stamp, now time.Time) time.Duration {
	return min(l.Idle, l.Absolute-created.ago(now))
}

// Store remembers the homes of sessions, by pool and session. All methods may be
// called by any number of goroutines. They return when ctx ends, at the latest, and
// then what was to be written may have been written all the same.
//
// A session that has not been used for its idle timeout is forgotten, and so is one
// whose time is over; by up to an eighth of the idle timeout that may be early,
// never late. A store that is not asked of a session for a while keeps it no longer
// than its Lifetime says.
//
// A store that keeps what it knows in the ticket itself changes it: who calls must
// then give the client a new one.
type Store interface {
	// Find returns the session's home in a pool; None if it has none.
	Find(ctx context.Context, pool string, t *Ticket, l Lifetime) (Home, error)
	// Bind makes home the session's home unless it has one, and returns the one that
	// holds.
	Bind(ctx context.Context, pool string, t *Ticket, home Home, l Lifetime) (Home, error)
	// Rebind makes to the session's home if from is, or if it has none, and returns
	// the one that holds. Who watches the store elsewhere is told of a change.
	Rebind(ctx context.Context, pool string, t *Ticket, from, to Home, l Lifetime) (Home, error)
	// Touch has the session last for its idle timeout from now. It returns false if
	// the store does not know it.
	Touch(ctx context.Context, pool string, t *Ticket, l Lifetime) (bool, error)
}

// Shared is a store that several replicas have in common. It can be out of reach.
type Shared interface {
	Store
	// Watch calls rebound for each session whose home anybody changes, until ctx
	// ends, and then returns. connected is called with true when nothing is missed
	// from now on, and with false when something may be. Neither may block.
	Watch(ctx context.Context, rebound func(pool string, id ID), connected func(bool))
	// Agree returns the key that all who ask agree on: the first one that was
	// proposed. It is for tickets that every replica must be able to open.
	Agree(ctx context.Context, proposal Key) (Key, error)
}
