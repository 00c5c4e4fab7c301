package proxy

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/explain"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// Explain says what would become of a request by now, and why. It asks the code that
// serves: the call below is one that nobody sends. Nothing is counted, taken or written,
// and no random number is drawn: a run that is repeatable stays so. It waits for nothing but the
// shared session store, a second at most.
//
// live says that the proxy serves by that policy; else endpoints and sessions mean nothing.
func (p *Proxy) Explain(ctx context.Context, q *explain.Asked, live bool) *explain.Decision {
	c := newCall(p)
	x := &unsent{asked: q}
	c.begin(x)
	c.snap = p.current.Load()
	c.findPath()
	c.trust()
	d := &explain.Decision{
		Policy: explain.Policy{Name: c.snap.Info.Name, Version: c.snap.Info.Version, Hash: c.snap.Info.Hash, Live: live},
		Request: explain.Request{
			Method: string(c.req.Method), Host: string(c.req.Authority), Path: string(c.path), Trusted: c.trusted,
		},
		Considered: []explain.Considered{}, Backends: []explain.Backend{}, Pools: []explain.Pool{}, Notes: []string{},
		Along: explain.Along{Filters: []string{}, Timeouts: []string{}},
	}
	if c.client.IsValid() {
		d.Request.Client = c.client.String()
	}
	e := explanation{call: c, d: d, ctx: ctx, live: live}
	e.match()
	if c.route != nil {
		e.along()
		if e.forwards() {
			e.choose()
		}
	}
	return d
}

// explanation is a call that is asked what would become of it.
type explanation struct {
	*call
	d    *explain.Decision
	ctx  context.Context
	live bool

	peeked session.Peeked
	home   session.Home // of the session that was peeked, in its pool
}

func (e *explanation) note(format string, args ...any) {
	e.d.Notes = append(e.d.Notes, fmt.Sprintf(format, args...))
}

func (e *explanation) answer(o explain.Outcome, format string, args ...any) {
	e.d.Outcome, e.d.Answer = o, fmt.Sprintf(format, args...)
}

func (e *explanation) match() {
	asked := e.asked()
	matched, considered := e.snap.Explain(&asked)
	e.matched, e.route = matched, matched.Route
	for i := range considered {
		m := &considered[i]
		chosen := m.Holds && m.By == ""
		e.d.Considered = append(e.d.Considered, explain.Considered{
			Route: m.Route.Name, Match: m.Match, Chosen: chosen, Holds: m.Holds, By: string(m.By), Why: m.Why,
		})
		if chosen {
			e.d.Route = &explain.Route{Name: m.Route.Name, Match: m.Match, Text: m.Text()}
		}
	}
	if e.route == nil {
		e.answer(explain.NoRoute, "404: no route matches")
	}
}

// forwards says whether the request goes to a pool, as far as its route decides that.
func (e *explanation) forwards() bool {
	d := e.d
	d.Outcome = explain.Forward
	if limit := e.route.RateLimit; limit != nil {
		if limit.Header == "" && !e.client.IsValid() {
			d.Along.RateLimit += "; how much is left depends on the client's address, which was not given"
		} else if left := limit.Left(e.rateKey(limit)); left < 1 {
			e.answer(explain.Limited, "429: more requests came than this route lets through")
			return false
		} else {
			d.Along.RateLimit += fmt.Sprintf("; %d of them may come at once now", int(left))
		}
	}
	switch string(e.req.Method) {
	case "TRACE":
		e.note("TRACE is answered with 405 unless the listener has trace: Allow")
	case "OPTIONS":
		if n, ok := e.maxForwards(); !ok {
			e.answer(explain.Answered, "400: malformed Max-Forwards")
			return false
		} else if n == 0 {
			e.answer(explain.Answered, "200: Max-Forwards is 0")
			return false
		}
	}
	if r := e.route.Redirect; r != nil {
		e.answer(explain.Redirect, "%d to %s", r.StatusCode,
			r.AppendLocation(nil, e.x.Client().Scheme, e.req.Authority, e.path, e.req.Query, e.matched.PrefixLen))
		return false
	}
	return true
}

