package balancer_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// refusing is an address nobody listens on.
func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestUpstreamFailures(t *testing.T) {
	type failure struct {
		script func(*peer) // nil: refuses
		route  string
		status int
		flags  event.Flags
		result event.Result
	}
	head := func(after func(p *peer)) func(*peer) {
		return func(p *peer) { p.head(); after(p) }
	}
	answers := func(s string) func(*peer) {
		return head(func(p *peer) { p.send(s); p.gone() })
	}
	drips := func(p *peer) { // a byte now and then, for ever
		for p.send("HTTP/1.1 200 OK\r\nX: "); p.send("x") == nil; time.Sleep(10 * time.Millisecond) {
		}
	}
	silent := head(func(p *peer) { p.gone() })
	for name, x := range map[string]failure{
		"refused":                  {nil, "", 502, event.ConnectFailure, event.ConnectFailed},
		"closed":                   {head(func(p *peer) {}), "", 502, event.UpstreamReset, event.Reset},
		"reset":                    {head(func(p *peer) { p.reset() }), "", 502, event.UpstreamReset, event.Reset},
		"closed inside the head":   {head(func(p *peer) { p.send("HTTP/1.1 200 OK\r\nContent-") }), "", 502, event.UpstreamReset, event.Reset},
		"garbage":                  {answers("SSH-2.0-OpenSSH_9\r\n"), "", 502, event.UpstreamProtocol, event.ProtocolError},
		"length and chunked":       {answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "", 502, event.UpstreamProtocol, event.ProtocolError},
		"large head":               {answers("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n"), "", 502, event.UpstreamProtocol, event.ProtocolError},
		"silent, request":          {silent, "request: 100ms", 504, event.UpstreamTimeout, event.TimedOut},
		"silent, backendRequest":   {silent, "backendRequest: 100ms", 504, event.UpstreamTimeout, event.TimedOut},
		"silent, shorter than 5ms": {silent, "request: 2ms", 504, event.UpstreamTimeout, event.TimedOut},
		"slow head":                {answers("HTTP/1.1 200 OK\r\n"), "request: 100ms", 504, event.UpstreamTimeout, event.TimedOut},
		"head in drips":            {head(drips), "backendRequest: 100ms", 504, event.UpstreamTimeout, event.TimedOut},
		"interim only":             {answers("HTTP/1.1 102 Processing\r\n\r\n"), "request: 100ms", 504, event.UpstreamTimeout, event.TimedOut},
	} {
		for kind, request := range map[string]string{
			"GET":     get,
			"POST":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
			"chunked": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				addr := ""
				if x.script == nil {
					addr = refusing(t)
				} else {
					addr = once(t, x.script).addr
				}
				l := start(t, setup{endpoints: []string{addr}, route: x.route, breaker: "consecutiveFailures: 2, failurePercent: 0"})
				c := l.dial()
				for i := range 2 { // the client's connection survives
					c.send(request)
					r, body := c.response("GET")
					for r.StatusCode == 102 {
						r, body = c.response("GET")
					}
					e := l.ended(i + 1)
					if x.route == "request: 2ms" && l.lastAttempt().Result == event.ConnectFailed {
						if r.Close { // on a busy machine there is no time for more than to connect
							c = l.dial()
						}
						continue
					}
					if r.StatusCode != x.status || !strings.Contains(body, "request id: ") || strings.Contains(body, "127.0.0.1") {
						t.Errorf("%d %q", r.StatusCode, body)
					}
					if e.Status != x.status || e.Flags != x.flags || e.Attempts != 1 || e.ResponseBytes != int64(len(body)) || e.Upstream != addr {
						t.Errorf("event %+v", e)
					}
					if a := l.lastAttempt(); a.Result != x.result || a.Status != 0 {
						t.Errorf("attempt %+v", a)
					}
					if r.Close {
						if kind != "chunked" {
							t.Error("the client's connection is closed")
						}
						c = l.dial()
					}
				}
				s := l.settled()
				if s.Breaker.State != "open" || s.InFlight != 0 {
					t.Errorf("endpoint %+v", s)
				}
			})
		}
	}
}

