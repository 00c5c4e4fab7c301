package outagetest

import (
	"fmt"
	"testing"
	"time"
)

// Every endpoint is restarted, one after the other, under load.
//
// Pattern: a rolling restart of all endpoints.
// Guards: draining by policy, retries after refused connections, kept
// connections that were closed meanwhile, and that a drained endpoint comes back.
func TestRollingRestart(t *testing.T) {
	const each = 6 * time.Second
	for row, tt := range []struct {
		name  string
		posts float64
		down  func(r *replica, p policy, b *backend)
		up    func(r *replica, p policy, b *backend)
		// inFlight: requests under way at one that is killed may be lost.
		inFlight bool
	}{
		{"drained first", 0.3, func(r *replica, p policy, b *backend) {
			p.drain = map[*backend]bool{b: true}
			r.apply(p)
			time.Sleep(2 * time.Second) // connections that are not used are closed meanwhile
			b.kill()
		}, func(r *replica, p policy, b *backend) {
			b.start()
			time.Sleep(time.Second)
			p.drain = nil
			r.apply(p)
		}, false},
		{"removed first", 0.3, func(r *replica, p policy, b *backend) {
			var left []*backend
			for _, other := range p.endpoints {
				if other != b {
					left = append(left, other)
				}
			}
			p.endpoints = left
			r.apply(p)
			time.Sleep(2 * time.Second)
			b.kill()
		}, func(r *replica, p policy, b *backend) {
			b.start()
			r.apply(p)
		}, false},
		{"stopped in order", 0, func(_ *replica, _ policy, b *backend) { b.stop() }, func(_ *replica, _ policy, b *backend) { b.start() }, false},
		{"killed, nothing but GETs", 0, func(_ *replica, _ policy, b *backend) { b.kill() }, func(_ *replica, _ policy, b *backend) { b.start() }, false},
		{"killed", 0.3, func(_ *replica, _ policy, b *backend) { b.kill() }, func(_ *replica, _ policy, b *backend) { b.start() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				for _, b := range pool {
					b.serve(after(20*time.Millisecond, 40*time.Millisecond, respond(200)))
				}
				p := policy{endpoints: pool, retry: "attempts: 1", pool: "idleTimeout: 1s", breaker: "openDuration: 1s"}
				r := w.start(p)
				traffic := w.offer(load{r: r, rate: 200, lasts: 5 * each, posts: tt.posts, poisson: true})
				lost := 0
				for i, b := range pool {
					w.until(time.Duration(i)*each + time.Second)
					lost += b.counts().running
					tt.down(r, p, b)
					w.until(time.Duration(i)*each + 4*time.Second)
					tt.up(r, p, b)
				}
				results := traffic.wait()
				w.settle()
				failed := 0
				for i := range results {
					c := &results[i]
					if c.good() {
						continue
					}
					failed++
					if !tt.inFlight || failed > lost {
						t.Errorf("failed: %v", c)
					}
					if failed > lost+5 {
						break
					}
				}
				if tt.inFlight && lost == 0 {
					t.Error("nothing was in flight at those that were killed")
				}
				for i, b := range pool {
					if share := r.share(b, 4*each+3*time.Second, 5*each); share < 0.15 {
						t.Errorf("share of %d in the end: %.3f", i+1, share)
					}
				}
			})
		})
	}
}

// An endpoint that sessions are at home at is restarted in order: it drains until its
// sessions have left, ends, and comes back. They move once, and stay where they
// moved; all others stay anyway; nothing fails.
//
// Pattern: a rolling restart of all endpoints.
// Guards: a session whose home drains gets another one, and keeps it.
func TestRestartMovesSessionsOnce(t *testing.T) {
	play(t, 1, func(w *world) {
		pool := w.backends(4)
		p := policy{endpoints: pool, pool: "drainTimeout: 2s\n      sessionPersistence: {store: Memory}"}
		r := w.start(p)
		traffic := w.offer(load{r: r, rate: 200, lasts: 20 * time.Second, posts: 0.3, users: 100})
		const drains = 5 * time.Second
		w.until(drains)
		p.drain = map[*backend]bool{pool[0]: true}
		r.apply(p)
		w.until(drains + 5*time.Second)
		if n := pool[0].counts().running; n > 0 {
			t.Errorf("%d requests are under way at it, and it has drained", n)
		}
		pool[0].kill()
		w.until(drains + 7*time.Second)
		pool[0].start()
		p.drain = nil
		r.apply(p)
		homes, moves := map[int]string{}, map[int]int{}
		leavers := map[int]bool{}
		for _, c := range traffic.wait() {
			if !c.good() {
				t.Errorf("failed: %v", &c)
				continue
			}
			if c.start < drains && c.by == pool[0].address {
				leavers[c.user] = true
			}
			if home := homes[c.user]; home != "" && home != c.by {
				moves[c.user]++
			}
			homes[c.user] = c.by
		}
		if len(leavers) == 0 || len(homes) != 100 {
			t.Errorf("%d of %d sessions were at home at the one that drains", len(leavers), len(homes))
		}
		for session := range homes {
			want := 0
			if leavers[session] {
				want = 1
			}
			if moves[session] != want {
				t.Errorf("session %d moved %d times, want %d", session, moves[session], want)
			}
		}
	})
}

