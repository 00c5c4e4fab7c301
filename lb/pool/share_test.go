package pool_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// shares picks n times and returns each endpoint's share.
func shares(t *testing.T, p *pool.Pool, rnd *rand.Rand, n int) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for range n {
		e, refusal := p.Pick(rnd.Uint64(), pool.KeyOf(fmt.Append(nil, rnd.Uint64())), nil, breaker.Willing)
		if refusal != pool.None {
			t.Fatal(refusal)
		}
		out[e.Address] += 1 / float64(n)
	}
	return out
}

// within compares a share with what is due; the deviation is relative.
func within(t *testing.T, what string, got, want, deviation float64) {
	t.Helper()
	if math.Abs(got-want) > deviation*want {
		t.Errorf("%s: share %.4f, want %.4f ± %.0f%%", what, got, want, 100*deviation)
	}
}

var weightSets = map[string][]int{
	"equal":      {1, 1, 1, 1},
	"two to one": {2, 1},
	"mixed":      {5, 1, 1, 3},
	"canary":     {99, 1},
	"steep":      {1000, 1, 10, 100},
}

func TestShares(t *testing.T) {
	statistics(t)
	deviation := map[string]float64{"RoundRobin": 0.001, "LeastRequest": 0.1, "PeakEWMA": 0.1, "Random": 0.1, "ConsistentHash": 0.35}
	for algorithm, dev := range deviation {
		for name, set := range weightSets {
			t.Run(algorithm+"/"+name, func(t *testing.T) {
				rnd := seeded(t)
				p := newWorld(t).serve(policyPool(algorithm, endpoints(set...)))[0]
				total := 0
				for _, w := range set {
					total += w
				}
				n := total * (1 + 30000/total) // whole rotations
				dev := dev
				if algorithm != "RoundRobin" { // random: allow four standard deviations of the smallest
					dev = max(dev, 4*math.Sqrt(float64(total)/float64(slices.Min(set))/float64(n)))
				}
				got := shares(t, p, rnd, n)
				for _, m := range p.Members() {
					within(t, m.Address, got[m.Address], float64(m.Weight)/float64(total), dev)
				}
			})
		}
	}
}

// TestShareOfAnIneligibleGoesToAll takes one endpoint out: its share must go to
// the others by their weights, not to one of them.
func TestShareOfAnIneligibleGoesToAll(t *testing.T) {
	statistics(t)
	deviation := map[string]float64{"RoundRobin": 0.05, "LeastRequest": 0.1, "PeakEWMA": 0.1, "Random": 0.1, "ConsistentHash": 0.35}
	for algorithm, dev := range deviation {
		for name, set := range map[string][]int{"equal": {1, 1, 1, 1, 1}, "mixed": {3, 1, 2, 4, 1}, "heavy": {1000, 2, 1}} {
			t.Run(algorithm+"/"+name, func(t *testing.T) {
				rnd := seeded(t)
				pp := policyPool(algorithm, endpoints(set...))
				pp.CircuitBreaker.OpenDuration = time.Hour
				p := newWorld(t).serve(pp)[0]
				m := p.Members()
				trip(t, m[0].Endpoint)
				total := -set[0]
				for _, w := range set {
					total += w
				}
				got := shares(t, p, rnd, 40000)
				if got[m[0].Address] != 0 {
					t.Errorf("an open endpoint has share %v", got[m[0].Address])
				}
				for _, m := range m[1:] {
					within(t, m.Address, got[m.Address], float64(m.Weight)/float64(total), dev)
				}
			})
		}
	}
}

// TestRoundRobinIsSmooth looks at every stretch of the rotation: no endpoint may
// be further from what is due to it than the others can push it, half a place
// each, and one for where the rotation began.
func TestRoundRobinIsSmooth(t *testing.T) {
	for name, set := range weightSets {
		t.Run(name, func(t *testing.T) {
			p := newWorld(t).serve(policyPool("RoundRobin", endpoints(set...)))[0]
			total := 0
			for _, w := range set {
				total += w
			}
			counts := map[string]int{}
			for n := 1; n <= 2*total; n++ {
				e, _ := p.Pick(0, pool.Key{}, nil, breaker.Willing)
				counts[e.Address]++
				for _, m := range p.Members() {
					due := float64(n) * float64(m.Weight) / float64(total)
					if d := float64(counts[m.Address]) - due; math.Abs(d) > 1+float64(len(set))/2 {
						t.Fatalf("after %d picks %s has %d, %.1f are due", n, m.Address, counts[m.Address], due)
					}
				}
			}
		})
	}
}

