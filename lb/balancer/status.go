package balancer

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// Status is what the balancer is doing now, as `/api/v1/status` shows it.
type Status struct {
	Policy    PolicyStatus     `json:"policy"`
	Sessions  SessionsStatus   `json:"sessions"`
	Listeners []ListenerStatus `json:"listeners"`
	Pools     []PoolStatus     `json:"pools"`
	Routes    []RouteStatus    `json:"routes"`
}

// ListenerStatus is one listener and its connections.
type ListenerStatus struct {
	Name        string `json:"name"`
	Address     string `json:"address"` // as the policy has it
	Connections int    `json:"connections"`
	// Limit is how many it may have: limits.connections, or fewer if the process has not
	// the descriptors for more, beside those of other listeners.
	Limit int `json:"limit"`
}

// RouteStatus is one route, as its policy has it.
type RouteStatus struct {
	Name      string          `json:"name"`
	Hostnames []string        `json:"hostnames"` // none: any
	Matches   []string        `json:"matches"`   // in words: "GET /cart/*, header X-Beta"
	Backends  []BackendStatus `json:"backends"`  // none: it redirects
	Mirror    string          `json:"mirror"`    // the pool that gets copies; empty: none does
}

// BackendStatus is a pool with its share of a route's requests.
type BackendStatus struct {
	Pool   string `json:"pool"`
	Weight int    `json:"weight"`
}

// PolicyStatus is the policy being served and the last one refused.
type PolicyStatus struct {
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	Hash      string     `json:"hash"`
	Revision  string     `json:"revision"`
	LoadedAt  time.Time  `json:"loadedAt"`
	LastGood  bool       `json:"lastGood"` // restored from the state directory
	LastError *LastError `json:"lastError"`
	// Endpoints is what putting this policy to use did to them.
	Endpoints ChangesStatus `json:"endpoints"`
}

// ChangesStatus counts endpoints.
type ChangesStatus struct {
	Kept    int `json:"kept"` // with their breaker, health, requests, latency and connections
	Added   int `json:"added"`
	Removed int `json:"removed"`
	// What kept ones lost to a changed setting.
	BreakerWindowsReset int `json:"breakerWindowsReset"`
	HealthReset         int `json:"healthReset"`
}

// LastError is why the newest policy is not the one being served.
type LastError struct {
	At      time.Time `json:"at"`
	Hash    string    `json:"hash"`
	Reason  string    `json:"reason"`  // unreadable | invalid | listen: the step that failed
	Message string    `json:"message"` // every diagnostic, as lb validate prints them
}

// SessionsStatus is the state of the session store.
type SessionsStatus struct {
	Store  string `json:"store"`  // redis | memory | cookie | none
	State  string `json:"state"`  // ok | away
	Reason string `json:"reason"` // why it is away; empty if it is not
	// LatencyMs is of the last operations of the shared store, up to 1,024.
	LatencyMs LatencyStatus `json:"latencyMs"`
	// HitRate is the share of requests of sessions in the shared store for which it
	// need not be asked; null: there was none yet.
	HitRate *float64 `json:"hitRate"`
	// Moved counts sessions that got another home, and Refused tickets that were no
	// good, by reason.
	Moved   map[string]uint64 `json:"moved"`
	Refused map[string]uint64 `json:"refused"`
}

// LatencyStatus is how long something took, in milliseconds.
type LatencyStatus struct {
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
}

// PoolStatus is one pool.
type PoolStatus struct {
	Name        string           `json:"name"`
	Panic       bool             `json:"panic"`
	InFlight    int64            `json:"inFlight"`    // requests at its endpoints, removed ones included
	Waiting     int              `json:"waiting"`     // requests in its queue
	Connections int              `json:"connections"` // to its endpoints, unused ones included
	Limits      PoolLimits       `json:"limits"`      // of a removed pool: 0
	Endpoints   []EndpointStatus `json:"endpoints"`
}

// PoolLimits is how much a pool takes on at once.
type PoolLimits struct {
	InFlight         int64 `json:"inFlight"`         // maxParallelRequests, or maxConnections if that is less
	EndpointInFlight int   `json:"endpointInFlight"` // perEndpoint.maxParallelRequests; 0: no cap but the pool's
	Waiting          int64 `json:"waiting"`          // maxPendingRequests
	Connections      int   `json:"connections"`      // maxConnections
}

