package virtual_test

import (
	"fmt"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
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
	r, err := virtual.Run(t.Context(), stage.Job{Scenario: s}, virtual.Options{Patience: time.Minute})
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

// Where nothing goes wrong everybody saw the same: clients, balancers, their metrics and
// the backends. Sessions stay where they are, by both loops, on a ramp.
func TestWell(t *testing.T) {
	open, users := load(10), load(0)
	open.RateEnd, open.Sessions = 50, 20
	users.Users, users.Think, users.Sessions = 5, time.Second, 5
	r := run(t, &scenario.Scenario{
		Duration: time.Minute, Policy: scenario.Policy{Inline: policyOf(4, "", checks+sessions)}, Topology: scenario.Topology{Replicas: 2},
		Load: []scenario.Load{open, users},
	})
	by, loads, late := map[string]string{}, [2]int{}, 0
	for i := range r.Requests {
		q := &r.Requests[i]
		if !q.OK() || q.Ends != 1 || q.Route != "all" || q.By == "" || q.Start != q.Intended || q.Session == 0 {
			t.Fatalf("%+v", q)
		}
		loads[q.Load]++
		if q.Load == 0 && q.Start > 30*time.Second {
			late++
		}
		if q.Sticky == "home" && by[fmt.Sprint(q.Load, q.Session)] != q.By {
			t.Errorf("not at home, %s: %+v", by[fmt.Sprint(q.Load, q.Session)], q)
		}
		by[fmt.Sprint(q.Load, q.Session)] = q.By
	}
	if share := float64(late) / float64(loads[0]); loads[0] < 1600 || loads[0] > 2000 || share < 0.6 || share > 0.75 || loads[1] < 280 || loads[1] > 300 {
		t.Errorf("%v requests, %v of the ramp in its second half", loads, share)
	}
	for _, a := range r.Attempts {
		if a.Arrived != "all" || a.Request == "" || a.Breaker != "closed" || a.Draining {
			t.Fatalf("%+v", a)
		}
	}
	counted := 0.0
	for replica := range r.Metrics {
		counted += r.Metrics[replica][`lb_requests_total{code="200",route="all"}`]
	}
	if int(counted) != len(r.Requests) || len(r.Attempts) != len(r.Requests) || r.Behind != 0 {
		t.Errorf("%d requests, %d attempts, %v counted, %v behind", len(r.Requests), len(r.Attempts), counted, r.Behind)
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
