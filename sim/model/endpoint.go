package model

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go-loadbalancer/sim/scenario"
)

// Options are what an endpoint is like when it is well.
type Options struct {
	Name     string // what it calls itself
	Seed     uint64
	Latency  scenario.Latency
	Capacity float64 // requests a second; 0: no bound
	Queue    int     // requests that wait for their turn at most
	BodySize int     // of answers
	// Health is the path of health checks: requests without X-Request-Id for it. Empty:
	// there are none.
	Health string
	// Visited is told of each visit, by its number from 0, when it comes, when all of the
	// request is there, and when its answer has been sent. It must not wait. Nil: nobody
	// asks.
	Visited func(n int, v Visit) `json:"-"`
}

// Endpoint is one backend. Its methods may be called by any goroutine.
type Endpoint struct {
	o Options

	mu       sync.Mutex
	random   *rand.Rand
	faults   []*Fault       // by beginning
	free     time.Time      // when all it has taken on will have been served
	answers  map[int][]byte // whole ones that are well, by status
	listener net.Listener
	conns    map[*conn]bool // true: between requests
	numbers  uint64         // of connections so far
	drains   int            // so far; connections of before one have one more answer at most
	paused   int
	resumed  sync.Cond
	visits   []Visit
	checks   int
	stopped  chan struct{} // closed by Stop
	stop     sync.Once
	joined   sync.WaitGroup
}

// Visit is a request that came, health checks left out.
type Visit struct {
	At   time.Time
	ID   string // X-Request-Id
	Some bool   // some of the body is missing, not all came
	Sent int64  // bytes of the answer's body that it got rid of
}

// New returns an endpoint that does not listen yet.
func New(o Options) *Endpoint {
	e := &Endpoint{o: o, random: rand.New(rand.NewPCG(o.Seed, 0x656e64)), answers: map[int][]byte{}, conns: map[*conn]bool{}, stopped: make(chan struct{})}
	e.resumed.L = &e.mu
	return e
}

// Serve answers what comes by a listener, until Drain or the listener's end.
func (e *Endpoint) Serve(l net.Listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listener = l
	e.joined.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c := e.open(nc)
			e.joined.Go(c.serve)
		}
	})
}

// Drain ends it as SIGTERM does: it listens no more, and what is under way is finished.
func (e *Endpoint) Drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener != nil {
		e.listener.Close()
	}
	e.drains++
	e.hangUp()
}

// hangUp closes the connections that have no request.
func (e *Endpoint) hangUp() {
	for _, c := range e.ordered() {
		if e.conns[c] {
			c.Close()
		}
	}
}

// Stop drains it, closes all that is left and returns when every goroutine has ended.
func (e *Endpoint) Stop() {
	e.Drain()
	e.stop.Do(func() { close(e.stopped) })
	e.mu.Lock()
	e.paused = 0
	e.resumed.Broadcast()
	for _, c := range e.ordered() {
		c.Close()
	}
	e.mu.Unlock()
	e.joined.Wait()
}

// Crash ends it as SIGKILL does: all its connections are reset.
func (e *Endpoint) Crash() {
	e.mu.Lock()
	for _, c := range e.ordered() {
		if abrupt, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
			abrupt.SetLinger(0)
		}
	}
	e.mu.Unlock()
	e.Stop()
}

// Visits are the requests that came, in order.
func (e *Endpoint) Visits() []Visit {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.visits
}

// Open is how many connections there are.
func (e *Endpoint) Open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// visited tells of a visit; the lock is held.
func (e *Endpoint) visited(n int) {
	if e.o.Visited != nil && n >= 0 {
		e.o.Visited(n, e.visits[n])
	}
}

// Checks is how many health checks came.
func (e *Endpoint) Checks() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.checks
}

// slowest is how long an endpoint takes over a request at the most, however small its
// capacity: longer than any run, and far from what a duration cannot hold.
const slowest = 48 * time.Hour

// admit takes a request on, if it can; wait is how long until it is served. Requests are
// served one after the other, each for its part of a second.
func (e *Endpoint) admit(now time.Time) (wait time.Duration, ok bool) {
	if e.o.Capacity <= 0 {
		return 0, true
	}
	each := time.Duration(min(float64(time.Second)/e.o.Capacity, float64(slowest)))
	if e.free.Before(now) {
		e.free = now
	}
	wait = e.free.Sub(now)
	if ahead := (wait + each - 1) / each; ahead > time.Duration(e.o.Queue) { // one is being served
		return 0, false
	}
	e.free = e.free.Add(each)
	return wait, true
}