// An endpoint's head may have 32 KiB, and not a byte more.
func TestHeadOfAnEndpointIsBounded(t *testing.T) {
	const most = 32 << 10
	head := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: "
	for more, status := range []int{200, 502} {
		value := strings.Repeat("x", most-len(head+"\r\n\r\n")+more)
		l := start(t, setup{endpoints: []string{answering(t, head+value+"\r\n\r\nok").addr}})
		if r, _ := l.dial().answered(status, get); status == 200 && r.Header.Get("X") != value {
			t.Errorf("%d bytes of the field came, of %d", len(r.Header.Get("X")), len(value))
		}
	}
}

// A kept connection that the backend closes meanwhile costs no request, and it is told
// that one was sent once more.
func TestStaleConnection(t *testing.T) {
	for name, x := range map[string]struct {
		request string
		how     func(*peer) // after the first answer
		want    int         // status of the second request
	}{
		"GET, closed while idle":     {get, func(p *peer) {}, 200},
		"GET, reset while idle":      {get, func(p *peer) { p.reset() }, 200},
		"GET, closed when asked":     {get, func(p *peer) { p.head() }, 200},
		"GET, reset when asked":      {get, func(p *peer) { p.head(); p.reset() }, 200},
		"POST, closed while idle":    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", func(p *peer) {}, 200},
		"POST, junk while idle":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", func(p *peer) { p.send("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n") }, 200},
		"POST, closed when asked":    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", func(p *peer) { p.head() }, 502},
		"PUT, closed when asked":     {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", func(p *peer) { p.head() }, 200},
		"chunked, closed while idle": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", func(p *peer) {}, 200},
		"large, closed while idle":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), func(p *peer) {}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			kept, closed := make(chan struct{}), make(chan struct{})
			answer := func(p *peer) bool {
				head, err := p.head()
				if err != nil {
					return false
				}
				switch {
				case field(head, "Content-Length") == "4":
					p.expect("body")
				case field(head, "Content-Length") != "":
					p.exactly(100000)
				case field(head, "Transfer-Encoding") != "":
					p.expect("4\r\nbody\r\n0\r\n\r\n")
				}
				p.send(ok)
				return true
			}
			b := once(t, func(p *peer) {
				answer(p)
				await(t, kept)
				x.how(p)
				p.Close()
				close(closed)
			}, func(p *peer) {
				for answer(p) {
				}
			})
			l := start(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0"})
			c := l.dial()
			c.answered(200, x.request)
			l.ended(1)
			// An answer that was quicker than the end of an upload that is not at hand as a whole
			// is the last one of its connection.
			again := l.Status().Pools[0].Connections == 1
			if streamed := strings.HasPrefix(name, "large") || strings.HasPrefix(name, "chunked"); !again && !streamed {
				t.Error("the connection is not kept")
			}
			close(kept)
			if strings.Contains(name, "idle") {
				await(t, closed)
			}
			c.send(x.request)
			r, _ := c.response("GET")
			if r.StatusCode != x.want {
				t.Errorf("status %d, want %d", r.StatusCode, x.want)
			}
			e := l.ended(2)
			want, flags := event.ResentUnanswered, event.Resent
			switch {
			case x.want != 200:
				want, flags = "", event.UpstreamReset
			case !again:
				want, flags = "", 0
			case strings.Contains(name, "idle"):
				want = event.ResentUnsent
			}
			if e.Attempts != 1 || e.Flags != flags {
				t.Errorf("event %+v", e)
			}
			if a := l.lastAttempt(); a.Resend != want || a.Reused != (x.want != 200) {
				t.Errorf("sent once more: %q, want %q; on a kept connection: %v", a.Resend, want, a.Reused)
			}
			if s := l.settled(); (s.Breaker.State == "closed") != (x.want == 200) || s.InFlight != 0 {
				t.Errorf("endpoint %+v", s)
			}
		})
	}
}

