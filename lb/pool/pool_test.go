package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a registry with what it told.
type world struct {
	*pool.Registry
	t *testing.T

	mu      sync.Mutex
	retired []event.ID
	health  []event.HealthChange
	breaker []event.BreakerChange
	panics  []event.PanicChange
}

func newWorld(t *testing.T) *world {
	w := &world{t: t}
	w.Registry = pool.NewRegistry(pool.Options{
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network here") },
		Rand: 1,
		Events: &event.Listener{
			EndpointRetired: func(id event.ID) { w.note(func() { w.retired = append(w.retired, id) }) },
			HealthChanged:   func(c event.HealthChange) { w.note(func() { w.health = append(w.health, c) }) },
			BreakerChanged:  func(c event.BreakerChange) { w.note(func() { w.breaker = append(w.breaker, c) }) },
			PanicChanged:    func(c event.PanicChange) { w.note(func() { w.panics = append(w.panics, c) }) },
		},
	})
	t.Cleanup(w.Close)
	return w
}

func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// serve makes pools the ones that serve.
func (w *world) serve(pools ...policy.Pool) []*pool.Pool {
	w.t.Helper()
	s, err := w.Stage(pools)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Commit(func() {})
	return s.Pools()
}

// endpoints makes a policy's endpoints e1, e2, … of the given weights.
func endpoints(weights ...int) (out []policy.Endpoint) {
	for i, w := range weights {
		out = append(out, policy.Endpoint{Address: fmt.Sprintf("e%d:80", i+1), Weight: w})
	}
	return out
}

// equal makes n endpoints of weight 1.
func equal(n int) []policy.Endpoint {
	w := make([]int, n)
	for i := range w {
		w[i] = 1
	}
	return endpoints(w...)
}

// policyPool is a pool with the usual settings.
func policyPool(algorithm string, endpoints []policy.Endpoint) policy.Pool {
	return policy.Pool{
		Name: "p", Endpoints: endpoints, DrainTimeout: time.Minute,
		LoadBalancer: policy.LoadBalancer{Type: algorithm, HashOn: "Header", HashName: "X-User", BoundedLoadFactor: 1.25},
		CircuitBreaker: policy.CircuitBreaker{
			ConsecutiveFailures: 3, OpenDuration: 5 * time.Second, HalfOpenRequests: 1, Codes: []int{500, 503},
		},
		HealthCheck: policy.HealthCheck{PanicThreshold: 50},
	}
}

// seeded returns a random source whose seed is printed.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// trip opens an endpoint's breaker.
func trip(t *testing.T, e *pool.Endpoint) {
	t.Helper()
	for {
		done, _, ok := e.Breaker().Allow(breaker.Willing)
		if !ok {
			break
		}
		done(breaker.Failed)
	}
	if s, _ := e.Breaker().State(); s != breaker.Open {
		t.Fatalf("breaker is %s", s)
	}
}

// members returns a pool's endpoints by address.
func members(p *pool.Pool) map[string]*pool.Endpoint {
	out := map[string]*pool.Endpoint{}
	for _, m := range p.Members() {
		out[m.Address] = m.Endpoint
	}
	return out
}

