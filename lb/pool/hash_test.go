package pool_test

import (
	"fmt"
	"slices"
	"testing"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

const keys = 20000

// homes returns the endpoint of each of many keys.
func homes(t *testing.T, p *pool.Pool) []string {
	t.Helper()
	out := make([]string, keys)
	for i := range out {
		e, refusal := p.Pick(uint64(i), pool.KeyOf(fmt.Appendf(nil, "user-%d", i)), nil, breaker.Willing)
		if refusal != pool.None {
			t.Fatal(refusal)
		}
		out[i] = e.Address
	}
	return out
}

// TestHashMovesOnlyWhatMustMove changes the endpoints of a pool: a key moves only
// to an endpoint that came or got heavier, or from one that went or got lighter.
func TestHashMovesOnlyWhatMustMove(t *testing.T) {
	statistics(t)
	tests := []struct {
		name          string
		before, after []policy.Endpoint
		from, to      string  // the endpoint keys move from, or to
		share         float64 // of the keys that move
	}{
		{"added", equal(9), equal(10), "", "e10:80", 0.1},
		{"removed", equal(10), slices.Delete(equal(10), 3, 4), "e4:80", "", 0.1},
		{"reordered", equal(10), reversed(equal(10)), "", "", 0},
		{"heavier", endpoints(1, 1, 1, 1), endpoints(1, 3, 1, 1), "", "e2:80", 0.5 - 0.25},
		{"weight 0", endpoints(2, 2, 2, 2, 2), endpoints(2, 2, 0, 2, 2), "e3:80", "", 0.2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			before := homes(t, w.serve(policyPool("ConsistentHash", tt.before))[0])
			after := homes(t, w.serve(policyPool("ConsistentHash", tt.after))[0])
			moved := 0
			for i := range before {
				if before[i] == after[i] {
					continue
				}
				moved++
				if tt.from != "" && before[i] != tt.from || tt.to != "" && after[i] != tt.to || tt.from+tt.to == "" {
					t.Fatalf("key %d moved from %s to %s", i, before[i], after[i])
				}
			}
			if tt.share == 0 {
				return
			}
			within(t, "moved", float64(moved)/keys, tt.share, 0.35)
		})
	}
}

func reversed(e []policy.Endpoint) []policy.Endpoint {
	slices.Reverse(e)
	return e
}

// TestHashComesHome takes an endpoint out and back: only its keys move, they
// spread over all others, and they return.
func TestHashComesHome(t *testing.T) {
	w := newWorld(t)
	p := w.serve(policyPool("ConsistentHash", equal(5)))[0]
	out := members(p)["e2:80"]
	before := homes(t, p)
	out.SetHealthy(false, "test")
	during := homes(t, p)
	heirs := map[string]int{}
	for i := range before {
		if before[i] == out.Address {
			heirs[during[i]]++
		} else if before[i] != during[i] {
			t.Fatalf("key %d moved from %s to %s", i, before[i], during[i])
		}
	}
	if len(heirs) != 4 {
		t.Errorf("its keys went to %v", heirs)
	}
	out.SetHealthy(true, "test")
	if after := homes(t, p); !slices.Equal(before, after) {
		t.Error("keys did not return")
	}
}

func TestReplicasAgree(t *testing.T) {
	a := homes(t, newWorld(t).serve(policyPool("ConsistentHash", endpoints(1, 2, 3)))[0])
	r := pool.NewRegistry(pool.Options{Rand: 99})
	defer r.Close()
	s, err := r.Stage([]policy.Pool{policyPool("LeastRequest", equal(7)), func() policy.Pool {
		p := policyPool("ConsistentHash", endpoints(1, 2, 3))
		p.Name = "other"
		return p
	}()})
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(func() {})
	if b := homes(t, s.Pools()[1]); !slices.Equal(a, b) {
		t.Error("another process has other homes")
	}
}

func TestHashWithoutAKeySpreads(t *testing.T) {
	rnd := seeded(t)
	p := newWorld(t).serve(policyPool("ConsistentHash", equal(4)))[0]
	counts := map[string]int{}
	for range 4000 {
		e, _ := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
		counts[e.Address]++
	}
	for a, n := range counts {
		if n < 500 || n > 1600 {
			t.Errorf("%s got %d of 4000", a, n)
		}
	}
}

