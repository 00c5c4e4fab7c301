package virtual_test

import (
	"testing"
	"time"

	"go-loadbalancer/sim/scenario"
)

// Slow clients are cut off by what the listener allows them, and take no more than that.
func TestPace(t *testing.T) {
	listener := "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop, version: \"1\"}\nspec:\n" +
		"  listeners: [{name: http, address: \":8000\", timeouts: {requestHeader: 2s, requestBody: 2s, write: 2s}, limits: {requestBodyRate: 1000, responseRate: 1000}}]\n" +
		"  routes: [{name: all, backendRefs: [{pool: cart}]}]\n  pools: [{name: cart, endpoints: [{address: \"10.0.0.1:80\"}]}]\n"
	for name, c := range map[string]struct {
		pace         scenario.Pace
		body         int
		status       int
		unsent, held bool
		least, most  time.Duration
	}{
		"as fast as it goes": {scenario.Pace{}, 1000, 200, false, false, 0, 500 * time.Millisecond},
		"a slow head":        {scenario.Pace{Head: 4}, 0, 408, true, false, 2 * time.Second, 3 * time.Second},
		"a head in time":     {scenario.Pace{Head: 100}, 0, 200, false, false, 500 * time.Millisecond, 2 * time.Second},
		"a slow body":        {scenario.Pace{Body: 100}, 1000, 408, false, false, 2 * time.Second, 4 * time.Second},
		"a body in time":     {scenario.Pace{Body: 5000}, 1000, 200, false, false, 100 * time.Millisecond, 2 * time.Second},
		"a slow reader":      {scenario.Pace{Read: 100}, 0, 200, false, true, 9 * time.Second, 10 * time.Second}, // its own deadline
		"a reader in time":   {scenario.Pace{Read: 200_000}, 0, 200, false, false, time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := load(2)
			l.Pace, l.To, l.Deadline = c.pace, 5*time.Second, 10*time.Second
			l.Requests = []scenario.Request{{Method: "PUT", Path: "/cart", Body: c.body, Weight: 1}}
			r := run(t, &scenario.Scenario{
				Duration: 20 * time.Second, Policy: scenario.Policy{Inline: listener},
				Topology: scenario.Topology{Pools: []scenario.PoolModel{{Name: "cart", BodySize: 400_000}}}, Load: []scenario.Load{l},
			})
			for _, q := range r.Requests {
				if q.Status != c.status || q.Unsent != c.unsent || q.Whole == c.held || q.Latency() < c.least || q.Latency() > c.most+time.Millisecond {
					t.Errorf("%+v, after %v", q, q.Latency())
				}
			}
			for _, a := range r.Attempts {
				if held := a.Sent < 400_000; held != c.held && a.Status == 200 {
					t.Errorf("%+v", a)
				}
				if c.held && a.End-a.Start > 5*time.Second {
					t.Errorf("the endpoint was held for %v", a.End-a.Start)
				}
			}
			if len(r.Requests) < 4 {
				t.Errorf("%d requests", len(r.Requests))
			}
		})
	}
}
