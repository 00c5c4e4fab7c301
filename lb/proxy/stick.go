package proxy

import (
	"bytes"
	"slices"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/wire"
)

var (
	nameSetCookie = []byte("Set-Cookie")
	https         = []byte("https")
)

// choosePool finds the pool that the request goes to: by its session, if the route's
// pools keep them, so that a client stays with the version it has seen. It is false if
// no pool has a weight.
func (c *call) choosePool() bool {
	b := c.route.Pick(c.p.rand())
	if c.route.Carrier != nil && b != nil {
		c.openVisit()
		b = c.route.PickFor(c.visit.Number())
		number := c.visit.Number()
		c.p.sessions.Home(&c.visit, b.Sessions, c.start)
		if c.visit.Number() != number { // that session is over
			b = c.route.PickFor(c.visit.Number())
		}
		c.sessions = b.Sessions
	}
	if b != nil {
		c.pool = b.Pool
	}
	return b != nil
}

// openVisit finds the request's session by what the client brought, once.
func (c *call) openVisit() {
	carrier := c.route.Carrier
	if c.realm == carrier.Realm {
		return // for another policy
	}
	c.realm = carrier.Realm
	text, same := c.brought(carrier)
	if !same {
		c.p.sessions.Refuse(&c.visit, session.Duplicate)
		return
	}
	c.p.sessions.Open(&c.visit, carrier.Realm, text)
}

// brought is what the client brought of its session, nil if nothing. same is false of
// several things that differ: which of them is ours cannot be told.
func (c *call) brought(carrier *session.Carrier) (text []byte, same bool) {
	same = true
	take := func(value []byte) {
		same = same && (text == nil || bytes.Equal(text, value))
		text = value
	}
	if carrier.Header {
		for value := range c.req.Fields.Values(carrier.Name) {
			take(value)
		}
	} else {
		for value := range cookies(c.req.Fields, carrier.Name) {
			take(value)
		}
	}
	return text, same
}

// candidate finds the endpoint to try next: the home of the request's session if it
// has one and it is eligible, for which home is true, else any. If the home has as
// many requests as it may, that is said, and that it is waited for.
func (c *call) candidate(key pool.Key, probing breaker.Probing) (e *pool.Endpoint, home bool, refusal pool.Refusal) {
	c.full = nil
	if c.sessions == nil || c.sessions.Homeless {
		e, refusal = c.pool.Pick(c.p.rand(), key, &c.tried, probing)
		c.use(event.SessionHome)
		return e, false, refusal
	}
	number := c.visit.Number()
	if c.visit.Home() == session.None {
		c.use(event.SessionHome)
		if c.visit.Known() || !c.p.sessions.Available(c.sessions) {
			e, refusal = c.pool.PickFor(number, &c.tried, probing) // as any other replica would
			return e, false, refusal
		}
		rnd := number // as random as any: it is one of the endpoints that are due for it, now and later
		if c.tried.Len() > 0 {
			rnd = c.p.rand()
		}
		e, refusal = c.pool.Pick(rnd, key, &c.tried, probing)
		return e, false, refusal
	}
	for range 2 { // once more if another replica moved it
		e, state := c.pool.Home(uint64(c.visit.Home()), number, probing)
		if e != nil && c.tried.Has(e) {
			if !e.Draining() {
				break
			}
			state = pool.Gone // it has just failed, and is about to leave
		}
		var reason event.MoveReason
		switch state {
		case pool.Open:
			c.use(event.SessionHome)
			return e, true, pool.None
		case pool.Busy:
			c.use(event.SessionHome)
			c.full = e
			return nil, false, pool.AllFull
		case pool.Unknown:
			if c.p.sessions.Strange(&c.visit, c.sessions) {
				reason = event.MovedGone
			}
		default:
			reason = leaves(e, state, c.sessions)
		}
		if (state == pool.Gone || state == pool.Unknown) && c.ev.Attempts == 0 && c.p.current.Load() != c.snap {
			return nil, false, pool.NoEndpoints // the policy that serves now may have it
		}
		if reason == "" {
			break
		}
		to, refusal := c.pool.PickFor(number, &c.tried, probing)
		if to == nil {
			return nil, false, refusal
		}
		got := c.p.sessions.Move(&c.visit, c.sessions, session.Home(to.Home), reason)
		if got == session.Home(to.Home) {
			c.use(event.SessionMoved)
			return to, true, pool.None
		}
		if got == session.None { // the store cannot be asked
			break
		}
	}
	c.use(event.SessionAway)
	e, refusal = c.pool.PickFor(number, &c.tried, probing)
	return e, false, refusal
}

