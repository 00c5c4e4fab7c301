package expect_test

import (
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// steady is a run of 60 s and 10 requests a second, of which those in [20s, 30s) fail.
func steady(t *testing.T) *play {
	r := newPlay(load(t, shop), time.Minute)
	r.fault("hole", 20*time.Second, 30*time.Second)
	for i := range 600 {
		at := time.Duration(i) * 100 * ms
		r.came(at, "cart/1", func(r *history.Request) {
			if at >= 20*time.Second && at < 30*time.Second {
				r.Status = 500
			}
		})
		r.tried(at, "cart/1")
	}
	r.turned(22*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
	r.turned(31*time.Second, "lb/1", "cart/1", "open", "half-open", "open_elapsed")
	r.turned(32*time.Second, "lb/1", "cart/1", "half-open", "closed", "probes_succeeded")
	return r
}

func TestOperators(t *testing.T) {
	p, r := load(t, shop), steady(t)
	hole, end := scenario.Instant{Fault: "hole"}, scenario.Instant{Fault: "hole", End: true}
	for _, c := range []struct {
		e    scenario.Expectation
		want string // why it failed, or a part of that; empty: it holds
		from time.Duration
		to   time.Duration
	}{
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.Always}, want: "not true of windows that end from 20s to 31.9s", from: 18*time.Second + 1, to: 20*time.Second + 1},
		{e: scenario.Expectation{That: `success("2s") == 1.0`}, want: "not true of windows that end from 20s to 31.9s", from: 18*time.Second + 1, to: 20*time.Second + 1},
		{e: scenario.Expectation{That: `success("2s") == 0.0`, Operator: scenario.During, During: hole}},
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.During, During: hole}, want: "not true of windows that end from 22s to 30s", from: 20 * time.Second, to: 22 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.During, During: hole}, want: "not true from 20s to 22s", from: 20 * time.Second, to: 20 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.During, During: hole, Grace: 2 * time.Second}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.During, During: hole, Grace: 2*time.Second - 1}, want: "not true at 22s", from: 22*time.Second - 1, to: 22*time.Second - 1},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 2 * time.Second, After: hole}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 2*time.Second - 1, After: hole}, want: "true first at 22s", from: 20 * time.Second, to: 22*time.Second - 1},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 5 * time.Second, After: hole, Hold: 9 * time.Second}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 5 * time.Second, After: hole, Hold: 9*time.Second + 1}, want: "true before, but never for 9.000000001s", from: 31 * time.Second, to: 31 * time.Second},
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.Within, Within: 2*time.Second + 100*ms, After: end, Hold: 20 * time.Second}},
		// A window that began before the fault's end does not count.
		{e: scenario.Expectation{That: `success("2s") == 0.0`, Operator: scenario.Within, Within: 10 * time.Second, After: end}, want: "nor later", from: 30 * time.Second, to: 40*time.Second + 1},
		// Nor is what was true before the fault true within some time after it.
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.Within, Within: 3 * time.Second, After: hole}, want: "true first at 31.9s"},
		{e: scenario.Expectation{That: `breaker("cart/1") == "half-open"`, Operator: scenario.At, At: scenario.Instant{Fault: "hole", End: true, Offset: time.Second}}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "half-open"`, Operator: scenario.At, At: end}, want: "not true then", from: 30 * time.Second, to: 30 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "half-open"`, Operator: scenario.Sometimes}},
		{e: scenario.Expectation{That: `success("2s") == 0.5`, Operator: scenario.Sometimes}},
		{e: scenario.Expectation{That: `success("2s") > 0.0 && breaker("cart/1") == "half-open"`, Operator: scenario.Sometimes}},
		{e: scenario.Expectation{That: `healthy("cart/1") && share("cart/2", "2s") > 0.0`, Operator: scenario.Sometimes}, want: "not at any time"},
		// Windows of several lengths end at the same instant.
		{e: scenario.Expectation{That: `success("2s") == 0.0 && success("40s") == 0.75`, Operator: scenario.Sometimes}, want: "not at any time"},
		{e: scenario.Expectation{That: `success("2s") == 1.0 && success("40s") == 0.75`, Operator: scenario.At, At: scenario.Instant{Offset: 45 * time.Second}}},
		{e: scenario.Expectation{That: `success("2s") / 0.0 >= 0.0 && 1 / lost("2s") == 1`, Operator: scenario.Always}, want: "cannot be evaluated"},
	} {
		got := judge(t, p, &r.Run, c.e)
		if (got.Status == "held") != (c.want == "") || !strings.Contains(got.Why, c.want) {
			t.Errorf("%s: %s: %s, want %q", got.What, got.Status, got.Why, c.want)
		}
		if c.to > 0 && (got.From != c.from || got.To != c.to) {
			t.Errorf("%s: [%d, %d), want [%d, %d)", got.What, got.From, got.To, c.from, c.to)
		}
	}
}

