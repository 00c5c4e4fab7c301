package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go-loadbalancer/sim/history"
)

// section is a run on the page.
type section struct {
	Anchor      string
	Verdict     Verdict
	Name        string
	Wrong       string
	When        string // when it first went wrong
	Facts       string
	Real        string
	Description string
	Source      string
	Place       string
	Stage       string
	Seed        uint64
	Why         string
	Command     string
	Findings    []finding
	Checks      []check
	Same        string // of its determinism
	Mutations   []Mutation
	Figure      *figure
	Examples    []exampleRow
	Events      []eventRow
	MoreEvents  int
	Faults      []faultRow
	Leaks       []string
}

// finding is something that was not true. N is its mark in the figure.
type finding struct {
	N        int
	What     string
	Place    string
	Line     string
	Vacuous  bool
	First    string // with never before it, if it is all of its time
	Observed []string
	Worst    []string
	Why      string
}

// check is an expectation or invariant in the list of all.
type check struct {
	Status Status
	What   string
	Place  string
	Note   string
}

// exampleRow is a request in the table of examples.
type exampleRow struct {
	For                                         string // marks of the findings that name it
	ID, Request, Began, Latency, Answer, Remark string
	Attempts                                    []attemptRow
	More                                        int
}

// attemptRow is an attempt: a bar in the time of its request, and what came of it. X
// and Width are in percent.
type attemptRow struct {
	X, Width, Class, Text string
}

// eventRow is something that happened.
type eventRow struct {
	at   time.Duration
	At   string
	What string
}

type faultRow struct {
	Name, On, What, When, Met string
}

func sectionOf(s *Suite, r *Run, n int) *section {
	v := &section{
		Anchor: fmt.Sprintf("run%d", n), Verdict: r.Verdict, Name: visible(r.Scenario.Name),
		Wrong: wrong(r), Facts: facts(r), Real: instant(r.Real),
		Description: visibleLines(r.Scenario.Description), Source: visible(r.Scenario.Source), Place: place(r.Scenario.Pos),
		Seed: r.Scenario.Seed, Why: visibleLines(r.Why), Command: r.Command(),
	}
	marks := map[string][]string{} // by request
	var first *Span
	find := func(what, at, line string, e Evidence) {
		f := finding{N: len(v.Findings) + 1, What: what, Place: at, Line: line, Vacuous: e.Vacuous, Why: visibleLines(e.Why)}
		if e.First != nil {
			f.First = e.when()
			if first == nil || e.First.To < first.To {
				first = e.First
			}
		}
		for _, o := range e.Observed {
			f.Observed = append(f.Observed, o.String())
		}
		for _, w := range e.worse() {
			f.Worst = append(f.Worst, w.String())
		}
		for _, id := range shown(e) {
			marks[id] = append(marks[id], fmt.Sprint(f.N))
		}
		v.Findings = append(v.Findings, f)
	}
	for _, e := range r.Failed() {
		find(visible(e.Text), place(e.Pos), s.line(e.Pos), e.Evidence)
	}
	for _, i := range r.Broken() {
		find("invariant "+visible(i.ID), "", "", i.Evidence)
	}
	if first != nil {
		v.When = first.String()
	}
	v.checks(r)
	if r.Determinism.Checked {
		v.Same = "The same seed gave the same history twice."
		if !r.Determinism.Same {
			v.Same = "The same seed gave another history: " + visible(r.Determinism.What)
		}
	}
	for _, m := range r.Mutations {
		v.Mutations = append(v.Mutations, Mutation{Name: visible(m.Name), Caught: m.Caught, By: visible(m.By)})
	}
	if r.History == nil {
		return v
	}
	v.Stage, v.Seed = visible(r.History.Stage), r.History.Seed
	v.Figure = figureOf(r)
	for _, e := range inOrder(examples(r)) {
		v.Examples = append(v.Examples, exampleRowOf(e, strings.Join(marks[e.ID], ", ")))
	}
	v.happened(r.History)
	return v
}

