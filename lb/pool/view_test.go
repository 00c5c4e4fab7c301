package pool_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

const large = 10000

// largePool is a pool that never panics.
func largePool(algorithm string, endpoints []policy.Endpoint) policy.Pool {
	p := policyPool(algorithm, endpoints)
	p.HealthCheck.PanicThreshold = 0
	return p
}

// leave makes all endpoints unhealthy but every n-th; 0: all.
func leave(p *pool.Pool, n int) (eligible []pool.Member) {
	for i, m := range p.Members() {
		if n > 0 && i%n == 0 {
			eligible = append(eligible, m)
		} else {
			m.SetHealthy(false, "test")
		}
	}
	return eligible
}

// TestFewAreLookedAt makes one endpoint of many eligible after all were looked at,
// and picks in the same instant. A pick that looks at each finds it; one that
// looks at k of n finds it k times in n.
func TestFewAreLookedAt(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := seeded(t)
				w := newWorld(t)
				p := w.serve(largePool(algorithm, equal(large)))[0]
				leave(p, 0)
				pick := func() (found bool) {
					var tried pool.Tried
					tried.Add(p.Members()[0].Endpoint)
					e, refusal := p.Pick(rnd.Uint64(), pool.KeyOf(fmt.Append(nil, rnd.Uint64())), &tried, breaker.Willing)
					if e == nil && refusal != pool.NoneHealthy {
						t.Fatalf("refused because %v", refusal)
					}
					if p.RetryAfter() != 0 {
						t.Fatal("a breaker is open")
					}
					return e != nil
				}
				if pick() {
					t.Fatal("picked what is unhealthy")
				}
				const tries = 2000
				found := 0
				for range tries {
					m := p.Members()[1+rnd.IntN(large-1)]
					m.SetHealthy(true, "test")
					if pick() {
						found++
					}
					m.SetHealthy(false, "test")
				}
				// A request that tried some picks twice, of 64 places at most.
				if looks := found * large / tries; looks > 2*2*64 {
					t.Errorf("found it %d times of %d: about %d endpoints are looked at", found, tries, looks)
				}
				m := p.Members()[large/2]
				m.SetHealthy(true, "test")
				time.Sleep(ms)
				if !pick() {
					t.Error("not found later either")
				}
			})
		})
	}
}

// TestServesLooksAtFew: whether somebody may be picked is known of a small pool; of a
// large one it is taken so after a few were looked at that may not.
func TestServesLooksAtFew(t *testing.T) {
	for _, n := range []int{64, large} {
		p := newWorld(t).serve(largePool("LeastRequest", equal(n)))[0]
		leave(p, 0)
		if got := p.Serves(breaker.Willing); got != (n == large) {
			t.Errorf("of %d endpoints none is healthy; serves: %t", n, got)
		}
		p.Members()[63].SetHealthy(true, "test")
		if !p.Serves(breaker.Willing) {
			t.Errorf("of %d endpoints the 64th is healthy, and it does not serve", n)
		}
	}
}

// TestTheBestIsNotSearchedFor: of many busy endpoints one is idle, another one each
// time. A pick that compares all of them finds it; one that compares k of n finds it k
// times in n.
func TestTheBestIsNotSearchedFor(t *testing.T) {
	const n, tries = 1000, 20_000
	for _, algorithm := range []string{"LeastRequest", "PeakEWMA"} {
		t.Run(algorithm, func(t *testing.T) {
			rnd := seeded(t)
			p := newWorld(t).serve(largePool(algorithm, equal(n)))[0]
			for _, m := range p.Members() {
				begin(t, m.Endpoint)
				defer m.End()
			}
			found := 0
			for range tries {
				idle := p.Members()[rnd.IntN(n)].Endpoint
				idle.End()
				if e, _ := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing); e == idle {
					found++
				}
				begin(t, idle)
			}
			if found == 0 || found*n/tries > 20 {
				t.Errorf("found it %d times of %d: about %d endpoints are compared", found, tries, found*n/tries)
			}
		})
	}
}

