package balancer

import (
	"fmt"
	"strconv"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/pool"
)

// Status is what the balancer is doing now, as `/api/v1/status` shows it.
type Status struct {
	Policy   PolicyStatus   `json:"policy"`
	Sessions SessionsStatus `json:"sessions"`
	Pools    []PoolStatus   `json:"pools"`
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
	Reason  string    `json:"reason"`
	Message string    `json:"message"` // every diagnostic, as lb validate prints them
}

// SessionsStatus is the state of the session store.
type SessionsStatus struct {
	Store     string `json:"store"`  // redis | memory | cookie | none
	State     string `json:"state"`  // ok | away
	Reason    string `json:"reason"` // why it is away; empty if it is not
	LatencyMs struct {
		Median float64 `json:"median"`
		P99    float64 `json:"p99"`
	} `json:"latencyMs"`
	HitRate *float64          `json:"hitRate"` // 0 to 1; null before the first request
	Moved   map[string]uint64 `json:"moved"`   // by [event.MoveReason]
	Refused map[string]uint64 `json:"refused"` // by one of [event.SessionRefusals]
}

// PoolStatus is one pool.
type PoolStatus struct {
	Name      string           `json:"name"`
	Panic     bool             `json:"panic"`
	Waiting   int              `json:"waiting"` // requests in its queue
	Endpoints []EndpointStatus `json:"endpoints"`
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
		Policy:   b.policyStatus(),
		Sessions: SessionsStatus{Store: "none", State: "ok"},
		Pools:    []PoolStatus{},
	}
	snap := b.current.Load()
	if snap == nil {
		return out
	}
	places := map[string]int{}
	for i, p := range snap.Pools {
		ps := PoolStatus{Name: p.Name, Panic: p.Panic(), Waiting: p.Waiting(), Endpoints: make([]EndpointStatus, 0, len(p.Members()))}
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
