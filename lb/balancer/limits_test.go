package balancer_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pipetest"
	"go-loadbalancer/lb/reload"
)

// held is a backend that says which target it was asked for and answers when it is
// told to.
func held(t *testing.T) (b *backend, asked chan string, answer chan struct{}) {
	asked, answer = make(chan string, 64), make(chan struct{})
	b = listen(t, func(p *peer) {
		for {
			r, err := http.ReadRequest(p.in)
			if err != nil {
				return
			}
			asked <- r.URL.Path
			select {
			case <-answer:
			case <-t.Context().Done():
				return
			}
			if _, err := p.in.Discard(int(r.ContentLength)); err != nil || p.send(ok) != nil {
				return
			}
		}
	})
	return b, asked, answer
}

// asks is a request for a target.
func asks(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n" }

// goes waits for the backend to be asked for a target, the next one it is asked for.
func goes(t *testing.T, asked <-chan string, want string) {
	t.Helper()
	select {
	case got := <-asked:
		if got != want {
			t.Errorf("the endpoint is asked for %q, not %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the endpoint was not asked for %q", want)
	}
}

// waits waits until n requests wait in the first pool's queue.
func (l *lb) waits(n int) {
	l.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		got := l.Status().Pools[0].Waiting
		if got == n {
			return
		}
		if time.Now().After(late) {
			l.t.Fatalf("%d wait, want %d", got, n)
		}
	}
}

// load makes another policy the one that serves.
func (l *lb) load(s setup) {
	l.t.Helper()
	l.source.set(s.text())
	if r := l.Reload(context.Background()); r.Outcome != reload.Committed {
		l.t.Fatalf("reload: %+v", r)
	}
}

// unharmed fails the test if any breaker thinks anything of what happened.
func (l *lb) unharmed() {
	l.t.Helper()
	for _, e := range l.Status().Pools[0].Endpoints {
		if e.Breaker.State != "closed" {
			l.t.Errorf("%s is %s", e.ID, e.Breaker.State)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.breakers) > 0 {
		l.t.Errorf("breakers: %+v", l.breakers)
	}
}

// one is a pool that takes one request at a time and lets one wait.
func one(endpoints ...string) setup {
	return setup{
		endpoints: endpoints, breaker: "consecutiveFailures: 1, failurePercent: 0",
		pool: "limits: {maxParallelRequests: 1, maxPendingRequests: 1, pendingTimeout: 1h}", route: "request: 0s",
	}
}

// The second request waits and is served, the third is refused at once.
func TestPendingRequests(t *testing.T) {
	b, asked, answer := held(t)
	l := start(t, one(b.addr))
	first, second, third := l.dial(), l.dial(), l.dial()
	first.send(asks("/1"))
	goes(t, asked, "/1")
	second.send(asks("/2"))
	l.waits(1)
	r, body := third.answered(503, asks("/3"))
	if r.Header.Get("Retry-After") != "1" || !strings.HasPrefix(body, "as many requests are under way as may be\n") || r.Close {
		t.Errorf("%v %q", r, body)
	}
	if e := l.ended(1); e.Flags != event.Overflow || e.Attempts != 0 || e.Endpoint != event.None {
		t.Errorf("event %+v", e)
	}
	answer <- struct{}{}
	first.response("GET")
	goes(t, asked, "/2")
	l.waits(0)
	answer <- struct{}{}
	if _, body := second.response("GET"); body != "ok" {
		t.Errorf("%q", body)
	}
	if e := l.ended(3); e.Flags != 0 || e.Status != 200 || e.target != "/2" || e.Attempts != 1 {
		t.Errorf("event %+v", e)
	}
	l.unharmed()
}

// One of which nothing was sent, and for whose retry there is no room, is refused like all
// others: it may come again.
func TestNoRoomForARetry(t *testing.T) {
	cases := []bool{true, false}
	for len(cases) > 0 {
		full := cases[0] // the queue, or it waits in vain
		queue, pause := "maxPendingRequests: 9, pendingTimeout: 50ms", "1ms"
		if full {
			queue, pause = "maxPendingRequests: 1, pendingTimeout: 1h", "1s"
		}
		b, asked, answer := held(t)
		l := start(t, setup{
			endpoints: []string{b.addr, refusing(t)}, balance: "type: RoundRobin", retry: "attempts: 1, backoff: " + pause,
			breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1h",
			pool:    "limits: {" + queue + ", perEndpoint: {maxParallelRequests: 1}}",
		})
		first, second, third := l.dial(), l.dial(), l.dial()
		first.send(asks("/1"))
		goes(t, asked, "/1")
		l.mu.Lock()
		astray := len(l.attempts) > 0
		l.mu.Unlock()
		if astray { // the rotation began with the other endpoint
			answer <- struct{}{}
			first.response("GET")
			continue
		}
		cases = cases[1:]
		second.send(asks("/2"))
		if full {
			l.until("the failed try", func() bool { return len(l.attempts) == 1 })
			third.send(asks("/3")) // takes the last place in the queue
			l.waits(1)
		}
		r, body := second.response("GET")
		if r.StatusCode != 503 || r.Header.Get("Retry-After") != "1" || !strings.HasPrefix(body, "as many requests are under way as may be\n") {
			t.Errorf("full: %v, %v %q", full, r, body)
		}
		want := event.ConnectFailure | event.QueueTimeout
		if full {
			want = event.ConnectFailure | event.Overflow
		}
		if e := l.ended(1); e.Attempts != 1 || e.Flags != want {
			t.Errorf("full: %v, event %+v", full, e)
		}
		answer <- struct{}{}
		first.response("GET")
		if full {
			goes(t, asked, "/3")
			answer <- struct{}{}
			third.response("GET")
		}
	}
}

// Who pauses before a retry has no place at its endpoint: another request is served
// meanwhile, though there is room for one alone.
func TestPauseHoldsNoPlace(t *testing.T) {
	b := once(t, func(p *peer) { p.head() }, func(p *peer) {
		p.head()
		p.send(ok)
		p.gone()
	})
	s := one(b.addr)
	s.retry, s.breaker = "attempts: 1, backoff: 1m", "consecutiveFailures: 0, failurePercent: 0"
	l := start(t, s)
	first := l.dial()
	first.send(asks("/1"))
	l.until("the failed try", func() bool { return len(l.attempts) == 1 })
	l.dial().answered(200, asks("/2"))
	if e := l.ended(1); e.target != "/2" || e.Attempts != 1 {
		t.Errorf("event %+v", e)
	}
	first.reset()
	if e := l.ended(2); e.Attempts != 1 || e.Flags != event.UpstreamReset|event.DownstreamGone {
		t.Errorf("event %+v", e)
	}
}

// Who waits again for a retry waits no longer for that: the time is the request's.
func TestPendingTimeoutOfRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipetest.Listen()
		var joined sync.WaitGroup
		began := time.Now()
		l := start(t, setup{
			endpoints: []string{"10.0.0.1:80"}, retry: "attempts: 1, backoff: 1ms", breaker: "consecutiveFailures: 0, failurePercent: 0",
			pool: "limits: {maxParallelRequests: 1, maxPendingRequests: 9, pendingTimeout: 200ms}",
		}, func(o *balancer.Options) {
			o.Listen = func(context.Context, string, string) (net.Listener, error) { return network, nil }
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				joined.Go(func() {
					defer far.Close()
					for in := bufio.NewReader(far); ; {
						r, err := http.ReadRequest(in)
						if err != nil || r.URL.Path == "/breaks" {
							return
						}
						time.Sleep(150 * time.Millisecond)
						io.WriteString(far, ok)
					}
				})
				return near, nil
			}
		})
		for _, target := range []string{"/first", "/breaks", "/last"} {
			far := network.Dial()
			joined.Go(func() {
				defer far.Close()
				io.WriteString(far, asks(target))
				head(t, far)
				io.CopyN(io.Discard, far, 2)
			})
			time.Sleep(time.Millisecond)
		}
		e := l.ended(2) // the one that breaks had its turn after 150 ms, and 50 more
		if took := e.Start.Add(e.Duration).Sub(began); e.target != "/breaks" || e.Attempts != 1 || e.Flags&event.QueueTimeout == 0 || took > 205*time.Millisecond {
			t.Errorf("%s ended after %v, of %d attempts, with %v", e.target, took, e.Attempts, e.Flags)
		}
		l.stop(patience)
		joined.Wait()
	})
}