// TestRefusalsLookAtFew: why a large pool refuses, and when it is worth coming back,
// is looked up once in a while.
func TestRefusalsLookAtFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorld(t).serve(largePool("LeastRequest", equal(large)))[0]
		leave(p, 0)
		refused := func(why pool.Refusal, after time.Duration) {
			t.Helper()
			_, refusal := p.Pick(1, pool.Key{}, nil, breaker.Willing)
			if refusal != why || p.RetryAfter() != after {
				t.Errorf("refused because %v, for %v; want %v, %v", refusal, p.RetryAfter(), why, after)
			}
		}
		refused(pool.NoneHealthy, 0)
		m := p.Members()[large/2]
		m.SetHealthy(true, "test")
		trip(t, m.Endpoint)
		refused(pool.NoneHealthy, 0)
		time.Sleep(ms)
		_, until := m.Breaker().State()
		refused(pool.BreakersOpen, time.Until(until))
	})
}

// TestMostAreNotEligible: of many endpoints one in a hundred can be picked, or just one.
// All requests go there, by weight, and none is refused.
func TestMostAreNotEligible(t *testing.T) {
	statistics(t)
	for _, algorithm := range algorithms {
		for _, n := range []int{50, large/2 + 1} {
			t.Run(fmt.Sprintf("%s/one in %d", algorithm, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rnd := seeded(t)
					list := equal(large)
					for i := range list {
						list[i].Weight = 1 + i/n%3
					}
					p := newWorld(t).serve(largePool(algorithm, list))[0]
					eligible := leave(p, n)
					sum := 0
					for _, m := range eligible {
						sum += m.Weight
					}
					got := shares(t, p, rnd, 30000)
					byWeight := map[int]float64{}
					for _, m := range eligible {
						due := float64(m.Weight) / float64(sum)
						if algorithm != "ConsistentHash" {
							within(t, m.Address, got[m.Address], due, 0.6)
						}
						byWeight[m.Weight] += got[m.Address] / due / float64(len(eligible)/3)
						delete(got, m.Address)
					}
					if len(got) > 0 {
						t.Errorf("picked others: %v", got)
					}
					for weight, share := range byWeight {
						if n == 50 {
							within(t, fmt.Sprintf("weight %d", weight), share, 1, 0.1)
						}
					}
				})
			})
		}
	}
}

// TestLeastRequestAmongTheEligible: load counts also where most cannot be picked.
func TestLeastRequestAmongTheEligible(t *testing.T) {
	statistics(t)
	synctest.Test(t, func(t *testing.T) {
		p := newWorld(t).serve(largePool("LeastRequest", equal(large)))[0]
		answers := map[string]answer{}
		for i, m := range leave(p, large/4) {
			answers[m.Address] = answer{after: 20 * ms}
			if i == 0 {
				answers[m.Address] = answer{after: 200 * ms}
			}
		}
		f := newTraffic(t, p, answers)
		defer f.abandon()
		if share := f.run(ms, 5*time.Second)["e1:80"]; share > 0.07 {
			t.Errorf("the slow one of four has share %.3f", share)
		}
	})
}

// TestWhatIsRememberedIsChecked: an endpoint that was eligible a moment ago is not
// picked if it is no longer, and what was remembered long ago is not used at all.
func TestWhatIsRememberedIsChecked(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := seeded(t)
				p := newWorld(t).serve(largePool(algorithm, equal(large)))[0]
				eligible := leave(p, 100)
				shares(t, p, rnd, 10)
				for i, m := range eligible {
					if i%2 == 0 {
						m.SetHealthy(false, "test")
					}
				}
				for range 1000 {
					if e, _ := p.Pick(rnd.Uint64(), pool.KeyOf(fmt.Append(nil, rnd.Uint64())), nil, breaker.Willing); e != nil && !e.Healthy() {
						t.Fatal("picked what is unhealthy")
					}
				}
				for _, m := range eligible {
					m.SetHealthy(false, "test")
				}
				last := p.Members()[large-1]
				last.SetHealthy(true, "test")
				time.Sleep(time.Hour)
				if got := shares(t, p, rnd, 10)[last.Address]; got < 0.99 {
					t.Errorf("share %v", got)
				}
			})
		})
	}
}