// TestViolationIsShown: with what the words were worth, and the requests behind it.
func TestViolationIsShown(t *testing.T) {
	p, r := load(t, shop), steady(t)
	got := judge(t, p, &r.Run, scenario.Expectation{That: `success("5s") >= 0.9`, Operator: scenario.Always})
	if len(got.Observed) != 1 || got.Observed[0].Of != `success("5s")` || got.Observed[0].Value != "0.88" || got.Observed[0].Events != 50 {
		t.Errorf("observed %+v", got.Observed)
	}
	if len(got.Examples) != 5 {
		t.Errorf("%d examples", len(got.Examples))
	}
	for _, e := range got.Examples {
		if e.Request.Status != 500 || len(e.Attempts) != 1 || e.Attempts[0].Request != e.Request.ID {
			t.Errorf("example %+v", e)
		}
	}
	if want := "not true of windows that end from 20.5s to 34.4s"; got.Why != want {
		t.Errorf("%q, want %q", got.Why, want)
	}
}

// TestWindowEdges: a window of 20 events is enough and one of 19 is not; the first is at
// the very beginning of the time, and the last at its very end.
func TestWindowEdges(t *testing.T) {
	p := load(t, shop)
	for _, c := range []struct {
		events  int
		that    string
		vacuous bool
		held    bool
	}{
		{20, `success("1s") == 1.0`, false, true},
		{20, `success("1s") == 0.0`, false, false},
		{19, `success("1s") == 1.0`, true, false},
		{19, `success("1s") == 1.0 || lost("1s") == 0`, false, true}, // which decides by itself
		{19, `goodput("1s") >= 0.0`, false, true},                    // a rate says something of any window
		{0, `goodput("1s") >= 1.0`, false, false},
		{0, `success() == 1.0`, true, false},
		{1, `success() == 1.0`, false, true}, // of the whole run, any number is enough
	} {
		r := newPlay(p, 2*time.Second)
		for i := range c.events {
			r.came(990*ms+time.Duration(i), "cart/1", func(r *history.Request) { r.End = r.Start })
		}
		got := judge(t, p, &r.Run, scenario.Expectation{That: c.that, Operator: scenario.Always})
		if got.Vacuous != c.vacuous || (got.Status == "held") != c.held {
			t.Errorf("%d events, %s: %s, vacuous %v: %s", c.events, c.that, got.Status, got.Vacuous, got.Why)
		}
	}
	// 20 good ones spread so that only the window [a, a+1s) has them all.
	for _, c := range []struct {
		first  time.Duration
		judged bool
	}{{2 * time.Second, true}, {2*time.Second - 1, false}, {3 * time.Second, true}, {3*time.Second + 1, false}} {
		r := newPlay(p, 10*time.Second)
		r.fault("hole", 2*time.Second, 4*time.Second)
		for i := range 20 {
			r.came(c.first+time.Duration(i)*(time.Second-1)/19, "cart/1")
		}
		got := judge(t, p, &r.Run, scenario.Expectation{That: `success("1s") < 1.0`, Operator: scenario.During, During: scenario.Instant{Fault: "hole"}})
		if got.Vacuous == c.judged || got.Status != "violated" {
			t.Errorf("from %v on: %s, vacuous %v: %s", c.first, got.Status, got.Vacuous, got.Why)
		}
	}
}

