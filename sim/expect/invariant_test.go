package expect_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// fine is a run in which all is as it must be.
func fine(t *testing.T) *play {
	r := newPlay(load(t, shop), 10*time.Second)
	r.fault("hole", 2*time.Second, 3*time.Second)
	for i := range 50 {
		at := time.Duration(i) * 100 * ms
		endpoint := fmt.Sprint("cart/", 1+i%2)
		r.served(at, endpoint)
		last := &r.Requests[len(r.Requests)-1]
		last.Session, last.Sticky = 1+i%2, "home"
		if i < 2 {
			last.Sticky = "new"
		}
	}
	r.count()
	return r
}

// count has the balancer count what came to pass.
func (p *play) count() {
	m := map[string]float64{}
	for _, r := range p.Requests {
		m[fmt.Sprintf(`lb_requests_total{code="%d",route="%s"}`, r.Status, r.Route)] += float64(r.Ends)
	}
	addresses := map[string]string{"cart/1": "10.0.0.1:80", "cart/2": "10.0.0.2:80", "web/1": "10.0.1.1:80"}
	for _, a := range p.Attempts {
		m[fmt.Sprintf(`lb_upstream_requests_total{endpoint="%s",pool="%s",result="%s"}`, addresses[a.Endpoint], a.Pool, a.Result)]++
		if a.Number > 1 {
			result := "failed"
			if a.Result == "ok" {
				result = "ok"
			}
			m[fmt.Sprintf(`lb_retries_total{pool="%s",result="%s"}`, a.Pool, result)]++
		}
	}
	for _, b := range p.Breakers {
		m[fmt.Sprintf(`lb_circuit_breaker_transitions_total{endpoint="%s",pool="cart",reason="%s",to="%s"}`, addresses[b.Endpoint], b.Reason, b.To)]++
	}
	for _, move := range p.Moves {
		m[fmt.Sprintf(`lb_sessions_moved_total{pool="%s",reason="%s"}`, move.Pool, move.Reason)]++
	}
	m[`lb_requests_in_flight{route="cart"}`] = 3 // nobody compares it
	m[`lb_retries_total{pool="cart",result="budget"}`] = 7
	p.Metrics["lb/1"] = m
}

