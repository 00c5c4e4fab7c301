package expect

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// index finds things in a run.
type index struct {
	*history.Run
	cast     *cast
	timeline []scenario.Fault // as the scenario has it
	replicas []string         // all there ever were

	byID     map[string]int32
	routes   []string // of each request; of one that the balancer said nothing of, that of its like
	tries    []int32  // the first attempt of each request, -1: none
	then     []int32  // the next attempt of the same request, -1: none
	request  []int32  // of each attempt, -1: not known
	lives    map[string]*timeline
	streams  map[string]*stream
	ranked   map[string]*ranks
	breakers map[place]*timeline
	healths  map[place]*timeline
	stayed   *stays // nil: not looked at yet
}

// place is an endpoint as a replica sees it.
type place struct{ replica, endpoint string }

// ranks is the order of a stream's values.
type ranks struct {
	rank   []int32
	sorted []time.Duration
}

const (
	up       = "up"
	unwell   = "unhealthy"
	healthy  = "healthy"
	closed   = string(event.BreakerClosed)
	open     = string(event.BreakerOpen)
	halfOpen = string(event.BreakerHalfOpen)
)

func newIndex(run *history.Run, c *cast) *index {
	x := &index{
		Run: run, cast: c, byID: make(map[string]int32, len(run.Requests)),
		streams: map[string]*stream{}, ranked: map[string]*ranks{},
	}
	x.indexReplicas()
	x.routes, x.tries = make([]string, len(run.Requests)), make([]int32, len(run.Requests))
	x.then, x.request = make([]int32, len(run.Attempts)), make([]int32, len(run.Attempts))
	like := map[[2]int]string{}
	for i := range run.Requests {
		r := &run.Requests[i]
		x.byID[r.ID] = int32(i)
		x.tries[i] = -1
		if r.Route != "" {
			like[[2]int{r.Load, r.Kind}] = r.Route
		}
	}
	for i := range run.Requests {
		r := &run.Requests[i]
		x.routes[i] = cmp.Or(r.Route, like[[2]int{r.Load, r.Kind}])
	}
	for i := len(run.Attempts) - 1; i >= 0; i-- {
		x.then[i], x.request[i] = -1, -1
		a := &run.Attempts[i]
		if r, ok := x.byID[a.Request]; ok && a.Request != "" {
			x.request[i] = r
			x.then[i], x.tries[r] = x.tries[r], int32(i)
		}
	}
	x.breakers = map[place]*timeline{}
	for i := range run.Breakers {
		b := &run.Breakers[i]
		at := place{b.Replica, b.Endpoint}
		if x.breakers[at] == nil {
			x.breakers[at] = x.line(b.Replica, closed)
		}
		x.insert(x.breakers[at], b.At, b.To)
	}
	x.healths = map[place]*timeline{}
	for i := range run.Healths {
		h := &run.Healths[i]
		at := place{h.Replica, h.Endpoint}
		if x.healths[at] == nil {
			x.healths[at] = x.line(h.Replica, x.initialHealth(h.Endpoint))
		}
		state := unwell
		if h.Healthy {
			state = healthy
		}
		x.insert(x.healths[at], h.At, state)
	}
	return x
}

