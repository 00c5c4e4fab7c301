package expect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// Judge judges a run of the program's scenario.
func (p *Program) Judge(run *history.Run) *Result {
	out := &Result{
		Scenario: run.Scenario, Stage: run.Stage, Seed: run.Seed, Duration: run.Duration, Failure: run.Failure,
	}
	x := newIndex(run, p.cast)
	x.timeline = p.scenario.Timeline
	for i := range p.checks {
		c := &p.checks[i]
		e := Expectation{File: c.of.Pos.File, Line: c.of.Pos.Line, Col: c.of.Pos.Col, What: written(c.of), Status: Held}
		p.judge(x, c, &e)
		out.Expectations = append(out.Expectations, e)
	}
	out.Invariants = p.invariants(x)
	for i := range run.Faults {
		if f := &run.Faults[i]; f.Skipped != "" {
			out.Skipped = append(out.Skipped, Skip{f.Name, f.On, f.Skipped})
		}
	}
	out.Figures = x.figures()
	out.Settle()
	return out
}

// judge judges one expectation.
func (p *Program) judge(x *index, c *check, out *Expectation) {
	name := faultOf(c.of)
	for i := range x.Faults {
		if f := &x.Faults[i]; name != "" && f.Name == name && f.Skipped != "" {
			out.Status, out.Why = Skipped, fmt.Sprintf("the %s stage cannot make %s: %s", x.Stage, name, f.Skipped)
			return
		}
	}
	from, to, ok := made(x.Run).span(c.of, x.Duration)
	if !ok {
		out.Status, out.Why = Violated, name+" was never made"
		return
	}
	if c.program == nil {
		x.judgePath(c.of, from, to, out)
		return
	}
	(&judgement{x: x, c: c, from: from, to: to, out: out}).operate()
}

// faultOf is the fault that an expectation's operator names.
func faultOf(e *scenario.Expectation) string {
	switch e.Operator {
	case scenario.During:
		return e.During.Fault
	case scenario.Within:
		return e.After.Fault
	case scenario.At:
		return e.At.Fault
	}
	return ""
}

// written is an expectation in one line.
func written(e *scenario.Expectation) string {
	text := strings.Join(strings.Fields(e.That), " ")
	if e.That == "" {
		text = "breaker of " + targetName(e.Breaker)
		if len(e.Path) > 0 {
			text += " goes " + strings.Join(e.Path, ", ")
		}
		for _, state := range sortedKeys(e.Max) {
			text += fmt.Sprintf(", to %s at most %d times", state, e.Max[state])
		}
		for _, state := range sortedKeys(e.Longest) {
			text += fmt.Sprintf(", is %s for %s at most", state, shortly(e.Longest[state]))
		}
	}
	switch e.Operator {
	case scenario.During:
		text += " during " + instantName(e.During)
		if e.Grace > 0 {
			text += " but its first " + shortly(e.Grace)
		}
	case scenario.Within:
		text += " within " + shortly(e.Within) + " after " + instantName(e.After)
		if e.Hold > 0 {
			text += " for " + shortly(e.Hold)
		}
	case scenario.At:
		text += " at " + instantName(e.At)
	case scenario.Sometimes:
		text += " sometimes"
	}
	return text
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func targetName(t scenario.Target) string {
	if t.Index == 0 {
		return t.Pool + "/*"
	}
	return t.Pool + "/" + strconv.Itoa(t.Index)
}

// format is a value for people.
func format(v ref.Val) string {
	switch v := v.(type) {
	case types.Double:
		return strconv.FormatFloat(float64(v), 'g', 4, 64)
	case types.String:
		return quote(string(v))
	case types.Duration:
		return brief(v.Duration)
	}
	return fmt.Sprint(v.Value())
}

// brief is a duration as exact as people care for.
func brief(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return shortly(d.Round(time.Millisecond))
}

func (x *index) figures() (f Figures) {
	f.Requests, f.Moved = len(x.Requests), len(x.Moves)
	latencies := make([]time.Duration, 0, len(x.Requests))
	good := 0
	for i := range x.Requests {
		r := &x.Requests[i]
		latencies = append(latencies, r.Latency())
		if r.OK() {
			good++
		}
		if x.lost(i) {
			f.Lost++
		}
		if shed(r) {
			f.Shed++
		}
	}
	for i := range x.Attempts {
		if a := &x.Attempts[i]; !a.Mirror {
			f.Attempts++
			if a.Number > 1 {
				f.Retries++
			}
		}
	}
	if f.Failed = f.Requests - good; f.Requests > 0 {
		slices.Sort(latencies)
		f.Success = float64(good) / float64(f.Requests)
		f.P50, f.P99 = latencies[nearestRank(0.5, f.Requests)-1], latencies[nearestRank(0.99, f.Requests)-1]
	}
	if x.Duration > 0 {
		f.Goodput = float64(good) / x.Duration.Seconds()
	}
	return f
}
