package pool_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// lodging makes pools keep sessions.
func lodging(p policy.Pool) policy.Pool {
	p.SessionPersistence = new(policy.SessionPersistence)
	return p
}

func home(p *pool.Pool, address string) (string, pool.Lodging) {
	e, state := p.Home(pool.HomeOf("p", address), 1, breaker.Willing)
	if e == nil {
		return "", state
	}
	return e.Address, state
}

// wantHome fails the test unless the home of an address stands so.
func wantHome(t *testing.T, p *pool.Pool, address string, want pool.Lodging) {
	t.Helper()
	who, state := home(p, address)
	if state != want || (who == "") != (want == pool.Unknown) || who != "" && who != address {
		t.Errorf("the home %s is %q, %v; want %v", address, who, state, want)
	}
}

// A home's number is of the pool and the address, and is the same everywhere: it is
// kept in cookies and in Redis across releases.
func TestHomeOf(t *testing.T) {
	if got := pool.HomeOf("cart", "10.0.0.1:8080"); got != 0x5833fc4fe532a66d {
		t.Errorf("%#x: sessions of the release before lose their homes", got)
	}
	seen := map[uint64]string{}
	for _, p := range []string{"", "a", "ab", "cart"} {
		for _, a := range []string{"", "b:1", "1:80", "10.0.0.1:8080"} {
			n := pool.HomeOf(p, a)
			if n == 0 || seen[n] != "" {
				t.Errorf("%s %s has %d, as has %s", p, a, n, seen[n])
			}
			seen[n] = p + " " + a
		}
	}
}

// How a home stands by what is the matter with its endpoint, when it stays in the
// policy and when it drains.
func TestHome(t *testing.T) {
	for _, x := range []struct {
		what          string
		do            func(*testing.T, *pool.Endpoint)
		stays, drains pool.Lodging
	}{
		{"nothing", func(*testing.T, *pool.Endpoint) {}, pool.Open, pool.Open},
		{"breaker open", func(t *testing.T, e *pool.Endpoint) { trip(t, e) }, pool.Away, pool.Gone},
		{"unhealthy", func(_ *testing.T, e *pool.Endpoint) { e.SetHealthy(false, "test") }, pool.Away, pool.Gone},
		{"full", func(t *testing.T, e *pool.Endpoint) {
			if e.BeginHome(nil) != pool.Started {
				t.Fatal("it does not begin")
			}
		}, pool.Busy, pool.Busy},
	} {
		for _, drain := range []bool{false, true} {
			t.Run(fmt.Sprint(x.what, " ", drain), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					defer w.Close()
					pp := lodging(only("a", "b", "c"))
					pp.HealthCheck.PanicThreshold = 50
					pp.Limits = policy.Limits{PerEndpointParallelRequests: 1}
					p := w.serve(pp)[0]
					want := x.stays
					if drain {
						want = x.drains
						pp.Endpoints[0].Drain = true
						p = w.serve(pp)[0]
					}
					x.do(t, members(p)["a"])
					wantHome(t, p, "a", want)
					wantHome(t, p, "b", pool.Open)
					wantHome(t, p, "nobody", pool.Unknown)
				})
			})
		}
	}
	w := newWorld(t)
	pp := lodging(only("a", "b"))
	pp.Endpoints[0].Weight = 0
	wantHome(t, w.serve(pp)[0], "a", pool.Gone)
	if _, state := home(w.serve(only("a", "b"))[0], "a"); state != pool.Unknown {
		t.Error("a pool without sessions has homes")
	}
	// In panic mode health is ignored for homes as well.
	pp = lodging(only("a", "b"))
	pp.HealthCheck = policy.HealthCheck{PanicThreshold: 60}
	p := w.serve(pp)[0]
	members(p)["a"].SetHealthy(false, "test")
	wantHome(t, p, "a", pool.Open)
}

