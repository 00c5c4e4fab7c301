package session

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"go-loadbalancer/lb/breaker"
)

// Peeked is what a request's session would be found to be.
type Peeked struct {
	// Refused is why what the client brought is no good, as it is counted; empty: it is
	// good, or there is nothing.
	Refused string
	// Known says whether there is a session. Number is its own then.
	Known  bool
	Number uint64

	ticket Ticket
}

// Peek is Open, but that nothing is counted or remembered.
func (s *Sessions) Peek(realm string, text []byte) Peeked {
	if text == nil {
		return Peeked{}
	}
	t, _, why := s.keys.Open(realm, text)
	if why != Opened {
		return Peeked{Refused: why.String()}
	}
	return Peeked{Known: true, Number: binary.BigEndian.Uint64(t.ID[:]), ticket: t}
}

// Source is who says where a session is at home.
type Source string

const (
	BySession Source = "" // nobody: it has no home there yet
	ByStore   Source = "store"
	ByReplica Source = "replica" // what this replica heard of it last
	ByTicket  Source = "ticket"
)

// peekTimeout is how long a peek waits for the shared store.
const peekTimeout = time.Second

// HomeOf is where the peeked session is at home in a pool, by what [Sessions.Home] would go by,
// and who says so. It writes nothing, and moves nothing on: not even its session's end.
// It may find that the session is over: then Refused says so, and Known is false.
func (s *Sessions) HomeOf(ctx context.Context, k *Peeked, p *Persistence) (Home, Source) {
	now := s.wall()
	if p.Lifetime.TTL(k.ticket.Created, now) <= 0 {
		*k = Peeked{Refused: expired}
		return None, BySession
	}
	t := k.ticket
	var home Home
	var err error
	by := ByStore
	switch {
	case p.Homeless:
	case p.Kind == InRedis:
		home, by, err = s.peekShared(ctx, &t, p)
	case p.Kind == InMemory:
		home = s.memory.peek(p.Pool, &t, p.Lifetime)
	default:
		if home, err = s.cookie.Find(ctx, p.Pool, &t, p.Lifetime); home != None {
			by = ByTicket
		}
	}
	home, told, refused := s.conclude(&t, p, now, home, err)
	switch {
	case refused != "":
		*k = Peeked{Refused: refused}
		return None, BySession
	case home == None:
		return None, BySession
	case told:
		by = ByTicket
	}
	return home, by
}

// StrangeTo says whether the home of a peeked session has been unknown here for so long
// that the session is not to wait for it, as [Sessions.Strange] would find.
func (s *Sessions) StrangeTo(k *Peeked, p *Persistence, home Home) bool {
	st, known := s.strangers.peek(place{p.Pool, k.ticket.ID})
	return known && st.home == home && st.unknownTo == p && s.now()-st.since >= grace
}

// peekShared is recall without any effect.
func (s *Sessions) peekShared(ctx context.Context, t *Ticket, p *Persistence) (Home, Source, error) {
	now := s.now()
	b, known := s.beliefs.peek(place{p.Pool, t.ID})
	known = known && now-b.used <= p.Lifetime.Idle
	other := t.Pool == p.Tag && t.Home != b.home && t.Home != b.against
	if known && !(other && !b.provisional) && s.believes(&b, now) {
		return b.home, ByReplica, nil
	}
	home, err := None, errAway
	if s.shared != nil && s.breaker.Admits(breaker.Willing) {
		ctx, cancel := context.WithTimeout(ctx, peekTimeout)
		home, err = s.shared.Find(ctx, p.Pool, t, p.Lifetime)
		cancel()
	}
	if home == None && known && !errors.Is(err, ErrUnreadable) {
		return b.home, ByReplica, nil
	}
	return home, ByStore, err
}
