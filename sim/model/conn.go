package model

import (
	"cmp"
	"io"
	"net"
	"slices"
	"time"

	"go-loadbalancer/sim/http1"
)

// keptBuffer is how many bytes a connection without a request may hold on to.
const keptBuffer = 64 << 10

// conn is a connection to an endpoint.
type conn struct {
	net.Conn
	e      *Endpoint
	number uint64
	drains int // of the endpoint before it came
	sleep  func(time.Duration)
	hangs  *Fault // the endpoint's lock is held
	visit  int    // that is being answered; -1: it is a check
	out    []byte
}

// open takes a connection on.
func (e *Endpoint) open(nc net.Conn) *conn {
	c := &conn{Conn: nc, e: e, sleep: e.rest}
	if own, ok := nc.(interface{ Sleep(time.Duration) }); ok {
		c.sleep = own.Sleep
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.numbers++
	c.number, c.drains = e.numbers, e.drains
	e.conns[c] = true
	return c
}

// rest sleeps, unless the endpoint is stopped meanwhile.
func (e *Endpoint) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.stopped:
	}
}

// ordered are the connections in the order in which they came.
func (e *Endpoint) ordered() []*conn {
	all := make([]*conn, 0, len(e.conns))
	for c := range e.conns {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.number, b.number) })
	return all
}

// serve answers requests until the connection ends.
func (c *conn) serve() {
	e := c.e
	defer func() {
		e.mu.Lock()
		delete(e.conns, c)
		e.mu.Unlock()
		c.Close()
	}()
	for in := http1.NewReader(c); c.request(in); {
	}
}

// request serves one request; false: the connection ends.
func (c *conn) request(in *http1.Reader) bool {
	e := c.e
	head, err := in.Head()
	if err != nil {
		return false
	}
	body, err := head.RequestBody()
	if err != nil {
		return false
	}
	id, last := string(head.Get("X-Request-Id")), head.Last()
	check := id == "" && e.o.Health != "" && string(head.First[1]) == e.o.Health
	noBody := string(head.First[0]) == "HEAD"
	e.mu.Lock()
	e.conns[c] = false
	visit := -1
	if check {
		e.checks++
	} else {
		visit = len(e.visits)
		e.visits = append(e.visits, Visit{At: time.Now(), ID: id, Some: body.Chunked || body.Length > 0})
		e.visited(visit)
	}
	e.mu.Unlock()
	if err := in.Body(body, nil); err != nil {
		return false
	}
	c.visit = visit
	p, wait := c.begin(check, visit)
	c.pause()
	if wait > 0 {
		c.sleep(wait)
	}
	c.pause()
	if p.instead != nil {
		c.misbehave(in, p.instead)
		return false
	}
	p.last = p.last || last || c.leaving()
	whole := c.answer(&p, noBody)
	if cap(c.out) > keptBuffer {
		c.out = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns[c] = true
	e.visited(visit)
	return whole && !p.last && c.drains == e.drains
}

// begin is what is decided when all of a request has come, and how long it takes.
func (c *conn) begin(check bool, visit int) (plan, time.Duration) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if visit >= 0 {
		e.visits[visit].Some = false
		e.visited(visit)
	}
	p := e.plan(check)
	wait, room := time.Duration(0), true
	if !check {
		wait, room = e.admit(time.Now())
	}
	if !room {
		return plan{status: 503, last: p.last}, 0
	}
	return p, wait + draw(p.latency, e.random)
}

// leaving says whether the endpoint was drained since the connection came.
func (c *conn) leaving() bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.drains != c.e.drains
}

// pause waits while the endpoint is paused.
func (c *conn) pause() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	for c.e.paused > 0 {
		c.e.resumed.Wait()
	}
}

// misbehave does something instead of an answer.
func (c *conn) misbehave(in *http1.Reader, f *Fault) {
	switch {
	case f.Hang:
		c.e.mu.Lock()
		ended := !slices.Contains(c.e.faults, f)
		c.hangs = f
		c.e.mu.Unlock()
		if !ended {
			in.Body(http1.Framing{ToEnd: true}, nil)
		}
	case f.Garbage:
		io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 220 smtp ready\r\n\r\n")
	case f.Reset:
		if abrupt, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
			abrupt.SetLinger(0) // whoever serves it closes it
		}
	}
}
