package outagetest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
)

// world is one run: a network, its backends, the balancers and the clients.
type world struct {
	t       testing.TB
	seed    uint64
	began   time.Time
	net     *network
	numbers uint64 // of backends
	all     []*backend
	lbs     []*replica
	idle    map[string][]*conn // connections of clients, by where they go to
	offered uint64             // requests so far, of all loads
	loads   []*traffic

	mu       sync.Mutex
	arrivals map[string]int // how often the backends were wholly sent a request, by its id; copies left out
	cookies  map[int]string // of clients that keep theirs
}

// play runs f in virtual time and then checks that nothing is left of it.
func play(t *testing.T, seed uint64, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		w := &world{
			t: t, seed: seed, began: time.Now(), net: newNetwork(seed, 100*time.Microsecond, 300*time.Microsecond),
			idle: map[string][]*conn{}, arrivals: map[string]int{}, cookies: map[int]string{},
		}
		defer func() {
			w.end()
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		}()
		f(w)
	})
}

// end stops everything and looks for what is left.
func (w *world) end() {
	w.t.Helper()
	for _, tr := range w.loads {
		tr.wait()
	}
	for _, conns := range w.idle {
		for _, c := range conns {
			c.Close()
		}
	}
	for _, r := range w.lbs {
		if !r.stopped {
			r.shutdown()
		}
		r.emptied()
	}
	for _, b := range w.all {
		b.kill()
	}
	for _, b := range w.all {
		b.joined.Wait()
	}
	if open := w.net.ends.Load(); open != 0 {
		w.t.Errorf("%d ends of connections are open after everything was stopped", open)
	}
}

// until waits until a time after the beginning.
func (w *world) until(at time.Duration) { time.Sleep(at - w.now()) }

// now is the time since the beginning.
func (w *world) now() time.Duration { return time.Since(w.began) }

// settle waits until the events of all that has ended are told, and sorts them.
func (w *world) settle() {
	synctest.Wait()
	for _, r := range w.lbs {
		r.sort()
	}
}

// served is how many requests the backends answered with success, wholly.
func (w *world) served() (n int) {
	for _, b := range w.all {
		n += b.counts().served
	}
	return n
}

func (w *world) handled(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals[id]++
}

// policy is a policy of one route and one pool, in pieces of flow YAML. What a
// test leaves out takes the policy's defaults.
type policy struct {
	whole     string // all of spec.routes and spec.pools; nothing else counts
	timeouts  string // of the route
	retry     string // of the route
	filters   string // of the route
	balance   string // loadBalancer of the pool
	breaker   string // circuitBreaker of the pool
	health    string // healthCheck of the pool
	budget    string // retryBudget of the pool
	limits    string // limits of the pool
	pool      string // more of the pool
	more      string // more pools
	endpoints []*backend
	drain     map[*backend]bool
	version   int
}

// noBreaker is a breaker that never opens.
const noBreaker = "consecutiveFailures: 0, failurePercent: 0"

func (p *policy) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	optional := func(indent, key, flow string) {
		if flow != "" {
			line("%s%s: {%s}", indent, key, flow)
		}
	}
	line("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: outage, version: \"%d\"}\nspec:", p.version)
	line("  listeners:\n    - {name: http, address: \"127.0.0.1:8000\"}")
	if p.whole != "" {
		return b.String() + p.whole
	}
	line("  routes:\n    - name: all\n      backendRefs: [{pool: main}]")
	optional("      ", "timeouts", p.timeouts)
	optional("      ", "retry", p.retry)
	if p.filters != "" {
		line("      filters: [%s]", p.filters)
	}
	line("  pools:\n    - name: main")
	optional("      ", "loadBalancer", p.balance)
	optional("      ", "circuitBreaker", p.breaker)
	optional("      ", "healthCheck", p.health)
	optional("      ", "retryBudget", p.budget)
	optional("      ", "limits", p.limits)
	if p.pool != "" {
		line("      %s", p.pool)
	}
	line("      endpoints:")
	for _, e := range p.endpoints {
		line("        - {address: %q, drain: %t}", e.address, p.drain[e])
	}
	return b.String() + p.more
}

// replica is a running balancer.
type replica struct {
	*balancer.Balancer
	*recorder
	w       *world
	address string
	source  *text
	stopped bool
}

// start runs a balancer until the end. Each has an address of its own.
func (w *world) start(p policy) *replica {
	w.t.Helper()
	r := &replica{w: w, recorder: newRecorder(w.began), source: &text{body: p.text()}}
	address := fmt.Sprintf("10.1.0.%d:8000", len(w.lbs)+1)
	r.address = address
	r.Balancer = balancer.New(balancer.Options{
		Policies: r.source, Events: r.events(), Dial: w.net.dial, Rand: w.seed*100 + uint64(len(w.lbs)) + 1,
		Listen: func(ctx context.Context, network, _ string) (net.Listener, error) {
			return w.net.listen(ctx, network, address)
		},
	})
	if err := r.Start(w.t.Context()); err != nil {
		w.t.Fatalf("start: %v\n%s", err, r.source.body)
	}
	w.lbs = append(w.lbs, r)
	return r
}

// apply replaces the policy.
func (r *replica) apply(p policy) {
	r.w.t.Helper()
	r.source.set(p.text())
	if result := r.Reload(r.w.t.Context()); result.Err != nil {
		r.w.t.Errorf("reload: %v", result.Err)
	}
}

// shutdown fails the test if anything has to be cut.
func (r *replica) shutdown() {
	r.w.t.Helper()
	if err := r.stop(2 * time.Minute); err != nil {
		r.w.t.Errorf("shutdown: %v", err)
	}
}

// stop shuts it down, and cuts what takes longer than patience.
func (r *replica) stop(patience time.Duration) error {
	r.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.Shutdown(ctx)
}

// emptied fails the test if anything is under way after the end.
func (r *replica) emptied() {
	r.w.t.Helper()
	for _, p := range r.Status().Pools {
		if p.InFlight != 0 || p.Waiting != 0 || p.Connections != 0 {
			r.w.t.Errorf("%s has %d requests in flight, %d waiting, %d connections after the end", p.Name, p.InFlight, p.Waiting, p.Connections)
		}
		for _, e := range p.Endpoints {
			if e.InFlight != 0 {
				r.w.t.Errorf("%s has %d requests in flight after the end", e.ID, e.InFlight)
			}
		}
	}
}

// breakerOf is the state of an endpoint's breaker now.
func (r *replica) breakerOf(b *backend) string {
	if e := r.endpoint(b); e != nil {
		return e.Breaker.State
	}
	return ""
}

// endpoint is an endpoint's status now; nil if it has none.
func (r *replica) endpoint(b *backend) *balancer.EndpointStatus {
	for _, p := range r.Status().Pools {
		for i := range p.Endpoints {
			if p.Endpoints[i].Address == b.address {
				return &p.Endpoints[i]
			}
		}
	}
	return nil
}

// text is a policy source that never changes by itself.
type text struct {
	mu   sync.Mutex
	body string
}

func (s *text) Read(context.Context) (reload.Bundle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return reload.Bundle{Files: map[string][]byte{"policy.yaml": []byte(s.body)}}, nil
}

func (s *text) Changed() <-chan struct{} { return nil }

func (s *text) set(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}
