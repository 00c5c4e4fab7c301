package outagetest

import (
	"fmt"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// Every request fails and would be tried three times: retries that come on top of
// an overload keep it up. The retry budget bounds them to 20% of the requests and
// 10 a second of each replica, whatever routes ask for.
//
// Source: Site Reliability Engineering, ch. 21; Finagle's retry budget.
// Guards: the retry budget (its share, its minimum, and that it is spent), and
// the bound on tries.
func TestRetryStorm(t *testing.T) {
	for row, tt := range []struct {
		rate     float64
		replicas int
	}{
		{rate: 200, replicas: 1},
		{rate: 20, replicas: 1},
		{rate: 200, replicas: 2},
	} {
		t.Run(fmt.Sprintf("%v a second, %d replicas", tt.rate, tt.replicas), func(t *testing.T) {
			brief(t, row)
			const reserve, lasts = 5 * time.Second, 40 * time.Second
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				for _, b := range pool {
					b.serve(after(time.Millisecond, 3*time.Millisecond, respond(503)))
				}
				var loads []*traffic
				for range tt.replicas {
					r := w.start(policy{endpoints: pool, breaker: noBreaker, retry: "attempts: 2"})
					loads = append(loads, w.offer(load{r: r, rate: tt.rate / float64(tt.replicas), lasts: lasts}))
				}
				for _, l := range loads {
					l.wait()
				}
				w.settle()
				// What a budget holds in reserve is spent in the first seconds.
				got, most, refused := 0.0, 0, 0
				for _, r := range w.lbs {
					got = max(got, r.amplification(reserve, lasts))
					refused += r.refused[event.RetryBudgetSpent]
					for _, e := range r.requests {
						most = max(most, e.Attempts)
					}
				}
				budget := 0.2 + 10*float64(tt.replicas)/tt.rate
				edges := 2 / (tt.rate * (lasts - reserve).Seconds()) // tries whose requests began before
				if got > 1+budget+edges || got < 1+0.9*budget {
					t.Errorf("amplification %.3f, want no more than %.3f and not much less", got, 1+budget)
				}
				if most > 3 {
					t.Errorf("a request was tried %d times", most)
				}
				if refused == 0 {
					t.Error("nobody was told that the budget was spent")
				}
			})
		})
	}
}

// An endpoint accepts and never answers. Requests that met it are answered by
// another one after a single try's timeout, and soon none meets it any more.
//
// Pattern: a zombie, which holds whoever asks it.
// Guards: the timeout of a try, retries after timeouts, and that a timeout is a
// failure for the breaker, a probe's too.
func TestZombie(t *testing.T) {
	const try, backoff = time.Second, 25 * time.Millisecond
	for row, tt := range []struct {
		balance string
		rate    float64
		answer  time.Duration // of endpoints that are well
	}{
		{"RoundRobin", 100, 5 * time.Millisecond},
		// Least request sends few to an endpoint that keeps what it has, the fewer the
		// less there is to do: it takes some load until five have failed.
		{"LeastRequest", 400, 20 * time.Millisecond},
	} {
		t.Run(tt.balance, func(t *testing.T) {
			brief(t, row)
			play(t, 1, func(w *world) {
				pool := w.backends(4)
				for _, b := range pool {
					b.serve(after(tt.answer, tt.answer+time.Millisecond, respond(200)))
				}
				r := w.start(policy{
					endpoints: pool, balance: "type: " + tt.balance, timeouts: "request: 5s, backendRequest: 1s", retry: "attempts: 1",
				})
				traffic := w.offer(load{r: r, rate: tt.rate, lasts: 30 * time.Second})
				const dies = 5 * time.Second
				w.until(dies)
				pool[0].serve(hang)
				results := during(traffic.wait(), dies, time.Hour)
				well := quantile(during(traffic.results, 0, dies), 1)
				if p99 := quantile(results, 0.99); p99 > try+backoff+well {
					t.Errorf("p99 %v", p99)
				}
				if worst := quantile(results, 1); worst > try+backoff+2*well {
					t.Errorf("the slowest took %v", worst)
				}
				if s := success(results); s < 1 {
					t.Errorf("success %.4f", s)
				}
				if out := r.turns(pool[0], event.BreakerOpen); len(out) == 0 || out[0] > dies+3*try {
					t.Errorf("out at %v", out)
				}
				if its, _ := r.tries(pool[0], dies, time.Hour); its == 0 {
					t.Error("no request met the zombie")
				}
				if its, _ := r.tries(pool[0], dies+3*try, time.Hour); its > 0 {
					t.Errorf("%d tries but probes went to it after that", its)
				}
			})
		})
	}
}

