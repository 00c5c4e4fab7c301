package balancer_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// named answers with its name, until it is told to fail.
type named struct {
	*backend
	name   string
	status atomic.Int64 // 0: 200
}

func naming(t testing.TB, name string) *named {
	n := &named{name: name}
	n.backend = listen(t, func(p *peer) {
		for {
			if _, err := p.head(); err != nil {
				return
			}
			status := n.status.Load()
			if status == 0 {
				status = 200
			}
			p.send(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(name), name))
		}
	})
	return n
}

// visitor is a client that keeps what it is given.
type visitor struct {
	t      testing.TB
	http   *http.Client
	header string // the field that carries its ticket; empty: a cookie does
	ticket string
	set    string // the whole of the last Set-Cookie
	given  int    // how often it was given a ticket
}

func newVisitor(t testing.TB) *visitor { return &visitor{t: t, http: client(t)} }

// visit returns who answered at a balancer, and with what status.
func (v *visitor) visit(l *lb, path string) (who string, status int) {
	v.t.Helper()
	req, _ := http.NewRequest("GET", "http://"+l.addr+path, nil)
	if v.ticket != "" && v.header != "" {
		req.Header.Set(v.header, v.ticket)
	} else if v.ticket != "" {
		req.Header.Set("Cookie", "a=b; lb_session="+v.ticket+"; c=d")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if v.header != "" {
		if x := resp.Header.Get(v.header); x != "" {
			v.ticket = x
			v.given++
		}
	}
	for _, c := range resp.Cookies() {
		if c.Name == "lb_session" {
			v.ticket = c.Value
			v.set = resp.Header.Get("Set-Cookie")
			v.given++
		}
	}
	return string(body), resp.StatusCode
}

// stays visits n times and fails the test if any but who answers.
func (v *visitor) stays(l *lb, who string, n int) {
	v.t.Helper()
	for i := range n {
		if got, status := v.visit(l, "/"); got != who || status != 200 {
			v.t.Fatalf("visit %d: %s answered, with %d, and not %s", i+1, got, status, who)
		}
	}
}

func keeps(store string) string { return "sessionPersistence: {store: " + store + "}" }

func with(s session.Shared, keys ...session.Key) func(*balancer.Options) {
	return func(o *balancer.Options) { o.Sessions, o.CookieKeys = s, keys }
}

// In every store a client stays where it was first, others go elsewhere, and it is
// given one ticket.
func TestSessionStays(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		for _, carrier := range []string{"Cookie", "Header"} {
			if store == "Cookie" && carrier == "Header" {
				continue
			}
			t.Run(store+" "+carrier, func(t *testing.T) {
				a, b, c := naming(t, "a"), naming(t, "b"), naming(t, "c")
				pool := keeps(store)
				if carrier == "Header" {
					pool = "sessionPersistence: {store: " + store + ", type: Header, header: {name: X-Session}}"
				}
				l := start(t, setup{endpoints: []string{a.addr, b.addr, c.addr}, balance: "type: RoundRobin", pool: pool}, with(newShared()))
				homes := map[string]int{}
				for range 12 {
					v := newVisitor(t)
					if carrier == "Header" {
						v.header = "X-Session"
					}
					home, _ := v.visit(l, "/")
					homes[home]++
					if v.given != 1 || len(v.ticket) != session.SealedLen {
						t.Fatalf("given %d tickets: %q", v.given, v.ticket)
					}
					v.stays(l, home, 10)
					if v.given != 1 {
						t.Errorf("given %d tickets, want one", v.given)
					}
					for _, secret := range []string{a.addr, b.addr, c.addr, "main"} {
						if strings.Contains(v.ticket, secret) {
							t.Errorf("%s is in the ticket", secret)
						}
					}
				}
				if len(homes) != 3 || homes["a"] != 4 {
					t.Errorf("homes %v: new sessions are to be balanced", homes)
				}
			})
		}
	}
}

