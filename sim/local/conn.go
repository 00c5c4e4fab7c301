package local

import (
	"errors"
	"net"

	"go-loadbalancer/sim/stage"
)

// conn is an end of a connection, of which its host is known. It is a socket like any.
type conn struct {
	*net.TCPConn
	host *host
}

// errCrashed is what happens to a host that is no more.
var errCrashed = errors.New("the host has crashed")

// open has it be known; if its host is no more it is closed instead.
func (c *conn) open() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	err := error(nil)
	switch {
	case n.given:
		err = errOver
	case c.host.crashed.Load() != nil:
		err = errCrashed
	}
	if err != nil {
		c.SetLinger(0)
		c.TCPConn.Close()
		return err
	}
	n.conns[c] = struct{}{}
	return nil
}

func (c *conn) Close() error {
	n := c.host.net
	n.mu.Lock()
	delete(n.conns, c)
	n.mu.Unlock()
	return c.TCPConn.Close()
}

// reset closes it at once, and has the other end be told so. The network's lock is held.
func (c *conn) reset() {
	delete(c.host.net.conns, c)
	c.SetLinger(0)
	c.TCPConn.Close()
}

// Readable says whether a read would not wait: bytes, or the end, have come.
func (c *conn) Readable() bool { return stage.Readable(c.TCPConn) }