// One that waits for too long is refused, and that is all.
func TestPendingTimeout(t *testing.T) {
	for _, limited := range []string{"by the pool", "by the route"} {
		for _, request := range []string{asks("/2"), "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello"} {
			b, asked, answer := held(t)
			s := one(b.addr)
			if limited == "by the pool" {
				s.pool = strings.Replace(s.pool, "1h", "50ms", 1)
			}
			l := start(t, s)
			if limited == "by the route" {
				s.route = "request: 50ms"
			}
			first, second := l.dial(), l.dial()
			first.send(asks("/1"))
			goes(t, asked, "/1")
			if limited == "by the route" {
				l.load(s) // the first has its own policy
			}
			second.send(request)
			method, _, _ := strings.Cut(request, " ")
			r, body := second.response(method)
			if r.StatusCode != 503 || r.Header.Get("Retry-After") != "1" || !strings.HasPrefix(body, "as many requests are under way as may be\n") {
				t.Errorf("%v %q", r, body)
			}
			if e := l.ended(1); e.Flags != event.QueueTimeout || e.Attempts != 0 {
				t.Errorf("event %+v", e)
			}
			l.waits(0)
			answer <- struct{}{}
			first.response("GET")
			first.send(asks("/3"))
			goes(t, asked, "/3")
			answer <- struct{}{}
			first.response("GET")
			l.unharmed()
		}
	}
}

