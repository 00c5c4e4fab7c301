package memnet

import (
	"net"
	"sync"
)

// listener is a port that is listened on.
type listener struct {
	host    *Host
	address *net.TCPAddr
	come    chan *conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Addr() net.Addr { return l.address }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close resets what was not accepted yet, as a kernel does.
func (l *listener) Close() error {
	l.once.Do(func() {
		n := l.host.net
		n.mu.Lock()
		delete(l.host.listeners, uint16(l.address.Port))
		n.mu.Unlock() // nobody connects any more
		close(l.closed)
		for {
			select {
			case c := <-l.come:
				c.reset()
			default:
				return
			}
		}
	})
	return nil
}
