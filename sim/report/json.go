package report

import (
	"encoding/json"
	"io"
	"time"

	"go-loadbalancer/sim/scenario"
)

// Document is the JSON form. Fields may come with a newer release, none goes or changes
// what it means while Version is the same. Times are seconds of the run.
type Document struct {
	Version   int   `json:"version"` // 1
	Passed    int   `json:"passed"`
	Failed    int   `json:"failed"`
	Invalid   int   `json:"invalid"`
	Failures  int   `json:"failures"` // runs that came to no end
	Mutations Score `json:"mutations"`
	// Found is what is wrong with the files or the command line: with an error nothing
	// more was played.
	Found []FoundDocument `json:"found,omitempty"`
	Runs  []RunDocument   `json:"runs"`
}

// FoundDocument is a finding about a file.
type FoundDocument struct {
	Severity string `json:"severity"` // error | warning
	Code     string `json:"code"`
	Place    *Place `json:"place,omitempty"`
	Path     string `json:"path,omitempty"` // the field
	Message  string `json:"message"`
}

// Score is how many of the mutations that were made were caught.
type Score struct {
	Caught int `json:"caught"`
	Made   int `json:"made"`
}

// RunDocument is a run.
type RunDocument struct {
	Scenario string  `json:"scenario"`
	Place    *Place  `json:"place,omitempty"`
	Source   string  `json:"source,omitempty"` // where the failure was seen, or described
	Stage    string  `json:"stage,omitempty"`  // left out: the run did not begin
	Seed     uint64  `json:"seed"`
	Verdict  Verdict `json:"verdict"`       // passed | failed | invalid | failure
	Why      string  `json:"why,omitempty"` // it is invalid, or a failure
	Command  string  `json:"command"`       // does the same again
	Virtual  float64 `json:"virtualSeconds"`
	Real     float64 `json:"realSeconds"`
	SetUp    float64 `json:"setUpSeconds,omitempty"`    // until the run could begin; left out: all was in one process
	TearDown float64 `json:"tearDownSeconds,omitempty"` // until nothing was left of it
	Numbers  Numbers `json:"numbers"`

	Expectations []ExpectationDocument `json:"expectations"`
	Invariants   []InvariantDocument   `json:"invariants"`
	Determinism  *DeterminismDocument  `json:"determinism,omitempty"` // left out: it was not checked
	Mutations    []MutationDocument    `json:"mutations"`
	Faults       []FaultDocument       `json:"faults"`
	Examples     []ExampleDocument     `json:"examples"` // the requests that evidence names
}

// Place is where something was written: line and column count from 1.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Numbers is what a run comes to. Latencies are of all requests, from when they should
// have begun. A request that was shed is not among the errors.
type Numbers struct {
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	Shed     int     `json:"shed"`
	Attempts int     `json:"attempts"` // mirrors left out
	Retries  int     `json:"retries"`
	Probes   int     `json:"probes"`
	P50      float64 `json:"p50Seconds"`
	P99      float64 `json:"p99Seconds"`
}

// EvidenceDocument is by what something is known to be untrue.
type EvidenceDocument struct {
	Vacuous  bool               `json:"vacuous,omitempty"`     // too little could be judged: nothing is proven
	From     *float64           `json:"fromSeconds,omitempty"` // when it first was not true
	To       *float64           `json:"toSeconds,omitempty"`   // of an instant, the same
	Never    bool               `json:"never,omitempty"`       // it was to be true once in that time
	Untrue   []SpanDocument     `json:"untrue,omitempty"`      // when all it was not true, of windows by their ends; at most 100
	Observed []ObservedDocument `json:"observed,omitempty"`
	Worst    []WorstDocument    `json:"worst,omitempty"` // that each word was worth in all that time
	Why      string             `json:"why,omitempty"`
	Examples []string           `json:"examples,omitempty"` // at most five ids
	Judged   float64            `json:"judged,omitempty"`   // of how much of its time something could be said, up to 1
}

// SpanDocument is a stretch of the run.
type SpanDocument struct {
	From float64 `json:"fromSeconds"`
	To   float64 `json:"toSeconds"`
}

// ObservedDocument is what a word was worth.
type ObservedDocument struct {
	Of      string `json:"of"`
	Replica string `json:"replica,omitempty"` // left out: of all
	How     string `json:"how,omitempty"`     // stayed | at best | at last; left out: at an instant
	Value   string `json:"value"`
	Events  int    `json:"events,omitempty"` // it was made of
	Unit    string `json:"unit,omitempty"`   // of the events: request | attempt
}

// WorstDocument is the worst that a word was worth, in which window.
type WorstDocument struct {
	SpanDocument
	ObservedDocument
}

// ExpectationDocument is an expectation.
type ExpectationDocument struct {
	Text   string `json:"text"`
	Place  *Place `json:"place,omitempty"`
	Status Status `json:"status"` // held | violated | skipped
	EvidenceDocument
}

// InvariantDocument is an invariant.
type InvariantDocument struct {
	ID      string `json:"id"`
	Status  Status `json:"status"`            // held | violated | skipped | waived
	Because string `json:"because,omitempty"` // of its waiver
	EvidenceDocument
}

// DeterminismDocument says whether the same seed gave the same history.
type DeterminismDocument struct {
	Same bool   `json:"same"`
	What string `json:"what,omitempty"` // where they differ first
}

// MutationDocument is a mutation.
type MutationDocument struct {
	Name   string `json:"name"`
	Place  *Place `json:"place,omitempty"`
	Caught bool   `json:"caught"`
	By     string `json:"by,omitempty"`
}

