package report

import (
	"fmt"
	"strings"
)

// paint is whether text is coloured.
type paint bool

// The colours of a terminal, by what they are for.
const (
	bad    = "1;31"
	good   = "32"
	doubt  = "33"
	strong = "1"
	quiet  = "2"
)

func (p paint) in(colour, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// column is a verdict in a column of its own.
func (p paint) column(v Verdict) string {
	column := strings.Repeat(" ", max(0, 9-len(v)))
	switch v {
	case Passed:
		return p.in(good, "passed") + column
	case Failed:
		return p.in(bad, "FAILED") + column
	case Invalid:
		return p.in(doubt, "INVALID") + column
	}
	return p.in(bad, "FAILURE") + column
}

// verdict colours the summary by the worst that happened.
func (p paint) verdict(s *Suite, text string) string {
	switch n := s.verdicts(); {
	case n[Failed]+n[Failure] > 0:
		return p.in(bad, text)
	case n[Invalid] > 0:
		return p.in(doubt, text)
	}
	return p.in(good, text)
}

// line is a run on one line.
func (p paint) line(r *Run) string {
	text := p.column(r.Verdict) + p.in(strong, visible(r.Scenario.Name)) + "  " + facts(r)
	if what := wrong(r); what != "" {
		text += ": " + what
	}
	return text
}

// facts are a run's size and its luck.
func facts(r *Run) string {
	if r.History == nil {
		return "did not begin"
	}
	n := tally(r.History)
	text := fmt.Sprintf("%s in %s, %s", instant(r.Virtual), instant(r.Real), count(n.requests, "request"))
	if n.errors > 0 {
		text += ", " + percent(n.errors, n.requests) + " errors"
	}
	if n.sheds > 0 {
		text += ", " + percent(n.sheds, n.requests) + " shed"
	}
	return text
}

// wrong says in a few words what is wrong with a run; empty: nothing.
func wrong(r *Run) string {
	var parts []string
	vacuous := 0
	for _, e := range r.Failed() {
		if e.Vacuous {
			vacuous++
		}
	}
	if n := len(r.Failed()) - vacuous; n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s failed", n, count(len(r.Expectations), "expectation")))
	}
	if vacuous > 0 {
		parts = append(parts, fmt.Sprintf("nothing is proven by %d of %s", vacuous, count(len(r.Expectations), "expectation")))
	}
	if n := len(r.Broken()); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s broken", n, count(len(r.Invariants), "invariant")))
	}
	if r.Determinism.Checked && !r.Determinism.Same {
		parts = append(parts, "not the same twice")
	}
	survived := 0
	for _, m := range r.Mutations {
		if !m.Caught {
			survived++
		}
	}
	if survived > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s not caught", survived, count(len(r.Mutations), "mutation")))
	}
	if len(parts) == 0 && r.Why != "" {
		first, _, _ := strings.Cut(r.Why, "\n")
		parts = append(parts, visible(first))
	}
	return strings.Join(parts, ", ")
}

// skipped tells of faults that the stage could not make.
func (p paint) skipped(b *strings.Builder, r *Run) {
	if r.History == nil {
		return
	}
	for i := range r.History.Faults {
		if f := &r.History.Faults[i]; f.Skipped != "" {
			head := strings.TrimSpace("the fault " + visible(f.Name))
			fmt.Fprintf(b, "  %s %s of %s was %s: %s\n", p.in(strong, head+":"), visible(f.What), visible(f.On), p.in(doubt, "skipped"), visible(f.Skipped))
		}
	}
}

// detail is everything that is wrong with a run, or was not tried, below its line; empty:
// nothing is.
func (p paint) detail(s *Suite, r *Run) string {
	var b strings.Builder
	found := examples(r)
	for _, e := range r.Failed() {
		head := "expectation"
		if at := place(e.Pos); at != "" {
			head = at
		}
		what := p.in(bad, "was not true")
		if e.Vacuous {
			what = p.in(doubt, "proves nothing")
		}
		fmt.Fprintf(&b, "  %s %s\n", p.in(strong, head+":"), what)
		text := s.line(e.Pos)
		if text == "" {
			text = visible(e.Text)
		}
		fmt.Fprintf(&b, "    %s\n", text)
		p.evidence(&b, e.Evidence, found)
	}
	for _, i := range r.Broken() {
		fmt.Fprintf(&b, "  %s %s\n", p.in(strong, "invariant "+visible(i.ID)+":"), p.in(bad, "did not hold"))
		p.evidence(&b, i.Evidence, found)
	}
	if r.Determinism.Checked && !r.Determinism.Same {
		fmt.Fprintf(&b, "  %s %s\n", p.in(strong, "determinism:"), p.in(bad, "the same seed gave another history"))
		indented(&b, "    ", r.Determinism.What)
	}
	for _, m := range r.Mutations {
		if m.Caught {
			continue
		}
		head := "mutation " + visible(m.Name)
		if at := place(m.Pos); at != "" {
			head = at + ": " + head
		}
		fmt.Fprintf(&b, "  %s %s\n", p.in(strong, head+":"), p.in(bad, "was not caught"))
		indented(&b, "    ", m.By)
	}
	if r.Why != "" && wrong(r) != visible(r.Why) { // which is on the run's own line
		fmt.Fprintf(&b, "  %s\n", p.in(strong, string(r.Verdict)+":"))
		indented(&b, "    ", r.Why)
	}
	p.skipped(&b, r)
	if r.Verdict != Passed || b.Len() > 0 {
		fmt.Fprintf(&b, "  again: %s\n", p.in(strong, r.Command()))
	}
	return b.String()
}

// evidence is by what something is known to be untrue.
func (p paint) evidence(b *strings.Builder, e Evidence, found map[string]*example) {
	if when := e.when(); when != "" {
		fmt.Fprintf(b, "    %s\n", p.in(bad, when))
	}
	for _, o := range e.Observed {
		fmt.Fprintf(b, "    %s\n", p.in(strong, o.String()))
	}
	indented(b, "    ", e.Why)
	for _, w := range e.worse() {
		fmt.Fprintf(b, "    %s\n", p.in(strong, w.String()))
	}
	for _, id := range shown(e) {
		q := found[id]
		if q == nil {
			fmt.Fprintf(b, "    request %s\n", visible(id))
			continue
		}
		fmt.Fprintf(b, "    request %s  %s %s  at %s, %s after %s\n",
			visible(id), visible(q.Method), visible(q.Path), instant(q.Intended), q.answer(), instant(q.Latency()))
		if remarks := q.remarks(); remarks != "" {
			fmt.Fprintf(b, "      %s\n", p.in(quiet, remarks))
		}
		for _, a := range q.trail {
			fmt.Fprintf(b, "      try %d  %s  began %s, took %s: %s\n",
				a.Number, visible(a.Endpoint), after(a.Start-q.Intended), instant(a.End-a.Start), result(a))
		}
		if q.more > 0 {
			fmt.Fprintf(b, "      and %s\n", count(q.more, "more attempt"))
		}
	}
}

// indented writes the lines of a text, each behind an indent; of no text nothing.
func indented(b *strings.Builder, indent, text string) {
	if text == "" {
		return
	}
	for line := range strings.Lines(visibleLines(text)) {
		if line != "\n" {
			b.WriteString(indent)
		}
		b.WriteString(strings.TrimRight(line, "\n") + "\n")
	}
}
