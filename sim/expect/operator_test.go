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
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.Always}, want: "false in the 2s to 20s", from: 18*time.Second + 1, to: 20*time.Second + 1},
		{e: scenario.Expectation{That: `success("2s") == 1.0`}, want: "false in the 2s to 20s", from: 18*time.Second + 1, to: 20*time.Second + 1},
		{e: scenario.Expectation{That: `success("2s") == 0.0`, Operator: scenario.During, During: hole}},
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.During, During: hole}, want: "false in the 2s to 22s", from: 20 * time.Second, to: 22 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.During, During: hole}, want: "false at 20s", from: 20 * time.Second, to: 20 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.During, During: hole, Grace: 2 * time.Second}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.During, During: hole, Grace: 2*time.Second - 1}, want: "false", from: 22*time.Second - 1, to: 22*time.Second - 1},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 2 * time.Second, After: hole}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 2*time.Second - 1, After: hole}, want: "not true by then", from: 20 * time.Second, to: 20 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 5 * time.Second, After: hole, Hold: 9 * time.Second}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "open"`, Operator: scenario.Within, Within: 5 * time.Second, After: hole, Hold: 9*time.Second + 1}, want: "never for 9.000000001s; false again at 31s", from: 31 * time.Second, to: 31 * time.Second},
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.Within, Within: 2*time.Second + 100*ms, After: end, Hold: 20 * time.Second}},
		// A window that began before the fault's end does not count.
		{e: scenario.Expectation{That: `success("2s") == 0.0`, Operator: scenario.Within, Within: 10 * time.Second, After: end}, want: "not true by then"},
		// Nor is what was true before the fault true within some time after it.
		{e: scenario.Expectation{That: `success("2s") == 1.0`, Operator: scenario.Within, Within: 3 * time.Second, After: hole}, want: "not true by then"},
		{e: scenario.Expectation{That: `breaker("cart/1") == "half-open"`, Operator: scenario.At, At: scenario.Instant{Fault: "hole", End: true, Offset: time.Second}}},
		{e: scenario.Expectation{That: `breaker("cart/1") == "half-open"`, Operator: scenario.At, At: end}, want: "false at 30s", from: 30 * time.Second, to: 30 * time.Second},
		{e: scenario.Expectation{That: `breaker("cart/1") == "half-open"`, Operator: scenario.Sometimes}},
		{e: scenario.Expectation{That: `success("2s") == 0.5`, Operator: scenario.Sometimes}},
		{e: scenario.Expectation{That: `success("2s") > 0.0 && breaker("cart/1") == "half-open"`, Operator: scenario.Sometimes}},
		{e: scenario.Expectation{That: `healthy("cart/1") && share("cart/2", "2s") > 0.0`, Operator: scenario.Sometimes}, want: "never true"},
		// Windows of several lengths end at the same instant.
		{e: scenario.Expectation{That: `success("2s") == 0.0 && success("40s") == 0.75`, Operator: scenario.Sometimes}, want: "never true"},
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
	if want := `false in the 5s to 20.5s: success("5s") is 0.88 of 50`; got.Why != want {
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
		r := newPlay(p, 10*time.Second)
		for i := range c.events {
			r.came(5*time.Second+time.Duration(i), "cart/1", func(r *history.Request) { r.End = r.Start })
		}
		got := judge(t, p, &r.Run, scenario.Expectation{That: c.that, Operator: scenario.Always})
		if got.Vacuous != c.vacuous || (got.Status == "held") != c.held {
			t.Errorf("%d events, %s: %s, vacuous %v: %s", c.events, c.that, got.Status, got.Vacuous, got.Why)
		}
	}
	// 20 good ones spread so that only the window [a, a+1s) has them all.
	for _, c := range []struct {
		first time.Duration
		want  string
	}{{2 * time.Second, "held"}, {2*time.Second - 1, "violated"}, {3 * time.Second, "held"}, {3*time.Second + 1, "violated"}} {
		r := newPlay(p, 10*time.Second)
		r.fault("hole", 2*time.Second, 4*time.Second)
		for i := range 20 {
			r.came(c.first+time.Duration(i)*(time.Second-1)/19, "cart/1")
		}
		got := judge(t, p, &r.Run, scenario.Expectation{That: `success("1s") == 1.0`, Operator: scenario.During, During: scenario.Instant{Fault: "hole"}})
		if string(got.Status) != c.want {
			t.Errorf("from %v on: %s, want %s: %s", c.first, got.Status, c.want, got.Why)
		}
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
