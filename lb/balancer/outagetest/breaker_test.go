package outagetest

import (
	"fmt"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// An endpoint's health checks pass while three of ten requests to it fail: gray
// failure. The breaker sees the requests.
//
// Source: Huang et al., "Gray Failure: The Achilles' Heel of Cloud-Scale
// Systems", HotOS 2017.
// Guards: failurePercent over a window with minRequests, and that an endpoint
// which only seems to have recovered is left alone for longer each time.
func TestGrayFailure(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			brief(t, int(seed))
			play(t, seed+1, func(w *world) {
				pool := w.backends(4)
				r := w.start(policy{
					// Five failures in a row would come too, sooner or later.
					endpoints: pool, breaker: "consecutiveFailures: 0, failurePercent: 20",
					health: "active: {interval: 2s}",
				})
				traffic := w.offer(load{r: r, rate: 100, lasts: 2 * time.Minute, poisson: true})
				const begins = 10 * time.Second
				w.until(begins)
				pool[0].serve(after(4*time.Millisecond, 6*time.Millisecond, sometimes(0.3, respond(500), respond(200))))
				traffic.wait()
				w.settle()
				out := r.turns(pool[0], event.BreakerOpen)
				// 25 requests a second come to each: minRequests is enough evidence within
				// one.
				if len(out) == 0 || out[0] > begins+11*time.Second {
					t.Fatalf("out at %v", out)
				}
				if _, most := r.shares(pool[0], 10*time.Second, out[0], w.now()); most > 0.05 {
					t.Errorf("its share rose to %.3f", most)
				}
				// A while closed is no recovery if it is short: 5 s open, 10, 20, 30, 30 …
				states, since := r.path(pool[0])
				opened := 0
				for i, s := range states[:len(states)-1] {
					if s != event.BreakerOpen {
						continue
					}
					opened++
					if want := min(5*time.Second<<(opened-1), 30*time.Second); since[i+1]-since[i] < want {
						t.Errorf("open for %v the %d. time, want %v at least", since[i+1]-since[i], opened, want)
					}
				}
				for _, b := range pool[1:] {
					if turns := r.turns(b, event.BreakerOpen); len(turns) > 0 {
						t.Errorf("%s was put out at %v, and was well", b.address, turns)
					}
				}
			})
		})
	}
}

// Many wait for an endpoint whose breaker turns half-open. Only as many as were
// asked for are let through, and all of them are such as may be sent again.
//
// Source: resilience4j's permitted calls in half-open state.
// Guards: the cap on probes, slow ones and hung ones too, and that they are taken
// from requests that can be tried again, if there are any.
func TestHalfOpenHerd(t *testing.T) {
	for row, limit := range []int{1, 3, 10} {
		for name, does := range map[string]behaviour{
			"slow": after(900*time.Millisecond, 1100*time.Millisecond, respond(200)),
			"hung": hang,
		} {
			t.Run(fmt.Sprintf("%d, %s", limit, name), func(t *testing.T) {
				brief(t, row)
				play(t, 1, func(w *world) {
					pool := w.backends(2)
					r := w.start(policy{
						endpoints: pool, timeouts: "backendRequest: 3s", retry: "attempts: 1",
						breaker: fmt.Sprintf("consecutiveFailures: 5, openDuration: 1s, maxOpenDuration: 1s, halfOpenRequests: %d", limit),
					})
					bad, most, posts, posted, periods := pool[0], 0, 0, 0, 0
					r.turned = func(c event.BreakerChange) {
						switch {
						case c.Address != bad.address:
						case c.To == event.BreakerOpen:
							bad.serve(does)
							fallthrough
						case c.To == event.BreakerClosed:
							if n := bad.counts(); c.From == event.BreakerHalfOpen {
								most = max(most, n.most)
								posted += n.posts - posts
								periods++
							}
						case c.To == event.BreakerHalfOpen:
							bad.mark()
							posts = bad.counts().posts
						}
					}
					traffic := w.offer(load{r: r, rate: 300, lasts: 20 * time.Second, posts: 0.3})
					w.until(time.Second)
					bad.serve(respond(503))
					traffic.wait()
					w.settle()
					if periods == 0 {
						t.Fatalf("it was not half-open: %v", r.breakers)
					}
					if most > limit || most == 0 {
						t.Errorf("%d probes under way at once, in %d half-open periods", most, periods)
					}
					if posted > 0 {
						t.Errorf("%d probes were POSTs", posted)
					}
					if n := r.probesAtOnce(bad, 3*time.Second); n > limit || n == 0 {
						t.Errorf("%d probes under way at once, by the events", n)
					}
				})
			})
		}
	}
}