// TestTheLastOfAView: of what was eligible a moment ago a single one is left. It is
// found, and nothing refused.
func TestTheLastOfAView(t *testing.T) {
	for _, algorithm := range []string{"RoundRobin", "LeastRequest", "Random", "PeakEWMA"} {
		synctest.Test(t, func(t *testing.T) {
			rnd := seeded(t)
			p := newWorld(t).serve(largePool(algorithm, equal(large)))[0]
			eligible := leave(p, large/60+1)
			shares(t, p, rnd, 10)
			for _, m := range eligible[1:] {
				m.SetHealthy(false, "test")
			}
			shares(t, p, rnd, 100)
		})
	}
}

// TestHashAmongTheEligible: where most endpoints cannot be picked, keys still have
// homes, the same ones on every replica; one that goes moves its own keys only; and
// the bound on load holds.
func TestHashAmongTheEligible(t *testing.T) {
	statistics(t)
	synctest.Test(t, func(t *testing.T) {
		pp := largePool("ConsistentHash", equal(large))
		pp.LoadBalancer.BoundedLoadFactor = 0
		w := newWorld(t)
		p, replica := w.serve(pp)[0], newWorld(t).serve(pp)[0]
		eligible := leave(p, 200)
		leave(replica, 200)
		before := homes(t, p)
		if !slices.Equal(before, homes(t, replica)) {
			t.Error("replicas do not agree")
		}
		out := eligible[7]
		out.SetHealthy(false, "test")
		time.Sleep(ms)
		moved := 0
		for i, home := range homes(t, p) {
			if home == before[i] {
				continue
			}
			if moved++; before[i] != out.Address {
				t.Fatalf("key %d moved from %s to %s", i, before[i], home)
			}
		}
		if moved == 0 {
			t.Error("nothing moved")
		}
		pp.LoadBalancer.BoundedLoadFactor = 1.25
		p = w.serve(pp)[0]
		hot := pool.KeyOf([]byte("hot"))
		most := int64(0)
		for range 1000 {
			e, _ := p.Pick(0, hot, nil, breaker.Willing)
			begin(t, e)
			most = max(most, e.InFlight())
		}
		// The bound is known of about as many as are walked past: 16.
		if most > 1000/16*5/4+1 {
			t.Errorf("one endpoint has %d of 1000 requests for one key", most)
		}
		for _, m := range p.Members() {
			for m.InFlight() > 0 {
				m.End()
			}
		}
	})
}

// TestViewsOfMany picks from a large pool while its endpoints turn healthy and
// unhealthy. An endpoint that was unhealthy all the time is never picked.
func TestViewsOfMany(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, algorithm := range algorithms {
		p := newWorld(t).serve(largePool(algorithm, equal(1000)))[0]
		leave(p, 100)
		var served, stop atomic.Int64
		var all sync.WaitGroup
		for g := range uint64(2) {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, g))
				for stop.Load() == 0 {
					e, refusal := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
					if e == nil { // five are healthy always
						t.Errorf("%s: %v", algorithm, refusal)
						return
					}
					if _, is := slices.BinarySearchFunc(p.Members(), e, func(m pool.Member, e *pool.Endpoint) int { return int(m.ID - e.ID) }); !is || e.ID%100 != 0 {
						t.Errorf("%s: picked %s", algorithm, e.Address)
						return
					}
					served.Add(1)
				}
			})
		}
		rnd := rand.New(rand.NewPCG(seed, 9))
		for i := 0; i < 50 || served.Load() < 2000 && !t.Failed(); i++ {
			p.Members()[100*(1+2*rnd.IntN(5))].SetHealthy(rnd.IntN(2) == 0, "test")
			time.Sleep(50 * time.Microsecond)
		}
		stop.Store(1)
		all.Wait()
	}
}
