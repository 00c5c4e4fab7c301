package session

import (
	"context"
	"time"

	"github.com/cespare/xxhash/v2"
)

// CookieStore is a [Store] that remembers nothing: all it knows of a session is in
// the session's ticket. It never fails, waits for nobody, costs no memory, and every
// replica that has the keys knows the same. What it cannot do for want of a memory:
//
//   - A ticket is believed for as long as it lasts. Who keeps an older one and sends
//     it again is taken to the home of then, or has a session last that was moved.
//   - Requests of a new session that are under way at the same time, before the
//     client has its first ticket, may each get another home. The client is at home
//     where the ticket that it kept says, and may have been elsewhere once.
//   - A ticket has room for the home in one pool. A session that goes to another
//     pool has no home there, and when it is bound, none in the first one any more:
//     pools should not share a cookie.
//   - A client that does not keep what it was given, or an answer that is lost, loses
//     the change.
//
// Times have whole seconds, so that a session is forgotten up to a second early. Where
// clocks of replicas differ it lasts by so much longer or shorter.
type CookieStore struct {
	Wall func() time.Time // the clock it goes by; nil is [time.Now]

	leaps *leaps // of that clock; nil: they are not known
}

// PoolTag is a pool's name as a ticket has it. It is the same in every process, and
// never 0, which stands for no pool.
func PoolTag(pool string) uint32 { return max(1, uint32(xxhash.Sum64String(pool))) }

func (s CookieStore) Find(_ context.Context, pool string, t *Ticket, l Lifetime) (Home, error) {
	return s.home(t, pool, l, s.now()), nil
}

func (s CookieStore) Bind(_ context.Context, pool string, t *Ticket, home Home, l Lifetime) (Home, error) {
	now := s.now()
	return t.keep(pool, first(s.home(t, pool, l, now), home), l, now), nil
}

func (s CookieStore) Rebind(_ context.Context, pool string, t *Ticket, from, to Home, l Lifetime) (Home, error) {
	now := s.now()
	return t.keep(pool, moved(s.home(t, pool, l, now), from, to), l, now), nil
}

func (s CookieStore) Touch(_ context.Context, pool string, t *Ticket, l Lifetime) (bool, error) {
	now := s.now()
	return t.keep(pool, s.home(t, pool, l, now), l, now) != None, nil
}

func (s CookieStore) now() time.Time {
	if s.Wall == nil {
		return time.Now()
	}
	return s.Wall()
}

// home is the session's home in a pool, by what the ticket says.
func (s CookieStore) home(t *Ticket, pool string, l Lifetime, now time.Time) Home {
	if t.Pool != PoolTag(pool) || s.leaps.idle(t.Seen, now) >= l.Idle || l.TTL(t.Created, now) <= 0 {
		return None
	}
	return t.Home
}

// keep has the session last, at home there, unless it is over or has no home.
func (t *Ticket) keep(pool string, home Home, l Lifetime, now time.Time) Home {
	if home != None && l.TTL(t.Created, now) > 0 {
		t.Pool, t.Home, t.Seen = PoolTag(pool), home, StampOf(now)
	}
	return home
}
