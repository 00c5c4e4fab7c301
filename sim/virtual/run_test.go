package virtual_test

import (
	"fmt"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/virtual"
)

// policyOf is a policy of one route and one pool, cart, of so many endpoints; more is
// more of the pool, in lines of YAML.
func policyOf(endpoints int, route, more string) string {
	text := "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop, version: \"1\"}\nspec:\n" +
		"  listeners: [{name: http, address: \":8000\"}]\n" +
		"  routes:\n    - name: all\n      backendRefs: [{pool: cart}]\n" + route +
		"  pools:\n    - name: cart\n" + more + "      endpoints:\n"
	for i := range endpoints {
		text += fmt.Sprintf("        - {address: \"10.0.0.%d:8080\"}\n", i+1)
	}
	return text
}

// load is GETs at a rate, without end.
func load(rate float64) scenario.Load {
	return scenario.Load{Rate: rate, RateEnd: rate, Arrivals: "Poisson", Deadline: 2 * time.Second, Requests: []scenario.Request{{Method: "GET", Path: "/cart", Weight: 1}}}
}

func endpoint(n int) scenario.Target {
	return scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: n}
}

func run(t *testing.T, s *scenario.Scenario) *history.Run {
	t.Helper()
	if s.Seed == 0 {
		s.Seed = 42
	}
	if s.Topology.Replicas == 0 {
		s.Topology.Replicas = 1
	}
	r, err := virtual.Run(t.Context(), virtual.Job{Scenario: s}, virtual.Options{Patience: time.Minute})
	if err != nil {
		t.Fatalf("seed %d: %v", s.Seed, err)
	}
	if r.Failure != "" {
		t.Fatalf("seed %d: %s", s.Seed, r.Failure)
	}
	for _, l := range r.Leaks {
		t.Errorf("seed %d: left: %s", s.Seed, l)
	}
	return r
}

func TestWell(t *testing.T) {
	r := run(t, &scenario.Scenario{
		Duration: time.Minute, Policy: scenario.Policy{Inline: policyOf(4, "", "")}, Load: []scenario.Load{load(20)},
	})
	t.Log(len(r.Requests), len(r.Attempts), r.Metrics["lb/1"]["lb_requests_total"], r.Behind, r.Notes)
	for i := range r.Requests {
		if q := &r.Requests[i]; !q.OK() || q.Ends != 1 || q.Route != "all" || q.By == "" {
			t.Errorf("%+v", q)
		}
	}
	if i := 0; len(r.Attempts) > 0 {
		t.Logf("%+v %+v", r.Attempts[i], r.Requests[i])
	}
}

// checks are active health checks of a pool, as quick as a simulation likes.
const checks = "      healthCheck: {active: {type: HTTP, http: {path: /healthz}, interval: 2s, timeout: 1s}}\n"

func sprint(values ...any) (text string) {
	for _, v := range values {
		text += fmt.Sprintf("\n%+v", v)
	}
	return text
}
