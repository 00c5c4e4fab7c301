package report_test

import (
	"fmt"
	"testing/fstest"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/scenario"
)

const (
	s  = time.Second
	ms = time.Millisecond
)

// hostile is what a name, a path or an error may hold.
const hostile = "::add-mask::a<script>alert(1)</script>\x1b[31m\u202e\"'`|&\r\n  ::error::##[error]%0A\xff]]>"

const blackHoleFile = `apiVersion: sim/v1
kind: Scenario
metadata: {name: black-hole}
spec:
  duration: 60s
  policy: ../policies
  timeline:
    - {name: hole, at: 20s, for: 20s, on: cart/1, respond: {status: 503, after: 1ms}, health: pass}
  expect:
    - {that: 'breaker("cart/1") == "open"', within: 3s, after: hole}
    - {that: 'share("cart/1", "5s") <= 0.02', during: hole, grace: 5s}
    - {that: 'success("5s") >= 0.999', during: hole, grace: 3s}
`

func suite(runs ...*report.Run) *report.Suite {
	return &report.Suite{Runs: runs, Files: fstest.MapFS{"scenarios/black-hole.yaml": {Data: []byte(blackHoleFile)}}}
}

// all is a run of each outcome, the hostile one among them.
func all() *report.Suite {
	return suite(passing(), blackHole(40), invalid(), broken())
}

func pos(line, col int) scenario.Pos {
	return scenario.Pos{File: "scenarios/black-hole.yaml", Line: line, Col: col}
}

// load is rate requests a second for a minute to two pools, served well.
func load(rate int) *history.Run {
	h := &history.Run{
		Scenario: "black-hole", Stage: "virtual", Seed: 42, Duration: 60 * s, Replicas: 2,
		Pools: []history.Pool{
			{Name: "cart", Endpoints: []string{"127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003", "127.0.0.1:9004"}},
			{Name: "web", Endpoints: []string{"127.0.0.1:9101", "127.0.0.1:9102"}},
		},
	}
	step := s / time.Duration(rate)
	for i := range rate * 60 {
		at := time.Duration(i) * step
		took := 15*ms + time.Duration(i*7919%29)*ms
		if i%97 == 0 {
			took += 60 * ms
		}
		by, path := fmt.Sprintf("cart/%d", 1+i%4), "/cart"
		if i%5 == 0 {
			by, path = fmt.Sprintf("web/%d", 1+i/5%2), "/"
		}
		q := history.Request{
			ID: fmt.Sprintf("r%05d", i), Intended: at, Start: at, End: at + took, Deadline: at + 2*s,
			Replica: fmt.Sprintf("lb/%d", 1+i%2), Method: "GET", Path: path, Status: 200, By: by,
			Whole: true, LooksWhole: true, Route: by[:len(by)-2], Ends: 1,
		}
		h.Requests = append(h.Requests, q)
		h.Attempts = append(h.Attempts, history.Attempt{
			Request: q.ID, Replica: q.Replica, Pool: q.Route, Endpoint: by, Number: 1,
			Start: at + 100*time.Microsecond, End: at + took, Status: 200, Result: "ok", Breaker: "closed", Arrived: "all",
		})
	}
	return h
}

