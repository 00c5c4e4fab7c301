package pool_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

var algorithms = []string{"RoundRobin", "LeastRequest", "Random", "PeakEWMA", "ConsistentHash"}

// slowPool is a pool with a slow start of 30 s.
func slowPool(algorithm string, endpoints []policy.Endpoint) policy.Pool {
	p := policyPool(algorithm, endpoints)
	p.LoadBalancer.SlowStartWindow = 30 * time.Second
	p.HealthCheck.PanicThreshold = 0
	return p
}

// recovers makes e come back after a while in which it was unhealthy.
func recovers(e *pool.Endpoint, after time.Duration) {
	e.SetHealthy(false, "test")
	time.Sleep(after)
	e.SetHealthy(true, "test")
}

// TestSlowStart is about a cold cache after recovery: an endpoint that is back has
// little in its first five seconds, never less later than before, and once the
// window is over what it had before.
func TestSlowStart(t *testing.T) {
	statistics(t)
	const bucket, window = 5 * time.Second, 30 * time.Second
	// By bounded load it also gets what others have too much of.
	slack := map[string]float64{"RoundRobin": 1.1, "LeastRequest": 1.1, "Random": 1.1, "PeakEWMA": 1.4, "ConsistentHash": 2.5}
	for _, algorithm := range algorithms {
		for name, set := range map[string][]int{"two": {1, 1}, "four": {1, 1, 1, 1}, "a heavy one": {3, 1, 1}, "a light one": {1, 3, 2}} {
			for load, interval := range map[string]time.Duration{"idle": 5 * ms, "busy": ms} {
				if load == "idle" && set[0] != set[1] {
					continue
				}
				t.Run(algorithm+"/"+name+"/"+load, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						answers := map[string]answer{}
						for _, e := range endpoints(set...) {
							answers[e.Address] = answer{after: 20 * ms}
						}
						f := newTraffic(t, newWorld(t).serve(slowPool(algorithm, endpoints(set...)))[0], answers)
						defer f.abandon()
						address := "e1:80"
						e := members(f.pool)[address]
						noise := func(share float64) float64 {
							return 4 * math.Sqrt(share*(1-share)*float64(interval)/float64(bucket))
						}
						before := f.run(interval, 30000*interval)[address]
						e.SetHealthy(false, "test")
						if share := f.run(interval, 10*time.Second)[address]; share != 0 {
							t.Fatalf("unhealthy, and has share %.3f", share)
						}
						e.SetHealthy(true, "test")
						last := 0.0
						var all []string
						for at := time.Duration(0); at < window; at += bucket {
							share := f.run(interval, bucket)[address]
							all = append(all, fmt.Sprintf("%.3f", share))
							if at == 0 && share > 0.1+noise(0.05) {
								t.Errorf("in its first five seconds it has share %.3f", share)
							}
							part := before * float64(at+bucket/2) / float64(window)
							if due := part / (1 - before + part); share > slack[algorithm]*due+noise(due) && load == "busy" {
								t.Errorf("after %v it has share %.3f, and about %.3f is due", at, share, due)
							}
							if share < last-noise(last) {
								t.Errorf("after %v its share fell from %.3f to %.3f", at, last, share)
							}
							last = share
						}
						t.Logf("before %.3f; then %s", before, strings.Join(all, " "))
						if _, on := e.SlowStart(); on {
							t.Error("it is not over after its window")
						}
						within(t, "afterwards", f.run(interval, 30000*interval)[address], before, 0.1)
					})
				})
			}
		}
	}
}

