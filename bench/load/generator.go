package load

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long connecting, and answering what is outstanding, may
// take before it counts as an error.
const patience = 5 * time.Second

// generator is the client side of one slot.
type generator struct {
	l        *loop
	spec     Spec
	target   unix.SockaddrInet4
	requests [][]byte // sent in turns
	turn     int      // of the next one
	known    bool     // they have cookies, so that none should be set
	body     int64    // expected of a response
	verify   bool

	clients []*client
	issuing bool      // requests may be sent
	left    int       // so many of them
	busy    int       // requests outstanding
	done    int       // requests answered
	ended   time.Time // when the last one was

	// Open loop only.
	idle    []*client
	due     []time.Time // requests due for which no connection was idle, oldest first
	latency []time.Duration
}

func newGenerator(l *loop, s Slot) (*generator, error) {
	if err := s.Spec.check(); err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddrPort(s.Target)
	if err != nil || !addr.Addr().Is4() {
		return nil, fmt.Errorf("target %q: an IPv4 address and port are needed", s.Target)
	}
	g := &generator{l: l, spec: s.Spec, target: unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}}
	g.body = int64(Replies()[replyIndex(s.Spec.Reply)].Body)
	if g.known = len(s.Cookies) > 0; !g.known {
		g.requests = [][]byte{s.request("")}
	}
	for _, cookie := range s.Cookies {
		g.requests = append(g.requests, s.request(cookie))
	}
	return g, nil
}

