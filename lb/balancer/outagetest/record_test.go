package outagetest

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"go-loadbalancer/lb/event"
)

// recorder keeps what a balancer tells.
type recorder struct {
	began time.Time

	mu       sync.Mutex
	names    map[event.ID]string // addresses of endpoints
	attempts []attempt
	requests []request
	breakers []event.BreakerChange
	lives    []life // of the endpoints of breakers
	retired  map[event.ID]int
	healths  []event.HealthChange
	panics   []event.PanicChange
	commits  []event.Commit
	refused  map[event.RetryRefusal]int
	// turned is told of every transition of a breaker, at once.
	turned func(event.BreakerChange)
}

// attempt is an [event.Attempt] with its endpoint's address, its times since
// the beginning.
type attempt struct {
	event.Attempt
	life       life
	to         string
	start, end time.Duration
}

// life is an endpoint from its addition to its retirement: its id is another's then.
type life struct {
	id event.ID
	n  int
}

// life of an id, now. The caller holds mu.
func (r *recorder) life(id event.ID) life { return life{id, r.retired[id]} }

// request is an [event.Request] whose bytes were copied.
type request struct {
	event.Request
	id         string
	start, end time.Duration
}

func newRecorder(began time.Time) *recorder {
	return &recorder{began: began, names: map[event.ID]string{}, retired: map[event.ID]int{}, refused: map[event.RetryRefusal]int{}}
}

func (r *recorder) events() *event.Listener {
	return &event.Listener{
		PolicyPrepared: func(c *event.Catalog) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, e := range c.Endpoints {
				r.names[e.ID] = e.Address
			}
		},
		PolicyCommitted: func(c *event.Commit) { r.mu.Lock(); defer r.mu.Unlock(); r.commits = append(r.commits, *c) },
		RequestEnded: func(e *event.Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			at := e.Start.Sub(r.began)
			kept := request{*e, string(e.RequestID), at, at + e.Duration}
			kept.Method, kept.Scheme, kept.Host, kept.Target, kept.UserAgent, kept.RequestID, kept.Span.State = nil, nil, nil, nil, nil, nil, nil
			r.requests = append(r.requests, kept)
		},
		AttemptEnded: func(a *event.Attempt) {
			r.mu.Lock()
			defer r.mu.Unlock()
			at := a.Start.Sub(r.began)
			kept := attempt{*a, r.life(a.Endpoint), r.names[a.Endpoint], at, at + a.Duration}
			kept.RequestID, kept.Span.State, kept.Method, kept.Target = nil, nil, nil, nil
			r.attempts = append(r.attempts, kept)
		},
		BreakerChanged: func(c event.BreakerChange) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.breakers, r.lives = append(r.breakers, c), append(r.lives, r.life(c.Endpoint))
			if r.turned != nil {
				r.turned(c)
			}
		},
		EndpointRetired: func(id event.ID) { r.mu.Lock(); defer r.mu.Unlock(); r.retired[id]++ },
		HealthChanged:   func(c event.HealthChange) { r.mu.Lock(); defer r.mu.Unlock(); r.healths = append(r.healths, c) },
		PanicChanged:    func(c event.PanicChange) { r.mu.Lock(); defer r.mu.Unlock(); r.panics = append(r.panics, c) },
		RetryRefused: func(_ event.ID, why event.RetryRefusal) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.refused[why]++
		},
	}
}

// sort puts the attempts in the order in which they began.
func (r *recorder) sort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.attempts, func(a, b attempt) int { return cmp.Compare(a.start, b.start) })
}

// tries returns the attempts that began in a time, probes and mirrors left out:
// those to an endpoint and those to all of its pool.
func (r *recorder) tries(to *backend, from, until time.Duration) (its, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var pool event.ID = event.None
	for id, name := range r.names {
		if name == to.address {
			for i := range r.attempts {
				if r.attempts[i].Endpoint == id {
					pool = r.attempts[i].Pool
					break
				}
			}
		}
	}
	for i := range r.attempts {
		if a := &r.attempts[i]; a.start >= from && a.start < until && !a.Probe && !a.Mirror {
			if a.Pool == pool || pool == event.None {
				all++
			}
			if a.to == to.address {
				its++
			}
		}
	}
	return its, all
}

// share is an endpoint's share of its pool's attempts that began in a time.
func (r *recorder) share(of *backend, from, until time.Duration) float64 {
	its, all := r.tries(of, from, until)
	return ratio(its, all)
}

// fewest is how many events a window must have to be judged.
const fewest = 20

// shares are the least and the greatest share in any window in a time; windows
// begin a tenth of a window apart.
func (r *recorder) shares(of *backend, window, from, until time.Duration) (least, greatest float64) {
	least = 1
	for at := from; at+window <= until; at += window / 10 {
		if its, all := r.tries(of, at, at+window); all >= fewest {
			s := ratio(its, all)
			least, greatest = min(least, s), max(greatest, s)
		}
	}
	return least, greatest
}

// probesAtOnce is the most probes of an endpoint under way at once. A probe is
// judged within limit, though its request may go on: an answer may be long.
func (r *recorder) probesAtOnce(of *backend, limit time.Duration) int {
	return r.probes(limit, func(a *attempt) bool { return a.to == of.address })
}

// probes is probesAtOnce of some attempts.
func (r *recorder) probes(limit time.Duration, of func(*attempt) bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	type edge struct {
		at   time.Duration
		step int
	}
	var edges []edge
	for i := range r.attempts {
		if a := &r.attempts[i]; a.Probe && of(a) {
			edges = append(edges, edge{a.start, 1}, edge{min(a.end, a.start+limit), -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}

// amplification is attempts to requests that were tried, in a time.
func (r *recorder) amplification(from, until time.Duration) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	tries, requests := 0, 0
	for i := range r.attempts {
		if a := &r.attempts[i]; a.start >= from && a.start < until && !a.Mirror {
			tries++
			if a.Number == 1 {
				requests++
			}
		}
	}
	return ratio(tries, requests)
}

// turns are an endpoint's breaker's transitions to a state, as times.
func (r *recorder) turns(of *backend, to event.BreakerState) (times []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.breakers {
		if c.Address == of.address && c.To == to {
			times = append(times, c.At.Sub(r.began))
		}
	}
	return times
}

// path is the states an endpoint's breaker went through, and when each began.
func (r *recorder) path(of *backend) (states []event.BreakerState, since []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	states, since = []event.BreakerState{event.BreakerClosed}, []time.Duration{0}
	for _, c := range r.breakers {
		if c.Address == of.address {
			states, since = append(states, c.To), append(since, c.At.Sub(r.began))
		}
	}
	return states, since
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