// EndpointStatus is one endpoint of a pool, removed ones included while they drain.
type EndpointStatus struct {
	ID       string        `json:"id"` // POOL/N, N from 1 in file order; POOL/- for a removed one
	Address  string        `json:"address"`
	Name     string        `json:"name,omitempty"` // the host name the address was looked up by; not told of a removed one
	Healthy  bool          `json:"healthy"`
	Check    CheckStatus   `json:"check"`
	Breaker  BreakerStatus `json:"breaker"`
	InFlight int64         `json:"inFlight"`
	Weight   int           `json:"weight"`
	Priority int           `json:"priority"`
	Draining bool          `json:"draining"`
	Eligible bool          `json:"eligible"`
	Why      string        `json:"why"` // why it is not eligible; empty if it is
}

// CheckStatus is what an endpoint's active checks have found.
type CheckStatus struct {
	State     string     `json:"state"`     // none | pending | passing | failing: of the last check alone
	LastError string     `json:"lastError"` // why the last check failed; empty if it passed
	LastAt    *time.Time `json:"lastAt"`    // null: there was none yet
	HeldUntil *time.Time `json:"heldUntil"` // null: it is not held out
	Falls     int        `json:"falls"`     // how often it turned unhealthy, until that is forgotten
}

// BreakerStatus is an endpoint's circuit breaker.
type BreakerStatus struct {
	State     string     `json:"state"` // closed | open | half-open
	OpenUntil *time.Time `json:"openUntil"`
}

// Status tells what the balancer is doing now. It is meant to be asked for a few
// times a second, by people and scrapers.
func (b *Balancer) Status() Status {
	out := Status{
		Policy:    b.policyStatus(),
		Sessions:  b.sessionsStatus(),
		Listeners: []ListenerStatus{},
		Pools:     []PoolStatus{},
		Routes:    []RouteStatus{},
	}
	snap := b.current.Load()
	if snap == nil {
		return out
	}
	out.Listeners = b.listeners.status(snap.Listeners)
	places := map[string]int{}
	for i, p := range snap.Pools {
		ps := poolStatus(p)
		for n, m := range p.Members() {
			ok, why := p.Eligible(&m)
			es := b.endpointStatus(m.Endpoint, p.Name+"/"+strconv.Itoa(n+1))
			es.Name, es.Weight, es.Priority, es.Draining = m.Name, m.Weight, m.Priority, m.Draining()
			es.Eligible, es.Why = ok, why
			if why == "unhealthy" {
				es.Why += es.Check.why()
			}
			ps.Endpoints = append(ps.Endpoints, es)
		}
		out.Pools = append(out.Pools, ps)
		places[p.Name] = i
	}
	for _, r := range snap.Routes {
		out.Routes = append(out.Routes, routeStatus(r))
	}
	for _, e := range b.registry.Leaving() {
		es := b.endpointStatus(e, e.PoolName+"/-")
		es.Draining, es.Why = true, "removed by the policy; finishing its requests"
		i, ok := places[e.PoolName]
		if !ok { // its pool was removed with it
			i = len(out.Pools)
			places[e.PoolName] = i
			out.Pools = append(out.Pools, PoolStatus{Name: e.PoolName})
		}
		out.Pools[i].Endpoints = append(out.Pools[i].Endpoints, es)
	}
	return out
}

func poolStatus(p *pool.Pool) PoolStatus {
	o := p.Occupancy()
	return PoolStatus{
		Name: p.Name, Panic: p.Panic(), InFlight: o.InFlight, Waiting: p.Waiting(), Connections: o.Connections,
		Limits:    PoolLimits{InFlight: o.Limit, EndpointInFlight: o.EndpointLimit, Waiting: o.MayWait, Connections: o.MaxConnections},
		Endpoints: make([]EndpointStatus, 0, len(p.Members())),
	}
}

