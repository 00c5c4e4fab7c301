package outagetest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The pool does well until two of its four endpoints die: then the load is too
// much for those that stay. With limits set to the capacity they go on doing what
// they can, and the rest is told so; without, they would go down too.
//
// Source: Site Reliability Engineering, ch. 22 (fine at 10,000 a second, dead at
// 11,000).
// Guards: the limit of requests in flight of each endpoint and of the pool, the
// queue, its bound and its timeout, Retry-After, and that overflow is held
// against nobody.
func TestCascadingFailover(t *testing.T) {
	const (
		workers  = 4
		service  = 40 * time.Millisecond // so that each does 100 a second
		deadline = 500 * time.Millisecond
		pend     = 200 * time.Millisecond
		dies     = 5 * time.Second
		lasts    = 35 * time.Second
		settled  = dies + 5*time.Second
		capacity = 2 * 100.0
	)
	for row, tt := range []struct {
		name   string
		limits string
		rate   float64
		queue  int  // places
		full   bool // the queue is full most of the time
	}{
		{"per endpoint", "perEndpoint: {maxParallelRequests: 4}, maxPendingRequests: 20, pendingTimeout: 200ms", 380, 20, true},
		{"a long queue", "perEndpoint: {maxParallelRequests: 4}, maxPendingRequests: 1000, pendingTimeout: 200ms", 380, 1000, false},
		{"of the pool", "maxParallelRequests: 8, maxPendingRequests: 20, pendingTimeout: 200ms", 380, 20, true},
		{"no queue", "perEndpoint: {maxParallelRequests: 4}, maxPendingRequests: 0", 380, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				for _, b := range pool {
					b.serve(w.queue(workers, func(x *visit) {
						if b.counts().running > 100 { // what waits takes memory, and there is no more
							x.c.reset()
							x.last = true
							return
						}
						after(service-time.Millisecond, service+time.Millisecond, respond(200))(x)
					}))
				}
				r := w.start(policy{endpoints: pool, limits: tt.limits, retry: "attempts: 1", breaker: "openDuration: 1h"})
				traffic := w.offer(load{r: r, rate: tt.rate, lasts: lasts, deadline: deadline})
				w.until(dies)
				pool[0].kill()
				pool[1].kill()
				results := during(traffic.wait(), settled, lasts)
				w.settle()

				good := count(results, (*result).good)
				if goodput := float64(good) / (lasts - settled).Seconds(); goodput < 0.9*capacity {
					t.Errorf("goodput %.1f a second of %.0f", goodput, capacity)
				}
				atOnce, late := 0, 0
				for i := range results {
					c := &results[i]
					if c.good() {
						continue
					}
					if c.status != 503 || c.by != "" || c.retryAfter == "" {
						t.Errorf("not refused: %v, Retry-After %q", c, c.retryAfter)
						break
					}
					switch {
					case c.took() < 5*time.Millisecond:
						atOnce++
					case c.took() < pend+5*time.Millisecond:
						late++
					default:
						t.Errorf("refused late: %v", c)
					}
				}
				if atOnce+late == 0 || tt.full && atOnce == 0 || !tt.full && (late == 0 || atOnce > 0) {
					t.Errorf("%d were refused at once, %d later", atOnce, late)
				}
				for _, b := range pool[2:] {
					if n := b.counts().most; n > workers && strings.HasPrefix(tt.limits, "perEndpoint") {
						t.Errorf("%d requests at once at %s", n, b.address)
					}
					if _, since := r.path(b); len(since) > 1 {
						t.Errorf("%s was put out at %v", b.address, since[1])
					}
				}
			})
		})
	}
}

// One pool's endpoints hardly answer any more, and its limits and its queue are
// full. The other pool's clients do not notice, and nobody is put out for it.
//
// Source: Envoy issue 25487.
// Guards: limits and queues are each pool's own, and overflow is no failure.
func TestExhaustedPool(t *testing.T) {
	const slow, ends = 10 * time.Second, 30 * time.Second
	play(t, 1, func(w *world) {
		well, sick := w.backends(2), w.backends(2)
		spec := "  routes:\n"
		for name := range map[string]bool{"well": true, "sick": true} {
			spec += fmt.Sprintf("    - name: %s\n      matches: [{path: {value: /%s}}]\n      backendRefs: [{pool: %s}]\n      retry: {attempts: 1}\n", name, name, name)
		}
		spec += "  pools:\n"
		for name, pool := range map[string][]*backend{"well": well, "sick": sick} {
			spec += fmt.Sprintf("    - name: %s\n      endpoints: [{address: %q}, {address: %q}]\n      limits: {maxParallelRequests: 20, maxPendingRequests: 10, pendingTimeout: 100ms}\n", name, pool[0].address, pool[1].address)
		}
		r := w.start(policy{whole: spec})
		good := w.offer(load{r: r, rate: 200, lasts: ends, path: "/well"})
		bad := w.offer(load{r: r, rate: 200, lasts: ends, path: "/sick"})
		w.until(slow)
		for _, b := range sick {
			b.serve(after(4*time.Second, 5*time.Second, respond(200)))
		}
		results := good.wait()
		before, after := quantile(during(results, 0, slow), 0.99), quantile(during(results, slow, ends), 0.99)
		if success(results) < 1 || float64(after) > 1.1*float64(before) {
			t.Errorf("the other pool: success %.4f, p99 %v, was %v", success(results), after, before)
		}
		full := during(bad.wait(), slow+time.Second, ends)
		refused := count(full, func(c *result) bool {
			return c.status == 503 && c.by == "" && c.retryAfter != "" && c.took() < 105*time.Millisecond
		})
		if refused < len(full)*9/10 || refused+count(full, (*result).good) != len(full) {
			t.Errorf("%d of %d were refused", refused, len(full))
		}
		if longest := quantile(full, 1); longest > 5*time.Second+105*time.Millisecond {
			t.Errorf("one waited too long for its turn: %v in all", longest)
		}
		w.settle()
		if len(r.breakers) > 0 || len(r.healths) > 0 {
			t.Errorf("put out: %+v %+v", r.breakers, r.healths)
		}
		for _, b := range sick {
			if n := b.counts().most; n > 20 {
				t.Errorf("%d requests at once at %s", n, b.address)
			}
		}
	})
}

// An endpoint answers within its time, but more is asked than the pool's limit lets
// through, and requests spend most of their own time in the queue. What is cut then is
// not held against the endpoint.
//
// Source: Site Reliability Engineering, ch. 22 (cascading failures); Envoy issue 25487
// (one pool is exhausted, and that ejects nobody).
// Guards: a try that began late and was cut by timeouts.request is no judgement.
func TestQueueingBlamesNobody(t *testing.T) {
	play(t, 1, func(w *world) {
		pool := w.backends(1)
		pool[0].serve(after(300*time.Millisecond, 301*time.Millisecond, respond(200)))
		r := w.start(policy{endpoints: pool, timeouts: "request: 500ms", limits: "maxParallelRequests: 4, maxPendingRequests: 64, pendingTimeout: 1s"})
		results := w.offer(load{r: r, rate: 20, lasts: 10 * time.Second}).wait() // 13 a second can be answered
		cut := 0
		for i := range results {
			if results[i].status == 504 {
				cut++
			}
		}
		if cut == 0 {
			t.Error("nothing was cut: this shows nothing")
		}
		if states, _ := r.path(pool[0]); len(states) > 1 {
			t.Errorf("its breaker went %v", states)
		}
	})
}