func TestEligibility(t *testing.T) {
	// An endpoint is written weight/priority and then its troubles: d draining by
	// policy, u unhealthy, o breaker open, t tried.
	tests := []struct {
		name      string
		endpoints []string
		threshold int
		want      []string // endpoints that may be picked
		refusal   pool.Refusal
	}{
		{"all", []string{"1/0", "1/0"}, 50, []string{"e1", "e2"}, pool.None},
		{"none", nil, 50, nil, pool.NoEndpoints},
		{"draining", []string{"1/0 d", "1/0"}, 50, []string{"e2"}, pool.None},
		{"all draining", []string{"1/0 d", "1/0 d"}, 50, nil, pool.NoEndpoints},
		{"weight 0", []string{"0/0", "1/0"}, 50, []string{"e2"}, pool.None},
		{"all weight 0", []string{"0/0", "0/0"}, 50, nil, pool.NoEndpoints},
		{"breaker open", []string{"1/0 o", "1/0"}, 50, []string{"e2"}, pool.None},
		{"all breakers open", []string{"1/0 o", "1/0 o"}, 50, nil, pool.BreakersOpen},
		{"unhealthy", []string{"1/0 u", "1/0", "1/0"}, 50, []string{"e2", "e3"}, pool.None},
		{"half healthy is no panic", []string{"1/0 u", "1/0"}, 50, []string{"e2"}, pool.None},
		{"panic", []string{"1/0 u", "1/0 u", "1/0"}, 50, []string{"e1", "e2", "e3"}, pool.None},
		{"panic with all unhealthy", []string{"1/0 u", "1/0 u"}, 50, []string{"e1", "e2"}, pool.None},
		{"panic obeys breakers", []string{"1/0 u", "1/0 u o", "1/0 o"}, 50, []string{"e1"}, pool.None},
		{"panic obeys drain", []string{"1/0 u d", "1/0 u", "1/0 u"}, 50, []string{"e2", "e3"}, pool.None},
		{"panic and all breakers open", []string{"1/0 u o", "1/0 u o"}, 50, nil, pool.BreakersOpen},
		{"no panic ever", []string{"1/0 u", "1/0 u"}, 0, nil, pool.NoneHealthy},
		{"panic at the first", []string{"1/0 u", "1/0", "1/0"}, 100, []string{"e1", "e2", "e3"}, pool.None},
		{"weight 0 and draining are not of the pool's share", []string{"1/0 u", "1/0 u", "0/0", "1/0 d"}, 50, []string{"e1", "e2"}, pool.None},
		{"healthy ones open, others unhealthy", []string{"1/0 u", "1/0 o", "1/0 o"}, 50, nil, pool.BreakersOpen},
		{"dead primaries and a live spare", []string{"1/0 u", "1/0 u", "1/1"}, 50, []string{"e3"}, pool.None},
		{"live primaries and dead spares", []string{"1/0 u", "1/0", "1/1 u", "1/1 u", "1/1 u"}, 50, []string{"e2"}, pool.None},
		{"no priority has enough", []string{"1/0 u", "1/0 u", "1/0", "1/1 u", "1/1 u", "1/1"}, 50, []string{"e1", "e2", "e3"}, pool.None},
		{"a spare that is not picked is no spare", []string{"1/0 u", "1/0 u", "0/1", "1/1 d"}, 50, []string{"e1", "e2"}, pool.None},
		{"the spare's breaker is open", []string{"1/0 u", "1/0 u", "1/1 o"}, 50, nil, pool.BreakersOpen},
		{"lowest priority", []string{"1/1", "1/0", "1/2"}, 50, []string{"e2"}, pool.None},
		{"failover by breaker", []string{"1/1", "1/0 o", "1/2"}, 50, []string{"e1"}, pool.None},
		{"failover by health", []string{"1/1", "1/0 u", "1/7"}, 50, []string{"e1"}, pool.None},
		{"failover by drain and weight", []string{"1/0 d", "0/0", "1/3"}, 50, []string{"e3"}, pool.None},
		{"failover twice", []string{"1/0 o", "1/1 o", "1/2", "1/2"}, 50, []string{"e3", "e4"}, pool.None},
		{"all priorities open", []string{"1/0 o", "1/1 o"}, 50, nil, pool.BreakersOpen},
		{"tried is avoided", []string{"1/0 t", "1/0", "1/0"}, 50, []string{"e2", "e3"}, pool.None},
		{"tried goes to the next priority", []string{"1/0 t", "1/1"}, 50, []string{"e2"}, pool.None},
		{"tried is better than none", []string{"1/0 t", "1/0 o"}, 50, []string{"e1"}, pool.None},
		{"all tried", []string{"1/0 t", "1/0 t", "1/1 t"}, 50, []string{"e1", "e2"}, pool.None},
		{"tried and open", []string{"1/0 t o"}, 50, nil, pool.BreakersOpen},
	}
	for _, algorithm := range []string{"RoundRobin", "LeastRequest", "Random", "PeakEWMA", "ConsistentHash"} {
		for _, tt := range tests {
			t.Run(algorithm+"/"+tt.name, func(t *testing.T) {
				rnd := seeded(t)
				w := newWorld(t)
				pp := policyPool(algorithm, nil)
				pp.HealthCheck.PanicThreshold = tt.threshold
				troubles := make([]string, len(tt.endpoints))
				for i, s := range tt.endpoints {
					e := policy.Endpoint{Address: fmt.Sprintf("e%d", i+1)}
					numbers, rest, _ := strings.Cut(s, " ")
					fmt.Sscanf(numbers, "%d/%d", &e.Weight, &e.Priority)
					troubles[i] = rest
					e.Drain = strings.Contains(rest, "d")
					pp.Endpoints = append(pp.Endpoints, e)
				}
				p := w.serve(pp)[0]
				var tried pool.Tried
				for i, m := range p.Members() {
					if strings.Contains(troubles[i], "u") {
						m.SetHealthy(false, "test")
					}
					if strings.Contains(troubles[i], "o") {
						trip(t, m.Endpoint)
					}
					if strings.Contains(troubles[i], "t") {
						tried.Add(m.Endpoint)
					}
				}
				got := map[string]int{}
				for range 300 {
					e, refusal := p.Pick(rnd.Uint64(), pool.KeyOf(fmt.Append(nil, rnd.Uint64())), &tried, breaker.Willing)
					if refusal != tt.refusal || (e == nil) != (refusal != pool.None) {
						t.Fatalf("picked %v, refusal %d, want %d", e, refusal, tt.refusal)
					}
					if e != nil {
						got[e.Address]++
					}
				}
				if len(got) != len(tt.want) {
					t.Errorf("picked %v, want %v", got, tt.want)
				}
				for _, a := range tt.want {
					if got[a] == 0 {
						t.Errorf("%s was never picked: %v", a, got)
					}
				}
				for i := range p.Members() {
					m := &p.Members()[i]
					ok, why := p.Eligible(m)
					if ok != (why == "") {
						t.Errorf("%s: eligible %v because %q", m.Address, ok, why)
					}
					if got[m.Address] > 0 && !ok {
						t.Errorf("%s was picked but is said to be not eligible: %s", m.Address, why)
					}
				}
			})
		}
	}
}