// A client that leaves while it waits makes room for another.
func TestLeavingWhileWaiting(t *testing.T) {
	b, asked, answer := held(t)
	l := start(t, one(b.addr))
	first, second, third := l.dial(), l.dial(), l.dial()
	first.send(asks("/1"))
	goes(t, asked, "/1")
	second.send(asks("/2"))
	l.waits(1)
	second.reset()
	if e := l.ended(1); e.Flags != event.DownstreamGone || e.Status != 0 || e.Attempts != 0 {
		t.Errorf("event %+v", e)
	}
	l.waits(0)
	third.send(asks("/3"))
	l.waits(1)
	answer <- struct{}{}
	first.response("GET")
	goes(t, asked, "/3")
	answer <- struct{}{}
	third.response("GET")
	l.unharmed()
}

// Who waits gets what another policy has to give, and in turn.
func TestReloadWhileWaiting(t *testing.T) {
	b, asked, answer := held(t)
	other, otherAsked, otherAnswer := held(t)
	s := one(b.addr)
	s.pool = "limits: {maxParallelRequests: 9, maxPendingRequests: 2, pendingTimeout: 1h, perEndpoint: {maxParallelRequests: 1}}"
	for _, tt := range []struct {
		name   string
		change func(*setup)
		asked  chan string
		answer chan struct{}
	}{
		{"higher limits", func(s *setup) {
			s.pool = strings.Replace(s.pool, "perEndpoint: {maxParallelRequests: 1}", "perEndpoint: {maxParallelRequests: 2}", 1)
		}, asked, answer},
		{"another endpoint", func(s *setup) { s.endpoints = []string{b.addr, other.addr} }, otherAsked, otherAnswer},
		{"other endpoints", func(s *setup) { s.endpoints = []string{other.addr} }, otherAsked, otherAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := start(t, s)
			first, second, third, fourth := l.dial(), l.dial(), l.dial(), l.dial()
			first.send(asks("/1"))
			goes(t, asked, "/1")
			second.send(asks("/2"))
			l.waits(1)
			third.send(asks("/3"))
			l.waits(2)
			changed := s
			tt.change(&changed)
			l.load(changed)
			goes(t, tt.asked, "/2")
			l.waits(1)
			fourth.send(asks("/4"))
			l.waits(2)
			// The first and the second are in flight. What either leaves is the third's.
			if tt.name == "higher limits" {
				answer <- struct{}{} // one of them
				goes(t, asked, "/3")
				answer <- struct{}{}
				goes(t, asked, "/4")
				answer <- struct{}{}
				answer <- struct{}{}
			} else {
				tt.answer <- struct{}{}
				goes(t, tt.asked, "/3")
				tt.answer <- struct{}{}
				goes(t, tt.asked, "/4")
				tt.answer <- struct{}{}
				answer <- struct{}{}
			}
			for _, c := range []*peer{first, second, third, fourth} {
				if r, _ := c.response("GET"); r.StatusCode != 200 {
					t.Errorf("status %d", r.StatusCode)
				}
			}
			l.waits(0)
			l.unharmed()
		})
	}
}

