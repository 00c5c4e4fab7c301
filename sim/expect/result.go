package expect

import (
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// Verdict is what a run comes to.
type Verdict string

const (
	Passed  Verdict = "passed"
	Failed  Verdict = "failed"  // an expectation or an invariant did
	Invalid Verdict = "invalid" // the run proves nothing
	Failure Verdict = "failure" // the run ended by a panic or a deadlock
)

// Exit is a verdict as a process's exit status: 0 passed, 1 failed, 3 invalid.
func (v Verdict) Exit() int {
	switch v {
	case Passed:
		return 0
	case Invalid:
		return 3
	}
	return 1
}

// Result is a run, judged. Durations are in nanoseconds and count from the run's
// beginning.
type Result struct {
	Scenario     string        `json:"scenario"`
	Stage        string        `json:"stage"`
	Seed         uint64        `json:"seed"`
	Duration     time.Duration `json:"duration"`
	Verdict      Verdict       `json:"verdict"`
	Failure      string        `json:"failure,omitempty"` // why the run is void
	Expectations []Expectation `json:"expectations"`      // in file order
	Invariants   []Invariant   `json:"invariants"`        // in the order of [Invariants]
	Skipped      []Skip        `json:"skipped,omitempty"` // faults that were not made
	// Determinism is filled in by whoever runs a scenario twice.
	Determinism Determinism `json:"determinism"`
	Figures     Figures     `json:"figures"`
}

// Determinism says whether the same seed gave the same run.
type Determinism struct {
	Checked bool   `json:"checked"`
	Same    bool   `json:"same"`
	What    string `json:"what,omitempty"` // where they differ
}

// Status is what became of an expectation or an invariant.
type Status string

const (
	Held     Status = "held"
	Violated Status = "violated"
	Skipped  Status = "skipped" // it is of a fault that was not made
	Waived   Status = "waived"  // violated, and the scenario says why it may be
)

// Expectation is one that was judged.
type Expectation struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Col    int    `json:"col,omitempty"`
	What   string `json:"what"` // as written, with its operator
	Status Status `json:"status"`
	// Why is one line for people; empty where it held.
	Why string `json:"why,omitempty"`
	// Vacuous says that it failed since too little was there to be judged: the run proves
	// nothing of it.
	Vacuous bool `json:"vacuous,omitempty"`
	// From and To are the first window that violates it, [From, To); they are equal for
	// an instant. HasTime says whether there is one. If Never, they are the time in which
	// it should have been true once, and was not.
	HasTime bool          `json:"hasTime"`
	Never   bool          `json:"never,omitempty"`
	From    time.Duration `json:"from"`
	To      time.Duration `json:"to"`
	// Untrue is when all it was violated, [From, To): of windows, when they end. There are
	// at most 100 spans, the last of which goes on to the last violation.
	Untrue   []Span     `json:"untrue,omitempty"`
	Observed []Observed `json:"observed,omitempty"` // what the words were worth then
	// Worst is the worst that each word was worth in all that time, where it is known what
	// is worse.
	Worst    []Worst   `json:"worst,omitempty"`
	Examples []Example `json:"examples,omitempty"` // at most five requests behind that
	// Judged is of how much of the time that is judged something could be said, 0 to 1;
	// of what must be true at every instant.
	Judged float64 `json:"judged,omitempty"`
}

// Span is a stretch of the run, [From, To); of an instant they are equal.
type Span struct {
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
}

// Observed is what a word was worth.
type Observed struct {
	Of      string `json:"of"`
	Replica string `json:"replica,omitempty"`
	How     string `json:"how,omitempty"`    // stayed | at best | at last; empty: it is that of an instant
	Value   string `json:"value"`            // "unknown" for want of events
	Events  int    `json:"events,omitempty"` // it was made of; 0: that says nothing
	Unit    string `json:"unit,omitempty"`   // of the events: request | attempt
}

// Worst is the worst that a word was worth, and in which window.
type Worst struct {
	Span
	Observed
}

// Example is a request with its attempts.
type Example struct {
	Request  history.Request   `json:"request"`
	Attempts []history.Attempt `json:"attempts"`
}

// Invariant is one that was judged.
type Invariant struct {
	ID      string `json:"id"`
	Status  Status `json:"status"`
	Because string `json:"because,omitempty"` // of its waiver, also of one that was not needed
	Count   int    `json:"count"`             // of violations
	// Violations are the first few.
	Violations []Violation `json:"violations,omitempty"`
}

// Violation is one thing that should not have happened.
type Violation struct {
	At      time.Duration `json:"at"`
	Text    string        `json:"text"`
	Request string        `json:"request,omitempty"` // id
	Pos     scenario.Pos  `json:"-"`                 // of the fault that it is about; zero: of none
}

// Skip is a fault that was not made: the run proves nothing.
type Skip struct {
	Fault string `json:"fault"`
	On    string `json:"on"`
	Why   string `json:"why"`
}

// Figures sum a run up.
type Figures struct {
	Requests int           `json:"requests"`
	Failed   int           `json:"failed"`
	Lost     int           `json:"lost"`
	Shed     int           `json:"shed"`
	Attempts int           `json:"attempts"` // copies of mirrors left out
	Retries  int           `json:"retries"`
	Moved    int           `json:"moved"`   // sessions
	Success  float64       `json:"success"` // 0 to 1; 0 if there were no requests
	Goodput  float64       `json:"goodput"` // good requests a second
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

// Settle finds the verdict by what the result says otherwise. [Program.Judge] calls it,
// and whoever fills in Determinism does again.
func (r *Result) Settle() {
	r.Verdict = Passed
	for i := range r.Expectations {
		switch e := &r.Expectations[i]; {
		case e.Status == Violated && !e.Vacuous:
			r.Verdict = Failed
		case e.Status == Violated && r.Verdict == Passed:
			r.Verdict = Invalid
		}
	}
	for i := range r.Invariants {
		if r.Invariants[i].Status == Violated && r.Invariants[i].ID != NonVacuity {
			r.Verdict = Failed
		}
	}
	for i := range r.Invariants {
		if r.Invariants[i].Status == Violated && r.Invariants[i].ID == NonVacuity {
			r.Verdict = Invalid
		}
	}
	if r.Determinism.Checked && !r.Determinism.Same {
		r.Verdict = Invalid
	}
	if r.Failure != "" {
		r.Verdict = Failure
	}
}
