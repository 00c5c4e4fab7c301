package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// seats is a listener that keeps few connections, and lets nobody wait for one: for each
// that is one too many another is closed, of the least use first, and of those the one that
// has been so longest. So whoever holds connections open shuts nobody out: probes and
// scrapes are answered, and open streams go on.
type seats struct {
	net.Listener
	most int

	mu    sync.Mutex
	taken map[net.Conn]seat
	turns uint64
}

// use is what a connection is used for, the least first.
type use int

const (
	idle      use = iota // between requests
	silent               // before its first request
	serving              // a request
	streaming            // what is endless, and bounded elsewhere
)

type seat struct {
	use   use
	since uint64 // the turn at which it began
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
	if out := s.admit(conn); out != nil {
		out.Close()
	}
	return conn, nil
}

// admit gives a connection a seat, and returns the one that must leave its own; nil if none must.
func (s *seats) admit(conn net.Conn) (out net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) >= s.most {
		var least seat
		for c, seat := range s.taken {
			if out == nil || seat.use < least.use || seat.use == least.use && seat.since < least.since {
				out, least = c, seat
			}
		}
		delete(s.taken, out)
	}
	s.turns++
	s.taken[conn] = seat{silent, s.turns}
	return out
}

func (s *seats) use(conn net.Conn, u use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, seated := s.taken[conn]; seated { // else it was closed for another, and its server does not know yet
		s.turns++
		s.taken[conn] = seat{u, s.turns}
	}
}

func (s *seats) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, conn)
}
