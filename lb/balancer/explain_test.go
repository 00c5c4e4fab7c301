package balancer_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/explain"
	"go-loadbalancer/lb/pipetest"
)

// town is a balancer in virtual time whose endpoints answer with their address, and some of
// them with 500.
type town struct {
	*lb
	t        *testing.T
	network  *pipetest.Listener
	mu       sync.Mutex
	failing  map[string]bool
	backends sync.WaitGroup
	in       *bufio.Reader
	conn     net.Conn
}

func newTown(t *testing.T, policy string, change ...func(*balancer.Options)) *town {
	w := &town{t: t, network: pipetest.Listen(), failing: map[string]bool{}}
	w.lb = start(t, setup{whole: policy}, append(change, func(o *balancer.Options) {
		o.Rand = 1
		o.Listen = func(context.Context, string, string) (net.Listener, error) { return w.network, nil }
		o.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
			near, far := net.Pipe()
			w.backends.Go(func() { w.play(address, far) })
			return near, nil
		}
	})...)
	w.connect()
	return w
}

func (w *town) connect() {
	far := w.network.Dial()
	w.conn, w.in = far, bufio.NewReader(far)
}

func (w *town) play(address string, c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		w.mu.Lock()
		status := 200
		if w.failing[address] {
			status = 500
		}
		w.mu.Unlock()
		fmt.Fprintf(c, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(address), address)
	}
}

func (w *town) fail(address string, fails bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[address] = fails
}

// send sends a request; body is who answered, where an endpoint did.
func (w *town) send(q *explain.Question) (resp *http.Response, body string) {
	w.t.Helper()
	req, err := http.NewRequest(q.Method, q.URL, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range q.Header {
		req.Header.Add(f.Name, f.Value)
	}
	var text strings.Builder
	req.Write(&text)
	if _, err := io.WriteString(w.conn, text.String()); err != nil { // it was idle for too long
		w.connect()
		if _, err := io.WriteString(w.conn, text.String()); err != nil {
			w.t.Fatal(err)
		}
	}
	resp, err = http.ReadResponse(w.in, req)
	if err != nil {
		w.t.Fatal(err)
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	if resp.Close { // it is old
		w.conn.Close()
		w.connect()
	}
	return resp, string(content)
}

func (w *town) explain(q *explain.Question) *explain.Decision {
	w.t.Helper()
	asked, err := q.Parse()
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := w.Explain(context.Background(), asked)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *town) close() {
	w.conn.Close()
	w.stop(patience)
	w.backends.Wait()
}

// streets makes policies and requests that often meet.
type streets struct{ *rand.Rand }

func (v streets) one(of ...string) string { return of[v.IntN(len(of))] }

func (v streets) policy() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: test, version: \"1\"}\nspec:")
	line("  trustedProxies: [10.0.0.0/8]")
	line("  listeners: [{name: http, address: \"127.0.0.1:0\"}]\n  pools:")
	const pools = 3
	sessions := v.one("", "Redis", "Memory", "Cookie")
	for p := range pools {
		line("    - name: p%d", p)
		line("      loadBalancer: %s", v.one("{type: RoundRobin}", "{type: LeastRequest}", "{type: Random}", "{type: PeakEWMA}", "{type: ConsistentHash, hashOn: Header, name: X-User}"))
		line("      drainTimeout: 60s\n      circuitBreaker: {consecutiveFailures: 1, openDuration: 60s}")
		if sessions != "" {
			line("      sessionPersistence: {store: %s, onUnavailable: %s}", sessions, v.one("Return", "Rebind"))
		}
		line("      endpoints:")
		for e := range 1 + v.IntN(4) {
			line("        - {address: \"10.0.%d.%d:80\", weight: %d, priority: %d}", p, e+1, 1+v.IntN(3), v.IntN(2))
		}
	}
	line("  routes:")
	for r := range 2 + v.IntN(5) {
		line("    - name: r%d", r)
		if v.IntN(2) == 0 {
			line("      hostnames: [%q]", v.one("a.test", "*.test", "b.test"))
		}
		line("      matches: [{path: {type: %s}%s%s}]", v.one("PathPrefix, value: /", "PathPrefix, value: /a", "PathPrefix, value: /a/b", "Exact, value: /a/b", "RegularExpression, value: \"/a.*\""),
			v.one("", ", method: GET", ", method: POST"), v.one("", "", ", headers: [{name: X-Beta, value: \"1\"}]", ", queryParams: [{name: q, value: \"1\"}]"))
		line("      backendRefs: [{pool: p%d, weight: %d}, {pool: p%d, weight: %d}]", r%pools, 1+v.IntN(3), (r+1)%pools, v.IntN(3))
	}
	return b.String()
}