func TestRoundRobinOfEqualsVisitsEachInTurn(t *testing.T) {
	p := newWorld(t).serve(policyPool("RoundRobin", endpoints(7, 7, 7)))[0]
	var got []string
	for range 9 {
		e, _ := p.Pick(0, pool.Key{}, nil, breaker.Willing)
		got = append(got, e.Address)
	}
	for i := 3; i < 9; i++ {
		if got[i] != got[i-3] || got[i] == got[i-1] {
			t.Fatalf("%v", got)
		}
	}
}

func TestRotationsBeginAnywhere(t *testing.T) {
	first := map[string]int{}
	for seed := range uint64(60) {
		r := pool.NewRegistry(pool.Options{Rand: seed})
		s, err := r.Stage([]policy.Pool{policyPool("RoundRobin", equal(3))})
		if err != nil {
			t.Fatal(err)
		}
		s.Commit(func() {})
		e, _ := s.Pools()[0].Pick(0, pool.Key{}, nil, breaker.Willing)
		first[e.Address]++
		r.Close()
	}
	for a, n := range first {
		if n < 8 || n > 32 {
			t.Errorf("%s is first %d times of 60", a, n)
		}
	}
	if len(first) != 3 {
		t.Errorf("%v", first)
	}
}

// TestLeastRequestPrefersTheLessLoaded holds requests open for different times:
// what is in flight must stay in proportion to the weights, so a slow endpoint
// gets fewer.
func TestLeastRequestPrefersTheLessLoaded(t *testing.T) {
	statistics(t)
	rnd := seeded(t)
	p := newWorld(t).serve(policyPool("LeastRequest", endpoints(1, 1, 2)))[0]
	m := p.Members()
	slow := m[0].Endpoint
	type open struct {
		e   *pool.Endpoint
		end int
	}
	var underway []open
	counts := map[*pool.Endpoint]int{}
	for now := range 20000 {
		underway = slices.DeleteFunc(underway, func(o open) bool {
			if o.end <= now {
				o.e.End()
			}
			return o.end <= now
		})
		e, _ := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
		if e.Begin(nil) != pool.Started {
			t.Fatal("not begun")
		}
		counts[e]++
		took := 20
		if e == slow {
			took = 200
		}
		underway = append(underway, open{e, now + took})
	}
	if share := float64(counts[slow]) / 20000; share > 0.1 {
		t.Errorf("the slow one of three has share %.3f", share)
	}
	within(t, "weight 2 over weight 1", float64(counts[m[2].Endpoint])/float64(counts[m[1].Endpoint]), 2, 0.25)
	for _, o := range underway {
		o.e.End()
	}
}

func TestSameNumbersSamePicks(t *testing.T) {
	for _, algorithm := range []string{"RoundRobin", "LeastRequest", "PeakEWMA", "Random", "ConsistentHash"} {
		run := func() (out []string) {
			rnd := rand.New(rand.NewPCG(7, 7))
			p := newWorld(t).serve(policyPool(algorithm, endpoints(3, 1, 2, 1)))[0]
			trip(t, p.Members()[2].Endpoint)
			for range 500 {
				e, _ := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
				out = append(out, e.Address)
			}
			return out
		}
		if a, b := run(), run(); !slices.Equal(a, b) {
			t.Errorf("%s: two runs with the same numbers differ", algorithm)
		}
	}
}

// TestLargeWeights has more weight than a rotation or a ring has places.
func TestLargeWeights(t *testing.T) {
	statistics(t)
	for _, algorithm := range []string{"RoundRobin", "ConsistentHash"} {
		rnd := seeded(t)
		var list []policy.Endpoint
		total := 0
		for i := range 500 {
			w := 1 + (i*7919)%1000
			total += w
			list = append(list, policy.Endpoint{Address: fmt.Sprintf("10.0.%d.%d:80", i/250, i%250), Weight: w})
		}
		p := newWorld(t).serve(policyPool(algorithm, list))[0]
		heavy, due := 0.0, 0.0
		got := shares(t, p, rnd, 100000)
		for _, m := range p.Members() {
			if got[m.Address] == 0 && m.Weight > 50 { // lighter ones may lack luck
				t.Errorf("%s: %s of weight %d was never picked", algorithm, m.Address, m.Weight)
			}
			if m.Weight > 500 {
				heavy += got[m.Address]
				due += float64(m.Weight) / float64(total)
			}
		}
		within(t, algorithm, heavy, due, 0.03)
	}
}