// Every way in which a response can be broken, at every endpoint of the pool. The
// client never sees a whole success, what has begun is not tried again, and the
// breaker counts it.
//
// Pattern: bad input from endpoints: bodies that drip, are truncated, or have the
// wrong length, and heads that are none.
// Guards: truncation is passed on as truncation, no retry after the first byte,
// a bound on heads and interim responses, streamIdle, and that a response that
// breaks inside its body is a failure.
func TestBrokenBodies(t *testing.T) {
	const try = 2 * time.Second
	const mostGathered = 48 << 10 // of a response: a head may have 32 KiB, and a read brings 16
	for _, tt := range []struct {
		name   string
		does   behaviour
		status int          // that the client sees; 0: no matter
		begun  bool         // its first byte came, so that it must not be tried again
		result event.Result // of the tries
		within time.Duration
	}{
		{"truncated", truncate(30), 200, true, event.Truncated, time.Second},
		{"truncated before the body", truncate(0), 200, true, event.Truncated, time.Second},
		{"reset inside", resetInside, 200, true, event.Truncated, time.Second},
		{"reset inside, without a length", resetOpen, 200, true, event.Truncated, time.Second},
		{"inside a chunk", breakChunk, 200, true, event.Truncated, time.Second},
		{"without a last chunk", endlessChunks, 200, true, event.Truncated, time.Second},
		{"no chunk", badChunk, 200, true, event.ProtocolError, time.Second},
		{"claims more", claimMore, 200, true, event.Truncated, time.Second},
		{"trailers without end", endlessTrailers, 200, true, event.ProtocolError, time.Second},
		{"a chunk's extension without end", endlessExtension, 200, true, event.ProtocolError, time.Second},
		{"a chunk beyond counting", hugeChunk, 200, true, event.ProtocolError, time.Second},
		{"a length beyond counting", hugeLength, 502, false, event.ProtocolError, time.Second},
		{"two lengths", twoLengths, 502, false, event.ProtocolError, time.Second},
		{"drips, then nothing", drip(time.Second, 10), 200, true, event.TimedOut, 10*time.Second + 3*time.Second + time.Second},
		{"garbage", garbage, 502, false, event.ProtocolError, time.Second},
		{"hangs up", hangUp, 502, false, event.Reset, time.Second},
		{"resets", reset, 502, false, event.Reset, time.Second},
		{"1xx for ever, slowly", interim(100 * time.Millisecond), 502, false, event.ProtocolError, 10 * time.Second},
		{"1xx for ever, at once", interim(0), 502, false, event.ProtocolError, time.Second},
		{"a head in drips", dripHead(time.Second), 504, false, event.TimedOut, 3*try + time.Second},
		{"a head in drops", dripHead(3 * time.Millisecond), 504, false, event.TimedOut, 3*try + time.Second},
		{"1xx in drops", interimDrops(3 * time.Millisecond), 504, false, event.TimedOut, 3*try + time.Second},
		{"a head without end", endlessHead, 502, false, event.ProtocolError, time.Second},
		{"never", hang, 504, false, event.TimedOut, 3*try + time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, 1, func(w *world) {
				pool := w.backends(3)
				for _, b := range pool {
					b.serve(tt.does)
				}
				r := w.start(policy{
					endpoints: pool, timeouts: "request: 20s, backendRequest: 2s, streamIdle: 3s",
					retry: "attempts: 2", breaker: "consecutiveFailures: 2, openDuration: 1h", balance: "type: RoundRobin",
				})
				const n = 30
				traffic := w.offer(load{r: r, rate: 1, lasts: n * time.Second, posts: 0.5})
				results := traffic.wait()
				own, broken := 0, 0
				for i := range results {
					c := &results[i]
					switch {
					case c.status == 503 && c.by == "": // all breakers are open by now
						own++
						continue
					case c.looksWhole && c.status < 400:
						t.Errorf("looks whole: %v", c)
					case tt.status != 0 && c.status != tt.status:
						t.Errorf("want %d: %v", tt.status, c)
					case c.took() > tt.within:
						t.Errorf("want it within %v: %v", tt.within, c)
					}
					broken++
					// What was wholly sent must not be sent again if it has begun to be
					// answered, or is not idempotent.
					if sent := w.arrivals[c.id]; sent > 1 && (tt.begun || c.method == "POST") || sent > 3 {
						t.Errorf("%s reached %d endpoints", c.id, sent)
					}
				}
				if broken == 0 || own == 0 {
					t.Errorf("%d broken, %d refused since every breaker was open: both must happen", broken, own)
				}
				for _, a := range r.attempts {
					if a.Result != tt.result {
						t.Errorf("result %q, want %q", a.Result, tt.result)
						break
					}
				}
				for _, b := range pool {
					if s := r.breakerOf(b); s != "open" {
						t.Errorf("breaker of %s: %s", b.address, s)
					}
					if n := b.mostTaken(); n > mostGathered {
						t.Errorf("the balancer took %d bytes of one response, want at most %d", n, mostGathered)
					}
				}
			})
		})
	}
}

