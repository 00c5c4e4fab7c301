package pool_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// only makes a pool of the endpoints of the given addresses.
func only(addresses ...string) policy.Pool {
	p := policyPool("RoundRobin", nil)
	for _, a := range addresses {
		p.Endpoints = append(p.Endpoints, policy.Endpoint{Address: a, Weight: 1, Drain: strings.HasSuffix(a, "!")})
		last := &p.Endpoints[len(p.Endpoints)-1]
		last.Address = strings.TrimSuffix(a, "!")
	}
	return p
}

// leaving returns the addresses of the endpoints that still drain.
func (w *world) leaving() (out []string) {
	for _, e := range w.Leaving() {
		out = append(out, e.Address)
	}
	return out
}

func (w *world) commit(pools ...policy.Pool) pool.Changes {
	w.t.Helper()
	s, err := w.Stage(pools)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Commit(func() {})
}

func begin(t *testing.T, e *pool.Endpoint) {
	t.Helper()
	if e.Begin(nil) != pool.Started {
		t.Fatalf("%s does not begin", e.Address)
	}
}

func TestReloadKeepsState(t *testing.T) {
	w := newWorld(t)
	p := w.serve(only("a", "b"))[0]
	a := members(p)["a"]
	trip(t, a)
	a.SetHealthy(false, "test")
	begin(t, a)
	next := only("c", "a")
	next.Endpoints[1].Weight = 7
	s, err := w.Stage([]policy.Pool{next})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Commit(func() {}); got != (pool.Changes{Kept: 1, Added: 1, Removed: 1}) {
		t.Errorf("%+v", got)
	}
	q := s.Pools()[0]
	if members(q)["a"] != a || q.ID != p.ID || q.Members()[1].Weight != 7 {
		t.Error("a is another endpoint now")
	}
	if st, _ := a.Breaker().State(); st != breaker.Open || a.Healthy() || a.InFlight() != 1 {
		t.Error("its state is lost")
	}
	a.End()
}

func TestReloadAppliesSettings(t *testing.T) {
	w := newWorld(t)
	off := policyPool("RoundRobin", equal(1))
	off.CircuitBreaker = policy.CircuitBreaker{OpenDuration: time.Second}
	e := w.serve(off)[0].Members()[0].Endpoint
	if e.Breaker() != nil {
		t.Error("a breaker that cannot trip was built")
	}
	on := policyPool("RoundRobin", equal(1))
	w.commit(on)
	if e.Breaker() == nil {
		t.Fatal("the breaker was not built")
	}
	done, _, _ := e.Breaker().Allow(breaker.Willing)
	done(breaker.Failed)
	on.CircuitBreaker.ConsecutiveFailures = 2
	w.commit(on)
	done, _, _ = e.Breaker().Allow(breaker.Willing)
	done(breaker.Failed)
	if s, _ := e.Breaker().State(); s != breaker.Open {
		t.Errorf("the new threshold does not act: %s", s)
	}
}

func TestStageTouchesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.serve(only("a", "b"))[0]
	a := members(p)["a"]
	other := only("a!", "c")
	other.CircuitBreaker.ConsecutiveFailures = 1
	s, err := w.Stage([]policy.Pool{other})
	if err != nil {
		t.Fatal(err)
	}
	done, _, _ := a.Breaker().Allow(breaker.Willing)
	done(breaker.Failed)
	if st, _ := a.Breaker().State(); a.Draining() || st != breaker.Closed || members(p)["b"].Draining() {
		t.Error("staging changed a live endpoint")
	}
	c := members(s.Pools()[0])["c"]
	s.Discard()
	s.Discard()
	if got := w.commit(only("a", "b")); got != (pool.Changes{Kept: 2}) {
		t.Errorf("after a discard: %+v", got)
	}
	if d := members(w.serve(only("a", "b", "d"))[0])["d"]; d.ID != c.ID {
		t.Errorf("the discarded id %d was not used again: %d", c.ID, d.ID)
	}
	if len(w.retired) != 0 {
		t.Errorf("retired: %v", w.retired)
	}
}

func TestCommitBringsToLifeBeforeTheSwapAndDrainsAfterIt(t *testing.T) {
	w := newWorld(t)
	p := w.serve(only("a", "b"))[0]
	a, b := members(p)["a"], members(p)["b"]
	w.commit(only("a!", "b"))
	s, err := w.Stage([]policy.Pool{only("a", "c")})
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(func() {
		if a.Draining() {
			t.Error("a is not back at the swap")
		}
		if b.Draining() {
			t.Error("b drains before the swap")
		}
	})
	if !b.Draining() {
		t.Error("b does not drain")
	}
}

func TestStageRefusesDuplicates(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		pools []policy.Pool
		want  string
	}{
		{[]policy.Pool{only("a", "b", "a")}, `pool "p": endpoint "a" is listed twice: remove one of them, or add up their weights`},
		{[]policy.Pool{only("a"), only("b")}, `pool "p" is defined twice: give one of them another name`},
	} {
		if _, err := w.Stage(tt.pools); err == nil || err.Error() != tt.want {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
	}
}

