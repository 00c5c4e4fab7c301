package scenario_test

import (
	"strings"
	"testing"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

const (
	first = `# What is served.
apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: ":8000"}]
  routes:
    - name: cart
      filters: [{rateLimit: {requests: 7}}]
      backendRefs: [{pool: cart, weight: 9}, {pool: slow}]
  pools:
    - name: cart
      endpoints: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80"}]
      circuitBreaker: {failurePercent: 20} # a remark
`
	second = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop}
spec: {}
---
apiVersion: lb/v1
kind: Policy
metadata: {name: shop}
spec:
  pools: [{name: slow, endpoints: [{address: "10.0.1.1:80"}]}]
`
)

func TestMutate(t *testing.T) {
	tests := []struct {
		path, value string
		check       func(p *policy.Policy) bool
		err         string
	}{
		{"spec.pools[cart].circuitBreaker.failurePercent", "0\n", func(p *policy.Policy) bool { return p.Pools[0].CircuitBreaker.FailurePercent == 0 }, ""},
		{"spec.pools[cart].circuitBreaker.minRequests", "7", func(p *policy.Policy) bool {
			return p.Pools[0].CircuitBreaker.MinRequests == 7 && p.Pools[0].CircuitBreaker.FailurePercent == 20
		}, ""},
		{"spec.pools[slow].limits.perEndpoint.maxParallelRequests", "7", func(p *policy.Policy) bool { return p.Pools[1].Limits.PerEndpointParallelRequests == 7 }, ""},
		{"spec.pools[1].drainTimeout", "7s", func(p *policy.Policy) bool { return p.Pools[1].DrainTimeout.Seconds() == 7 }, ""},
		{"spec.pools[cart].endpoints[10.0.0.2:80].weight", "7", func(p *policy.Policy) bool { return p.Pools[0].Endpoints[1].Weight == 7 }, ""},
		{"spec.pools[cart].endpoints[0]", `{address: "10.0.0.9:80"}`, func(p *policy.Policy) bool { return p.Pools[0].Endpoints[0].Address == "10.0.0.9:80" }, ""},
		{"spec.pools[cart].endpoints", `[{address: "10.0.0.9:80"}]`, func(p *policy.Policy) bool { return len(p.Pools[0].Endpoints) == 1 }, ""},
		{"spec.routes[cart].backendRefs[slow].weight", "7", func(p *policy.Policy) bool { return p.Routes[0].BackendRefs[1].Weight == 7 }, ""},
		{"spec.routes[cart].filters.rateLimit.burst", "9", func(p *policy.Policy) bool { return p.Routes[0].Filters.RateLimit.Burst == 9 }, ""},
		{"spec.routes[cart].filters[0].rateLimit.burst", "9", func(p *policy.Policy) bool { return p.Routes[0].Filters.RateLimit.Burst == 9 }, ""},
		{"spec.routes[cart].retry", "{attempts: 3}", func(p *policy.Policy) bool { return p.Routes[0].Retry.Attempts == 3 }, ""},
		{"metadata.version", `"2"`, func(p *policy.Policy) bool { return p.Version == "2" }, ""},
		{"spec.accessLog.sample", "0", func(p *policy.Policy) bool { return p.AccessLog.Sample == 0 }, ""},
		{"spec.pools[carts].protocol", "H2", nil, "mutation m: spec.pools[carts]: spec.pools has no such item"},
		{"spec.pools[2].protocol", "H2", nil, "mutation m: spec.pools[2]: spec.pools has no such item"},
		{"metadata.name.first", "H2", nil, "mutation m: metadata.name.first: there is nothing that could hold the field"},
		{"metadata..name", "H2", nil, `mutation m: "metadata..name" is not the path of a field: write it like spec.pools[cart].circuitBreaker.failurePercent`},
		{"metadata.name", "[", nil, "mutation m: the value of metadata.name: yaml: line 1: did not find expected node content"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			files := map[string][]byte{"a.yaml": []byte(first), "b.yaml": []byte(second)}
			got, err := scenario.Mutate(files, scenario.Mutation{Name: "m", Set: []scenario.Assignment{{Path: tt.path, Value: tt.value}}})
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(files["a.yaml"]) != first || string(files["b.yaml"]) != second {
				t.Error("the files that were given changed")
			}
			p, found := policy.Files(got).Load()
			if found.HasErrors() {
				t.Fatalf("%s\nin\n%s%s", found, got["a.yaml"], got["b.yaml"])
			}
			if !tt.check(p) {
				t.Errorf("the policy is not as it should be:\n%s%s", got["a.yaml"], got["b.yaml"])
			}
		})
	}
	if _, err := scenario.Mutate(map[string][]byte{"a.yaml": []byte("[")}, scenario.Mutation{Name: "m", Set: []scenario.Assignment{{Path: "a", Value: "1"}}}); err == nil || !strings.HasPrefix(err.Error(), "mutation m: a.yaml: ") {
		t.Errorf("a file that is no YAML was mutated: %v", err)
	}
}

// TestMutationsTogether makes several changes, each after the other.
func TestMutationsTogether(t *testing.T) {
	got, err := scenario.Mutate(map[string][]byte{"a.yaml": []byte(first), "b.yaml": []byte(second)}, scenario.Mutation{Name: "m", Set: []scenario.Assignment{
		{Path: "spec.pools[cart].circuitBreaker", Value: "{consecutiveFailures: 3}"},
		{Path: "spec.pools[cart].circuitBreaker.failurePercent", Value: "1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, found := policy.Files(got).Load()
	if p == nil {
		t.Fatal(found)
	}
	if b := p.Pools[0].CircuitBreaker; b.ConsecutiveFailures != 3 || b.FailurePercent != 1 {
		t.Errorf("got %+v", b)
	}
}
