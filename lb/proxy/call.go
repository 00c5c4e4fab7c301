package proxy

import (
	"bytes"
	"net/netip"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

// call is one request being served, and the memory it needs: calls are used
// again, so that a request allocates nothing.
type call struct {
	p    *Proxy
	x    Exchange
	req  *wire.Request
	snap *snapshot.Snapshot

	start    time.Time
	route    *snapshot.Route
	pool     *pool.Pool
	matched  snapshot.Matched
	hostless bool       // nobody says which host is meant: the endpoint's address does
	hops     int        // what is sent on as Max-Forwards; noHops: none is
	client   netip.Addr // the peer, or what a trusted proxy said of it
	trusted  bool       // the peer is a trusted proxy
	inside   bool       // so is every address that is said to be before it
	explains bool       // the client asks for the decision
	path     []byte     // the request's, without dot segments

	out     wire.Request  // what is sent upstream
	reply   wire.Response // what is sent to the client
	scratch []byte        // backs what out and reply hold that was not received
	id      []byte        // the request's id, in scratch or in the head
	trace   trace

	visit    session.Visit
	realm    string               // that the visit was opened for; empty: it was not
	sessions *session.Persistence // how its pool keeps sessions; nil: it does not
	full     *pool.Endpoint       // the session's home, which has as many requests as it may

	tried    pool.Tried
	stream   upstream.Stream // of the attempt under way
	fit      breaker.Probing // how fit it is to be a probe
	streams  bool            // its body was not at hand with its head
	turn     *pool.Turn      // its place in the pool's queue
	turnBy   time.Time       // until when it may wait there
	queued   bool            // it waits, or has waited, for the try that comes next
	waited   time.Duration   // for how long it has, for all its tries together
	late     bool            // it has waited: the next try begins now
	endpoint *pool.Endpoint  // the request counts on it
	done     func(error)     // what its breaker waits for
	trial    *trial          // its breaker is half-open; nil: it is not
	latency  pool.Wait       // what its latency waits for
	plan     plan            // whether another try is made
	interim  bool            // an interim response was given to the exchange
	replied  bool            // a final head was
	metered  bool            // its route's rate limit was asked
	known    bool            // it was told that the request has its route
	trying   bool            // the end of the attempt under way is to be told
	over     bool            // the request's end was told

	uplink uplink
	kept   kept
	mirror *mirror // waits for the rest of the body; of the uplink while that runs
	ev     event.Request
	at     event.Attempt
}

func newCall(p *Proxy) *call {
	c := &call{p: p, scratch: make([]byte, 0, 512)}
	c.uplink.done = make(chan struct{}, 1)
	return c
}

func (c *call) begin(x Exchange) {
	c.x = x
	c.req = x.Request()
	c.start = time.Now()
	c.late, c.interim, c.replied, c.metered = false, false, false, false
	c.known, c.trying, c.over = false, false, false
	c.trusted, c.inside, c.explains = false, false, false
	c.scratch = c.scratch[:0]
	c.uplink.reset()
	client := x.Client()
	c.ev = event.Request{
		Start: c.start, Listener: client.Listener, Route: event.None, Pool: event.None, Endpoint: event.None,
		Method: c.req.Method, Scheme: c.scheme(), Host: c.req.Authority, Target: c.req.Target,
		Proto: client.Proto, Peer: client.Peer,
	}
}

// serve has the request answered by the policy that serves now. Should that
// policy be replaced before an endpoint was found, nothing was sent yet, and the
// request starts over with the new one: the old one's endpoints may be draining.
func (c *call) serve() {
	c.identify()
	c.findPath()
	for c.serveBy(c.p.current.Load()) {
	}
}

// findPath finds out what the request is routed by.
func (c *call) findPath() {
	c.path = cleanPath(c.req.Path)
	if c.asterisk() {
		c.path = slash // it is routed as the whole of the host
	}
}

// asked is what a route is matched by.
func (c *call) asked() snapshot.Request {
	return snapshot.Request{
		Method: c.req.Method, Host: c.req.Authority, Path: c.path, Query: c.req.Query,
		Head: &c.req.Fields, // a pointer, so that it need not be copied to the heap
	}
}

// fitness is how fit the request is to be a probe.
func (c *call) fitness(whole bool) breaker.Probing {
	if whole && c.route.Retry.Method(c.req.Method) {
		return breaker.Willing // sent again if it fails, it does no harm
	}
	return breaker.Reluctant
}

// serveBy has the request answered by a policy, or reports that it must be
// asked of the next one.
func (c *call) serveBy(snap *snapshot.Snapshot) (again bool) {
	c.snap, c.pool, c.sessions = snap, nil, nil
	c.ev.Session = event.NoSession
	c.ev.PolicyHash = snap.Info.Hash
	c.ev.Pool, c.ev.PoolName = event.None, ""
	c.trust()
	asked := c.asked()
	c.matched = snap.Match(&asked)
	c.route = c.matched.Route
	c.ev.RoutePath = c.matched.Path
	if c.route == nil {
		c.ev.Route, c.ev.RouteName = event.None, ""
		c.refuse(404, event.NoRoute, "no route matches this request")
		return false
	}
	c.ev.Route, c.ev.RouteName = c.route.ID, c.route.Name
	if limit := c.route.RateLimit; limit != nil && c.limited(limit) {
		return false
	}
	if c.finalHere() {
		return false
	}
	if c.route.Redirect != nil {
		c.routed()
		c.redirect()
		return false
	}
	if !c.choosePool() {
		c.routed()
		c.refuse(503, event.NoEndpoint, "every pool of this route has weight 0")
		return false
	}
	c.ev.Pool, c.ev.PoolName = c.pool.ID, c.pool.Name
	_, whole := c.x.Body().Whole()
	c.streams = !whole
	c.fit = c.fitness(whole)
	what, refusal := c.pick()
	if what == replaced || what == refused && refusal.Final() && c.p.current.Load() != snap {
		c.tried.Reset()
		return true
	}
	c.routed()
	c.pool.Requested()
	switch what {
	case chosen:
		c.forward()
	case departed:
		c.leave()
	default:
		c.refuseUnpicked(refusal)
	}
	return false
}

// routed tells that the request has its route for good.
func (c *call) routed() {
	c.known = true
	if f := c.p.events.RequestRouted; f != nil {
		f(c.route.ID)
	}
}

// finish tells of the request, and lets go of everything it held.
func (c *call) finish() {
	if c.ev.Duration == 0 {
		c.ev.Duration = time.Since(c.start)
	}
	c.dropMirror()
	c.kept.reset()
	c.tellEnd()
	if c.endpoint != nil {
		c.endpoint.End()
		c.endpoint = nil
	}
	c.x, c.req, c.snap, c.route, c.pool, c.stream = nil, nil, nil, nil, nil, nil
	c.matched = snapshot.Matched{}
	c.ev = event.Request{}
	c.out = wire.Request{Fields: c.out.Fields[:0]}
	c.reply = wire.Response{Fields: c.reply.Fields[:0]}
	c.path, c.id = nil, nil
	c.realm, c.sessions, c.full = "", nil, nil
	c.waited = 0
	c.tried.Reset()
}

// tellEnd tells that the request has ended.
func (c *call) tellEnd() {
	c.over = true
	f := c.p.events.RequestEnded
	if f == nil {
		return
	}
	c.ev.RequestID, c.ev.Client = c.id, c.client
	for i := range c.req.Fields {
		if c.req.Fields[i].ID == wire.UserAgent {
			c.ev.UserAgent = c.req.Fields[i].Value
			break
		}
	}
	f(&c.ev)
}

// abandon lets go of everything after a panic, and tells what of the request was not told.
// The call is not used again.
func (c *call) abandon() {
	defer func() { // whatever the telling comes to
		if c.endpoint != nil {
			c.endpoint.End()
		}
	}()
	if c.stream != nil {
		c.stream.Cancel()
		c.still()
		c.stream.Release()
	}
	if c.done != nil {
		c.done(breaker.Excluded)
	}
	c.latency.Abandoned()
	c.dropMirror()
	c.kept.reset()
	c.unqueue()
	c.tellAbandoned()
}

// tellAbandoned tells of a request that a panic ended.
func (c *call) tellAbandoned() {
	if c.over {
		return
	}
	c.flag(event.InternalError)
	c.ev.Duration = time.Since(c.start)
	if c.trying {
		c.tellAttempt(event.Aborted, event.VerdictNone)
	}
	if c.route != nil && !c.known {
		c.routed()
	}
	c.tellEnd()
}

// trust finds out who the client is. The last address of X-Forwarded-For that
// is no trusted proxy's is the client's, if the peer is one.
func (c *call) trust() {
	c.client = c.x.Client().Peer.Addr()
	c.trusted = c.trusts(c.client)
	c.inside = c.trusted
	if !c.trusted {
		return
	}
	for i := len(c.req.Fields) - 1; i >= 0; i-- {
		if c.req.Fields[i].ID != wire.XForwardedFor {
			continue
		}
		list := c.req.Fields[i].Value
		for len(list) > 0 {
			comma := bytes.LastIndexByte(list, ',')
			addr, ok := parseAddr(bytes.TrimSpace(list[comma+1:]))
			if !ok {
				c.inside = false
				return
			}
			c.client = addr
			if !c.trusts(addr) {
				c.inside = false
				return
			}
			list = list[:max(comma, 0)]
		}
	}
}

func (c *call) trusts(a netip.Addr) bool {
	for _, prefix := range c.snap.TrustedProxies {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

func parseAddr(b []byte) (netip.Addr, bool) {
	if len(b) > 45 { // the longest text of an IPv6 address
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(string(b))
	return addr.Unmap(), err == nil
}

// hold appends to scratch and returns what it appended, which stays valid for
// the whole call.
func (c *call) hold(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if cap(c.scratch)-len(c.scratch) < n {
		// What was handed out keeps the old array.
		c.scratch = make([]byte, 0, max(2*cap(c.scratch), n))
	}
	from := len(c.scratch)
	for _, p := range parts {
		c.scratch = append(c.scratch, p...)
	}
	return c.scratch[from:len(c.scratch):len(c.scratch)]
}