// TestUnjudged: an outage of which no window has enough events does not pass.
func TestUnjudged(t *testing.T) {
	p := load(t, shop)
	during := scenario.Instant{Fault: "hole"}
	for _, c := range []struct {
		name   string
		slow   time.Duration // when it comes at 10 a second instead of 100
		that   string
		during bool
		want   string // empty: it holds
	}{
		{"most of it", 8 * time.Second, `success("1s") > 0.9`, false, "73 % of its windows have fewer than 20 events"},
		{"the fault", 55 * time.Second, `success("1s") > 0.9`, false, "it says nothing of the fault hole: no window from 1m to 1m10s has 20 events"},
		{"during it", 55 * time.Second, `success("1s") > 0.9`, true, "no window has 20 events"},
		{"part of it", 65 * time.Second, `success("1s") >= 0.0`, false, ""},
		{"counts need no 20", 55 * time.Second, `lost("1s") == 0`, false, ""},
		{"a rare word", 55 * time.Second, `lost("1s") == 0 || shed_latency(0.99, "1s") < duration("1s")`, false, ""},
		{"a longer window", 55 * time.Second, `success("5s") > 0.9`, true, "of windows that end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newPlay(p, 80*time.Second)
			if c.slow < 10*time.Second {
				r.Duration = 30 * time.Second
			}
			start := r.Duration - 20*time.Second
			r.fault("hole", start, start+10*time.Second)
			step := 10 * ms
			for at := time.Duration(0); at < r.Duration; at += step {
				if at >= c.slow {
					step = 100 * ms
				}
				r.came(at, "cart/1", func(r *history.Request) {
					if at >= start && at < start+10*time.Second {
						r.Status = 503
					}
				})
			}
			e := scenario.Expectation{That: c.that, Operator: scenario.Always}
			if c.during {
				e.Operator, e.During = scenario.During, during
			}
			result := compiled(t, of(&r.Run, e), p).Judge(&r.Run)
			got := result.Expectations[0]
			if (got.Status == "held") != (c.want == "") || !strings.Contains(got.Why, c.want) || got.HasTime == got.Vacuous && c.want != "" {
				t.Errorf("%s, vacuous %v: %s, want %q", got.Status, got.Vacuous, got.Why, c.want)
			}
			result.Invariants = nil // of which this load breaks some
			result.Settle()
			if got.Vacuous && result.Verdict.Exit() != 3 {
				t.Errorf("%s exits with %d", result.Verdict, result.Verdict.Exit())
			}
			if c.want == "" && (got.Judged <= 0 || got.Judged > 1) {
				t.Errorf("%v of it was judged", got.Judged)
			}
		})
	}
}

// TestDamage: all the time over which it was not true is told, and the worst of it.
func TestDamage(t *testing.T) {
	p, r := load(t, shop), newPlay(load(t, shop), time.Minute)
	bad := func(at time.Duration) bool { // every other one, then all, later one in ten
		return at >= 20*time.Second && at < 22*time.Second && at%(200*ms) == 0 ||
			at >= 22*time.Second && at < 24*time.Second || at >= 40*time.Second && at < 42*time.Second && at%time.Second == 0
	}
	for i := range 600 {
		at := time.Duration(i) * 100 * ms
		r.came(at, "cart/1", func(r *history.Request) {
			if bad(at) {
				r.Status, r.End = 500, at+time.Second
			}
		})
	}
	for _, c := range []struct{ that, worst string }{
		{`success("2s") >= 1.0`, `success("2s") 0 from 22s`},
		{`!(success("2s") < 1.0)`, `success("2s") 0 from 22s`},
		{`1.0 - success("2s") < 0.05`, `success("2s") 0 from 22s`},
		{`0.05 > errors("2s")`, `errors("2s") 1 from 22s`},
		{`success("2s") == 1.0`, ""}, // nobody knows what is worse
		{`success("2s") >= 1.0 && latency(0.5, "2s") < duration("500ms")`, `success("2s") 0 from 22s, latency(0.5, "2s") 1s from 20s`},
	} {
		got := judge(t, p, &r.Run, scenario.Expectation{That: c.that, Operator: scenario.Always})
		if want := "of windows that end from 20s to 43s: for 8.9s in all, in 2 stretches"; !strings.Contains(got.Why, want) || len(got.Untrue) < 2 {
			t.Errorf("%s: %q over %v, want %q", c.that, got.Why, got.Untrue, want)
		}
		var worst []string
		for _, w := range got.Worst {
			worst = append(worst, w.Of+" "+w.Value+" from "+w.From.Round(time.Second).String())
		}
		if s := strings.Join(worst, ", "); s != c.worst {
			t.Errorf("%s: worst %q, want %q", c.that, s, c.worst)
		}
	}
}

