package expect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// mixed is a run of which every word is worth something that is known.
func mixed(t *testing.T) *play {
	r := newPlay(load(t, shop), 10*time.Second)
	r.Replicas = 2
	r.Policies = append(r.Policies, history.Policy{Replica: "lb/2", Hash: r.hash, Version: "1"}, history.Policy{At: 6 * time.Second, Replica: "lb/2", Hash: "h2", Version: "2"})
	for i := range 100 {
		at := time.Duration(i) * 100 * ms
		switch {
		case i%10 == 0: // 10: one failure, tried twice
			r.came(at, "cart/2", failed)
			r.tried(at, "cart/1", func(a *history.Attempt) { a.Result = "reset"; a.Status = 0 })
			r.tried(at+20*ms, "cart/2")
		case i%10 == 1: // 10 shed
			r.came(at, "", func(r *history.Request) { r.Status = 503; r.End = at })
		case i%10 == 2: // 10 lost
			r.came(at, "", func(r *history.Request) { r.Status, r.Whole, r.LooksWhole, r.Route = 0, false, false, "" })
		case i%10 == 3: // 10 that their endpoint broke off
			r.came(at, "cart/2", func(r *history.Request) { r.Whole, r.LooksWhole = false, false; r.End = at + 500*ms })
			r.tried(at, "cart/2", func(a *history.Attempt) { a.Result = "truncated" })
		case i%10 == 4: // 10 of another route
			r.came(at, "web/1", func(r *history.Request) { r.Route, r.Kind = "web", 1 })
			r.tried(at, "web/1")
		default: // 50
			r.served(at, "cart/1")
			r.tried(at, "cart/2", func(a *history.Attempt) { a.Mirror = true })
		}
	}
	r.tried(9999*ms, "cart/1", func(a *history.Attempt) { a.Probe, a.Number = true, 1 })
	r.Moves = []history.Move{{At: time.Second, Replica: "lb/1", Pool: "cart", Reason: "gone"}, {At: 2 * time.Second, Replica: "lb/1", Pool: "web", Reason: "gone"}}
	r.turned(2*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
	r.turned(3*time.Second, "lb/2", "cart/1", "closed", "open", "failure_percent")
	r.turned(8*time.Second, "lb/2", "cart/1", "open", "half-open", "open_elapsed")
	r.Healths = []history.Health{{At: 4 * time.Second, Replica: "lb/1", Endpoint: "cart/2"}, {At: 9 * time.Second, Replica: "lb/1", Endpoint: "cart/2", Healthy: true}}
	return r
}

// TestWords: each word is worth what its definition says, of the whole run or at an
// instant.
func TestWords(t *testing.T) {
	p, r := load(t, shop), mixed(t)
	at := func(that string, at time.Duration) scenario.Expectation {
		return scenario.Expectation{That: that, Operator: scenario.At, At: scenario.Instant{Offset: at}}
	}
	for _, e := range []scenario.Expectation{
		whole(`success() == 0.6`),
		whole(`errors() == 0.4`),
		whole(`success("web") == 1.0`),
		whole(`success("cart") > 0.55 && success("cart") < 0.56`), // 50 of 90: a lost one is of the route of its like
		whole(`goodput() == 6.0`),
		whole(`goodput("web") == 1.0`),
		whole(`lost() == 10`),
		whole(`lost("web") == 0`),
		whole(`shed() == 10`),
		whole(`latency(0.5) == duration("10ms")`),
		whole(`latency(1.0) == duration("500ms") && latency(0.9) == duration("10ms") && latency(0.901) == duration("500ms")`),
		whole(`latency(0.05) == duration("0s")`),
		whole(`shed_latency(1.0) == duration("0s")`),
		whole(`health_changes("cart/2") == 2 && health_changes("cart/1") == 0`),
		whole(`rate() == 10.0`),
		whole(`rate("cart") == 8.0`),   // 20 + 10 + 50
		whole(`rate("cart/2") == 2.0`), // mirrors out
		whole(`rate("cart/1") == 6.0`), // the probe out
		whole(`share("cart/1") == 0.75 && share("cart/2") == 0.25 && share("web/1") == 1.0`),
		whole(`amplification() > 1.12 && amplification() < 1.13`), // 91 tries, 81 first ones, with the probe
		whole(`amplification("web") == 1.0`),
		whole(`moved_sessions() == 2 && moved_sessions("cart") == 1`),
		at(`success("5s") == 0.6`, 5*time.Second),
		at(`goodput("1s") == 6.0`, 5*time.Second),
		at(`shed("1s") == 1`, 5*time.Second),
		at(`rate("1s") == 10.0`, 5*time.Second),
		at(`moved_sessions("1s") == 1`, 2*time.Second-1),
		at(`moved_sessions("1s") == 1`, 2*time.Second), // (1s, 2s]
		at(`breaker("cart/1") == "closed"`, 2*time.Second-1),
		at(`breaker("cart/1", "lb/1") == "open"`, 2*time.Second),
		at(`!(breaker("cart/1", "lb/2") == "open")`, 2*time.Second),
		at(`breaker("cart/1") == "open"`, 3*time.Second),
		at(`breaker("cart/1") in ["open", "half-open"]`, 8*time.Second),
		at(`healthy("cart/2")`, 4*time.Second-1),
		at(`!healthy("cart/2", "lb/1") && healthy("cart/2", "lb/2")`, 4*time.Second),
		at(`health_changes("cart/2", "1s") == 1`, 4*time.Second),
		at(`health_changes("cart/2", "1s") == 0`, 5*time.Second),
		at(`in_flight("cart/1", "lb/1") == 1 && in_flight("cart", "lb/1") == 1 && in_flight("web") == 0`, 500*ms),
		at(`in_flight("cart/1") == 0`, 510*ms),                // what ends then has ended
		at(`in_flight("cart/2", "lb/1") == 0`, 5*time.Second), // a copy is none
		at(`probes("cart/1", "lb/1") == 0`, 9990*ms),
		at(`probes("cart/1", "lb/1") == 1`, 9999*ms),
		at(`policy() == "1"`, 5*time.Second),
		at(`policy("lb/2") == "2" && policy("lb/1") == "1"`, 6*time.Second),
		at(`breaker("cart/1") == "open" ? success("5s") > 0.5 : false`, 5*time.Second),
	} {
		if got := judge(t, p, &r.Run, e); got.Status != "held" {
			t.Errorf("%s: %s", got.What, got.Why)
		}
	}
	// What is said of replicas that differ is not true of all.
	for _, that := range []string{
		`breaker("cart/1") == "open"`, `breaker("cart/1") != "open"`, `!(breaker("cart/1") == "open")`,
	} {
		if got := judge(t, p, &r.Run, at(that, 2500*ms)); got.Status != "violated" {
			t.Errorf("%s holds, though replicas differ", that)
		}
	}
}

// TestUnderWay: what is under way is counted at each instant, a probe only until it is
// judged, and what a replica that is down had is not there.
func TestUnderWay(t *testing.T) {
	p := load(t, strings.Replace(shop, "retry: {attempts: 2}}", "retry: {attempts: 2}, timeouts: {backendRequest: 1s}}", 1))
	r := newPlay(p, 10*time.Second)
	until := func(end time.Duration) func(*history.Attempt) {
		return func(a *history.Attempt) { a.End = end }
	}
	for i, end := range []time.Duration{5 * time.Second, 5 * time.Second, 1500 * ms} {
		r.came(time.Second+time.Duration(i)*100*ms, "cart/1")
		r.tried(time.Second+time.Duration(i)*100*ms, "cart/1", until(end), func(a *history.Attempt) { a.Probe = i != 1 })
	}
	r.came(1500*ms, "cart/2")
	r.tried(1500*ms, "cart/2", until(1600*ms))
	r.Lives = []history.Life{{At: 7 * time.Second, Replica: "lb/1", Killed: true}, {At: 8 * time.Second, Replica: "lb/1", Up: true}}
	for _, c := range []struct {
		at                  time.Duration
		flight, all, probes int
	}{
		{time.Second - 1, 0, 0, 0},
		{time.Second, 1, 1, 1},
		{1100 * ms, 2, 2, 1},
		{1200 * ms, 3, 3, 2},
		{1500 * ms, 2, 3, 1},
		{1999 * ms, 2, 2, 1},
		{2 * time.Second, 2, 2, 0}, // judged, though it goes on
		{5 * time.Second, 0, 0, 0},
		{8 * time.Second, 0, 0, 0},
	} {
		that := fmt.Sprintf(`in_flight("cart/1") == %d && in_flight("cart") == %d && probes("cart/1") == %d`, c.flight, c.all, c.probes)
		if got := judge(t, p, &r.Run, scenario.Expectation{That: that, Operator: scenario.At, At: scenario.Instant{Offset: c.at}}); got.Status != "held" {
			t.Errorf("at %v: %s", c.at, got.Why)
		}
	}
	if got := judge(t, p, &r.Run, scenario.Expectation{That: `probes("cart/1") == 0`, Operator: scenario.At, At: scenario.Instant{Offset: 7500 * ms}}); !got.Vacuous {
		t.Errorf("a replica that is down has a say: %s, %s", got.Status, got.Why)
	}
}

// TestSessionWords: what clients saw of their sessions.
func TestSessionWords(t *testing.T) {
	p := load(t, shop)
	r := newPlay(p, 10*time.Second)
	visit := func(at time.Duration, who int, by, sticky string) {
		r.came(at, by, func(r *history.Request) { r.Session, r.Sticky = who, sticky })
	}
	visit(0, 1, "cart/1", "new")
	visit(5*ms, 1, "cart/2", "new") // under way at the same time: the ticket that came last is kept
	visit(time.Second, 1, "cart/2", "home")
	visit(2*time.Second, 1, "cart/1", "away")
	visit(3*time.Second, 1, "cart/1", "moved")
	visit(4*time.Second, 1, "cart/2", "moved")
	visit(4*time.Second, 2, "cart/1", "new")
	visit(5*time.Second, 2, "cart/1", "new")
	visit(6*time.Second, 2, "cart/2", "new")
	visit(7*time.Second, 2, "web/1", "new") // another pool's
	at := func(that string, at time.Duration) scenario.Expectation {
		return scenario.Expectation{That: that, Operator: scenario.At, At: scenario.Instant{Offset: at}}
	}
	for _, e := range []scenario.Expectation{
		whole(`most_moves() == 2`),
		whole(`most_moves("cart") == 2 && most_moves("web") == 0`),
		whole(`lost_sessions() == 2 && lost_sessions("web") == 0`),
		at(`most_moves("2s") == 0`, 3*time.Second),
		at(`most_moves("2s") == 1`, 3*time.Second+10*ms),
		at(`most_moves("2s") == 2`, 4*time.Second+10*ms),
		at(`most_moves("2s") == 1`, 5*time.Second+10*ms), // the first has left
		at(`most_moves("2s") == 0`, 9*time.Second),
		at(`lost_sessions("1s") == 1`, 6*time.Second),
	} {
		if got := judge(t, p, &r.Run, e); got.Status != "held" {
			t.Errorf("%s: %s", got.What, got.Why)
		}
	}
}

// TestLoadWords: how much is under way where, and how much is held.
func TestLoadWords(t *testing.T) {
	p := load(t, shop)
	r := newPlay(p, 10*time.Second)
	r.Replicas = 2
	held := func(at time.Duration, endpoint, replica string, sent, got int64) {
		r.came(at, endpoint, func(r *history.Request) { r.Replica, r.Got, r.End = replica, got, at+time.Second })
		r.tried(at, endpoint, func(a *history.Attempt) { a.Sent, a.End = sent, at+time.Second })
	}
	held(time.Second, "cart/1", "lb/1", 100, 100)
	held(1100*ms, "cart/1", "lb/1", 1000, 300) // one of two in flight, half of them its own: 1
	held(1200*ms, "cart/2", "lb/1", 64, 64)    // none before it
	held(1300*ms, "cart/1", "lb/1", 64, 64)    // two of four, half of them: 1
	held(1300*ms, "cart/1", "lb/2", 64, 64)    // another replica's
	held(1400*ms, "cart/1", "lb/1", 64, 64)    // three of five: 1.2
	held(1450*ms, "web/1", "lb/1", 64, 70)     // another pool's
	held(2400*ms, "cart/1", "lb/1", 5000, 64)  // the last has just ended
	r.tried(2400*ms, "cart/1", func(a *history.Attempt) { a.Mirror = true })
	at := func(that string, at time.Duration) scenario.Expectation {
		return scenario.Expectation{That: that, Operator: scenario.At, At: scenario.Instant{Offset: at}}
	}
	for _, e := range []scenario.Expectation{
		whole(`load("cart/1") == 1.2 && load("cart/2") == 0.0 && load("web/1") == 0.0`),
		at(`load("cart/1", "1s") == 1.2`, 2*time.Second),
		at(`load("cart/1", "100ms") == 1.0`, 1350*ms),
		at(`load("cart/1", "500ms") == 0.0`, 2500*ms),
		whole(`held() == 4936`),
		at(`held("2s") == 700`, 2500*ms), // by when they ended
		at(`held("1s") == 0`, 3200*ms),
		at(`in_flight("cart/1", "lb/1") == 2 && in_flight("cart", "lb/1") == 3`, 1200*ms),
		at(`in_flight("lb/1") == 5 && in_flight("lb/2") == 1`, 1400*ms),
		at(`in_flight("cart/1") <= 4 && in_flight() <= 6`, 1500*ms),
		at(`in_flight("cart/1", "lb/1") == 1`, 2400*ms), // what ends has made room
		at(`in_flight() == 0`, 4*time.Second),
	} {
		if got := judge(t, p, &r.Run, e); got.Status != "held" {
			t.Errorf("%s: %s", got.What, got.Why)
		}
	}
	if got := judge(t, p, &r.Run, at(`in_flight("cart/1") == 4`, 1500*ms)); got.Status != "violated" {
		t.Error("in_flight holds of a replica, and not of the other")
	}
	if got := judge(t, p, &r.Run, at(`load("cart/1", "100ms") < 9.0`, 5*time.Second)); got.Status == "held" {
		t.Error("a load without an attempt holds")
	}
}

// TestReplicasThatAreDown: a replica that is not there has no say, and one that begins
// anew has forgotten.
func TestReplicasThatAreDown(t *testing.T) {
	p := load(t, shop)
	r := newPlay(p, 10*time.Second)
	r.Replicas = 2
	r.Lives = []history.Life{{At: 3 * time.Second, Replica: "lb/2", Killed: true}, {At: 6 * time.Second, Replica: "lb/2", Up: true}}
	r.turned(time.Second, "lb/2", "cart/1", "closed", "open", "failure_percent")
	r.turned(4*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
	for _, c := range []struct {
		that string
		at   time.Duration
		want string
	}{
		{`breaker("cart/1") == "closed"`, 2 * time.Second, "violated"},
		{`breaker("cart/1") == "closed"`, 3 * time.Second, "held"},
		{`breaker("cart/1") == "open"`, 5 * time.Second, "held"},
		{`breaker("cart/1", "lb/2") == "open"`, 5 * time.Second, "violated"}, // it says nothing
		{`breaker("cart/1", "lb/2") == "closed"`, 6 * time.Second, "held"},
	} {
		got := judge(t, p, &r.Run, scenario.Expectation{That: c.that, Operator: scenario.At, At: scenario.Instant{Offset: c.at}})
		if string(got.Status) != c.want {
			t.Errorf("%s at %v: %s, want %s (%s)", c.that, c.at, got.Status, c.want, got.Why)
		}
	}
}