// What becomes of a ticket that is no good: a new session, a count, and never a place
// of the client's choice.
func TestSessionTicketsThatAreNoGood(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		t.Run(store, func(t *testing.T) {
			a, b := naming(t, "a"), naming(t, "b")
			var reasons atomic.Pointer[string]
			l := start(t, setup{endpoints: []string{a.addr, b.addr}, balance: "type: RoundRobin", pool: keeps(store)}, with(newShared()), func(o *balancer.Options) {
				events := *o.Events
				events.SessionRefused = func(reason string) { reasons.Store(&reason) }
				o.Events = &events
			})
			good := newVisitor(t)
			good.visit(l, "/")
			flipped := []byte(good.ticket)
			if flipped[50]++; flipped[50] != 'b' {
				flipped[50] = 'a'
			}
			other := newVisitor(t)
			other.visit(l, "/")
			for _, x := range []struct{ cookie, reason string }{
				{"lb_session=", "length"},
				{"lb_session=" + good.ticket[:100], "length"},
				{"lb_session=" + strings.Repeat("A", 8000), "length"},
				{"lb_session=" + strings.Repeat("~", session.SealedLen), "malformed"},
				{"lb_session=" + strings.Repeat("A", session.SealedLen), "version"},
				{"lb_session=" + string(flipped), "forged"},
				{"lb_session=" + good.ticket + "; lb_session=" + other.ticket, "duplicate"},
			} {
				reasons.Store(nil)
				seen := map[string]bool{}
				for range 6 {
					req, _ := http.NewRequest("GET", "http://"+l.addr+"/", nil)
					req.Header.Set("Cookie", x.cookie)
					resp, err := good.http.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					seen[string(body)] = true
					if resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
						t.Errorf("%.40s: status %d and %d cookies", x.cookie, resp.StatusCode, len(resp.Cookies()))
					}
				}
				if got := reasons.Load(); got == nil || *got != x.reason {
					t.Errorf("%.40s: refused for %v, want %s", x.cookie, got, x.reason)
				}
				if len(seen) != 2 {
					t.Errorf("%.40s: it decides where it goes", x.cookie)
				}
			}
			home, _ := good.visit(l, "/")
			good.stays(l, home, 3)
		})
	}
}

// Two replicas on one store agree where a session is at home, and open each other's
// tickets, whether they were given keys or have to agree on one; so they do where the
// store is there for the key alone.
func TestSessionOnTwoReplicas(t *testing.T) {
	for _, in := range []string{"Redis", "Cookie"} {
		for _, keys := range [][]session.Key{nil, {session.NewKey()}} {
			store := newShared()
			a, b, c := naming(t, "a"), naming(t, "b"), naming(t, "c")
			policy := setup{endpoints: []string{a.addr, b.addr, c.addr}, pool: keeps(in)}
			one, two := start(t, policy, with(store, keys...)), start(t, policy, with(store, keys...))
			for range 20 {
				v := newVisitor(t)
				home, _ := v.visit(one, "/")
				v.stays(two, home, 5)
				v.stays(one, home, 5)
			}
			// The second replica looks for it and, since its ticket has only now come back, binds
			// it; the first one looks for it, and binds it too where that is not done yet. None
			// of a session in a cookie.
			most := map[string]int{"Redis": 4 * 20}[in]
			if n := store.count("bind") + store.count("find"); n > most {
				t.Errorf("%s: %d operations for 20 sessions", in, n)
			}
		}
	}
}

// A session whose home is not eligible is served elsewhere, and is home again when it
// is back; or it stays where it was served, if the policy says so. On both replicas.
func TestSessionWhoseHomeFails(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		for _, on := range []string{"Return", "Rebind"} {
			t.Run(store+" "+on, func(t *testing.T) {
				backends := map[string]*named{}
				policy := setup{breaker: "consecutiveFailures: 2, openDuration: 100ms, halfOpenRequests: 1", pool: "sessionPersistence: {store: " + store + ", onUnavailable: " + on + "}"}
				for _, name := range []string{"a", "b", "c"} {
					backends[name] = naming(t, name)
					policy.endpoints = append(policy.endpoints, backends[name].addr)
				}
				l := start(t, policy, with(newShared()))
				v := newVisitor(t)
				home, _ := v.visit(l, "/")
				backends[home].status.Store(500)
				v.visit(l, "/")
				v.visit(l, "/")
				l.until("the breaker to open", func() bool { return len(l.breakers) > 0 })
				elsewhere, status := v.visit(l, "/")
				if elsewhere == home || status != 200 {
					t.Fatalf("%s answered with %d, its breaker open", elsewhere, status)
				}
				v.stays(l, elsewhere, 3)
				if use := l.ended(l.count()).Session; use != map[string]event.SessionUse{"Return": event.SessionAway, "Rebind": event.SessionHome}[on] {
					t.Errorf("served as %v", use)
				}
				backends[home].status.Store(0)
				want := home
				if on == "Rebind" {
					want = elsewhere
				}
				for range 20 {
					time.Sleep(10 * time.Millisecond) // until its breaker lets a probe through
					if who, _ := v.visit(l, "/"); who == want && on == "Return" {
						break
					}
				}
				v.stays(l, want, 10)
				moved := l.Status().Sessions.Moved
				if on == "Rebind" && moved["unavailable"] != 1 || on == "Return" && len(moved) != 0 {
					t.Errorf("moved: %v", moved)
				}
			})
		}
	}
}
