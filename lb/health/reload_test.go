package health_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// TestReloadKeepsCounts: reloads between every two checks change neither verdict
// nor rhythm.
func TestReloadKeepsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("PFFFPPFFFF"))
		w.serve(&usual, "a")
		begin := time.Now()
		for time.Since(begin) < time.Minute {
			time.Sleep(300 * time.Millisecond)
			synctest.Wait()
			w.serve(&usual, "a", "b")
			w.serve(with(func(*policy.ActiveCheck) {}), "b", "a")
		}
		if n := w.checks("a"); n < 27 || n > 33 {
			t.Errorf("%d checks in a minute", n)
		}
		if got := w.told(); w.state("a").Falls != 2 || len(slices.DeleteFunc(got, func(s string) bool { return s[0] == '-' })) != 2 {
			t.Errorf("%q, %+v", got, w.state("a"))
		}
	})
}

// TestReloadAppliesSettings from the next check on, and has a shorter interval
// act within itself.
func TestReloadAppliesSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("PF"))
		w.serve(with(func(a *policy.ActiveCheck) { a.Interval, a.UnhealthyThreshold = time.Hour, 100 }), "a")
		w.after(2)
		before := w.checks("a")
		w.serve(with(func(a *policy.ActiveCheck) { a.UnhealthyThreshold = 2 }), "a")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := w.checks("a"); n <= before {
			t.Errorf("%d checks, %d before the reload", n, before)
		}
		if w.endpoint("a").Healthy() {
			t.Error("the new threshold does not act")
		}
	})
}

// TestReloadPutsNoCheckOff: a check that is due is not made later by a shorter interval.
func TestReloadPutsNoCheckOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("P"))
		many := manyAddresses(100)
		w.serve(&usual, many...)
		time.Sleep(10 * time.Second)
		for i := range 10 {
			w.serve(with(func(a *policy.ActiveCheck) { a.Interval -= time.Duration(i+1) * time.Millisecond }), many...)
			time.Sleep(time.Second)
		}
		w.checker.Stop()
		last := map[string]time.Time{}
		for _, d := range w.dials {
			if gap := d.at.Sub(last[d.address]); !last[d.address].IsZero() && gap > 2200*time.Millisecond {
				t.Errorf("%s was checked %v after the time before", d.address, gap)
			}
			last[d.address] = d.at
		}
	})
}

// TestReloadsAskNobodyTwice: an endpoint has one check at a time, whatever reloads do
// while it is under way: shorter intervals and timeouts, a drain that is taken back.
func TestReloadsAskNobodyTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		c.who = map[string]bool{}
		var w *world
		w = newWorld(t, func(_ context.Context, address string, _ int) error {
			w.note(func() { c.same = c.same || c.who[address]; c.who[address] = true })
			defer w.note(func() { delete(c.who, address) })
			time.Sleep(900 * time.Millisecond) // deaf to ctx
			return nil
		})
		many := manyAddresses(50)
		drained := make([]string, len(many))
		for i, a := range many {
			drained[i] = a + "!"
		}
		for range 100 {
			w.serve(with(func(a *policy.ActiveCheck) { a.Interval = time.Second }), many...)
			time.Sleep(150 * time.Millisecond)
			w.serve(with(func(a *policy.ActiveCheck) { a.Interval, a.Timeout = 100*time.Millisecond, 100*time.Millisecond }), many...)
			time.Sleep(150 * time.Millisecond)
			w.serve(&usual, drained...)
		}
		w.checker.Stop()
		if n := w.asked(); c.same || n < 50*10 {
			t.Errorf("the same twice: %t, of %d checks", c.same, n)
		}
	})
}

// TestReloadGivesUp: a check under way that may take longer than the new settings
// have it is given up, says nothing, and the next ones come by the new settings,
// spread. One that may not is left alone.
func TestReloadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hang)
		slow := func(d time.Duration) *policy.ActiveCheck {
			return with(func(a *policy.ActiveCheck) { a.Interval, a.Timeout = time.Hour, d })
		}
		many := manyAddresses(200)
		w.serve(slow(time.Hour), many...)
		time.Sleep(time.Hour)
		synctest.Wait()
		// Some began just now: these have ended their hour, or not. None is asked anew
		// by settings that are as patient.
		before := w.asked()
		w.serve(slow(time.Hour), many...)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := w.asked(); n > before+5 {
			t.Errorf("%d checks a second after a reload that changes nothing", n-before)
		}
		w.serve(with(func(a *policy.ActiveCheck) { a.UnhealthyThreshold = 1 }), many...)
		synctest.Wait()
		for _, c := range w.told() {
			if !strings.HasSuffix(c, "within 1h0m0s") {
				t.Errorf("a check that was given up says %q", c)
			}
		}
		before = w.asked()
		most := 0
		for range 20 {
			at := w.asked()
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			most = max(most, w.asked()-at)
		}
		if n := w.asked() - before; n < 195 || n > 220 || most > 30 {
			t.Errorf("%d checks within the new interval, up to %d at once", n, most)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.endpoint(many[0]).Healthy() {
			t.Error("the new timeout does not act")
		}
	})
}