// Who waits and has no business in the queue any more makes room at once.
func TestRouteRemovedWhileWaiting(t *testing.T) {
	b, asked, answer := held(t)
	free := answering(t, ok)
	for name, routes := range map[string]string{
		"elsewhere":  "    - {name: all, backendRefs: [{pool: free}]}\n    - {name: rest, matches: [{path: {type: Exact, value: /1}}], backendRefs: [{pool: main}]}\n",
		"none":       "    - {name: all, matches: [{path: {type: Exact, value: /1}}], backendRefs: [{pool: main}]}\n",
		"redirected": "    - {name: all, filters: [{requestRedirect: {hostname: example.com}}]}\n    - {name: rest, matches: [{path: {type: Exact, value: /1}}], backendRefs: [{pool: main}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := one(b.addr)
			l := start(t, s)
			first, second := l.dial(), l.dial()
			first.send(asks("/1"))
			goes(t, asked, "/1")
			second.send(asks("/2"))
			l.waits(1)
			s.routes = routes
			s.pools = fmt.Sprintf("    - {name: main, endpoints: [{address: %q}], limits: {maxParallelRequests: 1}}\n    - {name: free, endpoints: [{address: %q}]}\n", b.addr, free.addr)
			l.load(s)
			want := map[string]int{"elsewhere": 200, "none": 404, "redirected": 302}[name]
			if r, _ := second.response("GET"); r.StatusCode != want {
				t.Errorf("status %d, want %d", r.StatusCode, want)
			}
			l.waits(0)
			answer <- struct{}{}
			first.response("GET")
		})
	}
}

// A retry that waits does not change its policy, and is not lost to a new one: it waits
// on for the endpoints that stay.
func TestReloadWhileARetryWaits(t *testing.T) {
	asked, fail, answer := make(chan string, 9), make(chan struct{}), make(chan struct{})
	b := once(t, func(p *peer) { // the first one's
		p.head()
		asked <- "first"
		await(t, fail)
		p.reset()
	}, func(p *peer) {
		p.head()
		asked <- "second"
		await(t, answer)
		p.send(ok)
		for _, err := p.head(); err == nil; _, err = p.head() {
			p.send(ok)
		}
	})
	s := one(b.addr)
	// There is room for two, since the second request may not have left the queue yet when
	// the retry enters it.
	s.pool = "limits: {maxParallelRequests: 1, maxPendingRequests: 2, pendingTimeout: 1h}"
	s.retry, s.breaker = "attempts: 1, backoff: 1ms", "consecutiveFailures: 0, failurePercent: 0"
	l := start(t, s)
	first, second := l.dial(), l.dial()
	first.send(get)
	goes(t, asked, "first")
	second.send(get)
	l.waits(1)
	close(fail)
	goes(t, asked, "second")
	l.waits(1) // the first one's retry
	s.spec = "trustedProxies: [10.0.0.0/8]"
	l.load(s)
	l.waits(1)
	close(answer)
	second.response("GET")
	if r, _ := first.response("GET"); r.StatusCode != 200 {
		t.Errorf("status %d", r.StatusCode)
	}
	if e := l.ended(2); e.Attempts != 2 || e.Flags != event.UpstreamReset|event.Retried {
		t.Errorf("event %+v", e)
	}
	l.waits(0)
}

// A pool that overflows is nothing to another.
func TestOverflowIsOnePools(t *testing.T) {
	b, asked, answer := held(t)
	free := answering(t, ok)
	l := start(t, setup{
		routes: "    - {name: free, matches: [{path: {value: /free}}], backendRefs: [{pool: free}]}\n    - {name: all, backendRefs: [{pool: main}]}\n",
		pools: fmt.Sprintf("    - {name: main, endpoints: [{address: %q}], limits: {maxParallelRequests: 1, maxPendingRequests: 0}}\n"+
			"    - {name: free, endpoints: [{address: %q}], limits: {maxParallelRequests: 1, maxPendingRequests: 0}}\n", b.addr, free.addr),
	})
	first, second := l.dial(), l.dial()
	first.send(asks("/1"))
	goes(t, asked, "/1")
	for range 3 {
		second.answered(503, asks("/2"))
		second.answered(200, asks("/free"))
	}
	answer <- struct{}{}
	first.response("GET")
}

// A tunnel holds its place for as long as it lives.
func TestTunnelHoldsAPlace(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n")
		p.gone()
	}, func(p *peer) {
		p.head()
		p.send(ok)
		p.gone()
	})
	s := one(b.addr)
	s.pool = "limits: {maxParallelRequests: 1, maxPendingRequests: 0}"
	l := start(t, s)
	first, second := l.dial(), l.dial()
	first.answered(101, upgrade)
	second.answered(503, get)
	if e := l.ended(1); e.Flags != event.Overflow {
		t.Errorf("event %+v", e)
	}
	first.Close()
	l.ended(2)
	l.settled()
	second.answered(200, get)
}

