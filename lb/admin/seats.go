package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is what a connection that is not idle has to get done before it may be closed for
// another: enough for many at once, and less than a probe waits.
const grace = 500 * time.Millisecond

// seats is a listener that keeps few connections. For each that is one too many another is
// closed, unless it streams: one that is idle, or else has had its grace, of the least use
// first, and of those the one that has been so longest. So whoever holds connections open shuts nobody out:
// probes and scrapes are answered, and open streams go on.
type seats struct {
	net.Listener
	most   int
	freed  chan struct{} // holds one: a seat may be had
	closed chan struct{}
	once   sync.Once // closes closed

	mu    sync.Mutex
	taken map[net.Conn]seat
	turns uint64
}

func newSeats(most int) *seats {
	return &seats{most: most, freed: make(chan struct{}, 1), closed: make(chan struct{}), taken: make(map[net.Conn]seat)}
}

// use is what a connection is used for, the least first.
type use int

const (
	idle      use = iota // between requests
	silent               // before its first request
	serving              // a request
	streaming            // endless, and left alone: fewer than all may be
)

type seat struct {
	use   use
	turn  uint64 // orders those of the same time
	since time.Time
}

// join has the server tell of its connections.
func (s *seats) join(server *http.Server) {
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateActive:
			s.use(conn, serving)
		case http.StateIdle:
			s.use(conn, idle)
		case http.StateClosed, http.StateHijacked:
			s.leave(conn)
		}
	}
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, seatOf{}, conn)
	}
}

type seatOf struct{} // key of a request's connection

// streams makes a handler one of streams.
func (s *seats) streams(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.use(r.Context().Value(seatOf{}).(net.Conn), streaming)
		h(w, r)
	}
}

// Accept implements [net.Listener].
func (s *seats) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		out, wait := s.admit(conn)
		if out != nil {
			out.Close()
		}
		if wait <= 0 {
			return conn, nil
		}
		select {
		case <-s.freed:
		case <-time.After(wait):
		case <-s.closed:
			conn.Close()
			return nil, net.ErrClosed
		}
	}
}

// Close implements [net.Listener].
func (s *seats) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Listener.Close()
}

// admit gives a connection a seat, and returns the one that must leave its own; nil if none
// must. Or it says after what time a seat can be had.
func (s *seats) admit(conn net.Conn) (out net.Conn, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) >= s.most {
		now := time.Now()
		var least seat
		wait = grace
		for c, seat := range s.taken {
			if seat.use == streaming {
				continue
			}
			if left := grace - now.Sub(seat.since); seat.use != idle && left > 0 {
				wait = min(wait, left)
			} else if out == nil || seat.use < least.use || seat.use == least.use && seat.turn < least.turn {
				out, least = c, seat
			}
		}
		if out == nil {
			return nil, wait
		}
		delete(s.taken, out)
	}
	s.seat(conn, silent)
	return out, 0
}

// seat must be called with mu held.
func (s *seats) seat(conn net.Conn, u use) {
	s.turns++
	s.taken[conn] = seat{u, s.turns, time.Now()}
}

func (s *seats) use(conn net.Conn, u use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, seated := s.taken[conn]; !seated {
		return // it was closed for another, and its server does not know yet
	}
	s.seat(conn, u)
	if u == idle {
		s.free()
	}
}

func (s *seats) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, conn)
	s.free()
}

func (s *seats) free() {
	select {
	case s.freed <- struct{}{}:
	default: // it is said already
	}
}
