package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/scenario"
)

// Server is the process.
type Server struct {
	address  string
	options  model.Options
	visits   chan Visit
	full     chan struct{} // closed when there were more visits than room for them
	overflow sync.Once
	ending   chan struct{}

	mu       sync.Mutex
	endpoint *model.Endpoint // another one after a crash
	listener net.Listener    // nil: it refuses
	faults   map[int]*model.Fault
	number   int // of faults so far
	visited  int // by those that have crashed
}

// New returns one that is to listen at an address. It does nothing yet.
func New(address string, o model.Options) *Server {
	s := &Server{
		address: address, visits: make(chan Visit, maxVisits), full: make(chan struct{}), ending: make(chan struct{}),
		faults: map[int]*model.Fault{},
	}
	s.options = o
	s.endpoint = s.model()
	return s
}

// model is an endpoint that has nothing wrong with it.
func (s *Server) model() *model.Endpoint {
	o, base := s.options, s.visited
	o.Visited = func(n int, v model.Visit) {
		select {
		case s.visits <- Visit{base + n, v}:
		default:
			s.overflow.Do(func() { close(s.full) })
		}
	}
	return model.New(o)
}

// crash ends the endpoint as a process that is killed: connections are reset, nobody
// listens, and what was wrong with it is forgotten. Another one begins as it is to listen
// again. The machine stays, and refuses.
func (s *Server) crash() {
	s.refuse()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoint.Crash()
	s.visited += len(s.endpoint.Visits())
	clear(s.faults)
	s.endpoint = s.model()
}

// finishing is how long what is under way in the end may take.
const finishing = 5 * time.Second

// Serve listens, and does what it is told over control, until ctx ends. What is under way
// then is finished, if it does not take longer than 5 s. Nothing is left running.
func (s *Server) Serve(ctx context.Context, control net.Listener) error {
	if err := s.listen(); err != nil {
		control.Close()
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", s.state)
	mux.HandleFunc("POST /faults", s.begin)
	mux.HandleFunc("GET /faults/{id}", func(w http.ResponseWriter, r *http.Request) { s.fault(w, r, false) })
	mux.HandleFunc("DELETE /faults/{id}", func(w http.ResponseWriter, r *http.Request) { s.fault(w, r, true) })
	mux.HandleFunc("PUT /refuse", func(w http.ResponseWriter, _ *http.Request) { s.refuse() })
	mux.HandleFunc("DELETE /refuse", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.listen(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { s.crash() })
	mux.HandleFunc("GET /visits", s.follow)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- h.Serve(control) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	s.refuse()
	s.mu.Lock()
	e := s.endpoint
	s.mu.Unlock()
	e.Drain()
	for end := time.Now().Add(finishing); e.Open() > 0 && time.Now().Before(end); {
		time.Sleep(gather)
	}
	e.Stop()
	close(s.ending) // whoever follows is told the rest
	over, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err == nil {
		if h.Shutdown(over) != nil {
			h.Close()
		}
		err = <-served
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.listener = l
	s.endpoint.Serve(l)
	return nil
}

// refuse has the system refuse who connects: nobody listens.
func (s *Server) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
}

func (s *Server) state(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	now := State{s.listener != nil, s.endpoint.Open()}
	s.mu.Unlock()
	respond(w, now)
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request) {
	var f scenario.Fault
	d := json.NewDecoder(io.LimitReader(r.Body, maxFault))
	d.DisallowUnknownFields() // of another release
	if err := d.Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.number++
	id := s.number
	s.faults[id] = s.endpoint.Begin(&f)
	s.mu.Unlock()
	respond(w, id)
}

// fault says how many requests a fault has touched, and ends it if it is to.
func (s *Server) fault(w http.ResponseWriter, r *http.Request, end bool) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	s.mu.Lock()
	f, e := s.faults[id], s.endpoint
	s.mu.Unlock()
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if end {
		e.End(f)
	}
	respond(w, e.Touched(f))
}

func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// follow streams the visits, one line of JSON each. There is one who follows: what it is
// told nobody else is.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	stream, lines := http.NewResponseController(w), json.NewEncoder(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	send := func() bool {
		stream.SetWriteDeadline(time.Now().Add(10 * time.Second))
		for range len(s.visits) {
			if lines.Encode(<-s.visits) != nil {
				return false
			}
		}
		return stream.Flush() == nil
	}
	for tick := 0; ; tick++ {
		if len(s.visits) > 0 || tick%int(beat/gather) == 0 {
			if tick%int(beat/gather) == 0 {
				io.WriteString(w, "\n")
			}
			if !send() {
				return
			}
		}
		timer := time.NewTimer(gather)
		select {
		case <-timer.C:
			continue
		case <-s.ending:
			send()
		case <-s.full:
			send()
			panic(http.ErrAbortHandler) // the stream is not whole
		case <-r.Context().Done():
		}
		timer.Stop()
		return
	}
}
