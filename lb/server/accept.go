package server

import (
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// accept accepts until the listener is closed.
func (s *Server) accept() {
	p := pause{server: s}
	for {
		nc, err := s.listener.Accept()
		switch {
		case err == nil:
			p.over()
			s.admit(nc)
		case errors.Is(err, net.ErrClosed):
			return
		case !p.sit(err):
			return
		}
	}
}

// pause is an episode of accepts that fail: the process is out of descriptors or
// memory, which may pass. It is told of once, however long it lasts.
type pause struct {
	server *Server
	since  time.Time     // zero: none
	next   time.Duration // to the next try
}

const shortestPause, longestPause = 5 * time.Millisecond, time.Second

// sit waits before the next try, and no longer than until a connection ends. It
// reports whether there is to be one.
func (p *pause) sit(err error) bool {
	s := p.server
	if p.since.IsZero() {
		p.since = time.Now()
		s.room.wanted.Store(true)
		name := s.settings.Load().Name
		open, _ := s.Connections()
		s.logger.Warn("accepting connections failed: paused until it works again. If the process is out of file descriptors, "+
			"raise its limit or lower the listener's limits.connections", "listener", name, "error", err, "connections", open)
		if f := s.events.AcceptPaused; f != nil {
			f(name)
		}
	}
	p.next = min(max(2*p.next, shortestPause), longestPause)
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.room.made:
	case <-s.drain:
		return false
	}
	return true
}

// over ends the episode, if there is one.
func (p *pause) over() {
	if p.since.IsZero() {
		return
	}
	s := p.server
	s.room.wanted.Store(false)
	s.logger.Info("accepting connections again", "listener", s.settings.Load().Name, slog.Duration("after", time.Since(p.since)))
	p.since, p.next = time.Time{}, 0
}

// room tells a pause that a connection has ended and left its descriptor.
type room struct {
	wanted atomic.Bool
	made   chan struct{} // holds one
}

func (r *room) make() {
	if r.wanted.Load() {
		select {
		case r.made <- struct{}{}:
		default:
		}
	}
}