// The probes of a half-open breaker are never answered. It does not stay
// half-open for that, and closes once the endpoint is well.
//
// Source: resilience4j issue 903.
// Guards: the deadline of a probe, that a probe's slot is given back on every
// path, and that probes are found where no request may be sent twice.
func TestHungProbe(t *testing.T) {
	const well = time.Minute
	for row, tt := range []struct {
		name     string
		timeouts string
		try      time.Duration // how long a try may take
		load     load
		pool     int
		does     behaviour
	}{
		{"backendRequest", "backendRequest: 2s", 2 * time.Second, load{rate: 50}, 2, hang},
		{"request", "request: 4s", 4 * time.Second, load{rate: 50}, 2, hang},
		{"no timeout", "request: 0s", 30 * time.Second, load{rate: 50, deadline: time.Hour}, 2, hang},
		{"one endpoint", "backendRequest: 2s", 2 * time.Second, load{rate: 50}, 1, hang},
		{"nothing that may be sent twice", "backendRequest: 2s", 2 * time.Second, load{rate: 50, posts: 1}, 2, hang},
		{"an answer that goes on", "backendRequest: 2s", 2 * time.Second, load{rate: 20}, 2, drip(time.Second, bodySize)},
		{"clients leave first", "backendRequest: 2s", 2 * time.Second, load{rate: 50, deadline: 300 * time.Millisecond}, 2, hang},
	} {
		t.Run(tt.name, func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(tt.pool)
				r := w.start(policy{
					endpoints: pool, timeouts: tt.timeouts, retry: "attempts: 1",
					// Least request would pass over an endpoint that keeps what it has.
					balance: "type: RoundRobin",
					breaker: "openDuration: 2s, maxOpenDuration: 4s",
				})
				bad := pool[0]
				r.turned = func(c event.BreakerChange) {
					if c.Address == bad.address && c.From == event.BreakerClosed && w.now() < well {
						bad.serve(tt.does)
					}
				}
				tt.load.r, tt.load.lasts = r, well+10*time.Second+tt.try
				traffic := w.offer(tt.load)
				w.until(time.Second)
				bad.serve(respond(503))
				w.until(well)
				bad.serve(respond(200))
				traffic.wait()
				w.settle()
				states, since := r.path(bad)
				halves := 0
				for i, s := range states[:len(states)-1] {
					if s != event.BreakerHalfOpen || since[i] > well {
						continue
					}
					halves++
					if stay := since[i+1] - since[i]; stay > tt.try+time.Second {
						t.Errorf("half-open from %v on for %v", since[i], stay)
					}
				}
				if halves == 0 {
					t.Errorf("never half-open: %v at %v", states, since)
				}
				// Open for 4.4 s at most, and the probes that hang; then three answers.
				if last := len(states) - 1; states[last] != event.BreakerClosed || since[last] > well+6*time.Second+tt.try {
					t.Errorf("%v at %v", states, since)
				}
			})
		})
	}
}