// What an endpoint sends beyond the length it claims is nobody's response.
//
// Guards: a connection with unread bytes is not used again.
func TestExcessIsNoResponse(t *testing.T) {
	play(t, 1, func(w *world) {
		pool := w.backends(1)
		pool[0].serve(claimLess)
		r := w.start(policy{endpoints: pool, breaker: noBreaker})
		for _, c := range w.offer(load{r: r, rate: 10, lasts: 5 * time.Second}).wait() {
			if !c.good() || c.unsolicited {
				t.Errorf("%v", &c)
			}
		}
	})
}

// An endpoint sends a terabyte and the client takes its time. What the balancer
// has taken and not passed on stays small.
//
// Pattern: a body without an end fills the memory of who gathers it.
// Guards: bodies are streamed, never gathered.
func TestEndlessBody(t *testing.T) {
	play(t, 1, func(w *world) {
		pool := w.backends(1)
		pool[0].serve(endlessBody)
		r := w.start(policy{endpoints: pool})
		traffic := w.offer(load{r: r, rate: 10, lasts: time.Second, slow: 20 * time.Second, deadline: 20*time.Second + 10*time.Millisecond})
		w.until(15 * time.Second)
		var taken int64
		pool[0].mu.Lock()
		conns := len(pool[0].conns)
		for c := range pool[0].conns {
			taken += c.taken()
		}
		pool[0].mu.Unlock()
		if conns != 10 {
			t.Errorf("%d connections", conns)
		}
		// A window to the client is full; the rest is the balancer's.
		if most := int64(conns) * (window + 128<<10); taken > most {
			t.Errorf("the balancer took %d bytes, want at most %d", taken, most)
		}
		for _, c := range traffic.wait() {
			if c.whole {
				t.Errorf("%v", &c)
			}
		}
	})
}

// An endpoint swallows every attempt to connect. A request does not wait for it
// beyond its own timeout, however long a connection may take.
//
// Pattern: a zombie one layer below: not even connections are accepted.
// Guards: timeouts.request and timeouts.backendRequest bound connecting too.
func TestSilentConnect(t *testing.T) {
	for _, tt := range []struct {
		name, timeouts string
		most           time.Duration
	}{
		{"request", "request: 500ms", 500 * time.Millisecond},
		{"try", "request: 5s, backendRequest: 300ms", 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, 1, func(w *world) {
				pool := w.backends(1)
				pool[0].kill()
				w.net.silence(pool[0].address, true)
				r := w.start(policy{endpoints: pool, timeouts: tt.timeouts, breaker: noBreaker, pool: "connectTimeout: 2s"})
				for _, c := range w.offer(load{r: r, rate: 1, lasts: 5 * time.Second}).wait() {
					if c.took() > tt.most+100*time.Millisecond || c.status != 504 && c.status != 502 {
						t.Errorf("want it in %v: %v", tt.most, &c)
					}
				}
			})
		})
	}
}