// TestNeverTrue: what was to be true within some time is told of with what was then, and
// what bears on it: of that endpoint, and of those the ones that failed.
func TestNeverTrue(t *testing.T) {
	p, r := load(t, shop), newPlay(load(t, shop), time.Minute)
	r.fault("hole", 20*time.Second, 30*time.Second)
	for i := range 600 {
		at, endpoint := time.Duration(i)*100*ms, []string{"cart/1", "cart/2"}[i%2]
		r.came(at, endpoint)
		r.tried(at, endpoint, func(a *history.Attempt) {
			if endpoint == "cart/1" && at >= 22*time.Second {
				a.Status, a.Result = 503, "status"
			}
		})
	}
	r.turned(39*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
	hole := scenario.Instant{Fault: "hole"}
	got := judge(t, p, &r.Run, scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 3 * time.Second, After: hole})
	if got.Why != "true first at 39s" || !got.Never || got.From != 20*time.Second || got.To != 23*time.Second {
		t.Errorf("%+v", got)
	}
	if len(got.Observed) != 1 || got.Observed[0].How != "stayed" || got.Observed[0].Value != `"closed"` {
		t.Errorf("observed %+v", got.Observed)
	}
	if len(got.Examples) != 5 {
		t.Errorf("%d examples", len(got.Examples))
	}
	for _, e := range got.Examples {
		if at := e.Request.Start; at < 22*time.Second || at > 23*time.Second || e.Attempts[0].Endpoint != "cart/1" {
			t.Errorf("example at %v of %s", at, e.Attempts[0].Endpoint)
		}
	}
	got = judge(t, p, &r.Run, scenario.Expectation{That: `share("cart/1", "2s") < 0.2`, Operator: scenario.Within, Within: 3 * time.Second, After: hole})
	if got.Why != "nor later" || len(got.Observed) != 1 || got.Observed[0].How != "stayed" || got.Observed[0].Value != "0.5" || got.Observed[0].Unit != "attempt" {
		t.Errorf("%s: %+v", got.Why, got.Observed)
	}
}

func TestPath(t *testing.T) {
	p, r := load(t, shop), steady(t)
	r.turned(40*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
	cart := scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: 1}
	all := scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart"}
	during := scenario.Instant{Fault: "hole"}
	for _, c := range []struct {
		e    scenario.Expectation
		want string
	}{
		{scenario.Expectation{Breaker: cart, Path: []string{"closed", "open", "half-open", "closed"}}, ""},
		{scenario.Expectation{Breaker: cart, Path: []string{"open", "closed", "open"}}, ""},
		{scenario.Expectation{Breaker: cart, Path: []string{"closed", "half-open", "open", "closed"}}, "never came to closed"},
		{scenario.Expectation{Breaker: cart, Max: map[string]int{"open": 2}}, ""},
		{scenario.Expectation{Breaker: cart, Max: map[string]int{"open": 1}}, "turned open for the 2. time at 40s"},
		{scenario.Expectation{Breaker: cart, Max: map[string]int{"open": 1, "half-open": 0}, Operator: scenario.During, During: during}, ""},
		{scenario.Expectation{Breaker: cart, Path: []string{"closed", "open", "half-open"}, Operator: scenario.During, During: during}, "never came to half-open"},
		{scenario.Expectation{Breaker: all, Max: map[string]int{"open": 2}}, ""},
		{scenario.Expectation{Breaker: cart, Longest: map[string]time.Duration{"open": 20 * time.Second}}, ""},
		{scenario.Expectation{Breaker: cart, Longest: map[string]time.Duration{"open": 20*time.Second - 1}}, "was open for 20s from 40s on"},
		{scenario.Expectation{Breaker: all, Path: []string{"open"}}, "of cart/2 at lb/1 went closed"},
	} {
		got := judge(t, p, &r.Run, c.e)
		if (got.Status == "held") != (c.want == "") || !strings.Contains(got.Why, c.want) {
			t.Errorf("%s: %s: %s, want %q", got.What, got.Status, got.Why, c.want)
		}
	}
}

// TestSkippedFault: what is said of a fault that the stage cannot make is skipped, and
// of one that was never made it fails.
func TestSkippedFault(t *testing.T) {
	p, r := load(t, shop), steady(t)
	s := of(&r.Run, scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.During, During: scenario.Instant{Fault: "hole"}})
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() { r.Faults[0].Skipped = "no network here" }, "skipped"},
		{func() { r.Faults = nil }, "violated"},
	} {
		c.change()
		program := compiled(t, s, p)
		got := program.Judge(&r.Run)
		if string(got.Expectations[0].Status) != c.want || (c.want == "skipped") != (len(got.Skipped) == 1) {
			t.Errorf("%+v, skipped %v, want %s", got.Expectations[0], got.Skipped, c.want)
		}
	}
}