// A hundred policies in a minute, under load. Nothing is lost, and nobody
// forgets which endpoint is broken.
//
// Pattern: a reload storm; nginx and Envoy reset health state on reload.
// Guards: requests keep the policy they began with, and endpoints are kept by pool
// and address, with their breaker, health and connections.
func TestReloadStorm(t *testing.T) {
	const changes, every, begins = 100, 600 * time.Millisecond, 5 * time.Second
	for row, checks := range []bool{true, false} {
		t.Run(fmt.Sprintf("active checks %t", checks), func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(5)
				open, ill := pool[0], pool[1]
				policyOf := func(version int) policy {
					p := policy{
						version: version, endpoints: pool, retry: fmt.Sprintf("attempts: %d", 1+version%2), pool: "drainTimeout: 5s",
						breaker: fmt.Sprintf("consecutiveFailures: 3, failurePercent: %d, openDuration: 2m, interval: %ds", 20+version%10, 10+version%3),
						balance: "type: " + []string{"LeastRequest", "RoundRobin", "Random", "PeakEWMA"}[version%4],
						limits:  fmt.Sprintf("maxParallelRequests: %d", 500+version),
					}
					if checks {
						p.health = fmt.Sprintf("active: {interval: 1s}, panicThreshold: %d", 10+version%5)
					}
					if version%4 == 3 {
						p.endpoints = pool[:4] // the last one comes and goes
					}
					return p
				}
				r := w.start(policyOf(0))
				traffic := w.offer(load{r: r, rate: 100, lasts: begins + changes*every + 5*time.Second, posts: 0.3, poisson: true})
				w.until(time.Second)
				open.serve(respond(503))
				if checks {
					ill.check(respond(503))
				}
				w.until(begins)
				open.serve(after(4*time.Millisecond, 6*time.Millisecond, respond(200)))
				for version := range changes {
					w.until(begins + time.Duration(version)*every)
					r.apply(policyOf(version + 1))
					if s := r.endpoint(open); s.Breaker.State != "open" || s.Eligible {
						t.Fatalf("after %d changes: %+v", version+1, s)
					}
					if s := r.endpoint(ill); checks && (s.Healthy || s.Eligible) {
						t.Fatalf("after %d changes: %+v", version+1, s)
					}
				}
				results := traffic.wait()
				w.settle()
				for _, c := range during(results, begins, time.Hour) {
					if !c.good() {
						t.Errorf("lost: %v", &c)
					}
				}
				if n := len(r.commits); n != changes+1 {
					t.Errorf("%d policies served", n)
				}
				for _, a := range r.attempts {
					if a.start > begins && a.to == open.address {
						t.Fatalf("an attempt at the open endpoint: %+v", a)
					}
					if checks && a.start > begins && a.to == ill.address {
						t.Fatalf("an attempt at the unhealthy endpoint: %+v", a)
					}
				}
				if states, _ := r.path(open); len(states) != 2 {
					t.Errorf("breaker %v", states)
				}
				kept := 0
				for _, a := range r.attempts {
					if a.start > begins && a.Reused {
						kept++
					}
				}
				if kept < len(r.attempts)/2 {
					t.Errorf("%d of %d attempts were on kept connections", kept, len(r.attempts))
				}
				if len(r.healths) > 1 {
					t.Errorf("health %+v", r.healths)
				}
				if _, since := r.path(pool[2]); len(since) > 1 {
					t.Errorf("%s was put out", pool[2].address)
				}
			})
		})
	}
}