// An endpoint that drains serves sessions, and nobody else, until its drain is over. One
// that was removed stays that long for them, and comes back with its state.
func TestHomesDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		both, one := lodging(only("a", "b")), lodging(only("b"))
		old := w.serve(both)[0]
		a := members(old)["a"]
		trip(t, a)
		p := w.serve(one)[0]
		wantHome(t, p, "a", pool.Gone) // its breaker is open, and it is not to be waited for
		p = w.serve(both)[0]
		if members(p)["a"] != a {
			t.Fatal("another endpoint came back")
		}
		wantHome(t, p, "a", pool.Away)

		w2 := newWorld(t)
		defer w2.Close()
		old = w2.serve(both)[0]
		a = members(old)["a"]
		p = w2.serve(one)[0]
		for _, p := range []*pool.Pool{old, p} {
			wantHome(t, p, "a", pool.Open)
			if e, _ := p.Pick(0, pool.Key{}, nil, breaker.Willing); e == a {
				t.Error("a new request was sent there")
			}
		}
		if a.Begin(nil) != pool.Drained || a.BeginHome(nil) != pool.Started {
			t.Error("it is to begin the requests of sessions, and no other")
		}
		a.End()
		if len(w2.retired) != 0 || !slices.Equal(w2.leaving(), []string{"a"}) {
			t.Fatalf("retired %v, leaving %v", w2.retired, w2.leaving())
		}
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		wantHome(t, p, "a", pool.Open)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for _, p := range []*pool.Pool{old, p} {
			if _, state := home(p, "a"); state != pool.Gone {
				t.Errorf("when it has drained it is %v", state)
			}
		}
		if a.BeginHome(nil) == pool.Started || !slices.Equal(w2.retired, []event.ID{a.ID}) {
			t.Errorf("it has not retired: %v", w2.retired)
		}
		// Other replicas have it yet, so that is remembered.
		time.Sleep(2*time.Minute - 1)
		if _, state := home(p, "a"); state != pool.Gone {
			t.Errorf("before long it is %v", state)
		}
		time.Sleep(time.Nanosecond)
		wantHome(t, p, "a", pool.Unknown)
		wantHome(t, w2.serve(both)[0], "a", pool.Open)
	})
}

// A pool that keeps no sessions any more, or is no more, keeps no endpoint for them.
func TestHomesOfAPoolWithoutSessions(t *testing.T) {
	for _, next := range [][]policy.Pool{nil, {only("b")}} {
		w := newWorld(t)
		w.serve(lodging(only("a", "b")))
		w.serve(lodging(only("b")))
		if len(w.retired) != 0 {
			t.Error("retired while it drains")
		}
		w.serve(next...)
		if len(w.leaving()) != 0 {
			t.Errorf("leaving %v", w.leaving())
		}
	}
	w := newWorld(t)
	w.serve(lodging(only("a", "b")))
	w.serve(only("b"))
	if len(w.leaving()) != 0 {
		t.Errorf("leaving %v", w.leaving())
	}
}

// A drain by policy ends as well: then sessions must leave an endpoint that is named
// still.
func TestHomesDrainByPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		w.serve(lodging(only("a", "b")))
		p := w.serve(lodging(only("a!", "b")))[0]
		a := members(p)["a"]
		if a.BeginHome(nil) != pool.Started {
			t.Fatal("it does not begin")
		}
		wantHome(t, p, "a", pool.Open)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantHome(t, p, "a", pool.Gone)
		if a.BeginHome(nil) != pool.Drained {
			t.Error("it begins though its drain is over")
		}
		a.End()
		p = w.serve(lodging(only("a", "b")))[0]
		wantHome(t, p, "a", pool.Open)
		if members(p)["a"] == a {
			t.Error("one that was broken off came back")
		}
	})
}