func routeStatus(r *snapshot.Route) RouteStatus {
	out := RouteStatus{
		Name: r.Name, Hostnames: append([]string{}, r.Policy.Hostnames...),
		Matches: make([]string, 0, len(r.Policy.Matches)), Backends: make([]BackendStatus, 0, len(r.Backends)),
	}
	for i := range r.Policy.Matches {
		out.Matches = append(out.Matches, matchWords(&r.Policy.Matches[i]))
	}
	for _, b := range r.Backends {
		out.Backends = append(out.Backends, BackendStatus{Pool: b.Pool.Name, Weight: b.Weight})
	}
	if r.Mirror != nil {
		out.Mirror = r.Mirror.Pool.Name
	}
	return out
}

func matchWords(m *policy.Match) string {
	words := m.Path
	switch m.PathType {
	case policy.PathPrefix:
		words = strings.TrimSuffix(words, "/") + "/*"
	case policy.PathRegex:
		words = "~ " + words
	}
	if m.Method != "" {
		words = m.Method + " " + words
	}
	for _, h := range m.Headers {
		words += ", header " + h.Name
	}
	for _, q := range m.Query {
		words += ", parameter " + q.Name
	}
	return words
}

func (b *Balancer) sessionsStatus() SessionsStatus {
	out := SessionsStatus{Store: "none", State: "ok", Moved: map[string]uint64{}, Refused: map[string]uint64{}}
	snap := b.current.Load()
	if snap == nil {
		return out
	}
	for _, p := range snap.Pools {
		switch {
		case p.Sessions == nil:
		case p.Sessions.Store == "Redis", out.Store == "none", p.Sessions.Store == "Memory" && out.Store == "cookie":
			out.Store = strings.ToLower(p.Sessions.Store)
		}
	}
	s := b.sessions.Status()
	maps.Copy(out.Moved, s.Moved)
	maps.Copy(out.Refused, s.Refused)
	if out.Store != "redis" {
		return out
	}
	if s.Away {
		out.State, out.Reason = "away", s.Reason
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	out.LatencyMs = LatencyStatus{ms(s.Median), ms(s.P99)}
	if n := s.Hits + s.Misses; n > 0 {
		rate := float64(s.Hits) / float64(n)
		out.HitRate = &rate
	}
	return out
}

func (b *Balancer) endpointStatus(e *pool.Endpoint, id string) EndpointStatus {
	state, until := e.Breaker().State()
	s := EndpointStatus{
		ID: id, Address: e.Address, Healthy: e.Healthy(), InFlight: e.InFlight(),
		Check: checkStatus(b.checker.State(e)), Breaker: BreakerStatus{State: string(state)},
	}
	if state == breaker.Open {
		s.Breaker.OpenUntil = wall(until)
	}
	return s
}

func checkStatus(s health.State) CheckStatus {
	out := CheckStatus{State: string(s.Phase), LastError: s.Error, Falls: s.Falls}
	if !s.At.IsZero() {
		out.LastAt = wall(s.At)
	}
	if s.HeldUntil.After(time.Now()) {
		out.HeldUntil = wall(s.HeldUntil)
	}
	return out
}

// why says more of an endpoint that is unhealthy.
func (c *CheckStatus) why() string {
	switch {
	case c.HeldUntil != nil:
		return fmt.Sprintf(": held out until %s after %d falls", c.HeldUntil.Format(time.RFC3339), c.Falls)
	case c.LastError != "":
		return ": " + c.LastError
	case c.State == string(health.Pending):
		return ": not checked yet"
	}
	return ""
}

// wall is an instant as the wall clock has it.
func wall(t time.Time) *time.Time {
	t = t.Round(0).UTC()
	return &t
}

func (b *Balancer) policyStatus() (p PolicyStatus) {
	if s := b.reloader.Serving(); s != nil {
		p = PolicyStatus{
			Name: s.Name, Version: s.Version, Hash: s.Hash, Revision: s.Revision,
			LoadedAt: s.LoadedAt, LastGood: s.LastGood,
			Endpoints: ChangesStatus{
				Kept: s.Changes.Kept, Added: s.Changes.Added, Removed: s.Changes.Removed,
				BreakerWindowsReset: s.Changes.WindowsReset, HealthReset: s.Changes.HealthReset,
			},
		}
	}
	if f := b.reloader.LastError(); f != nil {
		p.LastError = &LastError{At: f.At, Hash: f.Hash, Reason: string(f.Reason), Message: f.Err.Error()}
	}
	return p
}
