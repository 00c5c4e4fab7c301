package outagetest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// An endpoint comes back with a cold cache. It gets its share bit by bit, by
// whatever way it comes back.
//
// Source: Slack's outage of 2022-02-22.
// Guards: slow start, after a breaker closed, after a check passed again, and
// for an endpoint that joins; and that it ends.
func TestColdCache(t *testing.T) {
	const (
		window = 30 * time.Second
		bucket = 5 * time.Second
		away   = 2 * time.Second
		judged = 25 * time.Second // how long its share is looked at once the window is over
	)
	for row, tt := range []struct{ balance, way string }{
		{"RoundRobin", "breaker"},
		{"LeastRequest", "health"},
		{"Random", "joins"},
		{"LeastRequest", "breaker"},
		{"RoundRobin", "drain"},
	} {
		t.Run(tt.balance+", "+tt.way, func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				cold := pool[0]
				p := policy{
					endpoints: pool, balance: fmt.Sprintf("type: %s, slowStart: {window: 30s}", tt.balance),
					breaker: "openDuration: 2s, maxOpenDuration: 2s", retry: "attempts: 2",
				}
				if tt.way == "health" {
					p.health = "active: {interval: 1s}"
				}
				if tt.way == "joins" {
					p.endpoints = pool[1:]
				}
				r := w.start(p)
				traffic := w.offer(load{r: r, rate: 150, lasts: 14*time.Second + window + judged})
				w.until(away)
				var back time.Duration
				switch tt.way {
				case "breaker":
					cold.kill()
					w.until(away + 5*time.Second)
					cold.start()
				case "health":
					cold.check(respond(503))
					w.until(away + 6*time.Second)
					cold.check(respond(200))
				case "joins":
					w.until(away + 5*time.Second)
					p.endpoints = pool
					r.apply(p)
					back = w.now()
				case "drain":
					p.drain = map[*backend]bool{cold: true}
					r.apply(p)
					w.until(away + 5*time.Second)
					p.drain = nil
					r.apply(p)
					back = w.now()
				}
				traffic.wait()
				w.settle()
				for _, c := range r.turns(cold, event.BreakerClosed) {
					back = c
				}
				for _, c := range r.healths {
					if c.Healthy && c.Address == cold.address {
						back = c.At.Sub(w.began)
					}
				}
				if back == 0 {
					t.Fatal("it never came back")
				}
				last := 0.0
				for at := back; at+bucket <= back+window; at += bucket {
					its, all := r.tries(cold, at, at+bucket)
					share := ratio(its, all)
					noise := 3 * math.Sqrt(share*(1-share)/float64(all))
					if at == back && (share > 0.10 || its == 0) {
						t.Errorf("its first share is %.3f", share)
					}
					if share < last-noise {
						t.Errorf("its share fell from %.3f to %.3f", last, share)
					}
					last = share
				}
				if share := r.share(cold, back+window, back+window+judged); math.Abs(share-0.25) > 0.025 {
					t.Errorf("its share in the end is %.3f", share)
				}
				if s := success(traffic.results); s < 1 {
					t.Errorf("success %.4f", s)
				}
			})
		})
	}
}

