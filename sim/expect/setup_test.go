package expect_test

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// shop is the policy of these tests.
const shop = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: ":8000"}]
  routes:
    - {name: cart, matches: [{path: {type: PathPrefix, value: /cart}}], backendRefs: [{pool: cart}], retry: {attempts: 2}}
    - {name: web, backendRefs: [{pool: web}], timeouts: {request: 1s}}
  pools:
    - name: cart
      endpoints: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80"}]
      retryBudget: {percent: 20, minRetriesPerSecond: 1}
      circuitBreaker: {halfOpenRequests: 2}
      sessionPersistence: {store: Redis}
    - {name: web, endpoints: [{address: "10.0.1.1:80"}]}
`

func load(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, found := policy.Load(fstest.MapFS{"policy.yaml": {Data: []byte(text)}})
	if found.HasErrors() {
		t.Fatal(found)
	}
	return p
}

// play is a history as it is written.
type play struct {
	history.Run
	hash string
}

// newPlay is a history of virtual time in which nothing came to pass yet.
func newPlay(p *policy.Policy, duration time.Duration) *play {
	out := &play{hash: p.Hash, Run: history.Run{Scenario: "test", Stage: "virtual", Seed: 1, Duration: duration, Replicas: 1, Metrics: map[string]map[string]float64{}}}
	for _, pool := range p.Pools {
		one := history.Pool{Name: pool.Name}
		for _, e := range pool.Endpoints {
			one.Endpoints = append(one.Endpoints, e.Address)
		}
		out.Pools = append(out.Pools, one)
	}
	out.Policies = []history.Policy{{Replica: "lb/1", Hash: p.Hash, Version: p.Version}}
	return out
}

// came adds a request to cart, served by an endpoint in 10 ms, changed by change.
func (p *play) came(at time.Duration, by string, change ...func(*history.Request)) *history.Request {
	r := history.Request{
		ID: fmt.Sprint("r", len(p.Requests)+1), Intended: at, Start: at, End: at + 10*time.Millisecond, Deadline: at + time.Second,
		Replica: "lb/1", Method: "GET", Path: "/cart", Status: 200, By: by, Whole: true, LooksWhole: true,
		Route: "cart", Policy: p.hash, Ends: 1,
	}
	for _, c := range change {
		c(&r)
	}
	p.Requests = append(p.Requests, r)
	return &p.Requests[len(p.Requests)-1]
}

// tried adds an attempt of the last request.
func (p *play) tried(at time.Duration, endpoint string, change ...func(*history.Attempt)) {
	r := &p.Requests[len(p.Requests)-1]
	a := history.Attempt{
		Request: r.ID, Replica: r.Replica, Pool: endpoint[:len(endpoint)-2], Endpoint: endpoint, Number: 1,
		Start: at, End: at + 10*time.Millisecond, Status: 200, Result: "ok", Breaker: "closed", Arrived: "all",
	}
	for i := range p.Attempts {
		if p.Attempts[i].Request == r.ID {
			a.Number++
		}
	}
	for _, c := range change {
		c(&a)
	}
	p.Attempts = append(p.Attempts, a)
}

// served adds a request with its attempt.
func (p *play) served(at time.Duration, endpoint string) {
	p.came(at, endpoint)
	p.tried(at, endpoint)
}

func failed(r *history.Request) { r.Status = 500 }

func (p *play) fault(name string, start, end time.Duration) {
	p.Faults = append(p.Faults, history.Fault{Name: name, On: "cart/1", What: "respond", Start: start, End: end, Touched: 1})
}

func (p *play) turned(at time.Duration, replica, endpoint, from, to, reason string) {
	p.Breakers = append(p.Breakers, history.Breaker{At: at, Replica: replica, Endpoint: endpoint, From: from, To: to, Reason: reason})
}

// of is a scenario of a run with what is expected of it.
func of(run *history.Run, expectations ...scenario.Expectation) *scenario.Scenario {
	s := &scenario.Scenario{Name: "test", Seed: 1, Duration: run.Duration, Topology: scenario.Topology{Replicas: run.Replicas}, Expect: expectations}
	for _, f := range run.Faults {
		one := scenario.Fault{Name: f.Name, At: f.Start}
		if f.End > f.Start {
			one.For = f.End - f.Start
		} else {
			one.Restart = true
		}
		s.Timeline = append(s.Timeline, one)
	}
	return s
}

// judge judges a run by one expectation.
func judge(t testing.TB, p *policy.Policy, run *history.Run, e scenario.Expectation) expect.Expectation {
	t.Helper()
	program, found := expect.Compile(of(run, e), p)
	if found.HasErrors() {
		t.Fatalf("%s\n%v", e.That, found)
	}
	return program.Judge(run).Expectations[0]
}

func whole(that string) scenario.Expectation {
	return scenario.Expectation{That: that, Operator: scenario.Once}
}

const ms = time.Millisecond

func compiled(t testing.TB, s *scenario.Scenario, p *policy.Policy, applied ...*policy.Policy) *expect.Program {
	t.Helper()
	program, found := expect.Compile(s, p, applied...)
	if found.HasErrors() {
		t.Fatal(found)
	}
	return program
}