// TestSlowStartBegins says when an endpoint starts slowly, and when it does not.
func TestSlowStartBegins(t *testing.T) {
	tests := []struct {
		name string
		play func(*world, *pool.Pool) *pool.Pool // returns the pool to look at
		slow []string
	}{
		{"the first policy", func(w *world, p *pool.Pool) *pool.Pool { return p }, nil},
		{"the same again", func(w *world, p *pool.Pool) *pool.Pool { return w.serve(slowOnly("a", "b"))[0] }, nil},
		{"joins", func(w *world, p *pool.Pool) *pool.Pool { return w.serve(slowOnly("a", "b", "c"))[0] }, []string{"c"}},
		{"all are others", func(w *world, p *pool.Pool) *pool.Pool { return w.serve(slowOnly("c", "d"))[0] }, []string{"c", "d"}},
		{"a new pool", func(w *world, p *pool.Pool) *pool.Pool {
			other := slowOnly("a", "c")
			other.Name = "other"
			return w.serve(slowOnly("a", "b"), other)[1]
		}, nil},
		{"a pool that was gone", func(w *world, p *pool.Pool) *pool.Pool {
			w.serve()
			return w.serve(slowOnly("a", "b"))[0]
		}, nil},
		{"gone and back", func(w *world, p *pool.Pool) *pool.Pool {
			begin(w.t, members(p)["b"])
			w.serve(slowOnly("a"))
			q := w.serve(slowOnly("a", "b"))[0]
			members(q)["b"].End()
			return q
		}, []string{"b"}},
		{"drained by policy, and no longer", func(w *world, p *pool.Pool) *pool.Pool {
			w.serve(slowOnly("a", "b!"))
			return w.serve(slowOnly("a", "b"))[0]
		}, []string{"b"}},
		{"drains", func(w *world, p *pool.Pool) *pool.Pool { return w.serve(slowOnly("a", "b!"))[0] }, nil},
		{"weight 0, and no longer", func(w *world, p *pool.Pool) *pool.Pool {
			none := slowOnly("a", "b")
			none.Endpoints[0].Weight = 0
			w.serve(none)
			return w.serve(slowOnly("a", "b"))[0]
		}, []string{"a"}},
		{"another priority", func(w *world, p *pool.Pool) *pool.Pool {
			spare := slowOnly("a", "b")
			spare.Endpoints[0].Priority = 1
			return w.serve(spare)[0]
		}, nil},
		{"healthy again", func(w *world, p *pool.Pool) *pool.Pool {
			recovers(members(p)["a"], time.Second)
			return p
		}, []string{"a"}},
		{"unhealthy", func(w *world, p *pool.Pool) *pool.Pool {
			recovers(members(p)["a"], time.Second)
			members(p)["a"].SetHealthy(false, "test")
			return p
		}, nil},
		{"healthy again in panic", func(w *world, p *pool.Pool) *pool.Pool {
			always := slowOnly("a", "b")
			always.HealthCheck.PanicThreshold = 100
			q := w.serve(always)[0]
			recovers(members(q)["a"], time.Second)
			return q
		}, nil},
		{"breaker open", func(w *world, p *pool.Pool) *pool.Pool {
			trip(w.t, members(p)["a"])
			return p
		}, nil},
		{"breaker half-open", func(w *world, p *pool.Pool) *pool.Pool {
			a := members(p)["a"]
			trip(w.t, a)
			time.Sleep(10 * time.Second)
			a.Breaker().Allow(breaker.Willing)
			return p
		}, nil},
		{"breaker closed again", func(w *world, p *pool.Pool) *pool.Pool {
			closeAgain(w.t, members(p)["a"])
			return p
		}, []string{"a"}},
		{"over", func(w *world, p *pool.Pool) *pool.Pool {
			recovers(members(p)["a"], time.Second)
			time.Sleep(30 * time.Second)
			return p
		}, nil},
		{"a reload", func(w *world, p *pool.Pool) *pool.Pool {
			recovers(members(p)["a"], time.Second)
			return w.serve(slowOnly("a", "b"))[0]
		}, []string{"a"}},
		{"no window", func(w *world, p *pool.Pool) *pool.Pool {
			q := w.serve(only("a", "b"))[0]
			recovers(members(q)["a"], time.Second)
			closeAgain(w.t, members(q)["b"])
			return q
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := tt.play(w, w.serve(slowOnly("a", "b"))[0])
				for _, due := range []float64{0.01, 0.5, 1} {
					for _, m := range p.Members() {
						want, slow := 1.0, due < 1 && slices.Contains(tt.slow, m.Address)
						if slow {
							want = due
						}
						if share, on := m.SlowStart(); share != want || on != slow {
							t.Errorf("%s has %v of its share, %v; want %v, %v", m.Address, share, on, want, slow)
						}
					}
					time.Sleep(15 * time.Second)
				}
			})
		})
	}
}

