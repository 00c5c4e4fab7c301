package parity_test

import (
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/parity"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/scenario"
)

// run is one of a hundred requests that take so long, so many of which fail.
func run(stage string, took time.Duration, failed int) *report.Run {
	h := &history.Run{Stage: stage}
	for i := range 100 {
		q := history.Request{Status: 200, Whole: true, By: "cart/1", End: took}
		if i < failed {
			q.Status = 502
		}
		h.Requests = append(h.Requests, q)
		h.Attempts = append(h.Attempts, history.Attempt{Number: 1}, history.Attempt{Mirror: true})
	}
	return &report.Run{
		Scenario: &scenario.Scenario{Name: "shop"}, History: h, Verdict: report.Passed,
		Expectations: []report.Expectation{{Text: "success()", Status: report.Held}},
		Invariants:   []report.Invariant{{ID: "deadline", Status: report.Held}},
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*report.Run)
		took   time.Duration
		failed int
		agrees bool
		says   string
	}{
		{"the same", nil, 10 * time.Millisecond, 0, true, "agree   shop  passed and passed"},
		{"how long the second took beside it", func(r *report.Run) {
			r.History.SetUp, r.History.TearDown = 2400*time.Millisecond, 1800*time.Millisecond
		}, 10 * time.Millisecond, 0, true, "set-up 2.4 s and tear-down 1.8 s: 4.2 s beside the scenario"},
		{"slower by less than the tolerance", nil, 30 * time.Millisecond, 0, true, "10 ms"},
		{"slower by more", nil, 60 * time.Millisecond, 0, false, "p50"},
		{"two more fail", nil, 10 * time.Millisecond, 2, true, "98 %"},
		{"three more fail", nil, 10 * time.Millisecond, 3, false, "DIFFER"},
		{"another verdict", func(r *report.Run) { r.Verdict, r.Why = report.Invalid, "too late" }, 10 * time.Millisecond, 0, false, "the verdicts are passed and invalid: too late"},
		{"an expectation", func(r *report.Run) { r.Expectations[0].Status = report.Violated }, 10 * time.Millisecond, 0, false, "success(): held and violated"},
		{"an expectation that is skipped", func(r *report.Run) {
			r.Expectations[0].Status = report.Skipped
			r.History.Faults = []history.Fault{{What: "clock 1h", On: "lb", Skipped: "not here"}}
		}, 10 * time.Millisecond, 0, true, "left out, as a stage cannot make it: containers: clock 1h of lb: not here"},
		{"an invariant", func(r *report.Run) { r.Invariants[0].Status = report.Violated }, 10 * time.Millisecond, 0, false, "invariant deadline: held and violated"},
		{"retries", func(r *report.Run) { r.History.Attempts = append(r.History.Attempts, make([]history.Attempt, 6)...) }, 10 * time.Millisecond, 0, false, "attempts a request"},
		{"a policy refused", func(r *report.Run) { r.History.Policies = []history.Policy{{Refused: "why"}} }, 10 * time.Millisecond, 0, false, "policies refused"},
		{"none at all", func(r *report.Run) {
			r.History, r.Verdict, r.Why, r.Stage = nil, report.Failure, "no engine", "containers"
		}, 0, 0, false, "containers did not begin: no engine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			second := run("containers", tt.took, tt.failed)
			if tt.change != nil {
				tt.change(second)
			}
			c := parity.Compare(run("virtual", 10*time.Millisecond, 0), second)
			if text := c.String(); c.Agrees() != tt.agrees || !strings.Contains(text, tt.says) {
				t.Errorf("agrees %v, want %v:\n%s", c.Agrees(), tt.agrees, text)
			}
		})
	}
}
