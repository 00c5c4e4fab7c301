package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"go-loadbalancer/lb/schema"
	"go-loadbalancer/sim/expect"
)

// WriteJUnit writes the runs as JUnit's XML: a test suite a run, in which each
// expectation, invariant and mutation is a test. A run that is invalid or a failure has
// an error in the test "run".
func WriteJUnit(w io.Writer, s *Suite) error {
	all := junit.Testsuites{Name: "sim"}
	if s.Found.HasErrors() {
		all.AddSuite(suiteOfErrors(s))
	}
	var real time.Duration
	for i, r := range s.Runs {
		suite := suiteOf(s, r)
		suite.ID = i
		all.AddSuite(suite)
		real += r.Real
	}
	all.Time = seconds(real)
	return all.WriteXML(w)
}

// suiteOfErrors has a test for each thing that is wrong with the files.
func suiteOfErrors(s *Suite) junit.Testsuite {
	suite := junit.Testsuite{Name: "sim", Time: seconds(0)}
	for _, d := range s.Found {
		if d.Severity != schema.SeverityError {
			continue
		}
		name := place(d.Pos)
		if name == "" {
			name = "sim run"
		}
		suite.AddTestcase(junit.Testcase{
			Classname: "sim", Name: name, Time: seconds(0),
			Error: &junit.Result{Type: visible(d.Code), Message: visible(d.Message), Data: visibleLines(d.String())},
		})
	}
	return suite
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func suiteOf(s *Suite, r *Run) junit.Testsuite {
	name := visible(r.Scenario.Name)
	suite := junit.Testsuite{Name: name, File: visible(r.Scenario.Pos.File), Time: seconds(r.Real)}
	suite.AddProperty("verdict", string(r.Verdict))
	suite.AddProperty("command", r.Command())
	suite.AddProperty("virtualSeconds", seconds(r.Virtual))
	found := examples(r)

	whole := junit.Testcase{Classname: name, Name: "run", Time: seconds(r.Real)}
	switch {
	case r.Verdict == Invalid || r.Verdict == Failure:
		first, _, _ := strings.Cut(r.Why, "\n")
		whole.Error = &junit.Result{Type: string(r.Verdict), Message: visible(first), Data: visibleLines(r.Why)}
	case r.Determinism.Checked && !r.Determinism.Same:
		whole.Error = &junit.Result{Type: "determinism", Message: "the same seed gave another history", Data: visibleLines(r.Determinism.What)}
	}
	suite.AddTestcase(whole)

	for _, e := range r.Expectations {
		test := junit.Testcase{Classname: name, Name: "expect " + visible(e.Text)}
		if at := place(e.Pos); at != "" {
			test.Name += " (" + at + ")"
		}
		switch e.Status {
		case Violated:
			test.Failure = failureOf("expectation", e.Evidence, found)
		case Skipped:
			test.Skipped = &junit.Result{Message: headline(e.Evidence)}
		}
		suite.AddTestcase(test)
	}
	for _, i := range r.Invariants {
		if i.ID == expect.NonVacuity && r.Why != "" {
			continue // the test "run" says it
		}
		test := junit.Testcase{Classname: name, Name: "invariant " + visible(i.ID)}
		switch i.Status {
		case Violated:
			test.Failure = failureOf("invariant", i.Evidence, found)
		case Skipped:
			test.Skipped = &junit.Result{Message: headline(i.Evidence)}
		case Waived:
			test.Skipped = &junit.Result{Message: "waived: " + visible(i.Because)}
		}
		suite.AddTestcase(test)
	}
	for _, m := range r.Mutations {
		test := junit.Testcase{Classname: name, Name: "mutation " + visible(m.Name)}
		if !m.Caught {
			test.Failure = &junit.Result{Type: "mutation", Message: "the scenario passes with it", Data: visibleLines(m.By)}
		}
		suite.AddTestcase(test)
	}
	return suite
}

func failureOf(kind string, e Evidence, found map[string]*example) *junit.Result {
	var text strings.Builder
	paint(false).evidence(&text, e, found)
	return &junit.Result{Type: kind, Message: headline(e), Data: text.String()}
}

// headline is the evidence in a line.
func headline(e Evidence) string {
	var parts []string
	if e.Vacuous {
		parts = append(parts, "proves nothing")
	}
	if when := e.when(); when != "" {
		parts = append(parts, when)
	}
	for _, o := range e.Observed[:min(3, len(e.Observed))] {
		parts = append(parts, o.String())
	}
	if e.Why != "" {
		first, _, _ := strings.Cut(e.Why, "\n")
		parts = append(parts, visible(first))
	}
	for _, w := range e.worse()[:min(3, len(e.worse()))] {
		parts = append(parts, w.String())
	}
	return strings.Join(parts, "; ")
}