// A response that an endpoint sends unasked, behind one that was asked for, must
// never answer the next request.
func TestUnaskedResponseIsNotDelivered(t *testing.T) {
	b := answering(t, ok+"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for range 5 {
		if _, body := c.answered(200, get); body != "ok" {
			t.Fatalf("got %q", body)
		}
	}
	late := once(t, func(p *peer) {
		for {
			if h, _ := p.head(); h == "" {
				return
			}
			p.send(ok)
			time.Sleep(20 * time.Millisecond) // until it lies idle
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
		}
	})
	l2 := start(t, setup{endpoints: []string{late.addr}})
	c2 := l2.dial()
	for range 3 {
		if _, body := c2.answered(200, get); body != "ok" {
			t.Fatalf("got %q", body)
		}
		c2.silent(60)
	}
}

func TestBreaker(t *testing.T) {
	status := make(chan string, 100)
	b := once(t, func(p *peer) {
		for {
			if h, _ := p.head(); h == "" {
				return
			}
			p.send("HTTP/1.1 ", <-status, "\r\nContent-Length: 0\r\n\r\n")
		}
	})
	l := start(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 3, failurePercent: 0, openDuration: 300ms, halfOpenRequests: 1"})
	c := l.dial()
	for range 3 {
		status <- "500 Internal Server Error"
		c.answered(500, get) // passed on as it is
	}
	l.ended(3)
	if a := l.lastAttempt(); a.Result != event.Failed || a.Status != 500 {
		t.Errorf("attempt %+v", a)
	}
	opened := time.Now()
	r, body := c.answered(503, get)
	if time.Since(opened) > 250*time.Millisecond {
		t.Skip("too slow a machine to see the breaker open")
	}
	if r.Header.Get("Retry-After") != "1" || r.Close || !strings.Contains(body, "request id") {
		t.Errorf("%q %v", body, r.Header)
	}
	if e := l.ended(4); e.Flags != event.BreakersOpen || e.Attempts != 0 || e.Endpoint != event.None || e.Status != 503 {
		t.Errorf("event %+v", e)
	}
	time.Sleep(time.Until(opened.Add(350 * time.Millisecond))) // the open time
	status <- "200 OK"
	c.answered(200, get) // the probe
	status <- "200 OK"
	c.answered(200, get)
	l.until("the breaker's path to closed", func() bool {
		var path []string
		for _, ch := range l.breakers {
			path = append(path, string(ch.To))
		}
		return strings.Join(path, " ") == "open half-open closed"
	})
}

// TestRetryAfterOfBreakers: who is refused since every breaker is open is told when the
// first of them lets a probe through.
func TestRetryAfterOfBreakers(t *testing.T) {
	fails := func(p *peer) {
		for {
			if h, _ := p.head(); h == "" {
				return
			}
			p.send("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
		}
	}
	l := start(t, setup{
		endpoints: []string{listen(t, fails).addr, listen(t, fails).addr},
		breaker:   "consecutiveFailures: 1, openDuration: 1000s, maxOpenDuration: 1000s",
	})
	c := l.dial()
	c.answered(500, get)
	c.answered(500, get)
	l.until("both breakers to open", func() bool { return len(l.breakers) == 2 })
	r, body := c.answered(503, get)
	// Up to a tenth is added at random; and patience is all the time that may have passed.
	if after, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || after < 1000-int(patience.Seconds()) || after > 1100 {
		t.Errorf("Retry-After %q: %s", r.Header.Get("Retry-After"), body)
	}
}

// TestReloadOfAnOpenBreaker: what a new policy says of breakers acts on one that is open,
// and one that it says nothing new of stays so.
func TestReloadOfAnOpenBreaker(t *testing.T) {
	const hour = "consecutiveFailures: 1, failurePercent: 0, openDuration: 1h, maxOpenDuration: 1h, halfOpenRequests: 1"
	for name, x := range map[string]struct {
		breaker string
		status  int
		path    string
	}{
		"other thresholds":    {hour + ", codes: [500, 502]", 503, "open"},
		"a shorter open time": {"consecutiveFailures: 1, failurePercent: 0, openDuration: 1ms, maxOpenDuration: 1ms, halfOpenRequests: 1", 200, "open half-open closed"},
		"turned off":          {"consecutiveFailures: 0, failurePercent: 0", 200, "open closed"},
	} {
		t.Run(name, func(t *testing.T) {
			status := make(chan string, 100)
			b := listen(t, func(p *peer) {
				for {
					if h, _ := p.head(); h == "" {
						return
					}
					p.send("HTTP/1.1 ", <-status, "\r\nContent-Length: 0\r\n\r\n")
				}
			})
			s := setup{endpoints: []string{b.addr}, breaker: hour}
			l := start(t, s)
			c := l.dial()
			status <- "500 Broken"
			c.answered(500, get)
			l.until("the breaker to open", func() bool { return len(l.breakers) == 1 })
			c.answered(503, get)
			s.breaker = x.breaker
			l.source.set(s.text())
			if r := l.Reload(t.Context()); r.Err != nil {
				t.Fatal(r.Err)
			}
			status <- "200 OK"
			got := 0
			for end := time.Now().Add(patience); got != x.status && time.Now().Before(end); { // a millisecond may be left of the open time
				c.send(get)
				r, _ := c.response("GET")
				got = r.StatusCode
			}
			if got != x.status {
				t.Errorf("status %d, want %d", got, x.status)
			}
			l.until("the breaker's path", func() bool {
				var path []string
				for _, ch := range l.breakers {
					path = append(path, string(ch.To))
				}
				return strings.Join(path, " ") == x.path
			})
		})
	}
}

func TestWeights(t *testing.T) {
	one, three := answering(t, ok), answering(t, ok)
	l := start(t, setup{endpoints: []string{one.addr, three.addr}, weights: []int{1, 3}, balance: "type: RoundRobin"})
	c := l.dial()
	for range 40 {
		c.answered(200, get)
	}
	if a, b := len(one.received()), len(three.received()); a != 10 || b != 30 {
		t.Errorf("%d and %d of 40", a, b)
	}
}

func TestConsistentHash(t *testing.T) {
	x, y, z := answering(t, ok), answering(t, ok), answering(t, ok)
	l := start(t, setup{endpoints: []string{x.addr, y.addr, z.addr}, balance: "type: ConsistentHash, hashOn: Cookie, name: user, boundedLoadFactor: 0"})
	c := l.dial()
	homes, used := map[string]string{}, map[string]bool{}
	n := 0
	for round := range 3 {
		for _, user := range strings.Split("a b c d e f g h i j k l", " ") {
			c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; user="+user+"; y=2\r\n\r\n")
			n++
			e := l.ended(n)
			if round > 0 && homes[user] != e.Upstream {
				t.Errorf("%s moved", user)
			}
			homes[user] = e.Upstream
			used[e.Upstream] = true
		}
	}
	if len(used) < 2 {
		t.Error("every user has the same home")
	}
}

// TestPoolsShareByWeight: a canary gets its part of the requests, and no more.
func TestPoolsShareByWeight(t *testing.T) {
	main, canary := answering(t, ok), answering(t, ok)
	l := start(t, setup{
		routes: "    - {name: all, backendRefs: [{pool: main, weight: 90}, {pool: canary, weight: 10}]}\n",
		pools:  fmt.Sprintf("    - {name: main, endpoints: [{address: %q}]}\n    - {name: canary, endpoints: [{address: %q}]}\n", main.addr, canary.addr),
	})
	c := l.dial()
	const requests = 1000
	got := 0
	for n := range requests {
		c.answered(200, get)
		if l.ended(n+1).PoolName == "canary" {
			got++
		}
	}
	// Five standard deviations of a binomial distribution: once in millions.
	if got < 53 || got > 147 {
		t.Errorf("the canary got %d of %d requests, want about 100", got, requests)
	}
}

// TestTunnelsDoNotHoldProbes: an endpoint that came back closes its breaker
// though its probes became tunnels that live on.
func TestTunnelsDoNotHoldProbes(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	b := listen(t, func(p *peer) {
		head, err := p.head()
		for ; err == nil; head, err = p.head() {
			switch {
			case broken.Load():
				p.send("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
			case strings.Contains(head, "Upgrade: echo"):
				p.send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
				p.rest()
				return
			default:
				p.send(ok)
			}
		}
	})
	l := start(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 2, failurePercent: 0, openDuration: 50ms, halfOpenRequests: 2"})
	c := l.dial()
	for range 2 {
		c.answered(500, get)
	}
	// A client has its answer before the breaker has heard of it.
	l.until("the breaker to open", func() bool { return len(l.breakers) > 0 })
	broken.Store(false)
	const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
	for tunnels := 0; tunnels < 2; {
		c := l.dial()
		c.send(upgrade)
		head, err := c.head()
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasPrefix(head, "HTTP/1.1 101"):
			tunnels++
		default:
			time.Sleep(5 * time.Millisecond) // the breaker is open still
		}
	}
	// A tunnel's client may know of it before the breaker does.
	l.until("the breaker to close", func() bool {
		n := len(l.breakers)
		return n > 0 && l.breakers[n-1].To == event.BreakerClosed
	})
	for range 10 {
		l.dial().answered(200, get)
	}
}

// TestHashOnWhatAPolicyNames: every kind of key, its name in the policy's case,
// keeps its user in one place, and different users in different ones.
func TestHashOnWhatAPolicyNames(t *testing.T) {
	for on, request := range map[string]string{
		"Header, name: X-User":   "GET / HTTP/1.1\r\nHost: a\r\nx-uSER: %s\r\n\r\n",
		"Cookie, name: User":     "GET / HTTP/1.1\r\nHost: a\r\nCookie: user=1; User=%s\r\n\r\n",
		"QueryParam, name: User": "GET /?user=1&User=%s HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		t.Run(on, func(t *testing.T) {
			x, y, z := answering(t, ok), answering(t, ok), answering(t, ok)
			l := start(t, setup{endpoints: []string{x.addr, y.addr, z.addr}, balance: "type: ConsistentHash, boundedLoadFactor: 0, hashOn: " + on})
			c := l.dial()
			homes, used := map[string]string{}, map[string]bool{}
			for n := range 40 {
				user := string(rune('a' + n%10))
				c.answered(200, fmt.Sprintf(request, user))
				e := l.ended(n + 1)
				if home, known := homes[user]; known && home != e.Upstream {
					t.Fatalf("%s moved from %s to %s", user, home, e.Upstream)
				}
				homes[user] = e.Upstream
				used[e.Upstream] = true
			}
			if len(used) < 2 {
				t.Error("every user has the same home: the key is not looked at")
			}
		})
	}
}

// TestMatchesIgnoreTheCaseOfHeaderNames: a route that asks for X-Beta gets what
// says x-beta, and the reverse.
func TestMatchesIgnoreTheCaseOfHeaderNames(t *testing.T) {
	old, beta := answering(t, ok), answering(t, ok)
	l := start(t, setup{
		routes: `    - {name: old, backendRefs: [{pool: old}]}
    - {name: beta, matches: [{headers: [{name: X-Beta, value: "1"}]}], backendRefs: [{pool: beta}]}
    - {name: gamma, matches: [{headers: [{name: x-gamma, type: RegularExpression, value: "[0-9]+"}]}], backendRefs: [{pool: beta}]}
`,
		pools: fmt.Sprintf("    - {name: old, endpoints: [{address: %q}]}\n    - {name: beta, endpoints: [{address: %q}]}\n", old.addr, beta.addr),
	})
	c := l.dial()
	for n, x := range []struct{ field, want string }{
		{"X-Beta: 1", "beta"}, {"x-beta: 1", "beta"}, {"X-BETA: 1", "beta"}, {"X-Beta: 2", "old"}, {"X-Bet: 1", "old"},
		{"X-Gamma: 7", "gamma"}, {"x-gamma: 7", "gamma"}, {"X-Gamma: x", "old"},
	} {
		c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\n"+x.field+"\r\n\r\n")
		if e := l.ended(n + 1); e.RouteName != x.want {
			t.Errorf("%s takes route %s, want %s", x.field, e.RouteName, x.want)
		}
	}
}

// A failing endpoint is left alone while the other one serves.
func TestFailover(t *testing.T) {
	good := answering(t, ok)
	l := start(t, setup{endpoints: []string{refusing(t), good.addr}, balance: "type: RoundRobin", breaker: "consecutiveFailures: 2, failurePercent: 0, openDuration: 1h"})
	c := l.dial()
	failed := 0
	for range 20 {
		c.send(get)
		if r, _ := c.response("GET"); r.StatusCode == 502 {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d requests failed, want 2", failed)
	}
}