// TestHalfOpen lets the open time pass: the endpoint is picked for as many
// requests as it may be probed with.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.serve(policyPool("LeastRequest", equal(2)))[0]
		m := p.Members()
		trip(t, m[0].Endpoint)
		m[1].SetHealthy(false, "test")
		if _, refusal := p.Pick(1, pool.Key{}, nil, breaker.Willing); refusal != pool.BreakersOpen {
			t.Fatalf("open: %v", refusal)
		}
		time.Sleep(p.RetryAfter())
		e, _ := p.Pick(1, pool.Key{}, nil, breaker.Willing)
		if ok, why := p.Eligible(&m[0]); e != m[0].Endpoint || !ok {
			t.Fatalf("elapsed: picked %v; %s", e, why)
		}
		if e, _ := p.Pick(1, pool.Key{}, nil, breaker.Unwilling); e != nil {
			t.Errorf("elapsed: picked %s as closed", e.Address)
		}
		done, _, ok := e.Breaker().Allow(breaker.Willing)
		if !ok {
			t.Fatal("no probe")
		}
		if _, refusal := p.Pick(1, pool.Key{}, nil, breaker.Willing); refusal != pool.BreakersOpen {
			t.Errorf("probe under way: %v", refusal)
		}
		if _, why := p.Eligible(&m[0]); why != "breaker half-open, its probes under way" {
			t.Errorf("probe under way: %q", why)
		}
		done(nil)
		if ok, why := p.Eligible(&m[0]); !ok {
			t.Errorf("closed: %s", why)
		}
		if again, _ := p.Pick(1, pool.Key{}, nil, breaker.Unwilling); again != e {
			t.Error("closed, and not picked")
		}
	})
}

