package snapshot_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// mirroring is a policy whose routes mirror to the pools.
func mirroring(percent float64, to ...string) *policy.Policy {
	p := &policy.Policy{Pools: []policy.Pool{
		{Name: "a", Endpoints: []policy.Endpoint{{Address: "x:1", Weight: 1}}},
		{Name: "b", Endpoints: []policy.Endpoint{{Address: "x:1", Weight: 1}, {Address: "y:1", Weight: 1}}, LoadBalancer: policy.LoadBalancer{Type: "Random"}},
	}}
	for i, name := range to {
		p.Routes = append(p.Routes, policy.Route{
			Name: string(rune('p' + i)), BackendRefs: []policy.BackendRef{{Pool: "a", Weight: 1}},
			Matches: []policy.Match{{PathType: policy.PathPrefix, Path: "/"}},
			Filters: policy.Filters{Mirror: &policy.Mirror{Pool: name, Percent: percent}},
		})
	}
	return p
}

// TestMirrorTakesItsShare: as many requests as the percentage says, and the number
// that decided it leaves the choice of an endpoint open.
func TestMirrorTakesItsShare(t *testing.T) {
	for _, percent := range []float64{0, 0.5, 25, 50, 99.5, 100} {
		registry := pool.NewRegistry(pool.Options{})
		s, err := snapshot.Compile(mirroring(percent, "b"), "", registry)
		if err != nil {
			t.Fatal(err)
		}
		s.Commit(new(snapshot.Current), s.LoadedAt)
		m := s.Routes[0].Mirror
		rnd := rand.New(rand.NewPCG(1, uint64(percent)))
		const n = 100000
		taken, first := 0, 0
		for range n {
			if x := rnd.Uint64(); m.Takes(x) {
				taken++
				if e, _ := m.Pool.Pick(x, pool.Key{}, nil, breaker.Willing); e.Address == "x:1" {
					first++
				}
			}
		}
		due := percent / 100 * n
		if d := math.Abs(float64(taken) - due); d > 5*math.Sqrt(due*(1-percent/100)) {
			t.Errorf("%v percent takes %d of %d", percent, taken, n)
		}
		if d := math.Abs(float64(first) - float64(taken)/2); d > 5*math.Sqrt(float64(taken)/4) {
			t.Errorf("%v percent: of %d taken, the first of two endpoints gets %d", percent, taken, first)
		}
		registry.Close()
	}
}

// TestMirrorsProbe: copies probe a pool that no route sends requests to.
func TestMirrorsProbe(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	for weight, want := range map[int][]bool{0: {true, false}, 1: {false, false}} {
		p := mirroring(10, "b", "a")
		p.Routes[1].BackendRefs = append(p.Routes[1].BackendRefs, policy.BackendRef{Pool: "b", Weight: weight})
		s, err := snapshot.Compile(p, "", registry)
		if err != nil {
			t.Fatal(err)
		}
		if got := []bool{s.Routes[0].Mirror.Probes, s.Routes[1].Mirror.Probes}; !slices.Equal(got, want) {
			t.Errorf("weight %d: %v, want %v", weight, got, want)
		}
		s.Discard()
	}
}

func TestMirrorsInTheCatalog(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	s, err := snapshot.Compile(mirroring(10, "b", "a", "b"), "", registry)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	if want := []event.Named{{ID: 1, Name: "b"}, {ID: 0, Name: "a"}}; !slices.Equal(s.Catalog().Mirrors, want) {
		t.Errorf("%v", s.Catalog().Mirrors)
	}
	if _, err := snapshot.Compile(mirroring(10, "c"), "", registry); err == nil || !strings.Contains(err.Error(), `route "p": its mirror "c"`) {
		t.Errorf("an unknown pool: %v", err)
	}
}