func (v *section) checks(r *Run) {
	for _, e := range r.Expectations {
		v.Checks = append(v.Checks, check{e.Status, visible(e.Text), place(e.Pos), headline(e.Evidence)})
	}
	for _, i := range r.Invariants {
		c := check{i.Status, "invariant " + visible(i.ID), "", headline(i.Evidence)}
		if i.Status == Waived {
			c.Note = visible(i.Because)
		}
		v.Checks = append(v.Checks, c)
	}
}

func exampleRowOf(e *example, marks string) exampleRow {
	row := exampleRow{
		For: marks, ID: visible(e.ID), Request: visible(e.Method) + " " + visible(e.Path), Began: instant(e.Intended),
		Latency: instant(e.Latency()), Answer: e.answer(), Remark: e.remarks(), More: e.more,
	}
	whole := axis{end: max(e.Latency(), time.Microsecond)}
	for _, a := range e.trail {
		from, to := whole.at(a.Start-e.Intended), whole.at(a.End-e.Intended)
		class := "violated"
		if a.Result == "ok" {
			class = "held"
		}
		row.Attempts = append(row.Attempts, attemptRow{
			X: x(min(from, 98)), Width: x(max(to-from, 2)), Class: class,
			Text: fmt.Sprintf("try %d: %s, began %s, took %s: %s", a.Number, visible(a.Endpoint), after(a.Start-e.Intended), instant(a.End-a.Start), result(a)),
		})
	}
	return row
}

const (
	maxEvents = 100
	maxFaults = 100
	maxLeaks  = 20
)

// happened lists the changes of a run in the order of time, its faults, and its leaks.
func (v *section) happened(h *history.Run) {
	var all []eventRow
	add := func(at time.Duration, replica, what string) {
		if replica != "" && h.Replicas > 1 {
			what += " (" + visible(replica) + ")"
		}
		all = append(all, eventRow{at: at, At: instant(at), What: what})
	}
	because := func(reason string) string {
		if reason == "" {
			return ""
		}
		return ": " + visible(reason)
	}
	for _, b := range h.Breakers {
		add(b.At, b.Replica, "breaker of "+visible(b.Endpoint)+" "+visible(b.From)+" → "+visible(b.To)+because(b.Reason))
	}
	for _, c := range h.Healths {
		state := "unhealthy"
		if c.Healthy {
			state = "healthy"
		}
		add(c.At, c.Replica, visible(c.Endpoint)+" is "+state+because(c.Reason))
	}
	for _, p := range h.Panics {
		state := "ends"
		if p.On {
			state = "begins"
		}
		add(p.At, p.Replica, "panic mode of pool "+visible(p.Pool)+" "+state)
	}
	for _, p := range h.Policies {
		if p.Refused != "" {
			add(p.At, p.Replica, "policy "+version(p)+" is refused"+because(p.Refused))
		} else {
			add(p.At, p.Replica, "policy "+version(p)+" serves")
		}
	}
	for _, n := range h.Notes {
		add(n.At, "", visible(n.Text))
	}
	slices.SortStableFunc(all, func(a, b eventRow) int { return cmp.Compare(a.at, b.at) })
	v.Events, v.MoreEvents = all[:min(maxEvents, len(all))], max(0, len(all)-maxEvents)
	for _, f := range h.Faults[:min(maxFaults, len(h.Faults))] {
		row := faultRow{visible(f.Name), visible(f.On), visible(f.What), Span{f.Start, f.End}.String(), count(f.Touched, "time")}
		if f.Skipped != "" {
			row.Met = "skipped: " + visible(f.Skipped)
		}
		v.Faults = append(v.Faults, row)
	}
	for _, l := range h.Leaks[:min(maxLeaks, len(h.Leaks))] {
		v.Leaks = append(v.Leaks, visible(l))
	}
}

// moved says why sessions moved.
func moved(reasons map[string]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		if len(parts) == 5 {
			return strings.Join(parts, ", ") + ", " + ellipsis
		}
		parts = append(parts, fmt.Sprintf("%d %s", reasons[reason], visible(reason)))
	}
	return strings.Join(parts, ", ")
}