// TestInvariants: each is broken by what breaks it, and by nothing that looks like it.
// What else a change breaks is not looked at.
func TestInvariants(t *testing.T) {
	drained := strings.Replace(shop, `{address: "10.0.0.1:80"}`, `{address: "10.0.0.1:80", drain: true}`, 1)
	last := func(r *play) *history.Request { return &r.Requests[len(r.Requests)-1] }
	retry := func(a *history.Attempt) { a.Result, a.Status = "reset", 0 }
	opened := func(r *play) {
		r.turned(6*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
		r.turned(7*time.Second, "lb/1", "cart/1", "open", "half-open", "open_elapsed")
		r.turned(8*time.Second, "lb/1", "cart/1", "half-open", "closed", "probes_succeeded")
	}
	probe := func(a *history.Attempt) { a.Probe = true; a.End = a.Start + 50*ms }
	home := func(by string, sticky string) func(*history.Request) {
		return func(r *history.Request) { r.Session, r.Sticky, r.By = 1, sticky, by }
	}
	reload := func(r *play, at time.Duration, hash string) {
		r.Policies = append(r.Policies, history.Policy{At: at, Replica: "lb/1", Hash: hash, Version: "2"})
	}
	lost := func(r *history.Request) { r.Status, r.By, r.Whole, r.LooksWhole, r.Err = 0, "", false, false, "EOF" }
	turned := func(r *play, reason string, connections float64) {
		r.came(6*time.Second, "", func(r *history.Request) { lost(r); r.Ends, r.First, r.Err = 0, true, "closed" })
		r.Metrics["lb/1"][`lb_client_connections_closed_total{listener="http",reason="`+reason+`"}`] = connections
	}
	for _, c := range []struct {
		id, what string
		broken   bool
		change   func(*play)
	}{
		{expect.ExactlyOnce, "ends twice", true, func(r *play) { last(r).Ends = 2 }},
		{expect.ExactlyOnce, "never ends", true, func(r *play) { last(r).Ends = 0 }},
		{expect.ExactlyOnce, "its head was never sent", false, func(r *play) { last(r).Ends, last(r).Unsent = 0, true }},
		{expect.ExactlyOnce, "its head was never sent, and it ended twice", true, func(r *play) { last(r).Ends, last(r).Unsent = 2, true }},
		{expect.ExactlyOnce, "turned away at the door", false, func(r *play) { turned(r, "over_limit", 1) }},
		{expect.ExactlyOnce, "turned away, and never said to be", true, func(r *play) { turned(r, "client_ended", 1) }},
		{expect.ExactlyOnce, "two turned away, and one said to be", true, func(r *play) {
			turned(r, "over_address_limit", 1)
			turned(r, "over_address_limit", 1)
		}},
		{expect.ExactlyOnce, "not the first of its connection, though others were turned away", true, func(r *play) {
			turned(r, "over_limit", 1)
			last(r).First = false
		}},
		{expect.ExactlyOnce, "an id twice", true, func(r *play) { last(r).ID = "r1" }},
		{expect.ExactlyOnce, "its replica was killed", false, func(r *play) {
			last(r).Ends = 0
			r.Lives = []history.Life{{At: last(r).End - 1, Replica: "lb/1", Killed: true}}
		}},
		{expect.ExactlyOnce, "its replica was killed after", true, func(r *play) {
			last(r).Ends = 0
			r.Lives = []history.Life{{At: last(r).End + 1, Replica: "lb/1", Killed: true}}
		}},

		{expect.Deadline, "100 ms late", false, func(r *play) { last(r).End = last(r).Deadline + 100*ms }},
		{expect.Deadline, "more than that", true, func(r *play) { last(r).End = last(r).Deadline + 100*ms + 1 }},

		{expect.CleanSuccess, "broken, and looks whole", true, func(r *play) { last(r).Whole = false }},
		{expect.CleanSuccess, "broken, and looks so", false, func(r *play) { last(r).Whole, last(r).LooksWhole = false, false }},
		{expect.CleanSuccess, "ended by the connection", false, func(r *play) { last(r).Whole, last(r).CloseDelimited = false, true }},

		{expect.RetryAfter, "a refusal that says when to come again", false, func(r *play) {
			r.came(6*time.Second, "", func(r *history.Request) { r.Status, r.RetryAfter = 503, "1" })
		}},
		{expect.RetryAfter, "one that does not", true, func(r *play) {
			r.came(6*time.Second, "", func(r *history.Request) { r.Status = 503 })
		}},
		{expect.RetryAfter, "one that says no time", true, func(r *play) {
			r.came(6*time.Second, "", func(r *history.Request) { r.Status, r.RetryAfter = 503, "0" })
		}},
		{expect.RetryAfter, "an endpoint's own", false, func(r *play) {
			r.came(6*time.Second, "cart/1", func(r *history.Request) { r.Status = 503 })
		}},

		{expect.NonIdempotentRetry, "a POST that arrived", true, func(r *play) {
			r.came(6*time.Second, "cart/2").Method = "POST"
			r.tried(6*time.Second, "cart/1", retry)
			r.tried(6*time.Second+20*ms, "cart/2")
		}},
		{expect.NonIdempotentRetry, "a POST of which nothing did", false, func(r *play) {
			r.came(6*time.Second, "cart/2").Method = "POST"
			r.tried(6*time.Second, "cart/1", func(a *history.Attempt) { a.Result, a.Arrived = "connect", "none" })
			r.tried(6*time.Second+20*ms, "cart/2")
		}},
		{expect.NonIdempotentRetry, "a PUT", false, func(r *play) {
			r.came(6*time.Second, "cart/2").Method = "PUT"
			r.tried(6*time.Second, "cart/1", retry)
			r.tried(6*time.Second+20*ms, "cart/2")
		}},
		{expect.NonIdempotentRetry, "a POST and its copy", false, func(r *play) {
			r.came(6*time.Second, "cart/2").Method = "POST"
			r.tried(6*time.Second, "cart/2")
			r.tried(6*time.Second, "cart/1", func(a *history.Attempt) { a.Mirror = true })
		}},

		// 10 requests and 1 retry a second, 20%: what 50 requests allow in 10 s.
		{expect.RetryBudget, "within the budget", false, func(r *play) {
			for i := range 5 {
				at := 5*time.Second + time.Duration(i)*time.Second
				r.came(at, "cart/2")
				r.tried(at, "cart/1", retry)
				r.tried(at+20*ms, "cart/2")
			}
		}},
		{expect.RetryBudget, "a storm", true, func(r *play) {
			for i := range 20 {
				at := 5*time.Second + time.Duration(i)*ms
				r.came(at, "cart/2")
				r.tried(at, "cart/1", retry)
				r.tried(at+20*ms, "cart/2")
			}
		}},

		{expect.OpenEndpoint, "nothing goes there", false, opened},
		{expect.OpenEndpoint, "a request to an open one", true, func(r *play) { opened(r); r.served(6500*ms, "cart/1") }},
		{expect.OpenEndpoint, "a request to a half-open one", true, func(r *play) { opened(r); r.served(7500*ms, "cart/1") }},
		{expect.OpenEndpoint, "a probe", false, func(r *play) { opened(r); r.came(7*time.Second, "cart/1"); r.tried(7*time.Second, "cart/1", probe) }},
		{expect.OpenEndpoint, "as it opens", false, func(r *play) { opened(r); r.served(6*time.Second, "cart/1") }},
		{expect.OpenEndpoint, "just after", true, func(r *play) { opened(r); r.served(6*time.Second+2, "cart/1") }},
		{expect.OpenEndpoint, "as it closes", false, func(r *play) { opened(r); r.served(8*time.Second, "cart/1") }},
		{expect.OpenEndpoint, "to another", false, func(r *play) { opened(r); r.served(6500*ms, "cart/2") }},

		{expect.DrainingEndpoint, "something new", true, func(r *play) { r.Attempts[9].Draining = true }},
		{expect.DrainingEndpoint, "one at home", false, func(r *play) { r.Attempts[9].Draining, r.Attempts[9].Home = true, true }},

		{expect.BreakerTransitions, "all the way", false, opened},
		{expect.BreakerTransitions, "from where it was not", true, func(r *play) { opened(r); r.Breakers[1].From = "closed" }},
		{expect.BreakerTransitions, "where it cannot", true, func(r *play) { opened(r); r.Breakers[1].To, r.Breakers[2].From = "closed", "closed" }},
		{expect.BreakerTransitions, "turned off while open", false, func(r *play) {
			r.turned(6*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
			r.turned(7*time.Second, "lb/1", "cart/1", "open", "closed", "turned_off")
		}},
		{expect.BreakerTransitions, "turned off while half-open", false, func(r *play) { opened(r); r.Breakers[2].Reason = "turned_off" }},
		{expect.BreakerTransitions, "for the wrong reason", true, func(r *play) { opened(r); r.Breakers[2].Reason = "open_elapsed" }},
		{expect.BreakerTransitions, "anew with its replica", false, func(r *play) {
			opened(r)
			r.Breakers = r.Breakers[:1]
			r.Lives = []history.Life{{At: 7 * time.Second, Replica: "lb/1"}, {At: 8 * time.Second, Replica: "lb/1", Up: true}}
			r.turned(9*time.Second, "lb/1", "cart/1", "closed", "open", "failure_percent")
		}},
		{expect.BreakerTransitions, "two probes at once", false, func(r *play) {
			r.came(7*time.Second, "cart/1")
			r.tried(7*time.Second, "cart/1", probe)
			r.tried(7*time.Second, "cart/1", probe)
			r.tried(7*time.Second+50*ms, "cart/1", probe)
		}},
		{expect.BreakerTransitions, "three", true, func(r *play) {
			r.came(7*time.Second, "cart/1")
			r.tried(7*time.Second, "cart/1", probe)
			r.tried(7*time.Second, "cart/1", probe)
			r.tried(7*time.Second+50*ms-1, "cart/1", probe)
		}},

		{expect.Affinity, "at home", false, func(r *play) { r.came(6*time.Second, "cart/1", home("cart/1", "home")) }},
		{expect.Affinity, "away for nothing", true, func(r *play) { r.came(6*time.Second, "cart/1", home("cart/2", "away")) }},
		{expect.Affinity, "moved for nothing", true, func(r *play) { r.came(6*time.Second, "cart/1", home("cart/2", "moved")) }},
		{expect.Affinity, "away from an open one", false, func(r *play) { opened(r); r.came(6500*ms, "cart/1", home("cart/2", "away")) }},
		{expect.Affinity, "away once it is closed", true, func(r *play) { opened(r); r.came(8500*ms, "cart/1", home("cart/2", "away")) }},
		{expect.Affinity, "away from an unhealthy one", false, func(r *play) {
			r.Healths = []history.Health{{At: 6 * time.Second, Replica: "lb/1", Endpoint: "cart/1"}}
			r.came(6500*ms, "cart/1", home("cart/2", "away"))
		}},
		{expect.Affinity, "away from one that is unhealthy to another replica", true, func(r *play) {
			r.Replicas = 2
			r.Healths = []history.Health{{At: 6 * time.Second, Replica: "lb/2", Endpoint: "cart/1"}}
			r.came(6500*ms, "cart/1", home("cart/2", "away"))
		}},
		{expect.Affinity, "away since home failed it", false, func(r *play) {
			r.came(6*time.Second, "cart/1", home("cart/2", "away"))
			r.tried(6*time.Second, "cart/1", retry)
			r.tried(6*time.Second+5*ms, "cart/2")
		}},
		{expect.Affinity, "moved once, and at home there", false, func(r *play) {
			opened(r)
			r.came(6500*ms, "cart/1", home("cart/2", "moved"))
			r.came(8500*ms, "cart/1", home("cart/2", "home"))
		}},
		{expect.Affinity, "moved, and back for nothing", true, func(r *play) {
			opened(r)
			r.came(6500*ms, "cart/1", home("cart/2", "moved"))
			r.came(8500*ms, "cart/1", home("cart/1", "home"))
		}},
		{expect.Affinity, "lost with Redis, once", false, func(r *play) {
			r.Faults = append(r.Faults, history.Fault{Name: "flush", On: "redis", Start: 6 * time.Second, End: 6 * time.Second, Touched: 1})
			r.came(6500*ms, "cart/1", home("cart/2", "new"))
			r.came(7000*ms, "cart/1", home("cart/2", "home"))
		}},
		{expect.Affinity, "lost with Redis, twice", true, func(r *play) {
			r.Faults = append(r.Faults, history.Fault{Name: "flush", On: "redis", Start: 6 * time.Second, End: 6 * time.Second, Touched: 1})
			r.came(6500*ms, "cart/1", home("cart/2", "new"))
			r.came(7000*ms, "cart/1", home("cart/1", "new"))
		}},
		{expect.Affinity, "before its client had a ticket", false, func(r *play) {
			r.came(6*time.Second, "", home("cart/1", "new"), func(r *history.Request) { r.Session = 9 })
			r.came(6*time.Second+5*ms, "", home("cart/2", "new"), func(r *history.Request) { r.Session = 9 })
			r.came(6*time.Second+50*ms, "", home("cart/2", "home"), func(r *history.Request) { r.Session = 9 })
		}},

		{expect.PolicyVersion, "another that serves", false, func(r *play) { reload(r, 6*time.Second, "h2"); r.came(7*time.Second, "cart/1").Policy = "h2" }},
		{expect.PolicyVersion, "the one before, under way", false, func(r *play) { r.came(6*time.Second-1, "cart/1"); reload(r, 6*time.Second, "h2") }},
		{expect.PolicyVersion, "the one before, too late", true, func(r *play) { reload(r, 6*time.Second, "h2"); r.came(7*time.Second, "cart/1") }},
		{expect.PolicyVersion, "none", true, func(r *play) { last(r).Policy = "" }},
		{expect.PolicyVersion, "one that is unknown", true, func(r *play) { last(r).Policy = "h3" }},
		{expect.PolicyVersion, "one that was refused, and serves", true, func(r *play) {
			reload(r, 6*time.Second, "h2")
			r.Policies = append(r.Policies, history.Policy{At: 7 * time.Second, Replica: "lb/1", Hash: "h2", Refused: "invalid"})
		}},
		{expect.PolicyVersion, "one that was refused, and does not", false, func(r *play) {
			r.Policies = append(r.Policies, history.Policy{At: 7 * time.Second, Replica: "lb/1", Hash: "h2", Refused: "invalid"})
		}},

		{expect.ReloadLoss, "lost as it changes", true, func(r *play) { reload(r, 6*time.Second, "h2"); r.came(6*time.Second-5*ms, "cart/1", lost) }},
		{expect.ReloadLoss, "lost as one is refused", true, func(r *play) {
			r.Policies = append(r.Policies, history.Policy{At: 6 * time.Second, Replica: "lb/1", Hash: "h2", Refused: "invalid"})
			r.came(6*time.Second-5*ms, "cart/1", lost)
		}},
		{expect.ReloadLoss, "lost long before", false, func(r *play) { r.came(5*time.Second, "cart/1", lost); reload(r, 6*time.Second, "h2") }},
		{expect.ReloadLoss, "lost by its endpoint", false, func(r *play) {
			reload(r, 6*time.Second, "h2")
			r.came(6*time.Second-5*ms, "cart/1", lost)
			r.tried(6*time.Second-5*ms, "cart/1", retry)
		}},
		{expect.ReloadLoss, "served as it changes", false, func(r *play) { r.served(6*time.Second-5*ms, "cart/1"); reload(r, 6*time.Second, "h2") }},

		{expect.Leaks, "a goroutine", true, func(r *play) { r.Leaks = []string{"goroutine 7"} }},

		{expect.Metrics, "a head that was never sent", false, func(r *play) {
			r.came(6*time.Second, "", func(r *history.Request) { r.Ends, r.Unsent, r.Route, r.Status = 0, true, "", 408 })
			r.Metrics["lb/1"][`lb_requests_total{code="408",route="-"}`] = 1
		}},
		{expect.Metrics, "one head that was never sent, counted twice", true, func(r *play) {
			r.came(6*time.Second, "", func(r *history.Request) { r.Ends, r.Unsent, r.Route, r.Status = 0, true, "", 408 })
			r.Metrics["lb/1"][`lb_requests_total{code="408",route="-"}`] = 2
		}},
		{expect.Metrics, "breakers, retries and moves counted", false, func(r *play) {
			opened(r)
			r.came(8500*ms, "cart/2")
			r.tried(8500*ms, "cart/1", retry)
			r.tried(8520*ms, "cart/2")
			r.Moves = []history.Move{{At: 6 * time.Second, Replica: "lb/1", Pool: "cart", Reason: "unavailable"}}
			r.count()
		}},
		{expect.Metrics, "a request too many", true, func(r *play) { r.Metrics["lb/1"][`lb_requests_total{code="200",route="cart"}`]++ }},
		{expect.Metrics, "a request too few", true, func(r *play) { r.Metrics["lb/1"][`lb_requests_total{code="200",route="cart"}`]-- }},
		{expect.Metrics, "one whose client did not see the status", false, func(r *play) { last(r).Status = 0 }},
		{expect.Metrics, "an attempt too many", true, func(r *play) {
			r.Metrics["lb/1"][`lb_upstream_requests_total{endpoint="10.0.0.1:80",pool="cart",result="reset"}`]++
		}},
		{expect.Metrics, "an attempt too few", true, func(r *play) {
			r.served(7*time.Second, "cart/1")
			r.Metrics["lb/1"][`lb_requests_total{code="200",route="cart"}`]++
		}},
		{expect.Metrics, "a retry that was none", true, func(r *play) { r.Metrics["lb/1"][`lb_retries_total{pool="cart",result="ok"}`]++ }},
		{expect.Metrics, "a transition that was not counted", true, opened},
		{expect.Metrics, "a move that was not counted", true, func(r *play) {
			r.Moves = []history.Move{{At: 6 * time.Second, Replica: "lb/1", Pool: "cart", Reason: "unavailable"}}
		}},
		{expect.NonIdempotentRetry, "a GET that came once more", false, func(r *play) {
			r.Strays = []history.Stray{{At: 7 * time.Second, Endpoint: "cart/1", Request: "r3"}}
		}},
		{expect.NonIdempotentRetry, "a POST of a replica that was killed", false, func(r *play) {
			r.Requests[2].Method = "POST"
			r.Strays = []history.Stray{{At: time.Second, Endpoint: "cart/1", Request: "r3"}}
			r.Lives = []history.Life{{At: r.Requests[2].End, Replica: "lb/1", Killed: true}}
		}},
		{expect.NonIdempotentRetry, "a POST that came once more, of which nobody tells", true, func(r *play) {
			r.Requests[2].Method = "POST"
			r.Strays = []history.Stray{{At: 7 * time.Second, Endpoint: "cart/1", Request: "r3"}}
		}},
		{expect.Metrics, "none of a replica that was killed", false, func(r *play) {
			delete(r.Metrics, "lb/1")
			r.Lives = []history.Life{{At: 6 * time.Second, Replica: "lb/1", Killed: true}}
		}},
		{expect.Metrics, "none of one that was not", true, func(r *play) { delete(r.Metrics, "lb/1") }},

		{expect.NonVacuity, "a fault that touched nothing", true, func(r *play) { r.Faults[0].Touched = 0 }},
		{expect.NonVacuity, "one that was not made", true, func(r *play) { r.Faults[0].Touched, r.Faults[0].Skipped = 0, "no network" }},
		{expect.NonVacuity, "10 ms behind", false, func(r *play) { r.Behind = 10 * ms }},
		{expect.NonVacuity, "more than that", true, func(r *play) { r.Behind = 10*ms + 1 }},
		{expect.NonVacuity, "a late one by the real clock", false, func(r *play) { r.lateBy(1, 100*ms) }},
		{expect.NonVacuity, "a very late one", true, func(r *play) { r.lateBy(1, 100*ms+1) }},
		{expect.NonVacuity, "1 % late", false, func(r *play) { r.lateBy(2, 11*ms) }},
		{expect.NonVacuity, "more than 1 % late", true, func(r *play) { r.lateBy(3, 11*ms) }},
		{expect.NonVacuity, "all a little late", false, func(r *play) { r.lateBy(200, 10*ms) }},
		{expect.NonVacuity, "no request", true, func(r *play) { r.Requests = nil }},
	} {
		r := fine(t)
		c.change(r)
		got := outcome(compiled(t, of(&r.Run), load(t, shop)).Judge(&r.Run), c.id)
		if (got.Status == "violated") != c.broken || (got.Count > 0) != c.broken || (len(got.Violations) > 0) != c.broken {
			t.Errorf("%s, %s: %+v", c.id, c.what, got)
		}
	}
	// A policy that drains the home lets its sessions go.
	p := load(t, drained)
	r := fine(t)
	reload(r, 6*time.Second, p.Hash)
	r.came(6500*ms, "cart/1", home("cart/2", "moved"))
	if got := outcome(compiled(t, of(&r.Run), load(t, shop), p).Judge(&r.Run), expect.Affinity); got.Count > 0 {
		t.Errorf("%+v", got)
	}
	// One that did before the session had its home is no excuse, and neither is one that
	// comes later.
	r = fine(t)
	first := r.Policies[0]
	r.Policies[0].Hash = p.Hash
	reload(r, 5*ms, first.Hash)
	r.came(6500*ms, "cart/1", home("cart/2", "moved"))
	reload(r, 7*time.Second, p.Hash)
	if got := outcome(compiled(t, of(&r.Run), load(t, shop), p).Judge(&r.Run), expect.Affinity); got.Count != 1 {
		t.Errorf("%+v", got)
	}
}

func outcome(r *expect.Result, id string) expect.Invariant {
	return r.Invariants[slices.IndexFunc(r.Invariants, func(i expect.Invariant) bool { return i.ID == id })]
}

// TestVerdict: a run is void rather than invalid, invalid rather than failed.
func TestVerdict(t *testing.T) {
	p := load(t, shop)
	never := whole(`success() > 2.0`)
	for _, c := range []struct {
		what   string
		change func(*play, *scenario.Scenario)
		want   expect.Verdict
		exit   int
	}{
		{"all is well", func(*play, *scenario.Scenario) {}, expect.Passed, 0},
		{"an expectation", func(_ *play, s *scenario.Scenario) { s.Expect = append(s.Expect, never) }, expect.Failed, 1},
		{"an invariant", func(r *play, _ *scenario.Scenario) { r.Leaks = []string{"x"} }, expect.Failed, 1},
		{"one that is waived", func(r *play, s *scenario.Scenario) {
			r.Leaks, s.Waive = []string{"x"}, []scenario.Waiver{{ID: expect.Leaks, Because: "it is known"}}
		}, expect.Passed, 0},
		{"another is waived", func(r *play, s *scenario.Scenario) {
			r.Leaks, s.Waive = []string{"x"}, []scenario.Waiver{{ID: expect.Metrics, Because: "it is known"}}
		}, expect.Failed, 1},
		{"vacuous", func(r *play, s *scenario.Scenario) { r.Faults[0].Touched = 0; s.Expect = append(s.Expect, never) }, expect.Invalid, 3},
		{"a panic", func(r *play, _ *scenario.Scenario) { r.Failure, r.Faults[0].Touched = "panic", 0 }, expect.Failure, 1},
	} {
		r := fine(t)
		s := of(&r.Run, whole(`success() == 1.0`))
		c.change(r, s)
		got := compiled(t, s, p).Judge(&r.Run)
		if got.Verdict != c.want || got.Verdict.Exit() != c.exit {
			t.Errorf("%s: %s, want %s: %+v", c.what, got.Verdict, c.want, got.Invariants)
		}
		for _, w := range s.Waive {
			if outcome(got, w.ID).Because != w.Because {
				t.Errorf("%s: the reason of the waiver is gone", c.what)
			}
		}
	}
	r := fine(t)
	got := compiled(t, of(&r.Run), p).Judge(&r.Run)
	got.Determinism = expect.Determinism{Checked: true}
	if got.Settle(); got.Verdict != expect.Invalid {
		t.Errorf("not the same twice: %s", got.Verdict)
	}
	text, err := json.Marshal(got)
	var back expect.Result
	if err != nil || json.Unmarshal(text, &back) != nil || back.Figures != got.Figures || back.Figures.Requests != 50 || back.Figures.P99 != 10*ms {
		t.Errorf("%v: %s", err, text)
	}
}

// lateBy has the run be one of the real clock and of at least 200 requests, n of which came late.
func (p *play) lateBy(n int, by time.Duration) {
	p.Stage = "local"
	for i := range 200 {
		p.served(20*time.Second+time.Duration(i)*ms, "cart/1")
		if r := &p.Requests[len(p.Requests)-1]; i < n {
			r.Intended = r.Start - by
			p.Behind = max(p.Behind, by)
		}
	}
}
