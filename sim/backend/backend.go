package backend

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of what a backend takes on and gives out.
const (
	MaxConnections  = 8192             // open at once for each Serve
	MaxBody         = 1 << 30          // bytes of a request body, and of ?size=
	MaxChunks       = 10_000           // of ?chunks=
	MaxMessage      = 1 << 20          // bytes of a WebSocket message
	MaxWait         = 10 * time.Minute // of any latency or pause
	progressTimeout = 30 * time.Second // longest a peer may make no progress in a body
	stopTimeout     = 2 * time.Second  // how long requests in flight may finish at the end
)

// Options say who a backend is. The zero value works.
type Options struct {
	// Name is what the backend calls itself in its answers; empty: the address
	// it listens on.
	Name string
	// Seed decides everything that is left to chance. Backends given the same
	// seed behave the same.
	Seed uint64
	// Latency is how long the backend takes over a request while no fault
	// changes it; zero: no time at all.
	Latency Latency
	// Served is told of every request that [Backend.Requests] counts, once it has ended,
	// by several goroutines at once; nil: nobody is.
	Served func(Served)
}

// Served is a request as the backend saw it.
type Served struct {
	Request     uint64 // its number, from 1
	Start, End  time.Time
	Answered    time.Time // just before the answer's head was written; zero: none was
	Method      string
	Path        string // with the query, as it came
	RequestID   string // X-Request-Id
	Traceparent string
	// Status is what was answered; 0: nothing was, or no answer that is HTTP.
	Status int
	// Whole: all of the answer was given to the connection.
	Whole bool
}

// Backend is one fake backend. Its methods are safe for concurrent use.
type Backend struct {
	opts     Options
	requests atomic.Uint64
	checks   atomic.Uint64
	pattern  []byte // what ?size= repeats

	mu     sync.Mutex // held while active is replaced
	active atomic.Pointer[active]
}

// active is the faults in force, with what they have used up.
type active struct {
	Faults
	first atomic.Int64    // requests that First will still fail
	ctx   context.Context // done once the faults are replaced or over
	end   context.CancelFunc
	until time.Time // zero: until replaced
}

// New makes a backend without faults. It starts nothing.
func New(o Options) *Backend {
	b := &Backend{opts: o, pattern: make([]byte, 32<<10)}
	for i := range b.pattern {
		b.pattern[i] = 'a' + byte(i%26)
	}
	b.active.Store(newActive(Faults{}))
	return b
}

// SetFaults replaces all faults by f. Requests that an earlier fault holds are
// let go: their connection is closed. The error says which field is wrong.
func (b *Backend) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active.Swap(newActive(f)).end()
	return nil
}

// Faults returns the faults in force, For being the time they have left.
func (b *Backend) Faults() Faults {
	a := b.active.Load()
	if a.ctx.Err() != nil {
		return Faults{}
	}
	f := a.Faults
	if !a.until.IsZero() {
		f.For = Duration(max(time.Until(a.until), time.Millisecond).Round(time.Millisecond))
	}
	return f
}

// Requests counts the requests that came, health checks and those for the
// faults themselves left out.
func (b *Backend) Requests() uint64 { return b.requests.Load() }

func newActive(f Faults) *active {
	a := &active{Faults: f}
	a.first.Store(int64(f.First.Requests))
	if f.For > 0 {
		a.until = time.Now().Add(time.Duration(f.For))
		a.ctx, a.end = context.WithDeadline(context.Background(), a.until)
	} else {
		a.ctx, a.end = context.WithCancel(context.Background())
	}
	return a
}

// now returns what is in force for a request that comes now; never nil.
func (b *Backend) now() *active {
	a := b.active.Load()
	if a.ctx.Err() == nil {
		return a
	}
	// Over by itself, or replaced a moment ago: well, and holding nothing.
	return &active{ctx: a.ctx}
}

// Serve answers on ln until ctx is done, lets requests in flight finish for up
// to two seconds, closes what is left, joins every goroutine and returns nil.
// Streams and tunnels are ended as soon as ctx is done. It closes ln. A
// listener that fails is the only error.
//
// A Backend may be served again, and on several listeners at once.
func (b *Backend) Serve(ctx context.Context, ln net.Listener) error {
	killed, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	s := &server{b: b, stopping: ctx, killed: killed, name: b.opts.Name}
	if s.name == "" {
		s.name = ln.Addr().String()
	}
	hs := &http.Server{
		Handler:           s,
		ConnState:         s.track,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than a balancer keeps its idle connections
		MaxHeaderBytes:    64 << 10,
		// What net/http has to say is about connections broken on purpose.
		ErrorLog: log.New(io.Discard, "", 0),
	}

	stopped := make(chan struct{})
	failed := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
		case <-failed:
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if hs.Shutdown(grace) != nil {
			hs.Close()
		}
		// Shutdown does not wait for connections taken over by a handler.
		joined := make(chan struct{})
		go func() { s.running.Wait(); close(joined) }()
		select {
		case <-joined:
		case <-grace.Done():
			kill()
			<-joined
		}
	}()

	err := hs.Serve(ln)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	close(failed)
	<-stopped
	return err
}

// server is one Serve of a backend.
type server struct {
	b        *Backend
	name     string
	stopping context.Context // done when the backend is to stop
	killed   context.Context // done when it has waited long enough

	// running counts connections until net/http has ended them or, where a
	// handler took one over, until that handler has ended.
	running sync.WaitGroup
	open    atomic.Int64
}

// track follows each connection; net/http calls it for StateNew before it
// starts the connection's goroutine, so running is never joined too early.
func (s *server) track(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.running.Add(1)
		if s.open.Add(1) > MaxConnections {
			c.Close()
		}
	case http.StateClosed:
		s.release()
	}
}

func (s *server) release() {
	s.open.Add(-1)
	s.running.Done()
}

// takeover notices that a handler has taken the connection over, whoever in
// the handler does it.
type takeover struct {
	http.ResponseWriter
	done bool
}

func (t *takeover) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	t.done = t.done || err == nil
	return conn, rw, err
}

// random returns the random source of the nth request of a kind.
func (s *server) random(kind, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(s.b.opts.Seed^kind<<56, n))
}