// request is a request on the wire.
func (s *Slot) request(cookie string) []byte {
	method := s.Spec.Method
	if method == "" {
		method = "GET"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s /%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n", method, s.Spec.Reply, s.Host)
	if cookie != "" {
		fmt.Fprintf(&b, "Cookie: %s\r\n", cookie)
	}
	if s.Spec.NewConnections {
		b.WriteString("Connection: close\r\n")
	}
	if s.Spec.Body > 0 {
		fmt.Fprintf(&b, "Content-Type: text/plain\r\nContent-Length: %d\r\n", s.Spec.Body)
	}
	b.WriteString("\r\n")
	b.Write(payload[:s.Spec.Body])
	return b.Bytes()
}

type clientState uint8

const (
	closed clientState = iota
	connecting
	idle
	waiting  // for a response
	draining // of a connection that must be closed by the proxy
)

// client is one connection of the generator.
type client struct {
	g     *generator
	fd    int
	state clientState
	in    framer
	out   []byte    // what is left to write of the request
	since time.Time // when the request was due; open loop only
}

// open opens all connections. Those of [Spec.NewConnections] are opened when
// there is a request to send.
func (g *generator) open() error {
	for range g.spec.Connections {
		c := &client{g: g}
		c.in.response = true
		g.clients = append(g.clients, c)
		if g.spec.NewConnections {
			continue
		}
		if err := c.connect(); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(patience)
	for slices.ContainsFunc(g.clients, func(c *client) bool { return c.state == connecting }) {
		if time.Now().After(deadline) {
			return fmt.Errorf("connections not established within %v", patience)
		}
		if err := g.l.poll(deadline); err != nil {
			return err
		}
	}
	return nil
}

// close closes what is open.
func (g *generator) close() {
	for _, c := range g.clients {
		if c.state != closed {
			c.end()
		}
	}
}

// drive sends requests for a time, then waits until all are answered.
func (g *generator) drive(window time.Duration) error {
	start := time.Now()
	end := start.Add(window)
	g.done, g.ended, g.issuing, g.left = 0, start, true, math.MaxInt
	g.idle, g.due, g.latency = g.idle[:0], g.due[:0], g.latency[:0]
	if g.spec.Rate > 0 {
		g.latency = slices.Grow(g.latency, int(window.Seconds()*float64(g.spec.Rate))+1)
		g.idle = append(g.idle, g.clients...)
	} else {
		for _, c := range g.clients {
			c.next(start)
		}
	}
	for issued, now := 0, start; now.Before(end); now = time.Now() {
		until := end
		if g.spec.Rate > 0 {
			issued, until = g.issue(start, now, issued)
		}
		if err := g.l.poll(until); err != nil {
			return err
		}
	}
	return g.drain()
}

// drain waits until all that was sent is answered.
func (g *generator) drain() error {
	g.issuing = false
	deadline := time.Now().Add(patience)
	for (g.busy > 0 || len(g.due) > 0) && time.Now().Before(deadline) {
		if err := g.l.poll(deadline); err != nil {
			return err
		}
	}
	if left := g.busy + len(g.due); left > 0 {
		g.l.failures.add("%d requests not answered %v after the last was sent", left, patience)
	}
	return nil
}

// count makes so many requests, within a time.
func (g *generator) count(requests int, within time.Duration) error {
	g.done, g.issuing, g.left = 0, true, requests
	for _, c := range g.clients[:min(len(g.clients), requests)] {
		c.next(time.Time{})
	}
	for end := time.Now().Add(within); g.busy > 0 && time.Now().Before(end); {
		if err := g.l.poll(end); err != nil {
			return err
		}
	}
	return g.drain()
}

// issue sends what is due by now and says when the next request is.
func (g *generator) issue(start, now time.Time, issued int) (int, time.Time) {
	for {
		due := start.Add(time.Duration(float64(issued) / float64(g.spec.Rate) * float64(time.Second)))
		if due.After(now) {
			return issued, due
		}
		issued++
		if k := len(g.idle); k > 0 {
			c := g.idle[k-1]
			g.idle = g.idle[:k-1]
			c.next(due)
		} else {
			g.due = append(g.due, due)
		}
	}
}

// each makes one request on every connection, a few at a time.
func (g *generator) each(atOnce int) error {
	deadline := time.Now().Add(2 * patience)
	for group := range slices.Chunk(g.clients, atOnce) {
		for _, c := range group {
			c.next(time.Time{})
		}
		for g.busy > 0 {
			if time.Now().After(deadline) {
				return fmt.Errorf("%d requests not answered within %v", g.busy, 2*patience)
			}
			if err := g.l.poll(deadline); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *client) connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return fmt.Errorf("TCP_NODELAY: %w", err)
	}
	if err := unix.Connect(fd, &c.g.target); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	if err := c.g.l.add(fd, c); err != nil {
		unix.Close(fd)
		return err
	}
	c.fd, c.state = fd, connecting
	c.in.reset()
	return nil
}

// next sends a request, on a new connection if there is none.
func (c *client) next(due time.Time) {
	c.since = due
	c.g.busy++
	c.g.left--
	c.out = c.g.requests[c.g.turn]
	c.g.turn = (c.g.turn + 1) % len(c.g.requests)
	if c.state == closed {
		if err := c.connect(); err != nil {
			c.fail("%v", err)
		}
		return // written once connected
	}
	c.state = waiting
	c.flush()
}

func (c *client) end() {
	c.g.l.close(c.fd)
	c.state = closed
}

// fail counts an error and closes the connection, whose request is over.
func (c *client) fail(format string, args ...any) {
	c.g.l.failures.add("generator: "+format, args...)
	if len(c.out) > 0 || c.state == waiting || c.state == draining {
		c.g.busy--
	}
	c.out = nil
	if c.state != closed {
		c.end()
	}
}

func (c *client) flush() {
	n, err := writeAll(c.fd, c.out)
	c.out = c.out[n:]
	if err != nil {
		c.state = waiting
		c.fail("write: %v", err)
	}
}

func (c *client) ready(l *loop, events uint32) {
	if c.state == connecting {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			errno, _ := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			c.fail("connect: %v", unix.Errno(errno))
			return
		}
		if events&unix.EPOLLOUT == 0 {
			return
		}
		if c.state = idle; len(c.out) == 0 {
			return
		}
		c.state = waiting
	}
	if len(c.out) > 0 {
		if c.flush(); c.state == closed {
			return
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	for {
		n, err := read(c.fd, l.buf)
		if err == unix.EAGAIN {
			return
		}
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 && c.state == draining {
			c.end()
			c.finished()
			return
		}
		if err != nil || n == 0 {
			c.fail("the proxy closed a connection that should have stayed open (%v)", err)
			return
		}
		if !c.take(l.buf[:n]) {
			return
		}
		if n < len(l.buf) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return
		}
	}
}

// take handles what was read; false: the connection is gone.
func (c *client) take(p []byte) bool {
	if c.state != waiting {
		c.fail("%d bytes that nothing asked for", len(p))
		return false
	}
	c.in.payload = nil
	if c.g.verify {
		c.in.payload = payload
	}
	n, done, err := c.in.feed(p)
	if err != nil {
		c.fail("response: %v", err)
		return false
	}
	if !done {
		return true
	}
	switch {
	case n < len(p):
		c.fail("%d bytes after the response", len(p)-n)
	case c.in.status != 200:
		c.fail("status %d", c.in.status)
	case c.in.body != c.g.body:
		c.fail("a body of %d bytes; %d expected", c.in.body, c.g.body)
	case c.in.cookie && c.g.known:
		c.fail("a cookie is set for a session that should be known")
	case len(c.out) > 0:
		c.fail("a response before the request was sent")
	case c.g.spec.NewConnections:
		c.state = draining
		return true
	case c.in.close:
		c.fail("the proxy asks to close a connection that should stay open")
	default:
		c.state = idle
		c.finished()
	}
	return c.state != closed
}

// finished counts a request and goes on to the next.
func (c *client) finished() {
	g := c.g
	g.busy--
	g.done++
	if g.spec.Rate == 0 {
		if g.issuing && g.left > 0 {
			c.next(time.Time{})
		}
		return
	}
	g.latency = append(g.latency, time.Since(c.since))
	if len(g.due) > 0 {
		due := g.due[0]
		g.due = g.due[1:]
		c.next(due)
		return
	}
	g.idle = append(g.idle, c)
}