// FaultDocument is a fault as it was made.
type FaultDocument struct {
	Name    string  `json:"name,omitempty"`
	On      string  `json:"on"`
	What    string  `json:"what"`
	From    float64 `json:"fromSeconds"`
	To      float64 `json:"toSeconds"`
	Touched int     `json:"touched"`
	Skipped string  `json:"skipped,omitempty"`
}

// ExampleDocument is a request; starts are of the run, and status 0 is no answer.
type ExampleDocument struct {
	ID       string            `json:"id"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Intended float64           `json:"intendedSeconds"`
	Latency  float64           `json:"latencySeconds"`
	Status   int               `json:"status"`
	By       string            `json:"by,omitempty"` // left out: the balancer itself, or nobody
	Replica  string            `json:"replica,omitempty"`
	Error    string            `json:"error,omitempty"`
	Attempts []AttemptDocument `json:"attempts"` // the first sixteen
}

// AttemptDocument is an attempt.
type AttemptDocument struct {
	Number   int     `json:"number"`
	Endpoint string  `json:"endpoint"`
	Start    float64 `json:"startSeconds"`
	Duration float64 `json:"durationSeconds"`
	Status   int     `json:"status"`
	Result   string  `json:"result"`
	Probe    bool    `json:"probe,omitempty"`
	Mirror   bool    `json:"mirror,omitempty"`
}

// WriteJSON writes the runs as a [Document].
func WriteJSON(w io.Writer, s *Suite) error {
	n := s.verdicts()
	caught, made := s.mutations()
	d := Document{
		Version: 1, Passed: n[Passed], Failed: n[Failed], Invalid: n[Invalid], Failures: n[Failure],
		Mutations: Score{caught, made},
		Runs:      []RunDocument{},
	}
	for _, f := range s.Found {
		d.Found = append(d.Found, FoundDocument{string(f.Severity), f.Code, placeOf(f.Pos), f.Path, f.Message})
	}
	for _, r := range s.Runs {
		d.Runs = append(d.Runs, runDocument(r))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

func runDocument(r *Run) RunDocument {
	n := tally(r.History)
	d := RunDocument{
		Scenario: r.Scenario.Name, Place: placeOf(r.Scenario.Pos), Source: r.Scenario.Source, Seed: r.Scenario.Seed,
		Verdict: r.Verdict, Why: r.Why, Command: r.Command(),
		Virtual: r.Virtual.Seconds(), Real: r.Real.Seconds(),
		Numbers: Numbers{
			Requests: n.requests, Errors: n.errors, Shed: n.sheds,
			Attempts: n.attempts, Retries: n.retries, Probes: n.probes,
			P50: n.p50.Seconds(), P99: n.p99.Seconds(),
		},
		Expectations: []ExpectationDocument{}, Invariants: []InvariantDocument{},
		Mutations: []MutationDocument{}, Faults: []FaultDocument{}, Examples: []ExampleDocument{},
	}
	for _, e := range r.Expectations {
		d.Expectations = append(d.Expectations, ExpectationDocument{e.Text, placeOf(e.Pos), e.Status, evidenceDocument(e.Evidence)})
	}
	for _, i := range r.Invariants {
		d.Invariants = append(d.Invariants, InvariantDocument{i.ID, i.Status, i.Because, evidenceDocument(i.Evidence)})
	}
	if r.Determinism.Checked {
		d.Determinism = &DeterminismDocument{r.Determinism.Same, r.Determinism.What}
	}
	for _, m := range r.Mutations {
		d.Mutations = append(d.Mutations, MutationDocument{m.Name, placeOf(m.Pos), m.Caught, m.By})
	}
	if h := r.History; h != nil {
		d.Stage, d.Seed, d.SetUp, d.TearDown = h.Stage, h.Seed, h.SetUp.Seconds(), h.TearDown.Seconds()
		for _, f := range h.Faults {
			d.Faults = append(d.Faults, FaultDocument{f.Name, f.On, f.What, f.Start.Seconds(), f.End.Seconds(), f.Touched, f.Skipped})
		}
	}
	for _, e := range inOrder(examples(r)) {
		d.Examples = append(d.Examples, exampleDocument(e))
	}
	return d
}

func placeOf(p scenario.Pos) *Place {
	if p.File == "" {
		return nil
	}
	return &Place{p.File, p.Line, p.Col}
}

func evidenceDocument(e Evidence) EvidenceDocument {
	d := EvidenceDocument{Vacuous: e.Vacuous, Never: e.Never, Why: e.Why, Examples: shown(e), Judged: e.Judged}
	if e.First != nil {
		d.From, d.To = secondsOf(e.First.From), secondsOf(e.First.To)
	}
	for _, s := range e.Untrue {
		d.Untrue = append(d.Untrue, SpanDocument{s.From.Seconds(), s.To.Seconds()})
	}
	for _, o := range e.Observed {
		d.Observed = append(d.Observed, ObservedDocument(o))
	}
	for _, w := range e.Worst {
		d.Worst = append(d.Worst, WorstDocument{SpanDocument{w.From.Seconds(), w.To.Seconds()}, ObservedDocument(w.Observed)})
	}
	return d
}

func secondsOf(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

func exampleDocument(e *example) ExampleDocument {
	d := ExampleDocument{
		ID: e.ID, Method: e.Method, Path: e.Path, Intended: e.Intended.Seconds(), Latency: e.Latency().Seconds(),
		Status: e.Status, By: e.By, Replica: e.Replica, Error: e.Err, Attempts: []AttemptDocument{},
	}
	for _, a := range e.trail {
		d.Attempts = append(d.Attempts, AttemptDocument{a.Number, a.Endpoint, a.Start.Seconds(), (a.End - a.Start).Seconds(), a.Status, a.Result, a.Probe, a.Mirror})
	}
	return d
}