// An endpoint fails, recovers and fails again. Each time the breaker opens on the
// same evidence as the first time: nothing of the last time counts, and nothing
// is held against it.
//
// Source: Envoy issue 40697, where later ejections never came.
// Guards: that counting begins anew whenever the breaker closes.
func TestRepeatedEjection(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breaker string
		every   int // one of so many requests fails
		want    int // results from its closing to its opening
	}{
		{"in a row", "consecutiveFailures: 5, failurePercent: 0", 1, 5},
		{"percent", "consecutiveFailures: 0, failurePercent: 20, minRequests: 20, interval: 10s", 2, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, 1, func(w *world) {
				pool := w.backends(1)
				r := w.start(policy{endpoints: pool, breaker: tt.breaker + ", openDuration: 1s, maxOpenDuration: 4s, halfOpenRequests: 2"})
				n := 0
				failing := func(x *visit) {
					if n++; n%tt.every == 0 {
						respond(503)(x)
					} else {
						respond(200)(x)
					}
				}
				pool[0].serve(failing)
				r.turned = func(c event.BreakerChange) {
					n = 0
					if c.To == event.BreakerClosed {
						pool[0].serve(failing)
					} else {
						pool[0].serve(respond(200))
					}
				}
				w.offer(load{r: r, rate: 10, lasts: 90 * time.Second}).wait()
				w.settle()
				states, since := r.path(pool[0])
				trips := 0
				for i, s := range states[:len(states)-1] {
					if s != event.BreakerClosed {
						continue
					}
					trips++
					evidence := 0
					for _, a := range r.attempts {
						if !a.Probe && a.start >= since[i] && a.start <= since[i+1] {
							evidence++
						}
					}
					if evidence != tt.want {
						t.Errorf("trip %d after %d results, want %d", trips, evidence, tt.want)
					}
				}
				if trips < 5 {
					t.Errorf("%d trips: %v", trips, states)
				}
			})
		})
	}
}

// An endpoint fails within a millisecond, and so always has the least to do: it
// would attract most of the traffic until its breaker opens.
//
// Source: Site Reliability Engineering, ch. 20.
// Guards: that failures do not make an endpoint attractive; and the breaker.
func TestBlackHole(t *testing.T) {
	for row, tt := range []struct {
		name, balance, breaker, retry string
		does                          behaviour
	}{
		// The breaker is slow here, so that the balancing is what is looked at.
		{"least request, a slow breaker", "type: LeastRequest", "consecutiveFailures: 0, minRequests: 150", "", respond(503)},
		{"least request, half of them fail", "type: LeastRequest", "minRequests: 150, openDuration: 1m", "", sometimes(0.5, respond(503), after(20*time.Millisecond, 21*time.Millisecond, respond(200)))},
		{"least request, reset", "type: LeastRequest", "consecutiveFailures: 150, failurePercent: 0", "", reset},
		{"least request, as it comes", "type: LeastRequest", "", "attempts: 2", respond(503)},
		{"peak EWMA", "type: PeakEWMA", "", "attempts: 2", respond(503)},
		{"round robin", "type: RoundRobin", "", "attempts: 2", respond(503)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				for _, b := range pool {
					b.serve(after(20*time.Millisecond, 21*time.Millisecond, respond(200)))
				}
				r := w.start(policy{
					endpoints: pool, balance: tt.balance, breaker: tt.breaker, retry: tt.retry, health: "active: {interval: 2s}",
				})
				const hole, lasts = 2 * time.Second, 16 * time.Second
				traffic := w.offer(load{r: r, rate: 400, lasts: lasts})
				w.until(hole)
				pool[0].serve(after(time.Millisecond, 1100*time.Microsecond, tt.does))
				traffic.wait()
				w.settle()
				out := r.turns(pool[0], event.BreakerOpen)
				if tt.balance == "type: PeakEWMA" && len(out) == 0 {
					out = append(out, hole+3*time.Second) // it counts as slow, and is sent next to nothing
				}
				if len(out) == 0 || out[0] > hole+3*time.Second {
					t.Fatalf("out at %v", out)
				}
				if _, most := r.shares(pool[0], time.Second, hole-time.Second, lasts); most > 1.3/4 {
					t.Errorf("its share rose to %.3f of the attempts in a second", most)
				}
				if _, most := r.shares(pool[0], 10*time.Second, out[0], lasts); most > 0.02 {
					t.Errorf("its share rose to %.3f after that", most)
				}
				if s := success(during(traffic.results, hole+3*time.Second, lasts)); tt.retry != "" && s < 0.999 {
					t.Errorf("success %.4f", s)
				}
			})
		})
	}
}
