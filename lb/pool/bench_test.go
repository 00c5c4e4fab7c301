package pool_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 10000} {
		for _, algorithm := range []string{"RoundRobin", "LeastRequest", "PeakEWMA", "Random", "ConsistentHash"} {
			b.Run(fmt.Sprintf("%s/%d", algorithm, n), func(b *testing.B) {
				r := pool.NewRegistry(pool.Options{})
				defer r.Close()
				s, err := r.Stage([]policy.Pool{policyPool(algorithm, equal(n))})
				if err != nil {
					b.Fatal(err)
				}
				s.Commit(func() {})
				p := s.Pools()[0]
				rnd := rand.New(rand.NewPCG(1, 1))
				b.ReportAllocs()
				for b.Loop() {
					x := rnd.Uint64()
					e, _ := p.Pick(x, pool.Key{Hash: x, Hashed: true}, nil, breaker.Willing)
					e.Begin(nil)
					w := e.Wait(true)
					w.Answered(0)
					e.End()
				}
			})
		}
	}
}

// BenchmarkPickOfFew picks from a large pool of which only a part, or nothing, is
// eligible.
func BenchmarkPickOfFew(b *testing.B) {
	const n = 10000
	for _, percent := range []int{100, 1, 0} {
		for _, algorithm := range []string{"RoundRobin", "LeastRequest", "PeakEWMA", "Random", "ConsistentHash"} {
			b.Run(fmt.Sprintf("%s/%d%%", algorithm, percent), func(b *testing.B) {
				r := pool.NewRegistry(pool.Options{})
				defer r.Close()
				s, err := r.Stage([]policy.Pool{largePool(algorithm, equal(n))})
				if err != nil {
					b.Fatal(err)
				}
				s.Commit(func() {})
				p := s.Pools()[0]
				if percent < 100 {
					leave(p, percent*n/100)
				}
				rnd := rand.New(rand.NewPCG(1, 1))
				b.ReportAllocs()
				for b.Loop() {
					x := rnd.Uint64()
					if e, _ := p.Pick(x, pool.Key{Hash: x, Hashed: true}, nil, breaker.Willing); e == nil {
						p.RetryAfter()
					}
				}
			})
		}
	}
}