// choose finds the pools, the session and the endpoints.
func (e *explanation) choose() {
	if e.route.Pick(0) == nil {
		e.backends(nil)
		e.answer(explain.NoPool, "503: every pool of this route has weight 0")
		return
	}
	var to *snapshot.Backend // the only one
	if e.route.Carrier != nil {
		to = e.session()
	}
	e.backends(to)
	for i := range e.d.Backends {
		if at := &e.d.Backends[i]; at.Probability > 0 {
			b := &e.route.Backends[i]
			e.d.Pools = append(e.d.Pools, e.pool(b, at.Probability))
		}
	}
	e.choice()
}

// backends says how probably each pool is chosen: to alone, or by weight.
func (e *explanation) backends(to *snapshot.Backend) {
	sum := 0
	for i := range e.route.Backends {
		sum += e.route.Backends[i].Weight
	}
	for i := range e.route.Backends {
		b := &e.route.Backends[i]
		at := explain.Backend{Pool: b.Pool.Name, Weight: b.Weight}
		switch {
		case to != nil && b.Pool == to.Pool && b.Weight > 0:
			at.Probability = 1
		case to == nil && sum > 0:
			at.Probability = float64(b.Weight) / float64(sum)
		}
		e.d.Backends = append(e.d.Backends, at)
	}
}

// session finds the request's session, and the pool that it goes to if it is known.
func (e *explanation) session() *snapshot.Backend {
	carrier := e.route.Carrier
	s := &explain.Session{Carrier: carrier.Realm, State: "new", Served: "new"}
	e.d.Session = s
	text, same := e.brought(carrier)
	switch {
	case !same:
		s.State, s.Refused = "refused", session.Duplicate
		return nil
	case text != nil && !e.live:
		e.note("a ticket is opened by the keys of a balancer that runs: with --admin it is said where the session goes; here it is a new one")
		return nil
	}
	e.peeked = e.p.sessions.Peek(carrier.Realm, text)
	var b *snapshot.Backend
	if e.peeked.Known {
		b = e.route.PickFor(e.peeked.Number)
		home, by := e.p.sessions.HomeOf(e.ctx, &e.peeked, b.Sessions)
		e.home, s.By = home, string(by)
	}
	if !e.peeked.Known {
		if e.peeked.Refused != "" {
			s.State, s.Refused = "refused", e.peeked.Refused
		}
		return nil
	}
	s.State, s.Pool = "known", b.Pool.Name
	return b
}

// pool says what a pool's endpoints are to the request, which goes there so probably.
func (e *explanation) pool(b *snapshot.Backend, probability float64) explain.Pool {
	p := b.Pool
	occupied := p.Occupancy()
	out := explain.Pool{
		Name: p.Name, Algorithm: p.Algorithm(), How: how(p), Panic: p.Panic(), Probability: probability,
		InFlight: occupied.InFlight, Limit: occupied.Limit, Waiting: occupied.Waiting, MayWait: occupied.MayWait,
		RetriesLeft: math.Floor(occupied.RetriesLeft*10) / 10,
	}
	_, whole := e.x.Body().Whole()
	odds := e.odds(b, e.fitness(whole))
	if (odds.Refusal == pool.BreakersOpen || odds.Refusal == pool.AllFull) && e.fitness(whole) == breaker.Reluctant {
		odds = e.odds(b, breaker.Willing)
	}
	if odds.Refusal == pool.None && occupied.Limit > 0 && occupied.InFlight >= occupied.Limit {
		odds.Refusal = pool.AllFull
	}
	if odds.Refusal != pool.None {
		out.Refusal = odds.Refusal.String()
		if odds.Refusal == pool.AllFull && occupied.PendingTimeout > 0 && occupied.Waiting < occupied.MayWait {
			e.answer(explain.Waits, "%s: it waits in pool %s, %v at most", out.Refusal, p.Name, occupied.PendingTimeout)
		} else {
			e.answer(explain.Unavailable, "503: %s (pool %s)", out.Refusal, p.Name)
		}
	}
	if out.Exact = odds.Exact; !out.Exact {
		out.Draws = pool.Draws
	}
	for i := range odds.Candidates {
		c := &odds.Candidates[i]
		id := p.Name + "/" + strconv.Itoa(i+1)
		if i >= len(p.Members()) {
			id = endpointID(p, c.Endpoint)
		}
		out.Candidates = append(out.Candidates, explain.Candidate{
			Endpoint: id, Address: c.Address, Weight: c.Weight, Priority: c.Priority,
			Eligible: c.Why == "", Why: c.Why, Probability: c.Probability, SlowStart: c.Share,
			InFlight: c.Load.InFlight, LatencyMs: float64(c.Load.Latency) / float64(time.Millisecond), Failing: c.Load.Failing,
		})
	}
	return out
}

