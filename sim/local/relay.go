package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// relay is a connection that leads through this process, where bytes can be held back.
type relay struct {
	net       *network
	from, to  *host        // who dialed, and whom
	near, far *net.TCPConn // to who dialed, and to whom
	done      chan struct{}
	once      sync.Once
}

// gate is where the near ends of relays come from.
type gate struct {
	mu sync.Mutex // held from a dial until it was accepted
	*net.TCPListener
}

func newGate() (*gate, error) {
	l, err := net.Listen("tcp4", anyPort)
	if err != nil {
		return nil, err
	}
	return &gate{TCPListener: l.(*net.TCPListener)}, nil
}

func (g *gate) close() { g.TCPListener.Close() }

// passing is how long a connection to this very process may take to be made.
const passing = 5 * time.Second

// pass is a pair of connected sockets.
func (g *gate) pass(ctx context.Context) (near, far *net.TCPConn, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	dialer := net.Dialer{Timeout: passing}
	c, err := dialer.DialContext(ctx, "tcp4", g.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	near = c.(*net.TCPConn)
	g.SetDeadline(time.Now().Add(passing))
	for {
		if far, err = g.AcceptTCP(); err != nil {
			near.Close()
			return nil, nil, err
		}
		if far.RemoteAddr().String() == near.LocalAddr().String() {
			return near, far, nil
		}
		far.Close() // a stranger, or one who gave up
	}
}

// relay puts a relay before a connection, and returns the end for who dialed.
func (n *network) relay(ctx context.Context, from, to *host, far *net.TCPConn) (*net.TCPConn, error) {
	end, near, err := n.gate.pass(ctx)
	if err != nil {
		far.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &relay{net: n, from: from, to: to, near: near, far: far, done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.given {
		r.abort()
		end.Close()
		return nil, errOver
	}
	n.relays[r] = struct{}{}
	n.running.Go(func() {
		var up sync.WaitGroup
		up.Go(func() { r.carry(r.far, r.near, r.from) })
		r.carry(r.near, r.far, r.to)
		up.Wait()
		near.Close()
		far.Close()
		n.mu.Lock()
		delete(n.relays, r)
		n.mu.Unlock()
	})
	return end, nil
}

// abort breaks it, both ways.
func (r *relay) abort() {
	r.once.Do(func() {
		close(r.done)
		for _, c := range []*net.TCPConn{r.near, r.far} {
			c.SetLinger(0)
			c.Close()
		}
	})
}

// most is how many bytes of each direction a relay holds; the rest is for the kernels to
// hold.
const most = 32 << 10

// carry carries what one end sends to the other, until it has no more to say.
func (r *relay) carry(to, from *net.TCPConn, sender *host) {
	buffer := make([]byte, most)
	for {
		n, err := from.Read(buffer)
		if !r.wait(sender) {
			return
		}
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				r.abort()
				return
			}
		}
		switch {
		case err == io.EOF:
			to.CloseWrite()
			return
		case err != nil:
			r.abort()
			return
		}
	}
}

// wait waits until what has come from a sender may go on; false: it was broken.
func (r *relay) wait(sender *host) bool {
	if d := time.Duration(sender.delay.Load()); d > 0 {
		if f := sender.slow.Load(); f != nil {
			f.touched.Add(1)
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.done:
			return false
		}
	}
	for {
		r.net.mu.Lock()
		hole := r.net.between(r.from, r.to)
		r.net.mu.Unlock()
		if hole == nil {
			return true
		}
		hole.touched.Add(1)
		select {
		case <-hole.healed:
		case <-r.done:
			return false
		}
	}
}
