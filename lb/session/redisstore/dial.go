package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// dialTimeout is how long a connection may take, TLS included.
const dialTimeout = time.Second

// dialer opens connections until the store is closed. It never fails: a connection
// that cannot be had is one that fails when it is used. go-redis would else have a
// goroutine that goes on dialing when the store is closed, and would not notice for
// up to a second that Redis is back.
func (s *Store) dialer(p place) func(ctx context.Context, network, addr string) (net.Conn, error) {
	network := "tcp"
	if p.form == formUnix {
		network = "unix"
	}
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		defer context.AfterFunc(s.open, cancel)()
		conn, err := s.dial(ctx, network, addr)
		if err != nil {
			return unreachable{err}, nil
		}
		if p.tls == nil {
			return conn, nil
		}
		config := p.tls.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return unreachable{err}, nil
		}
		return secure, nil
	}
}

// unreachable is a connection to where none could be opened.
type unreachable struct{ err error }

func (u unreachable) Read([]byte) (int, error)       { return 0, u.err }
func (u unreachable) Write([]byte) (int, error)      { return 0, u.err }
func (unreachable) Close() error                     { return nil }
func (unreachable) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (unreachable) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (unreachable) SetDeadline(time.Time) error      { return nil }
func (unreachable) SetReadDeadline(time.Time) error  { return nil }
func (unreachable) SetWriteDeadline(time.Time) error { return nil }