// odds asks the pool as candidate would: for the home of the request's session, for where
// it goes instead, or for any endpoint.
func (e *explanation) odds(b *snapshot.Backend, probing breaker.Probing) pool.Odds {
	p, k := b.Pool, &e.peeked
	ask := pool.Ask{Key: e.hashKey(p), Probing: probing}
	if p.HashOn == "SourceIP" && !e.client.IsValid() {
		ask.Key = pool.Key{}
		e.note("pool %s hashes the client's address, which was not given: the probabilities are those of all addresses", p.Name)
	}
	if b.Sessions == nil || b.Sessions.Homeless {
		if k.Known {
			e.d.Session.Why = "pool " + p.Name + " keeps no homes: the session stays in the pool, anywhere"
		}
		return p.Odds(ask)
	}
	if !k.Known || e.home == session.None {
		if k.Known || !e.p.sessions.Available(b.Sessions) {
			ask.Lodging, ask.Session, ask.Known = true, k.Number, k.Known
		}
		if k.Known {
			e.d.Session.Why = "it has no home in pool " + p.Name + " yet"
		}
		return p.Odds(ask)
	}
	at, state := p.Home(uint64(e.home), k.Number, probing)
	ask.Lodging, ask.Session, ask.Known = true, k.Number, true
	odds := p.Odds(ask)
	s := e.d.Session
	s.Lodging = lodgings[state]
	if at != nil {
		s.Home, s.HomeAddress = endpointID(p, at), at.Address
	}
	switch {
	case state == pool.Open || state == pool.Busy:
		s.Served, s.Why = "home", homeWhy[state]
		odds.Exact, odds.Refusal = true, pool.None
		if state == pool.Busy {
			odds.Refusal = pool.AllFull
		}
		found := false
		for i := range odds.Candidates {
			c := &odds.Candidates[i]
			c.Probability = 0
			if c.Endpoint == at {
				found = true
				if state == pool.Open {
					c.Probability = 1
				}
			}
		}
		if !found && state == pool.Open {
			s.Why = "it was removed from the policy, and serves its sessions until it has drained"
			odds.Candidates = append(odds.Candidates, pool.Candidate{Member: &pool.Member{Endpoint: at, Drain: true}, Why: "removed; serves its sessions", Probability: 1, Share: 1})
		}
	case state == pool.Unknown && e.p.sessions.StrangeTo(k, b.Sessions, e.home), leaves(at, state, b.Sessions) != event.MoveReason(""):
		s.Served, s.Why = "moves", homeWhy[state]
	default:
		s.Served, s.Why = "away", homeWhy[state]
	}
	return odds
}

// endpointID is POOL/N, N from 1 in file order; POOL/- of an endpoint that was removed.
func endpointID(p *pool.Pool, e *pool.Endpoint) string {
	if n := p.NumberOf(e); n > 0 {
		return p.Name + "/" + strconv.Itoa(n)
	}
	return p.Name + "/-"
}

var lodgings = [...]string{pool.Open: "open", pool.Busy: "busy", pool.Away: "away", pool.Early: "early", pool.Gone: "gone", pool.Unknown: "unknown"}

var homeWhy = [...]string{
	pool.Open:    "its home is open to it",
	pool.Busy:    "its home has as many requests as it may, and is waited for",
	pool.Away:    "its home is not eligible now",
	pool.Early:   "its home starts slowly, and it is not this session's turn yet",
	pool.Gone:    "its home is about to leave, or gets no requests",
	pool.Unknown: "its home is not known here, and is waited for a while before the session moves",
}

// choice is the most probable endpoint of all pools.
func (e *explanation) choice() {
	for _, p := range e.d.Pools {
		if p.Refusal != "" {
			continue
		}
		for _, c := range p.Candidates {
			all := p.Probability * c.Probability
			if best := e.d.Choice; all > 0 && (best == nil || all > best.Probability) {
				e.d.Choice = &explain.Choice{Pool: p.Name, Endpoint: c.Endpoint, Address: c.Address, Probability: all, Exact: p.Exact}
			}
		}
	}
	if e.d.Choice != nil && e.d.Outcome != explain.Forward {
		// One pool of several refuses.
		e.note("%s", e.d.Answer)
		e.d.Outcome, e.d.Answer = explain.Forward, ""
	}
}

