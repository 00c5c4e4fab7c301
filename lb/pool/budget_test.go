package pool_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

func budgeted(percent float64, least int) policy.Pool {
	p := policyPool("Random", equal(1))
	p.RetryBudget = policy.RetryBudget{Percent: percent, MinRetriesPerSecond: least}
	return p
}

// spend asks for n retries and returns how many were granted.
func spend(p *pool.Pool, n int) (granted int) {
	for range n {
		if p.Retry() {
			granted++
		}
	}
	return granted
}

func come(p *pool.Pool, n int) {
	for range n {
		p.Requested()
	}
}

func TestRetryBudget(t *testing.T) {
	type step struct {
		after    time.Duration
		requests int // at that time
		want     int // retries granted of 1000 asked for then
	}
	const s = time.Second
	for _, tt := range []struct {
		name    string
		percent float64
		least   int
		steps   []step
	}{
		{"at first, a second's worth", 20, 10, []step{{0, 0, 10}, {0, 0, 0}}},
		{"each second", 20, 10, []step{{0, 0, 10}, {s / 2, 0, 5}, {s, 0, 10}, {s / 10, 0, 1}}},
		{"a quiet time saves up a second's worth", 20, 10, []step{{0, 0, 10}, {time.Hour, 0, 10}, {0, 0, 0}}},
		{"each request", 25, 0, []step{{0, 0, 0}, {0, 3, 0}, {0, 1, 1}, {0, 400, 100}}},
		{"a burst", 20, 10, []step{{0, 1000, 210}, {0, 0, 0}, {s, 0, 10}}},
		{"a burst that is past", 20, 10, []step{{0, 0, 10}, {0, 1000, 200}, {10 * s, 0, 10}}},
		{"no percentage", 0, 5, []step{{0, 1000, 5}, {s, 1000, 5}}},
		{"nothing", 0, 0, []step{{0, 1000, 0}, {time.Hour, 1000, 0}}},
		{"all", 100, 0, []step{{0, 100, 100}, {0, 0, 0}, {0, 50, 50}}},
		{"few requests save up for one", 10, 0, []step{{0, 5, 0}, {time.Minute, 5, 1}, {time.Hour, 5, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.Close()
				p := w.serve(budgeted(tt.percent, tt.least))[0]
				for i, x := range tt.steps {
					time.Sleep(x.after)
					come(p, x.requests)
					if got := spend(p, 1000); got != x.want {
						t.Errorf("step %d: %d retries, want %d", i+1, got, x.want)
					}
				}
			})
		})
	}
}

// A steady rate gets what the settings say, and so it does if nobody asks for long.
func TestRetryBudgetOfASteadyRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		p := w.serve(budgeted(20, 10))[0]
		spend(p, 1000)
		granted := 0
		for range 2000 { // 100 a second for 20 s
			time.Sleep(10 * time.Millisecond)
			come(p, 1)
			granted += spend(p, 2)
		}
		if granted < 599 || granted > 600 {
			t.Errorf("%d retries in 20 s", granted)
		}
		for range 2000 {
			time.Sleep(10 * time.Millisecond)
			come(p, 1)
		}
		if n := spend(p, 1000); n < 29 || n > 30 {
			t.Errorf("a second's worth of 100 a second is %d", n)
		}
	})
}

func TestRetryBudgetReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		serve := func(percent float64, least int) *pool.Pool { return w.serve(budgeted(percent, least))[0] }
		expect := func(what string, got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
		p := serve(20, 10)
		expect("at first", spend(p, 4), 4)
		p = serve(20, 10)
		expect("the same again", spend(p, 1000), 6)
		time.Sleep(time.Second)
		p = serve(20, 3)
		expect("lowered", spend(p, 1000), 3)
		p = serve(20, 1000)
		expect("raised", spend(p, 1000), 0)
		time.Sleep(time.Second / 10)
		expect("raised, a tenth of a second later", spend(p, 1000), 100)
		come(p, 100)
		p = serve(0, 1000)
		expect("those before count by the old settings", spend(p, 1000), 20)
		time.Sleep(time.Second)
		p = serve(0, 0)
		expect("none, whatever was saved up", spend(p, 1000), 0)
	})
}

// TestRetryBudgetHolds: over any time there are no more retries than the budget's
// doc says.
func TestRetryBudgetHolds(t *testing.T) {
	statistics(t)
	rnd := seeded(t)
	for range 60 {
		percent, least := float64(rnd.IntN(4)*25), rnd.IntN(3)*rnd.IntN(20)
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.Close()
			p := w.serve(budgeted(percent, least))[0]
			type moment struct {
				at                time.Duration
				requests, retries int
				worth             float64 // a second's, then
			}
			var history []moment
			var now moment
			rate, load := 0., 0
			for step := range 400 {
				if step%40 == 0 {
					load = rnd.IntN(3) * rnd.IntN(100)
				}
				d := time.Duration(rnd.IntN(100)) * time.Millisecond
				if rnd.IntN(100) == 0 {
					d = time.Duration(rnd.IntN(20)) * time.Second
				}
				time.Sleep(d)
				now.at += d
				now.retries += spend(p, 1) // so that it knows when the requests came
				rate *= math.Exp(-d.Seconds())
				n := 0
				if load > 0 {
					n = rnd.IntN(load)
				}
				come(p, n)
				rate += float64(n)
				now.requests += n
				now.worth = max(1, float64(least)+percent/100*rate)
				now.retries += spend(p, rnd.IntN(200))
				history = append(history, now)
			}
			for range 2000 {
				i := rnd.IntN(len(history) - 1)
				from, to := history[i], history[i+1+rnd.IntN(len(history)-i-1)]
				most := percent/100*float64(to.requests-from.requests) + float64(least)*(to.at-from.at).Seconds() + from.worth
				if percent == 0 && least == 0 {
					most = 0
				}
				if got := to.retries - from.retries; float64(got) > most+0.001 {
					t.Fatalf("%v%% and %d a second: %d retries between %v and %v, want at most %v", percent, least, got, from.at, to.at, most)
				}
			}
		})
	}
}

// TestRetryStorm: everything fails for a minute, and every request wants to be tried
// twice more (pattern 1: Beyer et al., Site Reliability Engineering, chapter 21).
func TestRetryStorm(t *testing.T) {
	statistics(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		p := w.serve(budgeted(20, 10))[0]
		const rate, seconds = 100, 60
		rnd := rand.New(rand.NewPCG(1, 1))
		requests, retries := 0, 0
		for range rate * seconds {
			time.Sleep(time.Duration(float64(time.Second) / rate * 2 * rnd.Float64()))
			come(p, 1)
			requests++
			retries += spend(p, 2)
		}
		most := 1 + 0.2 + 10./rate + (10+0.2*rate)/float64(requests)
		if got := float64(requests+retries) / float64(requests); got > most+0.01 || got < 1.25 { // the rate is one of chance
			t.Errorf("%d requests and %d retries: amplified by %.3f, want at most %.3f", requests, retries, got, most)
		}
	})
}

// Asking from many sides at once gives no more.
func TestRetryBudgetIsSharedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		p := w.serve(budgeted(20, 10))[0]
		granted := make(chan int)
		for range 8 {
			go func() {
				n := 0
				for range 1000 {
					p.Requested()
					n += spend(p, 3)
				}
				granted <- n
			}()
		}
		sum := 0
		for range 8 {
			sum += <-granted
		}
		sum += spend(p, 10_000)
		if want := 10 + 8000/5; sum < want-1 || sum > want {
			t.Errorf("%d retries, want %d", sum, want)
		}
	})
}
