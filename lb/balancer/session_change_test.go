package balancer_test

import (
	"fmt"
	"testing"
	"time"

	"go-loadbalancer/lb/reload"
)

// change puts another policy to use.
func (l *lb) change(s setup) {
	l.t.Helper()
	l.source.set(s.text())
	if got := l.Reload(l.t.Context()); got.Outcome != reload.Committed {
		l.t.Fatalf("the policy was not put to use: %+v\n%s", got, s.text())
	}
}

// pooled is the pool "main" in YAML, of endpoints with settings.
func pooled(settings string, endpoints ...string) string {
	out := "    - name: main\n      " + settings + "\n      endpoints:\n"
	for _, e := range endpoints {
		out += "        - {" + e + "}\n"
	}
	return out
}

func at(addr string, more ...string) string {
	out := fmt.Sprintf("address: %q", addr)
	for _, m := range more {
		out += ", " + m
	}
	return out
}

// residents are clients of which each is at home somewhere.
type residents struct {
	visitors []*visitor
	homes    []string
}

func settle(t testing.TB, l *lb, n int) *residents {
	r := &residents{}
	for range n {
		v := newVisitor(t)
		home, status := v.visit(l, "/")
		if status != 200 {
			t.Fatal(status)
		}
		r.visitors, r.homes = append(r.visitors, v), append(r.homes, home)
	}
	return r
}

// check has everybody visit and returns who moved from which home, having failed the
// test if it was not one that may be left, or is not left at all.
func (r *residents) check(t testing.TB, l *lb, mayLeave, mustLeave string) (moved int) {
	t.Helper()
	for i, v := range r.visitors {
		who, status := v.visit(l, "/")
		if status != 200 {
			t.Errorf("visitor %d: status %d", i, status)
		}
		if who == r.homes[i] {
			if who == mustLeave {
				t.Errorf("visitor %d is still at %s", i, who)
			}
			continue
		}
		if r.homes[i] != mayLeave && r.homes[i] != mustLeave {
			t.Errorf("visitor %d moved from %s to %s", i, r.homes[i], who)
		}
		r.homes[i] = who
		moved++
	}
	return moved
}

// Sessions stay at an endpoint that drains until its drain is over, and new ones go
// elsewhere; then they move, once, to where another replica takes them too.
func TestSessionsAtADrainingEndpoint(t *testing.T) {
	for _, how := range []string{"drained", "removed"} {
		t.Run(how, func(t *testing.T) {
			a, b, c := naming(t, "a"), naming(t, "b"), naming(t, "c")
			store := newShared()
			settings := "sessionPersistence: {store: Redis}\n      drainTimeout: "
			policy := setup{pools: pooled(settings+"1h", at(a.addr), at(b.addr), at(c.addr))}
			one, two := start(t, policy, with(store)), start(t, policy, with(store))
			all := settle(t, one, 30)
			all.check(t, two, "", "")
			leaving := []string{at(b.addr), at(c.addr), at(a.addr, "drain: true")}
			if how == "removed" {
				leaving = leaving[:2]
			}
			drains := setup{pools: pooled(settings+"1h", leaving...)}
			one.change(drains)
			two.change(drains)
			for range 3 {
				all.check(t, one, "", "")
				all.check(t, two, "", "")
			}
			for _, home := range settle(t, one, 12).homes {
				if home == "a" {
					t.Error("a new session is at home at an endpoint that drains")
				}
			}
			if how == "removed" {
				return // its drain timeout is that of the policy that had it
			}
			over := setup{pools: pooled(settings+"0s", leaving...)}
			one.change(over)
			two.change(over)
			one.until("the drain to be over", func() bool { return true })
			time.Sleep(50 * time.Millisecond) // the drain's timer
			if all.check(t, one, "", "a") == 0 {
				t.Error("nobody was at home at a")
			}
			for range 3 {
				all.check(t, two, "", "")
				all.check(t, one, "", "")
			}
		})
	}
}

// A session whose home was removed and is gone is served elsewhere at once, without an
// error, and stays there.
func TestSessionsOfAnEndpointThatIsGone(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		t.Run(store, func(t *testing.T) {
			a, b, c := naming(t, "a"), naming(t, "b"), naming(t, "c")
			settings := "sessionPersistence: {store: " + store + "}"
			l := start(t, setup{pools: pooled(settings, at(a.addr), at(b.addr), at(c.addr))}, with(newShared()))
			all := settle(t, l, 15)
			l.change(setup{pools: pooled(settings, at(b.addr), at(c.addr))})
			all.check(t, l, "", "")
			a.shut() // as if its process ended: a connection is refused
			if all.check(t, l, "", "a") == 0 {
				t.Error("nobody was at home at a")
			}
			all.check(t, l, "", "")
		})
	}
}

// More endpoints move nobody; fewer move those of the removed ones only.
func TestSessionsWhenEndpointsComeAndGo(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		t.Run(store, func(t *testing.T) {
			settings := "sessionPersistence: {store: " + store + "}\n      drainTimeout: 0s"
			var endpoints []string
			for i := range 6 {
				endpoints = append(endpoints, at(naming(t, string(rune('a'+i))).addr))
			}
			few, many := setup{pools: pooled(settings, endpoints[:3]...)}, setup{pools: pooled(settings, endpoints...)}
			l := start(t, few, with(newShared()))
			all := settle(t, l, 30)
			l.change(many)
			all.check(t, l, "", "")
			late := settle(t, l, 30)
			l.change(few)
			all.check(t, l, "", "")
			moved := map[string]bool{}
			for i, v := range late.visitors {
				who, _ := v.visit(l, "/")
				if who != late.homes[i] && late.homes[i] <= "c" {
					t.Errorf("moved from %s, which stays, to %s", late.homes[i], who)
				}
				late.homes[i] = who
				moved[who] = true
			}
			late.check(t, l, "", "")
			late.check(t, l, "", "")
		})
	}
}

