// Package pipetest has a listener in memory, whose connections are pipes: a server that
// is tested on it waits in virtual time (testing/synctest), where no socket may be waited for.
//
//	l := pipetest.Listen()
//	go server.Serve(l)
//	client := l.Dial()
package pipetest

import (
	"net"
	"sync"
)

// Listener accepts what tests connect.
type Listener struct {
	come   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a listener that is open.
func Listen() *Listener { return &Listener{come: make(chan net.Conn), closed: make(chan struct{})} }

// Dial connects, and returns the client's end once the other one is accepted. On a closed
// listener, whose server has ended, it is closed at once.
func (l *Listener) Dial() net.Conn {
	near, far := net.Pipe()
	l.Bring(near)
	return far
}

// Bring has a connection accepted that the test has made.
func (l *Listener) Bring(c net.Conn) {
	select {
	case l.come <- c:
	case <-l.closed:
		c.Close()
	}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]; it may be called again.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