// Sessions come back one by one to an endpoint that starts slowly, and none leaves it
// again.
func TestHomesStartSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		pp := lodging(only("a", "b"))
		pp.LoadBalancer.SlowStartWindow = 100 * time.Second
		p := w.serve(pp)[0]
		a := members(p)["a"]
		a.SetHealthy(false, "test")
		a.SetHealthy(true, "test")
		const n = 2000
		back := map[int]bool{}
		for second := 0; second <= 100; second += 10 {
			got := 0
			for i := range n {
				_, state := p.Home(a.Home, uint64(i)*0x9e3779b97f4a7c15, breaker.Willing)
				if state == pool.Open {
					got++
					back[i] = true
				} else if back[i] {
					t.Fatalf("session %d was sent away again", i)
				} else if state != pool.Early {
					t.Fatalf("session %d: %v: it is to wait for its turn, and not to leave", i, state)
				}
			}
			if second == 50 {
				pp.Endpoints[0].Drain = true
				p = w.serve(pp)[0]
			}
			want := float64(n) * max(0.01, float64(second)/100)
			if math.Abs(float64(got)-want) > 6*math.Sqrt(want) {
				t.Errorf("after %d s %d are back, want about %.0f", second, got, want)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// Where a session without a home goes depends on itself and on who is eligible: not on
// the order of the file, the replica or the algorithm. By weight; and one that comes or
// goes moves nobody but to or from it. The same in pools small and large.
func TestPickFor(t *testing.T) {
	for _, n := range []int{5, 64, 65, 500} {
		for _, algorithm := range []string{"RoundRobin", "LeastRequest", "Random", "PeakEWMA", "ConsistentHash"} {
			t.Run(fmt.Sprint(algorithm, " ", n), func(t *testing.T) {
				pp := lodging(policyPool(algorithm, equal(n)))
				if algorithm == "ConsistentHash" {
					pp.LoadBalancer.HashOn, pp.LoadBalancer.BoundedLoadFactor = "SourceIP", 1.25
				}
				pp.Endpoints[0].Weight = 3
				reversed := pp
				reversed.Endpoints = slices.Clone(pp.Endpoints)
				slices.Reverse(reversed.Endpoints)
				one, two := newWorld(t), newWorld(t)
				p, q := one.serve(pp)[0], two.serve(reversed)[0]
				gone := p.Members()[1].Address
				const sessions = 3000
				homes := make([]string, sessions)
				counts := map[string]int{}
				rnd := rand.New(rand.NewPCG(7, uint64(n)))
				numbers := make([]uint64, sessions)
				for i := range numbers {
					numbers[i] = rnd.Uint64()
					e, _ := p.PickFor(numbers[i], nil, breaker.Willing)
					f, _ := q.PickFor(numbers[i], nil, breaker.Willing)
					if e.Address != f.Address {
						t.Fatalf("session %d goes to %s and, by another replica, to %s", i, e.Address, f.Address)
					}
					homes[i] = e.Address
					counts[e.Address]++
				}
				if n <= 64 { // a ring is less even
					due := sessions * 3 / float64(n+2)
					if got := float64(counts[p.Members()[0].Address]); math.Abs(got-due) > 6*math.Sqrt(due) {
						t.Errorf("the one of weight 3 got %v, due %v", got, due)
					}
				}
				members(p)[gone].SetHealthy(false, "test")
				for i := range numbers {
					e, _ := p.PickFor(numbers[i], nil, breaker.Willing)
					if (e.Address != homes[i]) != (homes[i] == gone) {
						t.Fatalf("session %d went to %s, and goes to %s without %s", i, homes[i], e.Address, gone)
					}
				}
			})
		}
	}
}

// Nobody is admitted: PickFor refuses as Pick does, and what was tried is considered
// again at last.
func TestPickForRefuses(t *testing.T) {
	w := newWorld(t)
	p := w.serve(lodging(only("a", "b")))[0]
	var tried pool.Tried
	first, _ := p.PickFor(1, &tried, breaker.Willing)
	tried.Add(first)
	second, _ := p.PickFor(1, &tried, breaker.Willing)
	if second == first {
		t.Error("the one that was tried is preferred")
	}
	tried.Add(second)
	if again, _ := p.PickFor(1, &tried, breaker.Willing); again != first {
		t.Error("none though both were tried")
	}
	trip(t, first)
	trip(t, second)
	if e, why := p.PickFor(1, nil, breaker.Willing); e != nil || why != pool.BreakersOpen {
		t.Errorf("%v, %v", e, why)
	}
}

// Who waits for an endpoint and no other is told when that has room, goes before those
// who may have any, and keeps nobody else waiting.
func TestQueueAt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		pp := lodging(only("a", "b"))
		pp.Limits = policy.Limits{PerEndpointParallelRequests: 1, MaxPendingRequests: 3, PendingTimeout: time.Second}
		p := w.serve(pp)[0]
		a, b := members(p)["a"], members(p)["b"]
		begin(t, a)
		turn := p.QueueAt(a)
		if !told(turn) || a.BeginHome(turn) != pool.Full {
			t.Error("it is to look, and to find no room")
		}
		if turn.Home() != a || !a.Full() || b.Full() || p.Waiting() != 1 {
			t.Errorf("%d wait", p.Waiting())
		}
		if b.BeginHome(turn) != pool.Full {
			t.Error("a place in one's queue is good for another")
		}
		if b.Begin(nil) != pool.Started {
			t.Fatal("others are kept waiting")
		}
		anybody := p.Queue()
		told(anybody)
		third := p.QueueAt(a)
		if third == nil || p.QueueAt(b) != nil || p.Queue() != nil || p.Waiting() != 3 {
			t.Errorf("%d wait, of three that may in all", p.Waiting())
		}
		a.End()
		if !told(turn) || told(third) {
			t.Error("the first is to be told, and the second not")
		}
		if a.Begin(nil) != pool.Full || a.BeginHome(nil) != pool.Full || a.Begin(anybody) != pool.Full {
			t.Error("somebody went before those who wait for it")
		}
		if a.BeginHome(third) != pool.Full || a.BeginHome(turn) != pool.Started {
			t.Error("the first is to begin")
		}
		turn.Leave()
		if told(third) {
			t.Error("told, though the first took the only place")
		}
		a.End()
		if !told(third) || a.BeginHome(third) != pool.Started {
			t.Error("then the second")
		}
		third.Leave()
		b.End()
		if !told(anybody) || b.Begin(anybody) != pool.Started || p.Waiting() != 1 {
			t.Error("who may have any gets the other one")
		}
		anybody.Leave()
		if p.Waiting() != 0 {
			t.Errorf("%d wait", p.Waiting())
		}
		// What else happens to the endpoint is told as well.
		turn = p.QueueAt(a)
		told(turn)
		a.SetHealthy(false, "test")
		if !told(turn) {
			t.Error("not told of its health")
		}
		w.Close()
		if _, open := <-turn.Come(); open {
			t.Error("its wait does not end with the registry")
		}
		turn.Leave()
	})
}