func TestRemovedEndpointRetires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.serve(only("a", "b", "c"))[0]
		a, b, c := members(p)["a"], members(p)["b"], members(p)["c"]
		begin(t, b)
		begin(t, b)
		w.commit(only("a"))
		if !slices.Equal(w.retired, []event.ID{c.ID}) {
			t.Fatalf("idle: retired %v, want %v", w.retired, c.ID)
		}
		if c.Begin(nil) == pool.Started || b.Begin(nil) == pool.Started || c.InFlight() != 0 || b.InFlight() != 2 {
			t.Error("a removed endpoint began a request")
		}
		if got := w.leaving(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("leaving %v", got)
		}
		// A request that still holds the old pool must not get it either.
		for range 10 {
			if e, _ := p.Pick(0, pool.Key{}, nil, breaker.Willing); e != a {
				t.Fatalf("picked %s", e.Address)
			}
		}
		time.Sleep(30 * time.Second)
		b.End()
		if len(w.retired) != 1 {
			t.Error("retired with a request in flight")
		}
		b.End()
		if !slices.Equal(w.retired, []event.ID{c.ID, b.ID}) || len(w.leaving()) != 0 {
			t.Errorf("retired %v, leaving %v", w.retired, w.leaving())
		}
		if d := members(w.serve(only("a", "d"))[0])["d"]; d.ID != b.ID {
			t.Errorf("id %d of a retired endpoint is not used again: %d", b.ID, d.ID)
		}
	})
}

func TestDrainTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.serve(only("a", "b"))[0]
		b := members(p)["b"]
		begin(t, b)
		w.commit(only("a"))
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if revived := members(w.serve(only("a", "b"))[0])["b"]; revived != b {
			t.Fatal("not revived a moment before the timeout")
		}
		w.commit(only("a")) // drains anew
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.retired) != 0 {
			t.Error("retired with a request in flight: its id would be another's")
		}
		if _, err := b.Transport.Open(); err == nil {
			t.Error("its transport is still open")
		}
		next := members(w.serve(only("a", "b"))[0])["b"]
		if next == b || next.ID == b.ID {
			t.Error("an endpoint that was broken off came back")
		}
		begin(t, next)
		next.End()
		b.End()
		if !slices.Equal(w.retired, []event.ID{b.ID}) {
			t.Errorf("retired %v", w.retired)
		}
		if again := members(w.serve(only("a", "b"))[0])["b"]; again != next {
			t.Error("the old one's end took the new one away")
		}
	})
}

func TestRevive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.serve(only("a", "b"))[0]
		b := members(p)["b"]
		trip(t, b)
		begin(t, b)
		w.commit(only("a"))
		q := w.serve(only("a", "b"))[0]
		if members(q)["b"] != b || b.Draining() {
			t.Fatal("not revived")
		}
		if s, _ := b.Breaker().State(); s != breaker.Open {
			t.Error("its breaker forgot")
		}
		b.End()
		time.Sleep(2 * time.Minute) // past the drain that was given up
		synctest.Wait()
		if len(w.retired) != 0 || b.Draining() {
			t.Error("the drain went on")
		}
		begin(t, b)
		b.End()
	})
}

// TestStagedEndpointDoesNotRetire lets a draining endpoint's last request end
// between the stage that names it again and its commit or discard.
func TestStagedEndpointDoesNotRetire(t *testing.T) {
	for _, commit := range []bool{true, false} {
		w := newWorld(t)
		b := members(w.serve(only("a", "b"))[0])["b"]
		begin(t, b)
		w.commit(only("a"))
		s, err := w.Stage([]policy.Pool{only("a", "b")})
		if err != nil {
			t.Fatal(err)
		}
		b.End()
		if len(w.retired) != 0 {
			t.Error("retired while staged")
		}
		if commit {
			s.Commit(func() {})
			begin(t, b)
			b.End()
		} else {
			s.Discard()
		}
		if (len(w.retired) == 0) != commit {
			t.Errorf("commit %v: retired %v", commit, w.retired)
		}
	}
}

