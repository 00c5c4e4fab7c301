package proxy

import (
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// mirror is a copy of a request for another pool. It is what was sent upstream:
// after the route's filters, under the same Host and request id. It owns all of
// its bytes, since it may outlive the request.
type mirror struct {
	p     *Proxy
	route event.ID
	pool  *pool.Pool
	probe bool // it may be one
	key   pool.Key
	rnd   uint64
	limit time.Duration // for all of it
	span  event.Span    // below that of the request

	head     wire.Request
	trailers wire.Fields
	text     []byte // backs head and trailers
	body     []byte
	bytes    int64 // counted for it in mirrors.bytes

	tried pool.Tried
	lent  lent // of mirrors.mu
}

// mirrorTo copies the request if its share of the route's is due. A body that is
// not at hand is copied while it streams; until then c.mirror waits for it.
//
// Not copied are requests for an upgrade: a tunnel is a conversation, and there
// is nobody to hold the other one. A request that expects a 100 is copied without
// that, for its body is at hand when the copy is sent.
func (c *call) mirrorTo(to *snapshot.Mirror, body []byte, whole bool) {
	if c.out.Upgrade != nil {
		return
	}
	rnd := c.p.rand()
	if !to.Takes(rnd) {
		return
	}
	m := c.p.mirrors.get()
	m.route, m.pool, m.probe, m.rnd = c.route.ID, to.Pool, to.Probes, rnd
	m.key = c.hashKey(to.Pool)
	m.span = c.nextSpan()
	m.limit = mirrorTimeout
	if t := c.limit(); t > 0 {
		m.limit = t
	}
	if m.probe {
		m.limit = min(m.limit, breaker.ProbeTimeout)
	}
	switch {
	case c.out.Framing == wire.Sized && c.out.Length > mirrorBody:
		m.over(event.MirrorTooLarge)
	case !m.copyHead(&c.out):
		m.over(event.MirrorOverflow)
	case !whole:
		c.mirror = m
	case m.add(body):
		m.send()
	}
}

// sendMirror sends the copy whose body has come to its end.
func (c *call) sendMirror(trailers wire.Fields) {
	m := c.mirror
	if m == nil {
		return
	}
	c.mirror = nil
	if trailers = c.req.EndToEnd(trailers); len(trailers) > 0 {
		m.trailers = m.copyFields(m.trailers, trailers)
	}
	m.send()
}

// dropMirror gives up the copy whose body did not come to its end.
func (c *call) dropMirror() {
	if m := c.mirror; m != nil {
		c.mirror = nil
		m.over(event.MirrorIncomplete)
	}
}

// copyHead reports whether there is room for the head.
func (m *mirror) copyHead(out *wire.Request) bool {
	n := len(out.Method) + len(out.Target) + len(out.Authority) + len(m.span.State)
	for i := range out.Fields {
		n += len(out.Fields[i].Name) + len(out.Fields[i].Value)
	}
	if !m.reserve(n) {
		return false
	}
	if m.span.State != nil {
		m.span.State = m.keep(m.span.State)
	}
	m.head = wire.Request{
		Method: m.keep(out.Method), Target: m.keep(out.Target), Authority: m.keep(out.Authority),
		Fields: m.copyFields(m.head.Fields, out.Fields), Framing: out.Framing, Length: out.Length, Trailers: out.Trailers,
	}
	return true
}

func (m *mirror) copyFields(dst, src wire.Fields) wire.Fields {
	dst = dst[:0]
	for i := range src {
		if src[i].ID != wire.Expect {
			dst = append(dst, wire.Field{ID: src[i].ID, Name: m.keep(src[i].Name), Value: m.keep(src[i].Value)})
		}
	}
	return dst
}

// keep returns a copy. If text moves, what was returned before stays where it is.
func (m *mirror) keep(b []byte) []byte {
	from := len(m.text)
	m.text = append(m.text, b...)
	return m.text[from:len(m.text):len(m.text)]
}

// add copies a piece of the body. If there is no room for it the copy is over,
// and must not be touched again.
func (m *mirror) add(piece []byte) bool {
	switch {
	case len(m.body)+len(piece) > mirrorBody:
		m.over(event.MirrorTooLarge)
		return false
	case !m.reserve(len(piece)):
		m.over(event.MirrorOverflow)
		return false
	}
	m.body = append(m.body, piece...)
	return true
}

// reserve counts bytes as held, if there is room for them.
func (m *mirror) reserve(n int) bool {
	held := &m.p.mirrors.bytes
	if held.Add(int64(n)) > mirrorBytes {
		held.Add(int64(-n))
		return false
	}
	m.bytes += int64(n)
	return true
}

// send hands the copy to a goroutine of its own, if there may be one more and an
// endpoint is eligible. The endpoint is chosen here, so that the same numbers
// give the same choices.
func (m *mirror) send() {
	ms := &m.p.mirrors
	if !ms.admit(m) {
		m.over(event.MirrorOverflow)
		return
	}
	e, probe, done := m.pick()
	if e == nil {
		ms.leave(m)
		m.over(event.MirrorNoEndpoint)
		ms.running.Done()
		return
	}
	go m.run(e, probe, done)
}

// pick finds an endpoint and counts the copy on it, as call.pick does, but that it
// leaves a half-open one's probes to requests, where there are any. One that began
// to drain or to fail just now costs the copy: no other is asked for.
func (m *mirror) pick() (e *pool.Endpoint, probe bool, done func(error)) {
	probing := breaker.Unwilling
	if m.probe {
		probing = breaker.Willing
	}
	for {
		e, _ := m.pool.Pick(m.rnd, m.key, &m.tried, probing)
		if e == nil || e.Begin(nil) != pool.Started {
			return nil, false, nil
		}
		if done, probe, ok := e.Breaker().Allow(probing); ok {
			return e, probe, done
		}
		e.End()
		if m.tried.Has(e) {
			return nil, false, nil
		}
		m.tried.Add(e)
	}
}

// over tells what became of the copy, and lets go of it.
func (m *mirror) over(r event.MirrorResult) {
	if f := m.p.events.MirrorEnded; f != nil {
		f(event.Mirror{Route: m.route, Pool: m.pool.ID, Result: r})
	}
	m.p.mirrors.put(m)
}
