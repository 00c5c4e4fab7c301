package pool_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// disturb brings endpoints into any of the states they may be in, at random.
func disturb(t *testing.T, p *pool.Pool, rnd *rand.Rand) {
	for _, m := range p.Members() {
		switch rnd.IntN(7) {
		case 0:
			trip(t, m.Endpoint)
		case 1:
			m.SetHealthy(false, "")
		case 2:
			m.SetHealthy(false, "")
			m.SetHealthy(true, "") // it starts slowly, where the pool has that
		case 3, 4:
			for range rnd.IntN(5) {
				if m.Begin(nil) == pool.Started {
					t.Cleanup(m.End)
				}
			}
		case 5:
			for range rnd.IntN(9) {
				w := m.Wait(true)
				w.Failed()
			}
		}
	}
}

// The odds are the shares that picks show, in whatever state a pool is, and asking for
// them changes no pick.
func TestOdds(t *testing.T) {
	statistics(t)
	const picks = 20000
	for _, algorithm := range []string{"RoundRobin", "LeastRequest", "PeakEWMA", "Random", "ConsistentHash"} {
		for seed := range uint64(12) {
			t.Run(fmt.Sprintf("%s/%d", algorithm, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(seed, 7))
					var list []policy.Endpoint
					for i := range 1 + rnd.IntN(7) {
						list = append(list, policy.Endpoint{Address: fmt.Sprintf("e%d:80", i), Weight: rnd.IntN(5), Priority: rnd.IntN(2), Drain: rnd.IntN(9) == 0})
					}
					spec := policyPool(algorithm, list)
					spec.Limits.PerEndpointParallelRequests = 4
					if seed%2 == 1 {
						spec.LoadBalancer.SlowStartWindow = 10 * time.Second
					}
					w := newWorld(t)
					p := w.serve(spec)[0]
					disturb(t, p, rnd)
					time.Sleep(4 * time.Second)
					o := p.Odds(pool.Ask{Probing: breaker.Willing})
					got := map[string]float64{}
					for range picks {
						e, refusal := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
						if refusal != o.Refusal {
							t.Fatalf("refusal %v, want %v", o.Refusal, refusal)
						}
						if e == nil {
							break
						}
						got[e.Address] += 1. / picks
					}
					off := 0.03
					if o.Exact {
						off = 0.015
					}
					sum := 0.
					for _, c := range o.Candidates {
						sum += c.Probability
						if math.Abs(c.Probability-got[c.Address]) > off {
							t.Errorf("%s: probability %.3f (exact: %v), of the picks %.3f", c.Address, c.Probability, o.Exact, got[c.Address])
						}
						if c.Why == "" && c.Probability == 0 && got[c.Address] > 0 || c.Why != "" && c.Probability > 0 {
							t.Errorf("%s: probability %.3f though %q", c.Address, c.Probability, c.Why)
						}
					}
					if want := 1.; o.Refusal == pool.None && math.Abs(sum-want) > 1e-6 || o.Refusal != pool.None && sum != 0 {
						t.Errorf("the probabilities add up to %v; %v", sum, o.Refusal)
					}
					if plain := algorithm == "Random" || algorithm == "RoundRobin"; plain && seed%2 == 0 && !o.Exact && o.Refusal == pool.None {
						t.Error("not exact, though weights alone decide")
					}
				})
			})
		}
	}
}

// A key and a session's number have one endpoint, which is certain.
func TestOddsOfAKey(t *testing.T) {
	rnd := seeded(t)
	p := newWorld(t).serve(policyPool("ConsistentHash", endpoints(1, 2, 3)))[0]
	for range 100 {
		key, number := pool.KeyOf(fmt.Append(nil, rnd.Uint64())), rnd.Uint64()
		byKey, _ := p.Pick(0, key, nil, breaker.Willing)
		byNumber, _ := p.PickFor(number, nil, breaker.Willing)
		certain(t, p.Odds(pool.Ask{Key: key}), byKey)
		certain(t, p.Odds(pool.Ask{Lodging: true, Session: number, Known: true}), byNumber)
	}
}

func certain(t *testing.T, o pool.Odds, want *pool.Endpoint) {
	t.Helper()
	for _, c := range o.Candidates {
		if (c.Endpoint == want) != (c.Probability == 1) || !o.Exact {
			t.Errorf("%s: probability %v, exact %v; %s is picked", c.Address, c.Probability, o.Exact, want.Address)
		}
	}
}

// Asking moves no rotation on.
func TestOddsDisturbNothing(t *testing.T) {
	a := newWorld(t).serve(policyPool("RoundRobin", endpoints(1, 2, 3)))[0]
	b := newWorld(t).serve(policyPool("RoundRobin", endpoints(1, 2, 3)))[0]
	for i := range 20 {
		a.Odds(pool.Ask{})
		x, _ := a.Pick(0, pool.Key{}, nil, breaker.Willing)
		y, _ := b.Pick(0, pool.Key{}, nil, breaker.Willing)
		if x.Address != y.Address {
			t.Fatalf("pick %d: %s, and without asking %s", i, x.Address, y.Address)
		}
	}
}