// slowOnly is only with a slow start of 30 s.
func slowOnly(addresses ...string) policy.Pool {
	p := only(addresses...)
	p.LoadBalancer.SlowStartWindow = 30 * time.Second
	return p
}

// closeAgain opens an endpoint's breaker and closes it by a probe.
func closeAgain(t *testing.T, e *pool.Endpoint) {
	t.Helper()
	trip(t, e)
	time.Sleep(10 * time.Second)
	done, _, ok := e.Breaker().Allow(breaker.Willing)
	if !ok {
		t.Fatal("no probe")
	}
	done(nil)
	if s, _ := e.Breaker().State(); s != breaker.Closed {
		t.Fatalf("breaker is %s", s)
	}
}

// TestSlowStartWindowActsAtOnce changes the window of a slow start under way. What is
// over stays over.
func TestSlowStartWindowActsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		serve := func(window time.Duration) {
			p := only("a", "b")
			p.LoadBalancer.SlowStartWindow = window
			w.serve(p)
		}
		a := members(w.serve(slowOnly("a", "b"))[0])["a"]
		recovers(a, time.Second)
		time.Sleep(15 * time.Second)
		for _, x := range []struct {
			window time.Duration
			share  float64
			on     bool
		}{{30 * time.Second, 0.5, true}, {time.Minute, 0.25, true}, {20 * time.Second, 0.75, true}, {10 * time.Second, 1, false}, {time.Hour, 1, false}} {
			serve(x.window)
			if share, on := a.SlowStart(); share != x.share || on != x.on {
				t.Errorf("window %v: %v of its share, %v", x.window, share, on)
			}
		}
		serve(30 * time.Second)
		recovers(a, time.Second)
		time.Sleep(30 * time.Second) // nobody looks
		serve(time.Hour)
		if _, on := a.SlowStart(); on {
			t.Error("it was over, and is on with a longer window")
		}
		recovers(a, time.Second)
		serve(0)
		if _, on := a.SlowStart(); on {
			t.Error("no window, and on")
		}
	})
}

// TestSlowStartRefusesNothing: who starts slowly serves all the same if nobody else
// can, untried ones before tried ones.
func TestSlowStartRefusesNothing(t *testing.T) {
	for _, algorithm := range algorithms {
		for _, n := range []int{1, 2, 4, 200} {
			t.Run(fmt.Sprintf("%s/%d", algorithm, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rnd := seeded(t)
					p := newWorld(t).serve(slowPool(algorithm, equal(n)))[0]
					for _, m := range p.Members() {
						recovers(m.Endpoint, 0)
					}
					counts := map[*pool.Endpoint]int{}
					for range 100 * n {
						var tried pool.Tried
						for range min(n, 3) {
							e, refusal := p.Pick(rnd.Uint64(), pool.KeyOf(fmt.Append(nil, rnd.Uint64())), &tried, breaker.Willing)
							if refusal != pool.None {
								t.Fatal(refusal)
							}
							if tried.Has(e) {
								t.Fatal("tried already")
							}
							tried.Add(e)
							counts[e]++
						}
					}
					for _, m := range p.Members() {
						if got := counts[m.Endpoint]; got < 30*min(n, 3) || got > 300*min(n, 3) {
							t.Errorf("%s got %d of %d", m.Address, got, 100*n*min(n, 3))
						}
					}
				})
			})
		}
	}
}