// how says how a pool's algorithm chooses.
func how(p *pool.Pool) string {
	switch p.Algorithm() {
	case "RoundRobin":
		return "each in turn, as often as its weight says"
	case "Random":
		return "drawn by weight"
	case "PeakEWMA":
		return "of two drawn by weight, the one that will probably answer sooner"
	case "ConsistentHash":
		on := "the client's address"
		if p.HashOn != "SourceIP" {
			on = map[string]string{"Header": "the header ", "Cookie": "the cookie ", "QueryParam": "the query parameter "}[p.HashOn] + p.HashName
		}
		return "the first eligible one on the ring from the hash of " + on
	case "LeastRequest":
		return "of two drawn by weight, the one with fewer requests in flight for its weight"
	}
	return "it has no endpoint that may be picked"
}

// along says what else happens.
func (e *explanation) along() {
	a, r := &e.d.Along, e.route
	a.Filters = append(a.Filters, r.FilterTexts()...)
	if r.Rewrite != nil {
		a.Filters = append(a.Filters, fmt.Sprintf("rewrite: sent as %s", e.target()))
	}
	limit := func(what string, t time.Duration) {
		if t > 0 {
			a.Timeouts = append(a.Timeouts, what+" "+t.String())
		}
	}
	limit("request", r.Timeouts.Request)
	limit("each try", r.Timeouts.BackendRequest)
	limit("silence of a body", r.Timeouts.StreamIdle)
	switch retry := r.Retry; {
	case retry == nil:
		a.Retry = "none"
	case retry.Method(e.req.Method):
		a.Retry = fmt.Sprintf("up to %d, after %v and more, on failures and %s", retry.Attempts, retry.Backoff, codes(r.Policy.Retry.Codes))
	default:
		a.Retry = fmt.Sprintf("up to %d, of tries that could not connect only: a %.40s may not be sent twice", retry.Attempts, e.req.Method)
	}
	if m := r.Mirror; m != nil {
		a.Mirror = fmt.Sprintf("%v%% of requests are copied to pool %s", r.Policy.Filters.Mirror.Percent, m.Pool.Name)
	}
	if f := r.Policy.Filters.RateLimit; f != nil {
		by := "client address"
		if f.Key == "Header" {
			by = "value of " + f.Header
		}
		a.RateLimit = fmt.Sprintf("%d in %v for each %s, %d at once", f.Requests, f.Per, by, f.Burst)
	}
}

func codes(list []int) string {
	list = slices.Sorted(slices.Values(list))
	out := ""
	for i, code := range list {
		if i > 0 {
			out += ", "
		}
		out += strconv.Itoa(code)
	}
	if out == "" {
		return "no status"
	}
	return "statuses " + out
}

// unsent is the exchange of a request that nobody sends: only its head is asked for.
type unsent struct {
	asked  *explain.Asked
	client Client
}

func (q *unsent) Request() *wire.Request { return &q.asked.Head }

func (q *unsent) Client() *Client {
	q.client = Client{Scheme: q.asked.Scheme, Proto: "1.1", Peer: netip.AddrPortFrom(q.asked.Client, 0)}
	return &q.client
}

func (q *unsent) Body() Body { return q }

// Whole: a body of known length is taken to be at hand.
func (q *unsent) Whole() ([]byte, bool) { return nil, q.asked.Head.Framing != wire.Chunked }

func (q *unsent) Next() ([]byte, error)        { return nil, errClientGone }
func (q *unsent) Buffered() bool               { return true }
func (q *unsent) Trailers() wire.Fields        { return nil }
func (q *unsent) Interim(*wire.Response) error { return errClientGone }
func (q *unsent) Reply(*wire.Response) error   { return errClientGone }
func (q *unsent) Write([]byte) error           { return errClientGone }
func (q *unsent) Flush() error                 { return errClientGone }
func (q *unsent) End(wire.Fields) error        { return errClientGone }
func (q *unsent) Abort()                       {}
func (q *unsent) Tunnel() *wire.Conn           { return nil }
func (q *unsent) AwaitGone() bool              { return true }
func (q *unsent) Interrupt()                   {}
func (q *unsent) Rearm()                       {}