// leaves is why a session whose home is found so gets another one; empty: it does not.
func leaves(e *pool.Endpoint, state pool.Lodging, p *session.Persistence) event.MoveReason {
	switch {
	case state == pool.Gone && e != nil && e.Draining():
		return event.MovedDrained
	case state == pool.Gone:
		return event.MovedGone
	case state == pool.Away && p.Rebind:
		return event.MovedUnavailable
	}
	return ""
}

// use notes how the request's session is served.
func (c *call) use(u event.SessionUse) {
	if c.sessions == nil {
		return
	}
	if u == event.SessionHome && !c.visit.Known() {
		u = event.SessionNew
	}
	if c.ev.Session != event.SessionMoved || u == event.SessionAway {
		c.ev.Session = u
	}
}

// leftHome says whether a try failed because the home of the request's session, which
// drains, can no longer be reached. Then it is sent elsewhere whatever the route's
// retries are: nothing was sent, and where it goes is home from now on.
func (c *call) leftHome(r event.Result) bool {
	return r == event.ConnectFailed && c.sessions != nil && c.ev.Attempts == 1 &&
		uint64(c.visit.Home()) == c.endpoint.Home && c.endpoint.Draining()
}

// settle gives the session that the response belongs to a home, and the client a
// ticket, if one is due. A session is not made to be at home where its request failed.
func (c *call) settle() {
	p := c.sessions
	if p == nil {
		return
	}
	carrier := c.route.Carrier
	c.disown(carrier)
	if c.visit.Home() == session.None && c.pool.Failures.Has(c.at.Status) {
		return
	}
	from := c.visit.From()
	related := from != p.Tag && c.route.Has(from)
	if related {
		c.p.sessions.Weighed(p)
	}
	if !c.p.sessions.Settle(&c.visit, p, session.Home(c.endpoint.Home), related) {
		return
	}
	at := len(c.scratch)
	name := carrier.FieldName
	if carrier.Header {
		c.scratch = c.p.sessions.Seal(c.scratch, carrier.Realm, &c.visit)
	} else {
		name = nameSetCookie
		c.scratch = carrier.AppendSetCookie(c.scratch, c.clientSecure(), func(dst []byte) []byte {
			return c.p.sessions.Seal(dst, carrier.Realm, &c.visit)
		})
	}
	c.reply.Fields = append(c.reply.Fields, wire.Field{Name: name, Value: c.scratch[at:len(c.scratch):len(c.scratch)]})
}

// disown drops from the reply what the client would take for its ticket. An endpoint has
// no say in that: what it would give is refused next time, and its session is lost.
func (c *call) disown(carrier *session.Carrier) {
	c.reply.Fields = slices.DeleteFunc(c.reply.Fields, func(f wire.Field) bool {
		return carrier.Carries(f.Name, f.Value)
	})
}

// clientSecure says whether the client used https, as far as can be believed.
func (c *call) clientSecure() bool {
	if c.trusted {
		if v, ok := c.req.Fields.Get("x-forwarded-proto"); ok {
			return bytes.EqualFold(v, https)
		}
	}
	return c.x.Client().Scheme == "https"
}