// Sessions stay with the version they have seen; where weights change, as many move as
// must, and nobody but to the one whose weight has grown.
func TestSessionsByWeight(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		t.Run(store, func(t *testing.T) {
			a, b := naming(t, "old"), naming(t, "new")
			shop := func(old, new int) setup {
				return setup{
					routes: fmt.Sprintf("    - {name: all, backendRefs: [{pool: old, weight: %d}, {pool: new, weight: %d}]}\n", old, new),
					pools: fmt.Sprintf("    - {name: old, sessionPersistence: {store: %s}, endpoints: [{address: %q}]}\n    - {name: new, sessionPersistence: {store: %s}, endpoints: [{address: %q}]}\n",
						store, a.addr, store, b.addr),
				}
			}
			l := start(t, shop(80, 20), with(newShared()))
			const n = 300
			all := settle(t, l, n)
			all.check(t, l, "", "")
			l.change(shop(60, 40))
			moved := all.check(t, l, "old", "")
			if moved < n/5-40 || moved > n/5+40 { // six standard deviations
				t.Errorf("%d of %d moved, want about %d", moved, n, n/5)
			}
			if got := l.Status().Sessions.Moved["weight"]; got != uint64(moved) {
				t.Errorf("%d are counted, of %d", got, moved)
			}
			all.check(t, l, "", "")
			l.change(shop(0, 100))
			all.check(t, l, "", "old")
			all.check(t, l, "", "")
		})
	}
}

// While the store is down or slow nobody waits, nothing fails, known sessions stay, and
// new ones too, on each replica; when it is back nobody moves.
func TestSessionsWhileTheStoreIsAway(t *testing.T) {
	for _, how := range []string{"down", "slow", "lost", "never there"} {
		t.Run(how, func(t *testing.T) {
			store := newShared()
			policy := setup{pool: "sessionPersistence: {store: Redis, storeTimeout: 5ms}"}
			for _, name := range []string{"a", "b", "c"} {
				policy.endpoints = append(policy.endpoints, naming(t, name).addr)
			}
			change := with(store)
			if how == "never there" {
				change = with(nil)
			}
			one := start(t, policy, change)
			two := one
			if how != "never there" {
				two = start(t, policy, change)
			}
			known := settle(t, one, 20)
			switch how {
			case "down":
				store.set(true, 0)
			case "slow":
				store.set(false, 500*time.Millisecond)
			case "lost":
				store.lose()
			}
			known.check(t, one, "", "")
			known.check(t, two, "", "") // which has not seen them before
			fresh := settle(t, two, 20)
			fresh.check(t, one, "", "")
			if how == "down" || how == "slow" {
				if s := one.Status().Sessions; s.State != "away" && two.Status().Sessions.State != "away" {
					t.Errorf("the store is %+v", s)
				}
			}
			store.set(false, 0)
			for range 3 {
				known.check(t, one, "", "")
				known.check(t, two, "", "")
				fresh.check(t, one, "", "")
				fresh.check(t, two, "", "")
			}
			if how != "never there" {
				for _, l := range []*lb{one, two} {
					late := time.Now().Add(patience)
					for l.Status().Sessions.State != "ok" && time.Now().Before(late) {
						fresh.check(t, l, "", "")
						settle(t, l, 1)
					}
					if s := l.Status().Sessions; s.State != "ok" || len(s.Moved) != 0 {
						t.Errorf("afterwards: %+v", s)
					}
				}
			}
		})
	}
}

// A session whose home has as many requests as it may waits for it, and for no other;
// nobody else is kept waiting by that.
func TestSessionWaitsForItsHome(t *testing.T) {
	release := make(chan struct{})
	slow := listen(t, func(p *peer) {
		for {
			head, err := p.head()
			if err != nil {
				return
			}
			if len(head) > 9 && head[:9] == "GET /slow" {
				<-release
			}
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns")
		}
	})
	quick := naming(t, "q")
	l := start(t, setup{pools: pooled("sessionPersistence: {store: Memory}\n      loadBalancer: {type: RoundRobin}\n      limits: {pendingTimeout: 20s, perEndpoint: {maxParallelRequests: 1}}", at(slow.addr), at(quick.addr))})
	v := newVisitor(t)
	for v.visit(l, "/"); ; {
		if who, _ := v.visit(l, "/"); who == "s" {
			break
		}
		v = newVisitor(t)
	}
	done := make(chan string, 2)
	busy := &visitor{t: t, http: client(t), ticket: v.ticket}
	go func() { who, _ := busy.visit(l, "/slow"); done <- who }()
	for l.Status().Pools[0].Endpoints[0].InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() { who, _ := v.visit(l, "/"); done <- who }()
	for l.Status().Pools[0].Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 10 {
		if who, status := newVisitor(t).visit(l, "/"); who != "q" || status != 200 {
			t.Errorf("%s, %d: somebody else was not served by the other one", who, status)
		}
	}
	close(release)
	for range 2 {
		if who := <-done; who != "s" {
			t.Errorf("%s answered", who)
		}
	}
}

// shut ends a backend as the end of its process does: its connections break, and new
// ones are refused.
func (b *backend) shut() {
	b.l.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.conns {
		p.Close()
	}
}
