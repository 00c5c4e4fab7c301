package session

import (
	"encoding/binary"
	"errors"
	"time"

	"go-loadbalancer/lb/event"
)

// Visit is a request's session. It belongs to the request's goroutine, and may be
// used again for another request.
type Visit struct {
	ticket Ticket
	opened *openedTicket // the ticket as the client has it; nil: the session is a new one
	home   Home
	at     time.Time     // when the request began
	waited time.Duration // for the store, so far
}

// Number is the session's own: it decides where a session goes of which nothing else
// does, on every replica alike.
func (v *Visit) Number() uint64 { return binary.BigEndian.Uint64(v.ticket.ID[:]) }

// Home is where the session is at home, by the last that was heard; None: nowhere yet.
func (v *Visit) Home() Home { return v.home }

// Known says whether the client brought a ticket that holds.
func (v *Visit) Known() bool { return v.opened != nil }

// Open begins a visit by what the client brought: nil if that is nothing. What is no
// ticket for the realm is counted, and a new session begins.
func (s *Sessions) Open(v *Visit, realm string, text []byte) {
	v.waited = 0
	if text == nil {
		s.begin(v)
		return
	}
	opened := s.tickets.find(realm, text)
	if opened == nil {
		keys := s.tickets.keys.Load()
		t, stale, why := s.keys.Open(realm, text)
		if why != Opened {
			s.Refuse(v, why.String())
			return
		}
		opened = s.tickets.keep(keys, realm, text, t, stale)
	}
	*v = Visit{ticket: opened.Ticket, opened: opened}
}

// Duplicate is why a ticket is refused that came together with another one.
const Duplicate = "duplicate"

// Refuse begins a new session instead of the one that the client claims, and counts
// why.
func (s *Sessions) Refuse(v *Visit, reason string) {
	s.refusals.count(reason)
	if f := s.events.SessionRefused; f != nil {
		f(reason)
	}
	s.begin(v)
}

// begin makes the visit one of a new session.
func (s *Sessions) begin(v *Visit) {
	now := s.wall()
	*v = Visit{ticket: Ticket{Created: StampOf(now), Seen: StampOf(now)}, at: now, waited: v.waited}
	s.random(v.ticket.ID[:])
}

// Home returns where the session is at home in a pool; None if nowhere yet. It may
// find that the session is over and make the visit one of a new session, which
// Known tells: then its number is another.
//
// now is when the request began, unless the wall clock was injected: that is asked then.
//
// It waits for the shared store for the pool's timeout at the most, and only for a
// session that this replica has not seen before, or not been told of.
func (s *Sessions) Home(v *Visit, p *Persistence, now time.Time) Home {
	v.home = None
	if v.opened == nil {
		return None
	}
	if s.injected {
		now = s.wall()
	}
	v.at = now
	s.leaps.look(now, s.since(now))
	if p.Lifetime.TTL(v.ticket.Created, now) <= 0 {
		s.Refuse(v, expired)
		return None
	}
	var home Home
	var err error
	switch {
	case p.Homeless, p.Kind == InCookie: // what there is to know, the ticket tells
	case p.Kind == InRedis:
		home, err = s.recall(v, p)
	default:
		home, err = s.memory.Find(s.life, p.Pool, &v.ticket, p.Lifetime)
	}
	home, told, refused := s.conclude(&v.ticket, p, now, home, err)
	if refused != "" {
		s.Refuse(v, refused)
		return None
	}
	if told && p.Kind != InCookie {
		home = s.bind(v, p, home)
	}
	v.home = home
	return home
}

// Why a session is over, or cannot be gone on with.
const (
	expired    = "expired"
	unreadable = "unreadable"
)

// conclude is where a session is at home by what its store said. told: the store lost it,
// or cannot be asked, and its ticket tells. refused: it is over, and why.
func (s *Sessions) conclude(t *Ticket, p *Persistence, now time.Time, found Home, err error) (home Home, told bool, refused string) {
	switch {
	case found != None:
		return found, false, ""
	case errors.Is(err, ErrUnreadable):
		return None, false, unreadable
	case s.leaps.idle(t.Seen, now) > p.Lifetime.Idle:
		return None, false, expired
	case t.Pool == p.Tag && t.Home != None && !p.Homeless:
		return t.Home, true, ""
	}
	return None, false, ""
}