// TestReloadReleases: less hold-down acts on whoever is held out now.
func TestReloadReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("PFFFPPFFFP"))
		w.serve(&usual, "a")
		w.after(12)
		if s := w.state("a"); s.HeldUntil.IsZero() {
			t.Fatalf("%+v", s)
		}
		w.serve(with(func(a *policy.ActiveCheck) { a.HoldDown = 0 }), "a")
		w.after(13)
		if s := w.state("a"); !w.endpoint("a").Healthy() || !s.HeldUntil.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// TestInitialState is of endpoints that join; what is known of others is kept.
func TestInitialState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("P"))
		cautious := with(func(a *policy.ActiveCheck) { a.InitialState = "Unhealthy" })
		w.serve(nil, "served")
		w.serve(cautious, "served", "joined")
		if !w.endpoint("served").Healthy() || w.endpoint("joined").Healthy() {
			t.Error("an endpoint counts as what it is not")
		}
		w.serve(cautious, "served", "joined")
		if !w.endpoint("served").Healthy() || w.endpoint("joined").Healthy() {
			t.Error("an endpoint counts as what it is not, after a reload")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.told(); !slices.Equal(got, []string{"+ its first check passed"}) {
			t.Errorf("%q", got)
		}
		w.serve(cautious, "served", "joined")
		if !w.endpoint("joined").Healthy() {
			t.Error("a reload forgot")
		}
	})
}

// TestInitiallyNoneIsHealthy: a pool of which nothing is known yet is in panic, and so
// serves, until the first checks; one that is joined by an endpoint is not.
func TestInitiallyNoneIsHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("P"))
		serve := func(addresses ...string) *pool.Pool {
			p := poolOf("p", with(func(a *policy.ActiveCheck) { a.InitialState = "Unhealthy" }), addresses...)
			p.HealthCheck.PanicThreshold = 50
			w.servePools(p)
			return w.pools[0]
		}
		eligible := func(p *pool.Pool, i int) bool {
			ok, _ := p.Eligible(&p.Members()[i])
			return ok
		}
		if p := serve("a", "b"); !p.Panic() || !eligible(p, 0) || !eligible(p, 1) {
			t.Error("a new pool does not serve")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if p := serve("a", "b", "c"); p.Panic() || !eligible(p, 0) || eligible(p, 2) {
			t.Error("an endpoint that joined serves before its first check")
		}
	})
}

// TestNoLongerChecked: without checks, an endpoint counts as healthy, and begins
// anew should they come back.
func TestNoLongerChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("PFFFPPFFF"))
		w.serve(&usual, "a")
		w.after(9)
		w.serve(nil, "a")
		if s := w.state("a"); !w.endpoint("a").Healthy() || s.Phase != health.None || s.Falls != 0 {
			t.Errorf("%+v", s)
		}
		n := w.checks("a")
		time.Sleep(time.Minute)
		if w.checks("a") > n {
			t.Error("it is checked still")
		}
		w.serve(&usual, "a")
		w.after(n + 1)
		got := w.told()
		if want := []string{"+ it is not checked any more", "- its first check failed: it is down"}; !slices.Equal(got[len(got)-2:], want) {
			t.Errorf("%q", got)
		}
	})
}

// TestLateResult: the result of a check that was under way when the checks were
// removed, or its endpoint, or when that began to drain, does not count.
func TestLateResult(t *testing.T) {
	for name, next := range map[string]struct {
		check     *policy.ActiveCheck
		addresses []string
	}{
		"checks removed":      {nil, []string{"a"}},
		"endpoint removed":    {&usual, []string{"b!"}},
		"endpoint drains":     {&usual, []string{"a!"}},
		"drains, and is back": {&usual, []string{"a!", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(ctx context.Context, _ string, _ int) error {
					time.Sleep(500 * time.Millisecond) // deaf to ctx
					return errDown
				})
				w.serve(&usual, "a")
				e := w.endpoint("a")
				w.after(1)
				w.serve(next.check, next.addresses[0])
				if len(next.addresses) > 1 {
					w.serve(next.check, next.addresses[1])
					time.Sleep(500 * time.Millisecond) // the late one has ended, and no other
					w.serve(next.check, next.addresses[0])
				}
				time.Sleep(time.Minute)
				if !e.Healthy() || len(w.told()) > 0 {
					t.Errorf("%q", w.told())
				}
			})
		})
	}
}

// TestGone: who is gone is not asked any more, not even to the end.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		w := newWorld(t, func(ctx context.Context, address string, n int) error {
			defer ended.Store(address == "a")
			return hang(ctx, address, n)
		})
		w.serve(with(func(a *policy.ActiveCheck) { a.Interval, a.Timeout = time.Hour, time.Hour }), "a")
		w.after(1)
		w.serve(&usual, "b")
		synctest.Wait()
		if !ended.Load() || w.checks("a") != 1 {
			t.Errorf("ended: %t, %d checks", ended.Load(), w.checks("a"))
		}
	})
}