// blackHole is a run in which cart/1 fails fast from 20s to 40s, and attracts too much.
func blackHole(rate int) *report.Run {
	h := load(rate)
	h.Faults = []history.Fault{
		{Name: "hole", On: "cart/1", What: "respond 503 after 1ms", Start: 20 * s, End: 40 * s, Touched: 212},
		{On: "policy", What: "apply", Start: 45 * s, End: 45 * s, Touched: 2},
		{Name: "dark", On: "redis", What: "down", Start: 50 * s, End: 55 * s, Skipped: "this stage has no Redis"},
	}
	extra := []history.Attempt{}
	for i := range h.Requests {
		q, a := &h.Requests[i], &h.Attempts[i]
		in := q.Intended >= 20*s && q.Intended < 40*s
		if !in {
			continue
		}
		open := q.Intended > 24*s+300*ms && q.Intended < 36*s
		switch {
		case !open && q.Route == "cart" && i%3 != 0: // drawn to the hole
			a.Endpoint, a.Status, a.Result, a.End = "cart/1", 503, "status", a.Start+ms
			if i%4 == 0 {
				q.By, q.Status, q.End = "cart/1", 503, q.Start+2*ms
				continue
			}
			second := *a
			second.Number, second.Endpoint, second.Status, second.Result = 2, "cart/2", 200, "ok"
			second.Start, second.End = a.End+ms, a.End+180*ms
			q.By, q.End = "cart/2", second.End
			extra = append(extra, second)
		case open && i%11 == 0 && q.Intended < 28*s:
			q.By, q.Status, q.End, q.RetryAfter, q.Flags = "", 503, q.Start+ms, "1", "UO"
			a.Mirror = true
		case open && a.Endpoint == "cart/1":
			a.Endpoint, q.By = "cart/3", "cart/3"
		}
		if i%301 == 0 {
			q.By, q.Status, q.Whole, q.Err, q.End = "", 0, false, "context deadline exceeded", q.Deadline
		}
	}
	h.Attempts = append(h.Attempts, extra...)
	for _, lb := range []string{"lb/1", "lb/2"} {
		h.Breakers = append(h.Breakers,
			history.Breaker{At: 24*s + 310*ms, Replica: lb, Endpoint: "cart/1", From: "closed", To: "open", Reason: "52 % of 48 failed"},
			history.Breaker{At: 36 * s, Replica: lb, Endpoint: "cart/1", From: "open", To: "half-open", Reason: "its time was over"},
			history.Breaker{At: 36*s + 40*ms, Replica: lb, Endpoint: "cart/1", From: "half-open", To: "open", Reason: "a probe failed"},
			history.Breaker{At: 44 * s, Replica: lb, Endpoint: "cart/1", From: "open", To: "half-open", Reason: "its time was over"},
			history.Breaker{At: 46 * s, Replica: lb, Endpoint: "cart/1", From: "half-open", To: "closed", Reason: "5 probes went well"},
		)
		h.Policies = append(h.Policies, history.Policy{Replica: lb, Hash: "aaaabbbbccccdddd", Version: "2026-01"},
			history.Policy{At: 45 * s, Replica: lb, Hash: "eeeeffff00001111", Version: "2026-02"},
			history.Policy{At: 52 * s, Replica: lb, Hash: "2222", Version: "bad", Refused: "spec.pools: empty"})
	}
	h.Healths = []history.Health{
		{At: 30 * s, Replica: "lb/1", Endpoint: "cart/1", Reason: "3 checks failed"},
		{At: 43 * s, Replica: "lb/1", Endpoint: "cart/1", Healthy: true, Reason: "2 checks passed"},
	}
	h.Panics = []history.Panic{{At: 31 * s, Replica: "lb/1", Pool: "cart", On: true}, {At: 33 * s, Replica: "lb/1", Pool: "cart"}}
	for i := range 30 {
		h.Moves = append(h.Moves, history.Move{At: 24*s + time.Duration(i)*150*ms, Replica: "lb/1", Pool: "cart", Reason: "unavailable"})
	}
	h.Notes = []history.Note{{At: 58 * s, Text: "lb/2 was told to stop"}}
	return &report.Run{
		Scenario: &scenario.Scenario{
			Pos: pos(1, 1), Name: "black-hole", Seed: 42, Source: "SRE book, ch. 20",
			Description: "One endpoint fails fast and would attract the traffic.",
		},
		History: h, Verdict: report.Failed, Virtual: 60 * s, Real: 1234 * ms, Args: []string{"--policies", "my policies"},
		Expectations: []report.Expectation{
			{Pos: pos(10, 7), Text: `breaker("cart/1") == "open"`, Status: report.Violated, Evidence: report.Evidence{
				First: &report.Span{From: 20 * s, To: 23 * s}, Never: true, Untrue: []report.Span{{From: 20 * s, To: 23 * s}},
				Observed: []report.Observed{{Of: `breaker("cart/1")`, Replica: "lb/1", How: "stayed", Value: `"closed"`}, {Of: `breaker("cart/1")`, Replica: "lb/2", How: "stayed", Value: `"closed"`}},
				Why:      "true first at 24.31s",
			}},
			{Pos: pos(11, 7), Text: `share("cart/1", "5s") <= 0.02`, Status: report.Violated, Evidence: report.Evidence{
				First:    &report.Span{From: 36 * s, To: 41 * s},
				Observed: []report.Observed{{Of: `share("cart/1", "5s")`, Value: "0.533", Events: 120, Unit: "attempt"}},
				Why:      "not true of windows that end from 41s to 46s: for 3s in all, in 2 stretches",
				Untrue:   []report.Span{{From: 41 * s, To: 43 * s}, {From: 45 * s, To: 46 * s}},
				Worst:    []report.Worst{{Span: report.Span{From: 37 * s, To: 42 * s}, Observed: report.Observed{Of: `share("cart/1", "5s")`, Value: "0.61", Events: 118, Unit: "attempt"}}},
				Examples: []string{h.Requests[36*rate+2].ID, h.Requests[36*rate+4].ID, h.Requests[36*rate+7].ID, h.Requests[37*rate+1].ID, h.Requests[37*rate+2].ID, "one too many"},
			}},
			{Pos: pos(12, 7), Text: `success("5s") >= 0.999`, Status: report.Held},
			{Pos: pos(12, 7), Text: `latency(0.99, "1s") < duration("1s")`, Status: report.Violated, Evidence: report.Evidence{
				Vacuous: true, Why: "73 % of its windows have fewer than 20 events, and say nothing: take a longer window, or more load", Judged: 0.27,
			}},
			{Pos: pos(13, 7), Text: `healthy("cart/1")`, Status: report.Skipped, Evidence: report.Evidence{Why: "this stage has no Redis"}},
		},
		Invariants: []report.Invariant{
			{ID: "ends-once", Status: report.Held},
			{ID: "retry-budget", Status: report.Violated, Evidence: report.Evidence{
				First:    &report.Span{From: 21 * s, To: 31 * s},
				Observed: []report.Observed{{Of: "retries", Value: "160"}, {Of: "allowed", Value: "90"}},
				Examples: []string{h.Requests[21*rate+1].ID},
			}},
			{ID: "affinity", Status: report.Waived, Because: "sessions are not kept here"},
		},
		Determinism: report.Determinism{Checked: true, Same: true},
		Mutations: []report.Mutation{
			{Pos: pos(13, 5), Name: "breaker off", Caught: true, By: `share("cart/1", "5s") <= 0.02`},
			{Pos: pos(14, 5), Name: "retries without end", By: "nothing counts retries"},
		},
	}
}