// Settle is called once the response to a visit's request has begun that an endpoint
// served: it becomes the session's home, if there is none. It says whether the
// client is to be given a new ticket, by Seal. related says whether the ticket that
// the client has may be of another pool, and should be of this one.
func (s *Sessions) Settle(v *Visit, p *Persistence, endpoint Home, related bool) (renew bool) {
	if p.Homeless {
		v.home = None
	} else if v.home == None && v.opened == nil {
		// Its ticket tells until it is used: a client that keeps none, such as a crawler,
		// must not fill a store.
		v.home = endpoint
	} else if v.home == None {
		v.home = s.bind(v, p, endpoint)
	} else if p.Kind == InMemory {
		s.memory.Touch(s.life, p.Pool, &v.ticket, p.Lifetime)
	}
	now := v.at
	switch {
	case v.opened == nil, v.opened.stale, v.opened.Seen.ago(now) > p.renewAfter():
	case v.opened.Pool == p.Tag:
		if v.opened.Home == v.home {
			return false
		}
	case v.opened.Pool != 0 && (p.Kind != InCookie || p.Homeless) && !related:
		return false // one ticket serves several pools: it tells of one of them
	}
	v.ticket.Seen, v.ticket.Pool, v.ticket.Home = StampOf(now), p.Tag, v.home
	return true
}

// Seal appends the visit's ticket for the client to dst.
func (s *Sessions) Seal(dst []byte, realm string, v *Visit) []byte {
	return s.keys.Seal(dst, realm, &v.ticket)
}

// From is the tag of the pool that the client's ticket tells of; 0: of none.
func (v *Visit) From() uint32 {
	if v.opened == nil {
		return 0
	}
	return v.opened.Pool
}

// Move makes another endpoint the session's home and returns the one that holds then:
// another replica may have moved it elsewhere. It returns None if the store cannot
// be asked: then the session stays where it is at home.
func (s *Sessions) Move(v *Visit, p *Persistence, to Home, reason event.MoveReason) Home {
	from := v.home
	var got Home
	var err error
	if p.Kind == InRedis {
		got, err = s.rebind(v, p, from, to)
	} else {
		got, err = s.local(p).Rebind(s.life, p.Pool, &v.ticket, from, to, p.Lifetime)
	}
	if err != nil || got == None {
		return None
	}
	if v.home = got; got != from {
		s.moved(p, reason)
	}
	return got
}

// grace is for how long a home that this replica does not know is waited for before
// the session is moved: another replica may know a newer policy already. A policy is
// looked at every 10 s.
const grace = 15 * time.Second

// Strange says whether the session's home has been unknown here, to one and the same
// policy, for so long that it is not to be waited for any longer. It is called when it is
// unknown.
func (s *Sessions) Strange(v *Visit, p *Persistence) bool {
	now := s.now()
	since := now
	s.strangers.change(place{p.Pool, v.ticket.ID}, nil, func(known bool, st *stranger) bool {
		if !known || st.home != v.home || st.unknownTo != p {
			*st = stranger{home: v.home, unknownTo: p, since: now}
		}
		since = st.since
		return true
	})
	return now-since >= grace
}

// bind makes home the session's home unless it has one, and returns which holds, as
// far as is known at once.
func (s *Sessions) bind(v *Visit, p *Persistence, home Home) Home {
	if p.Kind == InRedis {
		return s.remember(v, p, home)
	}
	got, err := s.local(p).Bind(s.life, p.Pool, &v.ticket, home, p.Lifetime)
	if err != nil || got == None {
		return home
	}
	return got
}

// Weighed counts a session that goes to a pool by its route's weights which went to
// another one before.
func (s *Sessions) Weighed(p *Persistence) { s.moved(p, event.MovedByWeight) }

func (s *Sessions) local(p *Persistence) Store {
	if p.Kind == InMemory {
		return s.memory
	}
	return &s.cookie
}

func (s *Sessions) moved(p *Persistence, reason event.MoveReason) {
	s.moves.count(string(reason))
	if f := s.events.SessionMoved; f != nil {
		f(event.SessionMove{Pool: p.PoolID, PoolName: p.Pool, Reason: reason})
	}
}