// A drain is over between the stage that names its endpoint again and the commit or
// discard: what the commit has serve must be able to, and what drains on, or was
// discarded, is broken off all the same.
func TestDrainEndsWhileStaged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before []string // the policy by which b drains
		staged []string
		commit bool
		serves bool
	}{
		{"comes back", []string{"a"}, []string{"a", "b"}, true, true},
		{"no longer drains", []string{"a", "b!"}, []string{"a", "b"}, true, true},
		{"drains on", []string{"a"}, []string{"a", "b!"}, true, false},
		{"discarded", []string{"a"}, []string{"a", "b"}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				b := members(w.serve(only("a", "b"))[0])["b"]
				begin(t, b)
				w.commit(only(tt.before...))
				time.Sleep(time.Minute - time.Second)
				s, err := w.Stage([]policy.Pool{only(tt.staged...)})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if tt.commit {
					s.Commit(func() {})
				} else {
					s.Discard()
				}
				synctest.Wait()
				_, err = b.Transport.Open()
				if aborted := strings.Contains(err.Error(), "removed"); aborted == tt.serves {
					t.Errorf("a new connection: %v", err)
				}
				b.End()
				if !tt.serves {
					return
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				begin(t, b)
				b.End()
				if b.BeginHome(nil) != pool.Started {
					t.Fatal("refuses those of sessions")
				}
				b.End()
				w.commit(only("a")) // without a request, nothing keeps it
				if len(w.retired) != 1 {
					t.Errorf("retired %v", w.retired)
				}
			})
		})
	}
}

func TestDrainByPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.serve(only("a", "b"))[0]
		b := members(p)["b"]
		begin(t, b)
		w.commit(only("a", "b!"))
		if !b.Draining() || b.Begin(nil) == pool.Started {
			t.Error("it still begins requests")
		}
		if e, _ := p.Pick(0, pool.Key{}, nil, breaker.Willing); e == b {
			t.Error("the old pool picks it")
		}
		b.End()
		if len(w.retired) != 0 || len(w.leaving()) != 0 {
			t.Error("retired though the policy names it")
		}
		w.commit(only("a", "b"))
		begin(t, b)
		w.commit(only("a", "b!"))
		time.Sleep(40 * time.Second)
		sooner := only("a", "b!")
		sooner.DrainTimeout = 30 * time.Second // over already
		w.commit(sooner)
		synctest.Wait()
		if _, err := b.Transport.Open(); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("not broken off: %v", err)
		}
		b.End()
		w.commit(sooner)
		if got := members(w.serve(sooner)[0])["b"]; got != b {
			t.Error("replaced while it drains")
		}
		if got := members(w.serve(only("a", "b"))[0])["b"]; got == b || got.Draining() {
			t.Error("an endpoint that was broken off came back")
		}
		if !slices.Equal(w.retired, []event.ID{b.ID}) {
			t.Errorf("retired %v", w.retired)
		}
	})
}

func TestIDs(t *testing.T) {
	w := newWorld(t)
	named := func(name string, addresses ...string) policy.Pool {
		p := only(addresses...)
		p.Name = name
		return p
	}
	first := w.serve(named("x", "a"), named("y", "a"))
	second := w.serve(named("z", "a"), named("y", "a"))
	if first[0].ID != 0 || first[1].ID != 1 || second[0].ID != 2 || second[1].ID != 1 {
		t.Error("pool ids do not stay with their names")
	}
	if back := w.serve(named("x", "a")); back[0].ID != 0 {
		t.Error("a pool that came back has another id")
	}
	if a, b := members(first[0])["a"], members(first[1])["a"]; a == b || a.ID == b.ID {
		t.Error("two pools share an endpoint")
	}
	r, s := w.RouteID("r"), w.RouteID("s")
	if r == s || w.RouteID("r") != r {
		t.Error("route ids do not stay with their names")
	}
}

func TestHealthIsCountedAcrossReloads(t *testing.T) {
	w := newWorld(t)
	p := w.serve(only("a", "b", "c"))[0]
	m := members(p)
	m["a"].SetHealthy(false, "test")
	m["b"].SetHealthy(false, "test")
	if !p.Panic() {
		t.Fatal("one of three healthy is no panic")
	}
	if q := w.serve(only("a", "c", "d"))[0]; q.Panic() {
		t.Error("b still counts though it is gone")
	}
	m["b"].SetHealthy(true, "test") // gone: must not count down
	if q := w.serve(only("a", "c", "b!"))[0]; q.Panic() {
		t.Error("two pickable ones, one of them healthy: no panic")
	}
	m["a"].SetHealthy(true, "test")
	if q := w.serve(only("a", "b", "c"))[0]; q.Panic() {
		t.Error("all are healthy")
	}
	m["c"].SetHealthy(false, "test")
	if q := w.serve(only("c", "a"))[0]; q.Panic() {
		t.Error("half of them is no panic")
	}
	if q := w.serve(only("c", "a!"))[0]; !q.Panic() {
		t.Error("none of the pickable is healthy: panic")
	}
}

func TestCloseWithDrainsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := members(w.serve(only("a", "b"))[0])
		b := m["b"]
		begin(t, b)
		w.commit(only("a"))
		if _, err := w.Stage([]policy.Pool{only("a", "b")}); err != nil {
			t.Fatal(err)
		}
		w.Close()
		for _, e := range m {
			if _, err := e.Transport.Open(); err == nil || !strings.Contains(err.Error(), "removed") {
				t.Errorf("%s is not closed: %v", e.Address, err)
			}
		}
		b.End()
		time.Sleep(time.Hour)
		if len(w.retired) != 0 {
			t.Error("an event after Close")
		}
	})
}