// TestBoundedLoad sends one key only and lets nothing end: no endpoint may get
// more than its bound, and those first on the ring are filled first.
func TestBoundedLoad(t *testing.T) {
	statistics(t)
	hot := pool.KeyOf([]byte("hot"))
	for _, tt := range []struct {
		name    string
		weights []int
		open    []int // whose breakers are open
		factor  float64
	}{
		{"equal", []int{1, 1, 1, 1, 1, 1, 1, 1}, nil, 1.25},
		{"tight", []int{1, 1, 1, 1}, nil, 1},
		{"wide", []int{1, 1, 1, 1}, nil, 2},
		{"weights", []int{4, 1, 1, 2}, nil, 1.25},
		{"half of them open", []int{1, 1, 1, 1, 1, 1, 1, 1}, []int{0, 2, 4, 6}, 1.25},
		{"open and weights", []int{4, 1, 1, 2}, []int{0}, 1.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pp := policyPool("ConsistentHash", endpoints(tt.weights...))
			pp.LoadBalancer.BoundedLoadFactor = tt.factor
			p := newWorld(t).serve(pp)[0]
			m := p.Members()
			total := 0
			for _, w := range tt.weights {
				total += w
			}
			for _, i := range tt.open {
				trip(t, m[i].Endpoint)
				total -= tt.weights[i]
			}
			for n := 1; n <= 1000; n++ {
				e, _ := p.Pick(0, hot, nil, breaker.Willing)
				if e.Begin(nil) != pool.Started {
					t.Fatal("not begun")
				}
				for _, m := range m {
					bound := tt.factor*float64(n)*float64(m.Weight)/float64(total) + 1
					if got := float64(m.InFlight()); got > bound {
						t.Fatalf("after %d requests %s has %v, its bound is %.1f", n, m.Address, got, bound)
					}
				}
			}
			for i := range m {
				for m[i].InFlight() > 0 {
					m[i].End()
				}
			}
		})
	}
	t.Run("unbounded", func(t *testing.T) {
		pp := policyPool("ConsistentHash", equal(4))
		pp.LoadBalancer.BoundedLoadFactor = 0
		p := newWorld(t).serve(pp)[0]
		home, _ := p.Pick(0, hot, nil, breaker.Willing)
		for range 100 {
			e, _ := p.Pick(0, hot, nil, breaker.Willing)
			if e != home || e.Begin(nil) != pool.Started {
				t.Fatalf("%s is not the home", e.Address)
			}
		}
		for range 100 {
			home.End()
		}
	})
}

// TestBoundKeepsKeysHome gives many keys an even load: nearly all stay at home,
// also when the others' breakers are open and each endpoint carries twice as
// much.
func TestBoundKeepsKeysHome(t *testing.T) {
	for _, open := range []int{0, 4} {
		rnd := seeded(t)
		w := newWorld(t)
		pp := policyPool("ConsistentHash", equal(8))
		pp.LoadBalancer.BoundedLoadFactor = 0
		p := w.serve(pp)[0]
		for _, m := range p.Members()[:open] {
			trip(t, m.Endpoint)
		}
		home := homes(t, p)
		pp.LoadBalancer.BoundedLoadFactor = 2
		p = w.serve(pp)[0]
		var underway []*pool.Endpoint
		away := 0
		for range 20000 {
			i := rnd.IntN(keys)
			e, _ := p.Pick(rnd.Uint64(), pool.KeyOf(fmt.Appendf(nil, "user-%d", i)), nil, breaker.Willing)
			if e.Address != home[i] {
				away++
			}
			if e.Begin(nil) != pool.Started {
				t.Fatal("not begun")
			}
			if underway = append(underway, e); len(underway) > 400 {
				underway[0].End()
				underway = underway[1:]
			}
		}
		if away > 200 {
			t.Errorf("%d open: %d of 20000 were sent away from home", open, away)
		}
		for _, e := range underway {
			e.End()
		}
	}
}
