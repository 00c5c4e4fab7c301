package load

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"go-loadbalancer/sim/http1"
)

const (
	// keptMost is how many connections are kept for one place.
	keptMost = 1024
	// keptBuffer is how many bytes a connection that is kept may hold on to.
	keptBuffer = 64 << 10
	// addresses is how many clients those are who have no sessions.
	addresses = 250
)

// conn is a connection of a client.
type conn struct {
	net.Conn
	in    *http1.Reader
	out   []byte
	check http1.Check
	see   func([]byte)
	heard bool              // something of a response
	by    time.Time         // when the request has to end
	read  pacer             // of the answer
	names map[string]string // of endpoints that have answered
}

// name is an endpoint's, made once.
func (c *conn) name(by []byte) string {
	if name, ok := c.names[string(by)]; ok {
		return name
	}
	if c.names == nil {
		c.names = map[string]string{}
	}
	name := string(by)
	c.names[name] = name
	return name
}

// replica is where the next request goes.
func (s *source) replica() string {
	there := s.g.o.Replicas()
	if s.Replica > 0 {
		if name := fmt.Sprintf("lb/%d", s.Replica); slices.Contains(there, name) {
			return name
		}
		return ""
	}
	if len(there) == 0 {
		return ""
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	s.g.turn++
	return there[s.g.turn%len(there)]
}

// connect returns a kept connection, or a new one.
func (g *Generator) connect(at place, by time.Time) (c *conn, kept bool, err error) {
	if c := g.kept(at); c != nil {
		return c, true, nil
	}
	client := at.client + addresses
	if at.client == 0 {
		g.mu.Lock()
		client = g.clients % addresses
		g.clients++
		g.mu.Unlock()
	}
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	nc, err := g.o.Dial(ctx, client, at.replica, at.listener)
	if err != nil {
		return nil, false, err
	}
	c = &conn{Conn: nc}
	c.in = http1.NewReader(reading{c})
	c.see = c.check.See
	return c, false, nil
}

// kept is a connection that was kept and is open still, as far as can be told.
func (g *Generator) kept(at place) *conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		idle := g.idle[at]
		if len(idle) == 0 {
			return nil
		}
		c := idle[len(idle)-1]
		g.idle[at] = idle[:len(idle)-1]
		if r, ok := c.Conn.(interface{ Readable() bool }); !ok || !r.Readable() {
			return c
		}
		c.Close()
	}
}

func (g *Generator) keep(at place, c *conn) {
	if cap(c.out) > keptBuffer {
		c.out = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if idle := g.idle[at]; len(idle) < keptMost {
		g.idle[at] = append(idle, c)
		return
	}
	c.Close()
}