// passing is a run in which all went well.
func passing() *report.Run {
	h := load(20)
	h.Scenario, h.Replicas, h.SetUp, h.TearDown = "calm", 1, 2500*ms, 1500*ms
	return &report.Run{
		Scenario: &scenario.Scenario{Pos: scenario.Pos{File: "scenarios/calm.yaml", Line: 1, Col: 1}, Name: "calm", Seed: 42},
		History:  h, Verdict: report.Passed, Virtual: 60 * s, Real: 300 * ms,
		Expectations: []report.Expectation{{Pos: scenario.Pos{File: "scenarios/calm.yaml", Line: 9, Col: 5}, Text: "errors() == 0", Status: report.Held}},
		Invariants:   []report.Invariant{{ID: "ends-once", Status: report.Held}},
		Mutations:    []report.Mutation{{Name: "no retries", Caught: true, By: "errors() == 0"}},
	}
}

// invalid is a run that proves nothing.
func invalid() *report.Run {
	h := load(1)
	h.Faults = []history.Fault{{Name: "hang", On: "web/2", What: "hang", Start: 10 * s, End: 20 * s}}
	return &report.Run{
		Scenario: &scenario.Scenario{Pos: scenario.Pos{File: "scenarios/hang.yaml", Line: 1, Col: 1}, Name: "hang", Seed: 7},
		History:  h, Verdict: report.Invalid, Why: "the fault hang touched nothing", Virtual: 60 * s, Real: 80 * ms,
	}
}

// broken is a run that came to no end, and whose every text is hostile.
func broken() *report.Run {
	h := load(1)
	h.Stage, h.Failure = "local", "panic: "+hostile
	h.Pools[0].Name = hostile
	h.Requests[3].ID, h.Requests[3].Path, h.Requests[3].Err, h.Requests[3].By = hostile, hostile, hostile, hostile
	h.Attempts[3].Request, h.Attempts[3].Endpoint, h.Attempts[3].Result, h.Attempts[3].Breaker = hostile, hostile, hostile, hostile
	h.Breakers = []history.Breaker{{At: s, Replica: hostile, Endpoint: hostile, From: hostile, To: hostile, Reason: hostile}}
	h.Healths = []history.Health{{At: s, Replica: hostile, Endpoint: hostile, Reason: hostile}}
	h.Policies = []history.Policy{{Replica: hostile, Hash: hostile, Version: hostile}, {At: s, Replica: hostile, Hash: "x", Refused: hostile}}
	h.Faults = []history.Fault{{Name: hostile, On: hostile, What: hostile, Start: s, End: 2 * s, Skipped: hostile}}
	h.Moves = []history.Move{{At: s, Reason: hostile}}
	h.Notes = []history.Note{{At: s, Text: hostile}}
	h.Leaks = []string{hostile}
	at := scenario.Pos{File: hostile, Line: 3, Col: 4}
	evidence := report.Evidence{
		First: &report.Span{From: s, To: 2 * s}, Why: hostile, Examples: []string{hostile, "unknown" + hostile},
		Observed: []report.Observed{{Of: hostile, Replica: hostile, Value: hostile}},
	}
	return &report.Run{
		Scenario: &scenario.Scenario{Pos: at, Name: "x" + hostile, Description: hostile, Source: hostile, Seed: 1},
		History:  h, Verdict: report.Failure, Why: h.Failure + "\n\ngoroutine 1 [running]:\n\tmain.main()", Args: []string{hostile},
		Virtual: 4 * s, Real: 10 * ms,
		Expectations: []report.Expectation{{Pos: at, Text: hostile, Status: report.Violated, Evidence: evidence}},
		Invariants:   []report.Invariant{{ID: hostile, Status: report.Violated, Evidence: evidence}, {ID: hostile, Status: report.Waived, Because: hostile}},
		Determinism:  report.Determinism{Checked: true, What: hostile},
		Mutations:    []report.Mutation{{Pos: at, Name: hostile, By: hostile}},
	}
}