// without is a policy in which an endpoint or two are drained, or gone.
func (v streets) without(policy string) string {
	lines := strings.Split(policy, "\n")
	for range v.IntN(4) {
		i := v.IntN(len(lines))
		for !strings.Contains(lines[i], "address: \"10.") {
			i = v.IntN(len(lines))
		}
		if v.IntN(2) == 0 {
			lines = slices.Delete(lines, i, i+1)
		} else if !strings.Contains(lines[i], "drain") {
			lines[i] = strings.Replace(lines[i], "}", ", drain: true}", 1)
		}
	}
	return strings.Join(lines, "\n")
}

func (v streets) question() *explain.Question {
	q := &explain.Question{
		Method: v.one("GET", "POST"), Client: "10.1.1.1",
		URL: "http://" + v.one("a.test", "x.test", "b.test", "c") + v.one("/", "/a", "/a/b", "/a/b/c", "/x/../a") + v.one("", "?q=1"),
	}
	if v.IntN(2) == 0 {
		q.Header = append(q.Header, explain.Field{Name: "X-Beta", Value: v.one("1", "2")})
	}
	if v.IntN(2) == 0 {
		q.Header = append(q.Header, explain.Field{Name: "X-User", Value: v.one("ann", "bob", "cy")})
	}
	return q
}

// writes is how often anything was written.
func (s *shared) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked["bind"] + s.asked["rebind"] + s.asked["touch"]
}

// What is explained is what the balancer then does: the route, the pool, the session's home
// and the endpoint, for random policies and requests, with breakers that open meanwhile.
// What is said to be certain happens, and what is said to be impossible does not.
func TestExplainedIsWhatHappens(t *testing.T) {
	seeds := uint64(100)
	if raceDetector {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := streets{rand.New(rand.NewPCG(seed, 3))}
				policy := v.policy()
				shared := newShared()
				w := newTown(t, policy, with(shared))
				defer w.close()
				ticket := ""
				n := 0
				for i := range 60 {
					switch v.IntN(12) {
					case 0:
						w.fail(fmt.Sprintf("10.0.%d.%d:80", v.IntN(3), 1+v.IntN(4)), v.IntN(3) > 0)
					case 1:
						time.Sleep(time.Duration(v.IntN(40)) * time.Second)
					case 2:
						ticket = ""
					case 3:
						w.source.set(v.without(policy))
						w.Reload(context.Background()) // a pool without endpoints is refused
						synctest.Wait()
					}
					q := v.question()
					if ticket != "" {
						q.Header = append(q.Header, explain.Field{Name: "Cookie", Value: "lb_session=" + ticket})
					}
					asks := shared.writes()
					d := w.explain(q)
					if after := shared.writes(); after != asks {
						t.Errorf("to explain wrote to the store")
					}
					resp, who := w.send(q)
					n++
					e := w.ended(n)
					say := func(format string, args ...any) {
						var text strings.Builder
						d.WriteText(&text)
						t.Fatalf("request %d, %s %s %v: %s\n%s\nended: %s/%s/%s, session %v\n%s", i, q.Method, q.URL, q.Header, fmt.Sprintf(format, args...), text.String(), e.RouteName, e.PoolName, e.Upstream, e.Session, policy)
					}
					route := ""
					if d.Route != nil {
						route = d.Route.Name
					}
					if route != e.RouteName {
						say("explained route %q", route)
					}
					if (d.Outcome == explain.NoRoute) != (resp.StatusCode == 404) {
						say("outcome %s, status %d", d.Outcome, resp.StatusCode)
					}
					if d.Outcome != explain.NoRoute {
						at := slices.IndexFunc(d.Pools, func(p explain.Pool) bool { return p.Name == e.PoolName })
						if at < 0 || d.Pools[at].Probability == 0 {
							say("its pool was said to be impossible")
						}
						p := d.Pools[at]
						if (p.Refusal != "") != (resp.StatusCode == 503) {
							say("refusal %q, status %d", p.Refusal, resp.StatusCode)
						}
						for _, c := range p.Candidates {
							if c.Address == who && c.Probability == 0 || c.Address != who && c.Probability == 1 {
								say("%s was given probability %v, and %s answered", c.Address, c.Probability, who)
							}
						}
						known := d.Session != nil && d.Session.State == "known"
						if known && d.Session.Home != "" {
							if want := map[string]string{"home": "home", "away": "away", "moves": "moved"}[d.Session.Served]; want != e.Session.String() && p.Refusal == "" {
								say("session served %q", d.Session.Served)
							}
						}
						if known == (e.Session.String() == "new") && e.Session.String() != "" {
							say("session is said to be %s", d.Session.State)
						}
					}
					for _, c := range resp.Cookies() {
						if c.Name == "lb_session" {
							ticket = c.Value
						}
					}
				}
			})
		})
	}
}

