package stage

import (
	"strconv"
	"sync"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/history"
)

// record keeps what one process of a balancer tells.
type record struct {
	replica string
	began   time.Time // of the run; zero: not yet, and everything is at 0
	cast    *cast

	mu       sync.Mutex
	over     bool                // it was killed, and tells nothing any more
	names    map[event.ID]string // of endpoints
	pools    map[event.ID]string
	routes   map[event.ID]string
	attempts []history.Attempt
	requests []ended
	breakers []history.Breaker
	healths  []history.Health
	panics   []history.Panic
	policies []history.Policy
	moves    []history.Move
}

// ended is what a balancer says of a request.
type ended struct {
	id, route, policy, flags, sticky string
	at                               time.Duration
}

func newRecord(replica string, began time.Time, c *cast) *record {
	return &record{
		replica: replica, began: began, cast: c,
		names: map[event.ID]string{}, pools: map[event.ID]string{}, routes: map[event.ID]string{},
	}
}

// since is a time of the run.
func (r *record) since(t time.Time) time.Duration {
	if r.began.IsZero() {
		return 0
	}
	return max(0, t.Sub(r.began))
}

// begin says when the run begins.
func (r *record) begin(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = at
}

// end has it tell nothing any more.
func (r *record) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// served is when its first policy began to serve; never, if none has.
func (r *record) served(never time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.policies {
		if r.policies[i].Refused == "" {
			return r.policies[i].At
		}
	}
	return never
}

// events is the listener that it learns by.
func (r *record) events() *event.Listener {
	return &event.Listener{
		PolicyPrepared:  r.prepared,
		PolicyCommitted: func(c *event.Commit) { r.committed(c) },
		PolicyRejected: func(x *event.Rejection) {
			r.note(func() {
				why := x.Reason
				if x.Err != nil {
					why += ": " + x.Err.Error()
				}
				r.policies = append(r.policies, history.Policy{At: r.since(x.At), Replica: r.replica, Hash: x.Hash, Refused: why})
			})
		},
		RequestEnded: r.ended,
		AttemptEnded: r.tried,
		BreakerChanged: func(c event.BreakerChange) {
			r.note(func() {
				r.breakers = append(r.breakers, history.Breaker{
					At: r.since(c.At), Replica: r.replica, Endpoint: r.names[c.Endpoint],
					From: string(c.From), To: string(c.To), Reason: c.Reason,
				})
			})
		},
		HealthChanged: func(c event.HealthChange) {
			r.note(func() {
				r.healths = append(r.healths, history.Health{
					At: r.since(c.At), Replica: r.replica, Endpoint: r.names[c.Endpoint], Healthy: c.Healthy, Reason: c.Reason,
				})
			})
		},
		PanicChanged: func(c event.PanicChange) {
			r.note(func() {
				r.panics = append(r.panics, history.Panic{At: r.since(c.At), Replica: r.replica, Pool: c.PoolName, On: c.Panic})
			})
		},
		SessionMoved: func(m event.SessionMove) {
			r.note(func() {
				r.moves = append(r.moves, history.Move{At: r.since(time.Now()), Replica: r.replica, Pool: m.PoolName, Reason: string(m.Reason)})
			})
		},
	}
}

// note has something noted, unless the process was killed.
func (r *record) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		f()
	}
}

func (r *record) prepared(c *event.Catalog) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range c.Endpoints {
		r.names[e.ID] = e.PoolName + "/" + strconv.Itoa(0)
		if at := r.cast.at[e.PoolName][e.Address]; at != nil {
			r.names[e.ID] = at.name
		}
	}
	for _, list := range [][]event.Named{c.Pools, c.Mirrors} {
		for _, p := range list {
			r.pools[p.ID] = p.Name
		}
	}
	for _, route := range c.Routes {
		r.routes[route.ID] = route.Name
	}
}

func (r *record) committed(c *event.Commit) {
	if c.Refresh {
		return
	}
	r.note(func() {
		r.policies = append(r.policies, history.Policy{
			At: r.since(c.At), Replica: r.replica, Hash: c.Policy.Hash, Version: c.Policy.Version,
		})
	})
}

func (r *record) ended(e *event.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.requests = append(r.requests, ended{
		id: string(e.RequestID), route: e.RouteName, policy: e.PolicyHash, flags: e.Flags.String(), sticky: e.Session.String(),
		at: r.since(e.Start.Add(e.Duration)),
	})
}

func (r *record) tried(a *event.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	at := r.since(a.Start)
	r.attempts = append(r.attempts, history.Attempt{
		Request: string(a.RequestID), Replica: r.replica, Pool: r.pools[a.Pool], Endpoint: r.names[a.Endpoint],
		Number: a.Number, Start: at, End: at + a.Duration, Status: a.Status, Result: string(a.Result),
		Probe: a.Probe, Mirror: a.Mirror,
	})
}
