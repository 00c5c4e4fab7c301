package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// large is a policy of 10,000 endpoints in 1,000 pools. shift moves a tenth of
// the addresses.
func large(algorithm string, weights bool, shift int) *policy.Policy {
	p := &policy.Policy{Name: "large"}
	for i := range 1000 {
		pp := policy.Pool{
			Name: fmt.Sprintf("pool-%d", i), DrainTimeout: time.Minute,
			LoadBalancer: policy.LoadBalancer{Type: algorithm, BoundedLoadFactor: 1.25},
			CircuitBreaker: policy.CircuitBreaker{
				ConsecutiveFailures: 5, FailurePercent: 20, MinRequests: 20, Interval: 10 * time.Second, OpenDuration: 5 * time.Second, HalfOpenRequests: 3,
			},
		}
		for j := range 10 {
			w := 1
			if weights {
				w = 1 + rand.IntN(1000)
			}
			host := j
			if j == 0 {
				host += 10 * shift
			}
			pp.Endpoints = append(pp.Endpoints, policy.Endpoint{Address: fmt.Sprintf("10.%d.%d.%d:8080", i/250, i%250, host), Weight: w})
		}
		p.Pools = append(p.Pools, pp)
		r := route(fmt.Sprintf("route-%d", i), fmt.Sprintf("h%d.example.com", i), "/api")
		r.BackendRefs = []policy.BackendRef{{Pool: pp.Name, Weight: 1}}
		p.Routes = append(p.Routes, r)
	}
	return p
}

// BenchmarkReload compiles and commits large policies, a tenth of whose endpoints
// change each time.
func BenchmarkReload(b *testing.B) {
	for _, bb := range []struct {
		algorithm string
		weights   bool
	}{{"LeastRequest", false}, {"LeastRequest", true}, {"RoundRobin", false}, {"RoundRobin", true}, {"ConsistentHash", false}} {
		b.Run(fmt.Sprintf("%s/weights=%v", bb.algorithm, bb.weights), func(b *testing.B) {
			policies := []*policy.Policy{large(bb.algorithm, bb.weights, 0), large(bb.algorithm, bb.weights, 1)}
			registry := pool.NewRegistry(pool.Options{})
			defer registry.Close()
			var current snapshot.Current
			n := 0
			for b.Loop() {
				s, err := snapshot.Compile(policies[n%2], "", registry)
				if err != nil {
					b.Fatal(err)
				}
				s.Commit(&current, time.Now())
				n++
			}
		})
	}
}