// TestDraining: an endpoint that drains is left alone, and afterwards its first
// check decides alone. That it fell before is not forgotten, and that it was well
// neither: it falls by that check too.
func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("PFFFPP"+"FP"))
		w.serve(&usual, "a")
		w.after(6)
		w.serve(&usual, "a!")
		time.Sleep(time.Minute)
		if n := w.checks("a"); n != 6 {
			t.Errorf("%d checks of an endpoint that drains", n-6)
		}
		w.serve(&usual, "a")
		if s := w.state("a"); s.Phase != health.Pending || s.Falls != 1 || !w.endpoint("a").Healthy() {
			t.Errorf("%+v", s)
		}
		w.after(7)
		if got := w.told(); got[len(got)-1] != "- its first check failed: it is down; held out for 1m0s after 2 falls" || w.state("a").Falls != 2 {
			t.Errorf("%q", got)
		}
		time.Sleep(50 * time.Second)
		if w.endpoint("a").Healthy() {
			t.Error("it is back already")
		}
		time.Sleep(15 * time.Second)
		if !w.endpoint("a").Healthy() {
			t.Error("it is not back")
		}
	})
}

// TestDrainToggled: who fails whenever it is back from a drain is damped like any
// other; who was never found well is not.
func TestDrainToggled(t *testing.T) {
	for _, well := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var down atomic.Bool
			down.Store(!well)
			w := newWorld(t, func(context.Context, string, int) error {
				if down.Load() {
					return errDown
				}
				return nil
			})
			if well {
				w.serve(&usual, "a")
				time.Sleep(10 * time.Second)
			}
			for range 4 {
				w.serve(&usual, "a!")
				time.Sleep(time.Second)
				down.Store(true)
				w.serve(&usual, "a")
				time.Sleep(3 * time.Second)
				synctest.Wait()
				down.Store(!well)
				time.Sleep(5 * time.Minute)
			}
			if n := w.state("a").Falls; well && n != 4 || !well && n != 0 {
				t.Errorf("well at first: %t; %d falls", well, n)
			}
		})
	}
}

// TestBack: an endpoint that was removed and is back goes on as what it was: with
// its falls, and held out if it was; and for no longer than MaxHoldDown.
func TestBack(t *testing.T) {
	fallen := func(t *testing.T, initial string) (*world, *policy.ActiveCheck) {
		w := newWorld(t, func(_ context.Context, address string, n int) error {
			if address != "a" {
				return nil
			}
			return scripted("PFFFPPFFFP")(nil, address, n)
		})
		check := with(func(a *policy.ActiveCheck) { a.InitialState = initial })
		w.serve(check, "a", "b")
		w.after(9)
		if s := w.state("a"); s.Falls != 2 || s.HeldUntil.IsZero() {
			t.Fatalf("%+v", s)
		}
		return w, check
	}
	for _, initial := range []string{"Healthy", "Unhealthy"} {
		synctest.Test(t, func(t *testing.T) {
			w, check := fallen(t, initial)
			until := w.state("a").HeldUntil
			for range 3 {
				w.serve(check, "b")
				time.Sleep(5 * time.Second)
				w.serve(check, "a", "b")
				if s := w.state("a"); w.endpoint("a").Healthy() || s.Falls != 2 || !s.HeldUntil.Equal(until) || s.Phase != health.Pending {
					t.Errorf("%+v", s)
				}
				time.Sleep(5 * time.Second)
			}
			if initial == "Healthy" {
				if got := w.told(); !strings.HasPrefix(got[len(got)-1], "- it was removed and is back; held out for") {
					t.Errorf("%q", got)
				}
			}
			time.Sleep(time.Until(until) - time.Second)
			if w.endpoint("a").Healthy() {
				t.Error("it is back too early")
			}
			time.Sleep(10 * time.Second)
			if !w.endpoint("a").Healthy() {
				t.Error("it is not back")
			}
		})
	}
	for name, forget := range map[string]func(*world, *policy.ActiveCheck){
		"in time": func(w *world, check *policy.ActiveCheck) {
			w.serve(check, "b")
			time.Sleep(10*time.Minute + time.Second)
		},
		"in time, behind one that is remembered for longer": func(w *world, check *policy.ActiveCheck) {
			long := with(func(a *policy.ActiveCheck) { a.MaxHoldDown = time.Hour })
			w.servePools(poolOf("p", check, "a", "b"), poolOf("long", long, "x", "y"))
			time.Sleep(2 * time.Second)
			w.servePools(poolOf("p", check, "a", "b"), poolOf("long", long, "y"))
			w.servePools(poolOf("p", check, "b"), poolOf("long", long, "y"))
			time.Sleep(10*time.Minute + time.Second)
		},
		"without checks": func(w *world, check *policy.ActiveCheck) { w.serve(nil, "a", "b") },
		"for too many others": func(w *world, check *policy.ActiveCheck) {
			w.serve(check, "b")
			w.serve(check, manyAddresses(4096)...)
			time.Sleep(4 * time.Second)
			w.serve(check, "b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, check := fallen(t, "Healthy")
				forget(w, check)
				w.serve(check, "a", "b")
				if s := w.state("a"); s.Falls != 0 || !w.endpoint("a").Healthy() {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}
