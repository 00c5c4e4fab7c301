package proxy

import (
	"slices"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// What the client did, or the balancer has not enough of, another try makes no better: a
// route's retries are not for that.
func TestRetriesAreForEndpointsFaults(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	p, found := policy.Files{"policy.yaml": []byte(`apiVersion: lb/v1
kind: Policy
metadata: {name: p, version: "1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes: [{name: r, timeouts: {request: 0s}, retry: {attempts: 1, backoff: 0s}, backendRefs: [{pool: p}]}]
  pools: [{name: p, endpoints: [{address: "127.0.0.1:1"}], retryBudget: {minRetriesPerSecond: 100}}]
`)}.Load()
	if found.HasErrors() {
		t.Fatal(found)
	}
	staged, err := snapshot.Compile(p, "", registry)
	if err != nil {
		t.Fatal(err)
	}
	var current snapshot.Current
	staged.Commit(&current, time.Now())
	served := current.Load()
	never := []event.Result{event.ClientCanceled, event.Exhausted, event.Overflowed}
	for _, r := range event.Results {
		if r == event.OK {
			continue
		}
		c := &call{p: &Proxy{}, route: served.Routes[0], pool: served.Pools[0], req: &wire.Request{Method: []byte("GET")}}
		c.ev.Attempts = 1
		if got, want := c.planFor(r, 0).again, !slices.Contains(never, r); got != want {
			t.Errorf("%q: another try: %v, want %v", r, got, want)
		}
	}
}