// A request whose body streams waits too, and has lost nothing then.
func TestStreamedBodyWaits(t *testing.T) {
	b, asked, answer := held(t)
	l := start(t, one(b.addr))
	first, second := l.dial(), l.dial()
	first.send(asks("/1"))
	goes(t, asked, "/1")
	second.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
	l.waits(1)
	answer <- struct{}{}
	first.response("GET")
	goes(t, asked, "/2")
	second.send("world")
	answer <- struct{}{}
	if r, body := second.response("POST"); r.StatusCode != 200 || body != "ok" {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	if e := l.ended(2); e.RequestBytes != 10 || e.Flags != 0 {
		t.Errorf("event %+v", e)
	}
}

// Shutdown waits for who waits, and at its deadline ends that too.
func TestShutdownEndsWaits(t *testing.T) {
	for name, request := range map[string]string{
		"whole":    get,
		"streamed": "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			b, asked, _ := held(t)
			l := start(t, one(b.addr))
			first, second := l.dial(), l.dial()
			first.send(asks("/1"))
			goes(t, asked, "/1")
			second.send(request)
			l.waits(1)
			l.stopped = true
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			within(t, "the shutdown", func() {
				if l.Shutdown(ctx) == nil {
					t.Error("nothing was cut")
				}
			})
			l.ended(2)
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, e := range l.requests {
				if want := event.Draining; e.Status != 503 || e.target == "/1" && e.Flags != want || e.target != "/1" && e.Flags != want|event.QueueTimeout {
					t.Errorf("%s: flags %s, status %d", e.target, e.Flags, e.Status)
				}
			}
		})
	}
}

// There are no more connections than may be: the idle one of another endpoint makes
// room.
func TestMaxConnections(t *testing.T) {
	a, b := answering(t, ok), answering(t, ok)
	for most, want := range map[int]int{1: 5, 2: 1} {
		before := a.accepted() + b.accepted()
		s := setup{endpoints: []string{a.addr, b.addr}, balance: "type: RoundRobin", pool: fmt.Sprintf("limits: {maxConnections: %d}", most)}
		l := start(t, s)
		c := l.dial()
		for range 10 {
			c.answered(200, get)
		}
		if n := a.accepted() + b.accepted() - before; n != 2*want {
			t.Errorf("%d connections were made where %d may be open, want %d", n, most, 2*want)
		}
		l.unharmed()
	}
}

// The retry budget is the policy's.
func TestRetryBudgetSpent(t *testing.T) {
	dead := func() string {
		b := listen(t, func(p *peer) { p.reset() })
		return b.addr
	}
	for budget, attempts := range map[string]int{
		"percent: 0, minRetriesPerSecond: 0":   1,
		"percent: 0, minRetriesPerSecond: 1":   2,
		"percent: 100, minRetriesPerSecond: 0": 2, // by the request itself
	} {
		l := start(t, setup{
			endpoints: []string{dead(), dead()}, retry: "attempts: 3, backoff: 0s", breaker: "consecutiveFailures: 0, failurePercent: 0",
			pool: "retryBudget: {" + budget + "}",
		})
		l.dial().answered(502, get)
		if e := l.ended(1); e.Attempts != attempts || e.Flags&event.RetryRefused == 0 {
			t.Errorf("%s: event %+v", budget, e)
		}
		if len(l.refusals) != 1 || l.refusals[0] != event.RetryBudgetSpent {
			t.Errorf("%s: %v", budget, l.refusals)
		}
	}
}

// A request that an endpoint may have acted on is sent once more on a new connection only
// if the pool's retry budget has that left.
func TestResendTakesOfTheBudget(t *testing.T) {
	for budget, status := range map[string]int{"minRetriesPerSecond: 0": 502, "minRetriesPerSecond: 1": 200} {
		b := once(t, func(p *peer) {
			p.head()
			p.send(ok)
			p.head()
		}, func(p *peer) {
			p.head()
			p.send(ok)
		})
		l := start(t, setup{endpoints: []string{b.addr}, pool: "retryBudget: {percent: 0, " + budget + "}"})
		c := l.dial()
		c.answered(200, get)
		c.answered(status, get)
	}
}