// The probabilities are the shares that many requests show.
func TestExplainedProbabilitiesAreShares(t *testing.T) {
	if raceDetector {
		t.Skip("counts requests of one client: run without the race detector")
	}
	const requests = 3000
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := streets{rand.New(rand.NewPCG(seed, 4))}
				w := newTown(t, v.policy())
				defer w.close()
				q := v.question()
				for w.explain(q).Route == nil {
					q = v.question()
				}
				// One endpoint is open all the time; and those of PeakEWMA are known.
				w.fail("10.0.0.1:80", true)
				for range 50 {
					w.send(q)
				}
				d := w.explain(q)
				got := map[string]float64{}
				for range requests {
					_, who := w.send(q)
					got[who] += 1. / requests
				}
				for _, p := range d.Pools {
					if p.Algorithm == "PeakEWMA" {
						continue // its state is another after each request
					}
					for _, c := range p.Candidates {
						if want := p.Probability * c.Probability; math.Abs(got[c.Address]-want) > 0.04 {
							t.Errorf("%s of %s: said %.3f, was %.3f", c.Address, p.Algorithm, want, got[c.Address])
						}
					}
				}
			})
		})
	}
}

// X-LB-Explain is heeded of trusted addresses alone, never passed on, and an endpoint
// cannot answer it.
func TestExplainHeader(t *testing.T) {
	for _, tt := range []struct {
		name, trusted, forwarded, ask string
		want                          bool
	}{
		{"trusted", "[127.0.0.0/8]", "", "X-LB-Explain: 1", true},
		{"in any case", "[127.0.0.0/8]", "", "x-lb-explain: 1", true},
		{"not asked", "[127.0.0.0/8]", "", "A: b", false},
		{"another value", "[127.0.0.0/8]", "", "X-LB-Explain: 2", false},
		{"disguised", "[127.0.0.0/8]", "", "X_LB_Explain: 1", false},
		{"not trusted", "[10.0.0.0/8]", "", "X-LB-Explain: 1", false},
		{"nobody is", "[]", "", "X-LB-Explain: 1", false},
		{"a stranger behind a trusted proxy", "[127.0.0.0/8]", "X-Forwarded-For: 203.0.113.7", "X-LB-Explain: 1", false},
		{"who claims to be trusted", "[127.0.0.0/8]", "X-Forwarded-For: 127.0.0.9, 203.0.113.7", "X-LB-Explain: 1", false},
		{"nobody knows whom", "[127.0.0.0/8]", "X-Forwarded-For: unknown", "X-LB-Explain: 1", false},
		{"trusted behind trusted", "[127.0.0.0/8]", "X-Forwarded-For: 127.0.0.9", "X-LB-Explain: 1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-LB-Explain: mine\r\n\r\nok")
			l := start(t, setup{endpoints: []string{b.addr}, spec: "trustedProxies: " + tt.trusted, pool: keeps("Memory")})
			answer := exchange(t, l.addr, "GET /secret HTTP/1.1\r\nHost: shop.test\r\nCookie: lb_session=private; other=hidden\r\n"+tt.forwarded+join(tt.forwarded)+tt.ask+"\r\n\r\n")
			said := answer.Header.Values("X-LB-Explain")
			if !tt.want {
				if len(said) > 0 {
					t.Errorf("answered %q", said)
				}
			} else if len(said) != 1 || !strings.Contains(said[0], `route="all", pool="main"`) || !strings.Contains(said[0], `endpoint="main/1", address="`+b.addr+`"`) ||
				!strings.Contains(said[0], "attempts=1, eligible=1, of=1") || strings.Contains(said[0], "private") || strings.Contains(said[0], "hidden") || strings.Contains(said[0], "secret") {
				t.Errorf("answered %q", said)
			}
			if h := strings.ToLower(b.received()[0]); strings.Contains(h, "lb-explain") || strings.Contains(h, "lb_explain") {
				t.Errorf("passed on: %q", h)
			}
		})
	}
}

