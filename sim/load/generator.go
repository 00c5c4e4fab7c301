package load

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// Options are what clients have to know.
type Options struct {
	Loads []scenario.Load
	Seed  uint64
	Began time.Time     // the run's beginning
	End   time.Duration // of loads that say none
	// Replicas are those that may be sent requests now, by name.
	Replicas func() []string
	// Dial connects client, a number from 0, to a listener of a replica.
	Dial func(ctx context.Context, client int, replica, listener string) (net.Conn, error)
	// Host is what a request to a replica says as Host.
	Host func(replica string, l *scenario.Load, r *scenario.Request) string
	// SessionHeader is the field that carries sessions, both ways; empty: cookies do.
	SessionHeader string
	// Most is how many requests there are at the most, retries included; 0: no bound. When
	// they are there no further ones begin, and Full says so.
	Most int
	// Clock returns a new clock; nil: loads keep to the nanosecond, or try to.
	Clock func() Clock
}

// Clock says at which instants somebody may act: with one of their own for everybody no
// two things happen at once.
type Clock interface {
	Round(time.Time) time.Time // the next, not before that time
}

// Generator makes the requests of a scenario's loads. Run is called once, the other
// methods after it.
type Generator struct {
	o Options

	mu      sync.Mutex
	idle    map[place][]*conn
	clients int // of connections that nobody's are, so far
	turn    int // whose it is among the replicas
	records []*history.Request
	begun   int  // requests, so that those are counted too whose goroutine has not run yet
	full    bool // there was no room for one more
	behind  time.Duration
	running sync.WaitGroup
}

// place is what connections are kept for.
type place struct {
	replica, listener string
	client            int // the session's; 0: anybody's
}

// New returns a generator.
func New(o Options) *Generator { return &Generator{o: o, idle: map[place][]*conn{}} }

// Run makes the requests and returns when all have ended, and all connections are
// closed. When ctx ends no further ones begin; to end those under way is up to whoever
// dials.
func (g *Generator) Run(ctx context.Context) {
	for i := range g.o.Loads {
		g.begin(ctx, i)
	}
	g.running.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	places := slices.SortedFunc(maps.Keys(g.idle), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.replica, b.replica), cmp.Compare(a.listener, b.listener), cmp.Compare(a.client, b.client))
	})
	for _, at := range places {
		for _, c := range g.idle[at] {
			c.Close()
		}
	}
}

// Requests are all of them, by intended start.
func (g *Generator) Requests() []history.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.SortFunc(g.records, func(a, b *history.Request) int {
		return cmp.Or(cmp.Compare(a.Intended, b.Intended), cmp.Compare(a.ID, b.ID))
	})
	all := make([]history.Request, len(g.records))
	for i, r := range g.records {
		all[i] = *r
	}
	return all
}

// Behind is by how much a request began late at the most.
func (g *Generator) Behind() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.behind
}

// Full says whether more requests were to come than there may be: the run is not what its
// scenario says.
func (g *Generator) Full() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.full
}

// room says whether one request more may come.
func (g *Generator) room() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.o.Most > 0 && g.begun >= g.o.Most {
		g.full = true
		return false
	}
	g.begun++
	return true
}

// source is one load at work.
type source struct {
	*scenario.Load
	g        *Generator
	index    int
	from, to time.Duration
	weights  int
	random   *rand.Rand // of whoever makes the source's requests one after the other
	sessions []*session

	mu     sync.Mutex
	number int // requests so far
}

func (g *Generator) begin(ctx context.Context, index int) {
	l := &g.o.Loads[index]
	s := &source{Load: l, g: g, index: index, from: l.From, to: l.To, random: g.random(index, 0)}
	if s.to == 0 {
		s.to = g.o.End
	}
	for i := range l.Requests {
		s.weights += l.Requests[i].Weight
	}
	for i := range l.Sessions {
		s.sessions = append(s.sessions, &session{number: i + 1})
	}
	if l.Users == 0 {
		g.running.Go(func() { s.open(ctx) })
		return
	}
	for i := range l.Users {
		g.running.Go(func() { s.user(ctx, i) })
	}
}

// random is a source for one purpose of a load.
func (g *Generator) random(load, purpose int) *rand.Rand {
	return rand.New(rand.NewPCG(g.o.Seed, uint64(load)<<32|uint64(purpose)))
}

// clock is a new one.
func (g *Generator) clock() Clock {
	if g.o.Clock == nil {
		return exact{}
	}
	return g.o.Clock()
}

type exact struct{}

func (exact) Round(t time.Time) time.Time { return t }

// until sleeps until a time, if ctx lasts so long.
func until(ctx context.Context, t time.Time) bool {
	if ctx.Done() == nil {
		time.Sleep(time.Until(t))
		return true
	}
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// record notes a request that begins.
func (s *source) record(r *history.Request) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	s.g.records = append(s.g.records, r)
	s.g.behind = max(s.g.behind, r.Start-r.Intended)
}

// next is the id of the next request.
func (s *source) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	b := append(make([]byte, 0, 16), 'r')
	b = strconv.AppendInt(b, int64(s.index), 10)
	b = append(b, '-')
	return string(strconv.AppendInt(b, int64(s.number), 10))
}

// kind draws which of the load's requests comes next.
func (s *source) kind(r *rand.Rand) int {
	if len(s.Load.Requests) == 1 {
		return 0
	}
	if s.weights == 0 { // nobody has said any
		return r.IntN(len(s.Load.Requests))
	}
	n := r.IntN(s.weights)
	for i := range s.Load.Requests {
		if n -= s.Load.Requests[i].Weight; n < 0 {
			return i
		}
	}
	return 0
}
