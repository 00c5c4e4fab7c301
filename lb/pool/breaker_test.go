package pool_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// TestOpenTimes trips two endpoints' breakers again and again: for how long they
// open is the policy's doing, a tenth of it at most chance, and that chance is
// each endpoint's own.
func TestOpenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := func(seed uint64) (out [][]time.Duration) {
			r := pool.NewRegistry(pool.Options{Rand: seed})
			defer r.Close()
			pp := policyPool("RoundRobin", equal(2))
			pp.CircuitBreaker.MaxOpenDuration = 10 * time.Second
			s, err := r.Stage([]policy.Pool{pp})
			if err != nil {
				t.Fatal(err)
			}
			s.Commit(func() {})
			for _, m := range s.Pools()[0].Members() {
				trip(t, m.Endpoint)
				all := []time.Duration{}
				for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 10 * time.Second} {
					n, open := m.Breaker().Trips()
					if all = append(all, open); n != len(all) || open < want || open > want+want/10 {
						t.Errorf("trip %d of %s: open for %v, want %v and up to a tenth", n, m.Address, open, want)
					}
					time.Sleep(open)
					done, _, ok := m.Breaker().Allow(breaker.Willing)
					if !ok {
						t.Fatal("no probe")
					}
					done(breaker.Failed)
				}
				out = append(out, all)
			}
			return out
		}
		a, again, other := opens(1), opens(1), opens(2)
		for e := range a {
			for i := range a[e] {
				if a[e][i] != again[e][i] {
					t.Errorf("endpoint %d, opening %d: %v and %v by the same seed", e, i, a[e][i], again[e][i])
				}
				if a[e][i] == other[e][i] || a[0][i] == a[1][i] {
					t.Errorf("endpoint %d, opening %d: %v twice", e, i, a[e][i])
				}
			}
		}
		if a[0][1] == a[0][2] {
			t.Error("the same random number each time")
		}
	})
}

// TestProbesAreNotStarved: an endpoint on which requests hang since before its
// breaker opened is probed all the same, though it looks like the busiest of all.
func TestProbesAreNotStarved(t *testing.T) {
	for _, algorithm := range []string{"LeastRequest", "PeakEWMA"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p := w.serve(policyPool(algorithm, equal(3)))[0]
			e := p.Members()[0].Endpoint
			for range 10 {
				begin(t, e)
				e.Wait(true)
			}
			trip(t, e)
			_, until := e.Breaker().State()
			time.Sleep(time.Until(until))
			picks := 0
			for n := range 100 {
				if got, _ := p.Pick(mix(uint64(n)), pool.Key{}, nil, breaker.Willing); got == e {
					picks++
				}
			}
			if picks < 50 { // it is one of the two that are drawn in two of three picks
				t.Errorf("%s: %d of 100 picks would probe it", algorithm, picks)
			}
			for range 10 {
				e.End()
			}
		})
	}
}

// TestRetryAfter: a pool that refuses says when the first of the endpoints that it
// would pick lets a probe through. What is wrong with each endpoint: o its breaker is
// open, for longer than that of those before it; h it is half-open, and all its probes
// are under way; u it is unhealthy; d it drains.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		endpoints string
		first     int // whose open time is said; -1: none, it is worth asking again at once
	}{
		{"o", 0},
		{"o o o", 0},
		{"ou o o", 1},
		{"od o o", 1},
		{"ou ou o", 2},
		{"u u o", 2},
		{"h o o", -1}, // it may close at any moment
		{"o o h", -1},
		{"hu o o", 1},
		{"u u u", -1},
	} {
		t.Run(tt.endpoints, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				troubles := strings.Fields(tt.endpoints)
				pp := policyPool("RoundRobin", equal(len(troubles)))
				pp.HealthCheck.PanicThreshold = 0
				for i, what := range troubles {
					pp.Endpoints[i].Drain = strings.Contains(what, "d")
				}
				p := newWorld(t).serve(pp)[0]
				each := func(with string, f func(*pool.Endpoint)) {
					for i, what := range troubles {
						if strings.Contains(what, with) {
							f(p.Members()[i].Endpoint)
						}
					}
				}
				each("h", func(e *pool.Endpoint) { trip(t, e) })
				time.Sleep(6 * time.Second)
				each("h", func(e *pool.Endpoint) {
					if _, probe, _ := e.Breaker().Allow(breaker.Willing); !probe {
						t.Fatal("no probe")
					}
				})
				each("o", func(e *pool.Endpoint) { trip(t, e); time.Sleep(time.Second) })
				each("u", func(e *pool.Endpoint) { e.SetHealthy(false, "test") })

				if _, refusal := p.Pick(1, pool.Key{}, nil, breaker.Willing); refusal == pool.None {
					t.Error("picked")
				}
				want := time.Duration(0)
				if tt.first >= 0 {
					_, until := p.Members()[tt.first].Breaker().State()
					want = time.Until(until)
				}
				if got := p.RetryAfter(); got != want {
					t.Errorf("after %v, want %v", got, want)
				}
			})
		})
	}
}

// mix spreads small numbers over all (SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