func join(s string) string {
	if s == "" {
		return ""
	}
	return "\r\n"
}

// exchange sends one request as it is written.
func exchange(t *testing.T, addr, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// What the balancer answers by itself is explained too.
func TestExplainHeaderOfOwnAnswers(t *testing.T) {
	b := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	l := start(t, setup{endpoints: []string{b.addr}, spec: "trustedProxies: [127.0.0.0/8]", routes: `
    - name: moved
      matches: [{path: {value: /moved}}]
      filters: [{requestRedirect: {hostname: b.test}}]
    - name: gone
      matches: [{path: {value: /gone}}]
      backendRefs: [{pool: main, weight: 0}]
`})
	for path, want := range map[string]string{"/moved": `route="moved"`, "/gone": `route="gone", flags="`, "/none": `flags="NR"`} {
		said := exchange(t, l.addr, "GET "+path+" HTTP/1.1\r\nHost: a\r\nX-LB-Explain: 1\r\n\r\n").Header.Get("X-LB-Explain")
		if !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q in it", path, said, want)
		}
	}
}

// Where everything is full the request waits, or is refused where nobody may.
func TestExplainFull(t *testing.T) {
	for _, tt := range []struct {
		name, pending string
		want          explain.Outcome
	}{
		{"may wait", "maxPendingRequests: 5, pendingTimeout: 5s", explain.Waits},
		{"nobody waits", "maxPendingRequests: 0", explain.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			come, answer := make(chan struct{}, 1), make(chan struct{})
			b := listen(t, func(p *peer) {
				if _, err := p.head(); err != nil {
					return
				}
				come <- struct{}{}
				<-answer
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			})
			l := start(t, setup{endpoints: []string{b.addr}, pool: "limits: {" + tt.pending + ", perEndpoint: {maxParallelRequests: 1}}"})
			done := make(chan struct{})
			go func() {
				defer close(done)
				if resp, err := client(t).Get("http://" + l.addr + "/"); err == nil {
					resp.Body.Close()
				}
			}()
			<-come
			asked, err := (&explain.Question{URL: "/"}).Parse()
			if err != nil {
				t.Fatal(err)
			}
			d, err := l.Explain(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			c := d.Pools[0].Candidates[0]
			if d.Outcome != tt.want || d.Choice != nil || c.Eligible || c.Why != "as many requests as it may have" || c.InFlight != 1 {
				t.Errorf("%+v, %+v", d, c)
			}
			close(answer)
			<-done
		})
	}
}