// TestSlowStartFromASpare: what a spare serves comes back to the first priority bit
// by bit.
func TestSlowStartFromASpare(t *testing.T) {
	for _, algorithm := range algorithms {
		synctest.Test(t, func(t *testing.T) {
			pp := slowPool(algorithm, equal(2))
			pp.Endpoints[1].Priority = 1
			p := newWorld(t).serve(pp)[0]
			recovers(members(p)["e1:80"], time.Second)
			rnd := seeded(t)
			for _, want := range []float64{0.01, 0.25, 0.5, 0.75, 1} {
				if got := shares(t, p, rnd, 10000)["e1:80"]; math.Abs(got-want) > 0.03 {
					t.Errorf("%s: share %.3f, want %.2f", algorithm, got, want)
				}
				time.Sleep(7500 * ms)
			}
		})
	}
}

// TestSlowStartMovesKeysOneByOne: with consistent hash a key that has come home stays
// there, all others stay where they were, and replicas agree.
func TestSlowStartMovesKeysOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pp := slowPool("ConsistentHash", equal(4))
		pp.LoadBalancer.BoundedLoadFactor = 0
		p, replica := newWorld(t).serve(pp)[0], newWorld(t).serve(pp)[0]
		full := homes(t, p)
		e, twin := members(p)["e2:80"], members(replica)["e2:80"]
		e.SetHealthy(false, "test")
		twin.SetHealthy(false, "test")
		last := homes(t, p)
		e.SetHealthy(true, "test")
		twin.SetHealthy(true, "test")
		for _, share := range []float64{0.2, 0.4, 0.6, 0.8, 1} {
			time.Sleep(6 * time.Second)
			now := homes(t, p)
			home, back := 0, 0
			for i := range now {
				if full[i] == e.Address {
					home++
					if now[i] == e.Address {
						back++
					}
				}
				if now[i] != last[i] && now[i] != e.Address {
					t.Fatalf("key %d moved from %s to %s", i, last[i], now[i])
				}
			}
			within(t, "keys that are back", float64(back)/float64(home), share, 0.1)
			if !slices.Equal(now, homes(t, replica)) {
				t.Error("replicas do not agree")
			}
			last = now
		}
		if !slices.Equal(last, full) {
			t.Error("not all keys are back")
		}
	})
}

// TestSlowStartKeepsTheRotationSmooth: the others are still visited in turn.
func TestSlowStartKeepsTheRotationSmooth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorld(t).serve(slowPool("RoundRobin", equal(4)))[0]
		e := members(p)["e2:80"]
		recovers(e, time.Second)
		rnd := seeded(t)
		counts := map[string]int{}
		for n := range 3000 {
			picked, _ := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
			if counts[picked.Address]++; picked != e {
				low, high := math.MaxInt, 0
				for a, c := range counts {
					if a != e.Address {
						low, high = min(low, c), max(high, c)
					}
				}
				if n > 4 && high-low > 1 {
					t.Fatalf("after %d picks: %v", n, counts)
				}
			}
			time.Sleep(10 * ms)
		}
	})
}

// TestSlowStartOfMany: of a large pool nine tenths join at once. They get as little
// as one would.
func TestSlowStartOfMany(t *testing.T) {
	statistics(t)
	for _, algorithm := range algorithms {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.serve(slowPool(algorithm, equal(100)))
			p := w.serve(slowPool(algorithm, equal(1000)))[0]
			new := map[string]bool{}
			for _, e := range equal(1000)[100:] {
				new[e.Address] = true
			}
			rnd := seeded(t)
			for _, due := range []float64{0.01, 0.25, 0.5, 0.75, 1} {
				got := 0.0
				for address, share := range shares(t, p, rnd, 10000) {
					if new[address] {
						got += share
					}
				}
				t.Logf("%s: at %.2f they have %.3f", algorithm, due, got)
				if want := 900 * due / (100 + 900*due); got > min(1, 1.35*want)+0.01 {
					t.Errorf("%s: with %.2f of their share they have %.3f, want %.3f", algorithm, due, got, want)
				}
				time.Sleep(7500 * ms)
			}
		})
	}
}
