package report

import (
	"cmp"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/schema"
	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// Suite is the runs of one report, in the order to show them.
type Suite struct {
	Runs []*Run
	// Files is what the scenarios were read from: their lines are quoted. Nil: they are
	// not.
	Files fs.FS
	// Found is what is wrong with the files, or the command line: with an error nothing
	// more was played.
	Found schema.Diagnostics
}

// Run is a run of a scenario, and what the judge says of it.
type Run struct {
	Scenario *scenario.Scenario
	History  *history.Run // nil: it never began
	Verdict  Verdict
	Why      string       // it is invalid, or a failure; may have several lines
	WhyPos   scenario.Pos // of what in the scenario that is about; zero: of all

	Expectations []Expectation
	Invariants   []Invariant
	Determinism  Determinism
	Mutations    []Mutation

	// Virtual is how long it took by the balancers' clock, Real by that on the wall.
	Virtual, Real time.Duration
	// Stage is where it was played; empty: virtual.
	Stage string
	// Program is what the command line begins with; empty: sim.
	Program string
	// Args is what else the command line needs to do the same again: --policies DIR.
	Args []string
}

// Verdict is what a run comes to.
type Verdict string

const (
	Passed  Verdict = "passed"
	Failed  Verdict = "failed"  // an expectation or an invariant did
	Invalid Verdict = "invalid" // it proves nothing: a fault touched nothing, the generator fell behind
	Failure Verdict = "failure" // it came to no end: a panic, a deadlock
)

// Status is what became of an expectation or an invariant.
type Status string

const (
	Held     Status = "held"
	Violated Status = "violated"
	Skipped  Status = "skipped" // it is of a fault that was not made
	Waived   Status = "waived"  // the scenario says why it need not hold
)

// Expectation is one of the scenario, judged.
type Expectation struct {
	Pos    scenario.Pos
	Text   string // as it was written
	Status Status
	Evidence
}

// Invariant is what holds in every scenario, judged.
type Invariant struct {
	ID      string
	Status  Status
	Because string // of its waiver
	Evidence
}

// Evidence is by what something is known to be untrue. Of what is true it is empty, or
// says by how much.
type Evidence struct {
	// Vacuous says that too little was there to be judged: the run proves nothing of it.
	Vacuous bool
	First   *Span // when it first was not true; nil: no time can be told
	// Never says that First is the time in which it was to be true once.
	Never    bool
	Untrue   []Span // when all it was not, of windows by their ends
	Observed []Observed
	Worst    []Worst
	Why      string   // in a sentence
	Examples []string // ids of requests; the first five are shown
	// Judged is of how much of its time something could be said; 0: that is not known.
	Judged float64
}

// Span is a window of the run; of an instant, From is To.
type Span struct{ From, To time.Duration }

// Observed is what a word was worth.
type Observed struct {
	Of      string
	Replica string // empty: of all
	How     string // stayed | at best | at last; empty: at an instant
	Value   string
	Events  int    // it was made of; 0: of none, or that means nothing
	Unit    string // of the events: request | attempt; empty: event
}

// Worst is the worst that a word was worth, and in which window.
type Worst struct {
	Span
	Observed
}

// String is all of it, fit to be shown.
func (o Observed) String() string {
	text := visible(o.Of)
	if o.Replica != "" {
		text += " at " + visible(o.Replica)
	}
	switch o.How {
	case "":
		text += " was "
	case "stayed":
		text += " stayed "
	default:
		text += " was " + visible(o.How) + " "
	}
	text += visible(o.Value)
	if o.Events > 0 {
		text += " of " + count(o.Events, cmp.Or(visible(o.Unit), "event"))
	}
	return text
}

// when says when it first was not true, or that it never was.
func (e Evidence) when() string {
	switch {
	case e.First == nil:
		return ""
	case e.Never:
		return "never " + e.First.String()
	}
	return "first " + e.First.String()
}

// worse is the worst where that is not what was observed first.
func (e Evidence) worse() (worst []Worst) {
	for _, w := range e.Worst {
		if e.First == nil || w.Span != *e.First {
			worst = append(worst, w)
		}
	}
	return worst
}

// String is all of it, fit to be shown.
func (w Worst) String() string { return "worst " + w.Span.String() + ": " + w.Observed.String() }

// Determinism says whether the same seed gave the same history twice.
type Determinism struct {
	Checked, Same bool
	What          string // where they differ first
}

// Mutation is a change of the policy by which the scenario had to fail.
type Mutation struct {
	Pos    scenario.Pos
	Name   string
	Caught bool
	By     string // the first that failed; of one that was not caught, why not if that is known
}

// Failed returns the expectations that are violated, also for want of anything to judge.
func (r *Run) Failed() (failed []Expectation) {
	for _, e := range r.Expectations {
		if e.Status == Violated {
			failed = append(failed, e)
		}
	}
	return failed
}

// Broken returns the invariants that are violated, but for the one that says that a run
// proves nothing: that is its verdict, and said in Why.
func (r *Run) Broken() (broken []Invariant) {
	for _, i := range r.Invariants {
		if i.Status == Violated && i.ID != expect.NonVacuity {
			broken = append(broken, i)
		}
	}
	return broken
}

// Command is the command line that does the same again, quoted for a shell.
func (r *Run) Command() string {
	seed, stage := r.Scenario.Seed, cmp.Or(r.Stage, "virtual")
	if r.History != nil {
		seed, stage = r.History.Seed, r.History.Stage
	}
	words := append([]string{cmp.Or(r.Program, "sim"), "run", r.Scenario.Pos.File, "--seed", strconv.FormatUint(seed, 10), "--stage", stage}, r.Args...)
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote makes one word of a shell's command line of w. Control characters are made
// visible, so a command that has any is one to read, not to run.
func quote(w string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./=:,@%+"
	if w != "" && strings.Trim(w, plain) == "" {
		return w
	}
	return "'" + strings.ReplaceAll(visible(w), "'", `'\''`) + "'"
}

// verdicts counts the runs by what they came to.
func (s *Suite) verdicts() map[Verdict]int {
	n := map[Verdict]int{}
	for _, r := range s.Runs {
		n[r.Verdict]++
	}
	return n
}

// Exit is the exit status of all: 2 if something is wrong with the files, else 1 if a run failed or came to no end, or a mutation was
// not caught, else 3 if one is invalid, else 0.
func (s *Suite) Exit() int {
	n := s.verdicts()
	caught, all := s.mutations()
	switch {
	case s.Found.HasErrors():
		return 2
	case n[Failed]+n[Failure] > 0 || caught < all:
		return 1
	case n[Invalid] > 0:
		return 3
	}
	return 0
}

// mutations counts those that were made, and those that were caught.
func (s *Suite) mutations() (caught, all int) {
	for _, r := range s.Runs {
		for _, m := range r.Mutations {
			all++
			if m.Caught {
				caught++
			}
		}
	}
	return caught, all
}

// took is how long all runs took, one after the other.
func (s *Suite) took() (virtual, real time.Duration) {
	for _, r := range s.Runs {
		virtual += r.Virtual
		real += r.Real
	}
	return virtual, real
}