// indexReplicas finds out who was up when.
func (x *index) indexReplicas() {
	x.lives = map[string]*timeline{}
	for i := range max(1, x.Replicas) {
		x.replicas = append(x.replicas, replicaName(i))
	}
	for i := range x.Lives {
		if name := x.Lives[i].Replica; !slices.Contains(x.replicas, name) {
			x.replicas = append(x.replicas, name)
		}
	}
	slices.SortFunc(x.replicas, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	for _, name := range x.replicas {
		line := &timeline{}
		for i := range x.Lives {
			l := &x.Lives[i]
			if l.Replica != name {
				continue
			}
			if len(line.at) == 0 && !l.Up {
				line.turn(0, up)
			}
			state := absent
			if l.Up {
				state = up
			}
			line.turn(l.At, state)
		}
		if len(line.at) == 0 {
			line.turn(0, up)
		}
		x.lives[name] = line
	}
}

// line is a replica's state that begins anew whenever the replica does.
func (x *index) line(replica, initial string) *timeline {
	out := &timeline{}
	lives := x.lives[replica]
	if lives == nil {
		out.turn(0, initial)
		return out
	}
	for i, at := range lives.at {
		state := initial
		if lives.state[i] == absent {
			state = absent
		}
		out.turn(at, state)
	}
	return out
}

// insert has a line be another state from an instant until what it has after that.
func (x *index) insert(t *timeline, at time.Duration, state string) {
	i, found := slices.BinarySearch(t.at, at)
	if found {
		t.state[i] = state
		return
	}
	t.at, t.state = slices.Insert(t.at, i, at), slices.Insert(t.state, i, state)
}

func (x *index) initialHealth(endpoint string) string {
	state := healthy
	x.cast.each(poolOf(endpoint), func(p *policy.Pool) {
		if a := p.HealthCheck.Active; a != nil && a.InitialState == "Unhealthy" {
			state = unwell
		}
	})
	return state
}

// breaker is the state of an endpoint's breaker.
func (x *index) breaker(replica, endpoint string) *timeline {
	if t := x.breakers[place{replica, endpoint}]; t != nil {
		return t
	}
	return x.line(replica, closed)
}

func (x *index) health(replica, endpoint string) *timeline {
	if t := x.healths[place{replica, endpoint}]; t != nil {
		return t
	}
	return x.line(replica, x.initialHealth(endpoint))
}

// version is the version of the policy that serves at a replica.
func (x *index) version(replica string) *timeline {
	out := x.line(replica, absent)
	for i := range x.Policies {
		if p := &x.Policies[i]; p.Replica == replica && p.Refused == "" {
			x.insert(out, p.At, p.Version)
		}
	}
	return out
}

// upAll says whether a replica was up at every instant in [from, to].
func (x *index) upAll(replica string, from, to time.Duration) bool {
	l := x.lives[replica]
	return l != nil && !l.ever(from, to, func(s string) bool { return s == absent }) && l.when(from) == up
}

// eachTry calls f with a request's attempts, by start, the copies of mirrors left out.
func (x *index) eachTry(request int, f func(*history.Attempt)) {
	for i := x.tries[request]; i >= 0; i = x.then[i] {
		if a := &x.Attempts[i]; !a.Mirror {
			f(a)
		}
	}
}

// address is an endpoint's, or empty if the run does not name it.
func (x *index) address(endpoint string) string {
	for i := range x.Pools {
		p := &x.Pools[i]
		if n, ok := strings.CutPrefix(endpoint, p.Name+"/"); ok {
			if n, err := strconv.Atoi(n); err == nil && n >= 1 && n <= len(p.Endpoints) {
				return p.Endpoints[n-1]
			}
		}
	}
	return ""
}

// lost says whether no answer to a request came to its end, unless it was its endpoint
// that broke off one it had begun.
func (x *index) lost(request int) bool {
	r := &x.Requests[request]
	if r.Whole {
		return false
	}
	if r.Status == 0 {
		return true
	}
	lost := true
	x.eachTry(request, func(a *history.Attempt) {
		switch event.Result(a.Result) {
		case event.Truncated, event.TimedOut, event.Reset, event.ProtocolError:
			lost = false
		}
	})
	return lost
}

// shed says whether the balancer itself refused a request for want of room.
func shed(r *history.Request) bool { return r.Status == 503 && r.By == "" }

// examples are requests with their attempts.
func (x *index) examples(requests []int32) (out []Example) {
	for _, i := range requests {
		e := Example{Request: x.Requests[i]}
		for a := x.tries[i]; a >= 0; a = x.then[a] {
			e.Attempts = append(e.Attempts, x.Attempts[a])
		}
		out = append(out, e)
	}
	return out
}

// mostExamples is how many are shown.
const mostExamples = 5