func TestEligibleSaysWhy(t *testing.T) {
	w := newWorld(t)
	pp := policyPool("RoundRobin", endpoints(1, 1, 0, 1, 1, 1, 1))
	pp.Endpoints[1].Drain = true
	pp.Endpoints[3].Priority = 1
	p := w.serve(pp)[0]
	m := p.Members()
	m[4].SetHealthy(false, "test")
	trip(t, m[5].Endpoint)
	_, until := m[5].Breaker().State()
	for i, want := range []string{"", "draining", "weight 0", "", "unhealthy", "breaker open until " + until.UTC().Format(time.RFC3339), ""} {
		if _, why := p.Eligible(&m[i]); why != want {
			t.Errorf("%s: %q, want %q", m[i].Address, why, want)
		}
	}
	if d := p.RetryAfter(); d <= 4*time.Second || d > 5500*time.Millisecond { // up to a tenth is added
		t.Errorf("retry after %v", d)
	}
}

func TestFailures(t *testing.T) {
	p := newWorld(t).serve(policyPool("Random", equal(1)))[0]
	for code := -1000; code < 2000; code++ {
		if got, want := p.Failures.Has(code), code == 500 || code == 503; got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	p := w.serve(policyPool("Random", equal(2)))[0]
	e := p.Members()[1].Endpoint
	e.SetHealthy(true, "was so already")
	e.SetHealthy(false, "refused")
	e.SetHealthy(false, "still")
	e.SetHealthy(true, "answers")
	trip(t, e)
	if len(w.health) != 2 || len(w.breaker) != 1 {
		t.Fatalf("%v %v", w.health, w.breaker)
	}
	for i, c := range w.health {
		if c.Endpoint != e.ID || c.Pool != p.ID || c.PoolName != "p" || c.Address != e.Address || c.Healthy != (i == 1) || c.Reason == "" || c.At.IsZero() {
			t.Errorf("%+v", c)
		}
	}
	if c := w.breaker[0]; c.Endpoint != e.ID || c.Pool != p.ID || c.PoolName != "p" || c.Address != e.Address ||
		c.From != event.BreakerClosed || c.To != event.BreakerOpen || c.Reason != "consecutive_failures" || c.At.IsZero() {
		t.Errorf("%+v", c)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, algorithm := range []string{"RoundRobin", "LeastRequest", "Random", "PeakEWMA", "ConsistentHash"} {
		w := newWorld(t)
		pp := policyPool(algorithm, endpoints(1, 2, 3, 4, 5))
		pp.LoadBalancer.SlowStartWindow = time.Hour
		p := w.serve(pp)[0]
		m := p.Members()
		rnd := rand.New(rand.NewPCG(1, 1))
		value := []byte("user")
		check := func(what string) {
			t.Helper()
			if n := testing.AllocsPerRun(1000, func() {
				var tried pool.Tried
				for range 3 {
					if e, _ := p.Pick(rnd.Uint64(), pool.KeyOf(value), &tried, breaker.Willing); e != nil && e.Begin(nil) == pool.Started {
						wait := e.Wait(true)
						wait.Answered(0)
						tried.Add(e)
						e.End()
					}
				}
				p.RetryAfter()
			}); n != 0 {
				t.Errorf("%s, %s: %v allocations", algorithm, what, n)
			}
		}
		check("healthy")
		m[0].SetHealthy(false, "test")
		check("one unhealthy")
		m[0].SetHealthy(true, "test")
		check("one slow")
		for i := range m {
			wait := m[i].Wait(true)
			wait.Failed()
		}
		check("failing")
		for i := range m {
			trip(t, m[i].Endpoint)
		}
		check("all open")
		p = w.serve(largePool(algorithm, equal(1000)))[0]
		leave(p, 100)
		synctest.Test(t, func(*testing.T) { check("most unhealthy") }) // what is remembered does not age
		leave(p, 0)
		synctest.Test(t, func(*testing.T) { check("all unhealthy") })
	}
}

// statistics skips a test of one goroutine that counts very many picks: the race
// detector would make minutes of it and find nothing. It is run without.
func statistics(t *testing.T) {
	if raceEnabled {
		t.Skip("counts picks of one goroutine: run without the race detector")
	}
}
