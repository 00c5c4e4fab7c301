package breaker_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
)

// TestConcurrent lets many goroutines use a breaker while its settings change.
// Transitions must be legal and in order, the probes never more than allowed,
// and in the end it must be usable.
func TestConcurrent(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const most = 3 // probes
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		s := usual
		s.OpenDuration, s.MaxOpenDuration, s.Interval = time.Millisecond, 4*time.Millisecond, 20*time.Millisecond
		b := breaker.New(s, rand.New(rand.NewPCG(seed, 1000)).Uint64, r.changed)
		var probes, probed atomic.Int32
		var all sync.WaitGroup
		for g := range uint64(16) {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, g))
				for range 2000 {
					b.State()
					b.Trips()
					how := breaker.Probing(rnd.IntN(3))
					b.Admits(how)
					done, probe, ok := b.Allow(how)
					unanswered := ok && rnd.IntN(500) == 0
					if probe && !unanswered {
						probed.Add(1)
						if n := probes.Add(1); n > most {
							t.Errorf("%d probes at once", n)
						}
					}
					if rnd.IntN(4) == 0 {
						time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
					}
					if probe && !unanswered {
						probes.Add(-1)
					}
					if ok && !unanswered {
						done([]error{nil, nil, breaker.Failed, breaker.Excluded}[rnd.IntN(4)])
					}
					if rnd.IntN(100) == 0 {
						s := s
						s.Interval += time.Duration(rnd.IntN(3)) * time.Millisecond
						s.HalfOpenRequests = 1 + rnd.IntN(most)
						b.Update(s)
					}
				}
			})
		}
		all.Wait()
		if err := checkTransitions(r.all); err != nil {
			t.Error(err)
		}
		if len(r.all) < 100 || probed.Load() < 100 {
			t.Errorf("only %d transitions and %d probes", len(r.all), probed.Load())
		}
		time.Sleep(lost + 2*s.MaxOpenDuration)
		for range most {
			if state, _ := b.State(); state == breaker.Closed {
				break
			}
			done, _, ok := b.Allow(breaker.Willing)
			if !ok {
				t.Fatal("wedged")
			}
			done(nil)
		}
		if state, _ := b.State(); state != breaker.Closed {
			t.Errorf("%s", state)
		}
	})
}

// TestHerd has many requests ask at the very moment at which the breaker turns
// half-open (pattern 5): no more than two are let through.
func TestHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			var b *breaker.Breaker
			var herd sync.WaitGroup
			var probes atomic.Int32
			b = breaker.New(usual, nil, func(_, to breaker.State, _ string) {
				if to != breaker.HalfOpen {
					return
				}
				// The first one holds the lock. Let the others run up to it.
				for range 20 {
					arrived := make(chan struct{})
					herd.Go(func() {
						close(arrived)
						if _, probe, _ := b.Allow(breaker.Willing); probe {
							probes.Add(1)
						}
					})
					<-arrived
				}
				for range 100 {
					runtime.Gosched()
				}
			})
			play(t, b, "f f f +5s p")
			herd.Wait()
			if n := 1 + probes.Load(); n != 2 {
				t.Fatalf("%d probes", n)
			}
		}
	})
}
