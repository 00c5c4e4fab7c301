package report

import (
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// Judged is a run with what the judge found. Real is how long it took on the wall;
// mutations and arguments are for the caller to fill in.
func Judged(s *scenario.Scenario, h *history.Run, j *expect.Result, real time.Duration) *Run {
	r := &Run{
		Scenario: s, History: h, Verdict: Verdict(j.Verdict), Why: j.Failure, Virtual: h.Duration, Real: real,
		Determinism: Determinism{Checked: j.Determinism.Checked, Same: j.Determinism.Same, What: j.Determinism.What},
	}
	for _, e := range j.Expectations {
		evidence := Evidence{Why: e.Why, Vacuous: e.Vacuous, Never: e.Never, Judged: e.Judged}
		if e.HasTime {
			evidence.First = &Span{e.From, e.To}
		}
		for _, o := range e.Observed {
			evidence.Observed = append(evidence.Observed, Observed(o))
		}
		for _, w := range e.Worst {
			evidence.Worst = append(evidence.Worst, Worst{Span(w.Span), Observed(w.Observed)})
		}
		for _, s := range e.Untrue {
			evidence.Untrue = append(evidence.Untrue, Span(s))
		}
		for _, x := range e.Examples {
			evidence.Examples = append(evidence.Examples, x.Request.ID)
		}
		r.Expectations = append(r.Expectations, Expectation{
			Pos: scenario.Pos{File: e.File, Line: e.Line, Col: e.Col}, Text: e.What, Status: Status(e.Status), Evidence: evidence,
		})
	}
	for _, i := range j.Invariants {
		evidence := Evidence{}
		var why []string
		for n, v := range i.Violations {
			if n == 0 {
				evidence.First = &Span{v.At, v.At}
			}
			text := instant(v.At) + ": " + v.Text
			if at := place(v.Pos); at != "" {
				text = at + ": " + text
			}
			why = append(why, text)
			if v.Request != "" {
				evidence.Examples = append(evidence.Examples, v.Request)
			}
		}
		evidence.Why = strings.Join(why, "\n")
		if i.Count > len(i.Violations) {
			evidence.Why += "\nand " + strconv.Itoa(i.Count-len(i.Violations)) + " more"
		}
		r.Invariants = append(r.Invariants, Invariant{ID: i.ID, Status: Status(i.Status), Because: i.Because, Evidence: evidence})
		if i.ID == expect.NonVacuity && i.Status == expect.Violated && r.Why == "" {
			r.Why, r.WhyPos = evidence.Why, i.Violations[0].Pos
		}
	}
	return r
}