// The health checks of an endpoint pass and fail in turns, for a quarter of an
// hour. It is held out longer each time, so that traffic is not moved to and fro.
//
// Source: AWS's outage of 2025-10, where a load balancer's checks flapped.
// Guards: flap damping, that it doubles, and that it ends.
func TestFlapping(t *testing.T) {
	play(t, 1, func(w *world) {
		pool := w.backends(4)
		bad := pool[0]
		r := w.start(policy{endpoints: pool, health: "active: {interval: 1s, flapDamping: {holdDown: 30s, maxHoldDown: 2m}}"})
		const flaps, quiet = 15 * time.Minute, 10 * time.Minute
		bad.check(w.alternate(6*time.Second, respond(200), 6*time.Second, respond(503)))
		traffic := w.offer(load{r: r, rate: 4, lasts: flaps + quiet})
		w.until(flaps)
		bad.check(respond(200))
		traffic.wait()
		w.settle()

		var outs, ins []time.Duration
		var held []time.Duration
		for _, c := range r.healths {
			switch at := c.At.Sub(w.began); {
			case c.Address != bad.address:
				t.Errorf("%s turned healthy: %t", c.Address, c.Healthy)
			case c.Healthy:
				ins = append(ins, at)
			default:
				outs, held = append(outs, at), append(held, c.Held)
			}
		}
		if len(outs) < 4 {
			t.Fatalf("out at %v, in at %v", outs, ins)
		}
		for i, at := range outs[1:] { // from the second flap on
			n := 0
			for _, times := range [][]time.Duration{outs, ins} {
				for _, other := range times {
					if other > at && other <= at+time.Minute {
						n++
					}
				}
			}
			if n > 2 {
				t.Errorf("%d transitions in the minute after it was put out for the %d. time", n, i+2)
			}
		}
		for i := range held {
			want := time.Duration(0) // the first time is nothing to be punished for
			if i > 0 {
				want = min(30*time.Second<<(i-1), 2*time.Minute)
			}
			if held[i] != want {
				t.Errorf("the %d. time it is held out for %v, want %v", i+1, held[i], want)
			}
			if i < len(ins) && ins[i]-outs[i] < want {
				t.Errorf("the %d. time it was out for %v, want %v at least", i+1, ins[i]-outs[i], want)
			}
		}
		if last := len(ins) - 1; last < 0 || ins[last] < outs[len(outs)-1] || ins[last] > flaps+3*time.Minute {
			t.Errorf("out at %v, in at %v", outs, ins)
		}
		if s := success(traffic.results); s < 1 {
			t.Errorf("success %.4f", s)
		}
		for i, at := range outs {
			if i < len(ins) {
				if its, _ := r.tries(bad, at, ins[i]); its > 0 {
					t.Errorf("%d tries went to it while it was out at %v", its, at)
				}
			}
		}
	})
}

// So many health checks fail at once that the checks are what is broken: health
// is ignored, and the endpoints' own answers are what clients get.
//
// Source: AWS Builders' Library, "Implementing health checks" (fail open);
// Envoy's panic threshold.
// Guards: panic mode, its threshold, and that all endpoints get their share.
func TestEveryProbeFails(t *testing.T) {
	for row, tt := range []struct {
		failing int // of four
		panics  bool
	}{{4, true}, {3, true}, {2, false}} {
		t.Run(fmt.Sprint(tt.failing, " of 4"), func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				r := w.start(policy{endpoints: pool, health: "active: {interval: 1s}, panicThreshold: 50"})
				const fails, settled, ends = 5 * time.Second, 10 * time.Second, 32 * time.Second
				for _, b := range pool {
					b.serve(after(4*time.Millisecond, 6*time.Millisecond, sometimes(0.02, respond(500), respond(200))))
				}
				traffic := w.offer(load{r: r, rate: 250, lasts: ends})
				w.until(fails)
				for _, b := range pool[:tt.failing] {
					b.check(respond(500))
				}
				w.until(settled)
				if got := r.Status().Pools[0].Panic; got != tt.panics {
					t.Errorf("panic %t", got)
				}
				w.until(ends)
				for _, b := range pool {
					b.check(respond(200))
				}
				w.until(ends + 5*time.Second)
				traffic.wait()
				w.settle()
				if _, all := r.tries(pool[0], settled, ends); all < 5000 {
					t.Errorf("only %d requests", all)
				}
				for i, b := range pool {
					share, want := r.share(b, settled, ends), 0.25
					if !tt.panics {
						want = 0.5
						if i < tt.failing {
							want = 0
						}
					}
					if math.Abs(share-want) > want/10 {
						t.Errorf("share of %d: %.4f, want %.4f", i+1, share, want)
					}
				}
				marked := 0
				for _, e := range r.requests {
					if e.Flags&event.PanicMode != 0 {
						marked++
					}
				}
				if served := count(traffic.results, (*result).good); success(traffic.results) < 0.97 || served != w.served() {
					t.Errorf("clients saw %d successes of %d, the endpoints gave %d", served, len(traffic.results), w.served())
				}
				if own := count(traffic.results, func(c *result) bool { return c.by == "" }); own > 0 {
					t.Errorf("%d answers are the balancer's own", own)
				}
				switch {
				case !tt.panics && (len(r.panics) > 0 || marked > 0):
					t.Errorf("panics %+v, %d requests marked", r.panics, marked)
				case tt.panics && (len(r.panics) != 2 || !r.panics[0].Panic || r.panics[1].Panic || r.panics[0].Healthy != 1 || r.panics[0].Total != 4):
					t.Errorf("panics %+v", r.panics)
				case tt.panics && marked < 5000*tt.failing/4*9/10: // those sent to an endpoint whose checks fail
					t.Errorf("%d requests marked", marked)
				}
			})
		})
	}
}