// Sessions that stayed at an endpoint while it drained are not sent away when it drains
// no longer, though it starts slowly for everybody else.
func TestHomesStayWhenADrainIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		with := func(p policy.Pool) policy.Pool {
			p.LoadBalancer.SlowStartWindow = time.Minute
			return lodging(p)
		}
		w.serve(with(only("a", "b")))
		w.serve(with(only("a!", "b")))
		p := w.serve(with(only("a", "b")))[0]
		a := members(p)["a"]
		if _, slow := a.SlowStart(); !slow {
			t.Fatal("it does not start slowly")
		}
		for i := range uint64(100) {
			if _, state := p.Home(a.Home, i*0x9e3779b97f4a7c15, breaker.Willing); state != pool.Open {
				t.Fatalf("session %d: %v", i, state)
			}
		}
	})
}

// Those who wait for one endpoint are told at once of a policy that has more room there,
// or that takes it away.
func TestQueueAtIsToldOfPolicies(t *testing.T) {
	for name, change := range map[string]func(*policy.Pool){
		"more room": func(p *policy.Pool) { p.Limits.PerEndpointParallelRequests = 2 },
		"drained":   func(p *policy.Pool) { p.Endpoints[0].Drain = true },
		"removed":   func(p *policy.Pool) { p.Endpoints = p.Endpoints[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				pp := lodging(only("a", "b"))
				pp.DrainTimeout = 30*time.Second + 50*time.Millisecond
				pp.Limits = policy.Limits{PerEndpointParallelRequests: 1, MaxPendingRequests: 3, PendingTimeout: time.Second}
				p := w.serve(pp)[0]
				a := members(p)["a"]
				begin(t, a)
				turn := p.QueueAt(a)
				told(turn)
				if told(turn) {
					t.Error("told of nothing")
				}
				change(&pp)
				w.serve(pp)
				if !told(turn) {
					t.Error("not told")
				}
				if name != "more room" { // and of the end of its drain, between two of the times at which it is told anyway
					time.Sleep(pp.DrainTimeout - time.Millisecond)
					synctest.Wait()
					told(turn)
					time.Sleep(time.Millisecond)
					synctest.Wait()
					if !told(turn) {
						t.Error("not told of the end of the drain")
					}
				}
				turn.Leave()
				a.End()
			})
		})
	}
}
