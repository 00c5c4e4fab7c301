// Package parity compares two runs of one scenario, on two stages: whether they come to
// the same verdict, for the same reasons, and to about the same figures.
//
//	c := parity.Compare(inMemory, onContainers)
//	fmt.Print(c)
//	if !c.Agrees() { … }
//
// # What agrees
//
// Verdicts, and the status of each expectation and each invariant, are the same. What a
// stage cannot make, and so skips, is left out and told. Figures are within the
// tolerances of [Compare]'s table, which are what the clock, the kernel and the network
// of the second stage are given.
package parity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/report"
)

// Comparison is of two runs.
type Comparison struct {
	Scenario string
	Stages   [2]string
	Verdicts [2]report.Verdict
	Figures  []Figure
	// Differences are verdicts and statuses that are not the same, each a line.
	Differences []string
	// Skipped is what a stage could not make, and why.
	Skipped []string
	// SetUp and TearDown are how long the second stage took beside the scenario.
	SetUp, TearDown time.Duration
}

// Figure is one of both runs.
type Figure struct {
	Name   string
	Values [2]float64
	Unit   string // of the values: "", % or ms
	// Within is by how much the second may differ; Agrees whether it does not by more.
	Within float64
	Agrees bool
}

// Agrees says whether they come to the same.
func (c *Comparison) Agrees() bool {
	return len(c.Differences) == 0 && !slices.ContainsFunc(c.Figures, func(f Figure) bool { return !f.Agrees })
}

// tolerance is by how much a figure may differ: by a number, or by a share of the first
// run's value, whichever is more.
type tolerance struct {
	name, unit    string
	number, share float64
	of            func(*history.Run) float64
}

// tolerances are those of the figures. A share of requests may differ by what one fault
// that begins or ends some tenths of a second later does to it; a latency by what a
// scheduler does, which is more in the tail.
var tolerances = []tolerance{
	{"requests", "", 5, 0.02, func(r *history.Run) float64 { return float64(len(r.Requests)) }},
	{"succeeded", "%", 2, 0, func(r *history.Run) float64 {
		return percent(r, func(q *history.Request) bool { return q.OK() })
	}},
	{"shed", "%", 3, 0.25, func(r *history.Run) float64 {
		return percent(r, func(q *history.Request) bool { return q.By == "" && q.Status == 503 })
	}},
	{"attempts a request", "", 0.05, 0.05, func(r *history.Run) float64 {
		n := 0
		for i := range r.Attempts {
			if !r.Attempts[i].Mirror {
				n++
			}
		}
		return float64(n) / float64(max(1, len(r.Requests)))
	}},
	{"p50", "ms", 25, 0.25, func(r *history.Run) float64 { return latency(r, 0.5) }},
	{"p90", "ms", 100, 0.5, func(r *history.Run) float64 { return latency(r, 0.9) }},
	{"breakers opened", "", 2, 0.35, func(r *history.Run) float64 {
		n := 0
		for i := range r.Breakers {
			if r.Breakers[i].To == "open" {
				n++
			}
		}
		return float64(n)
	}},
	{"turned unhealthy", "", 2, 0.35, func(r *history.Run) float64 {
		n := 0
		for i := range r.Healths {
			if !r.Healths[i].Healthy {
				n++
			}
		}
		return float64(n)
	}},
	{"policies refused", "", 0, 0, func(r *history.Run) float64 {
		n := 0
		for i := range r.Policies {
			if r.Policies[i].Refused != "" {
				n++
			}
		}
		return float64(n)
	}},
	{"sessions moved", "", 5, 0.2, func(r *history.Run) float64 { return float64(len(r.Moves)) }},
}

func percent(r *history.Run, is func(*history.Request) bool) float64 {
	n := 0
	for i := range r.Requests {
		if is(&r.Requests[i]) {
			n++
		}
	}
	return 100 * float64(n) / float64(max(1, len(r.Requests)))
}

// latency is a quantile of the answered requests, in milliseconds.
func latency(r *history.Run, q float64) float64 {
	var all []time.Duration
	for i := range r.Requests {
		if r.Requests[i].Status > 0 {
			all = append(all, r.Requests[i].Latency())
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[min(len(all)-1, int(q*float64(len(all))))]) / float64(time.Millisecond)
}

// Compare compares two runs of one scenario; the tolerances are for the second.
func Compare(a, b *report.Run) *Comparison {
	c := &Comparison{Scenario: a.Scenario.Name, Verdicts: [2]report.Verdict{a.Verdict, b.Verdict}}
	differ := func(format string, args ...any) { c.Differences = append(c.Differences, fmt.Sprintf(format, args...)) }
	if a.History == nil || b.History == nil {
		for _, r := range []*report.Run{a, b} {
			if r.History == nil {
				differ("%s did not begin: %s", r.Stage, r.Why)
			}
		}
		return c
	}
	c.Stages = [2]string{a.History.Stage, b.History.Stage}
	c.SetUp, c.TearDown = b.History.SetUp, b.History.TearDown
	for _, r := range []*report.Run{a, b} {
		for _, f := range r.History.Faults {
			if f.Skipped != "" {
				c.Skipped = append(c.Skipped, fmt.Sprintf("%s: %s of %s: %s", r.History.Stage, f.What, f.On, f.Skipped))
			}
		}
	}
	if a.Verdict != b.Verdict {
		differ("the verdicts are %s and %s: %s", a.Verdict, b.Verdict, b.Why)
	}
	skipped := func(x, y report.Status) bool { return x == report.Skipped || y == report.Skipped }
	for i := range min(len(a.Expectations), len(b.Expectations)) {
		x, y := &a.Expectations[i], &b.Expectations[i]
		if x.Status != y.Status && !skipped(x.Status, y.Status) {
			differ("%s: %s: %s and %s%s", x.Pos, x.Text, x.Status, y.Status, why(y.Evidence))
		}
	}
	for i := range min(len(a.Invariants), len(b.Invariants)) {
		x, y := &a.Invariants[i], &b.Invariants[i]
		if x.Status != y.Status && !skipped(x.Status, y.Status) {
			differ("invariant %s: %s and %s%s", x.ID, x.Status, y.Status, why(y.Evidence))
		}
	}
	for _, t := range tolerances {
		f := Figure{Name: t.name, Unit: t.unit, Values: [2]float64{t.of(a.History), t.of(b.History)}}
		f.Within = max(t.number, t.share*f.Values[0])
		f.Agrees = math.Abs(f.Values[0]-f.Values[1]) <= f.Within
		c.Figures = append(c.Figures, f)
	}
	return c
}

func why(e report.Evidence) string {
	if e.Why == "" {
		return ""
	}
	first, _, more := strings.Cut(e.Why, "\n")
	if more {
		first += " …"
	}
	return " (" + first + ")"
}

// String is a comparison as a terminal shows it.
func (c *Comparison) String() string {
	var b strings.Builder
	word := "agree "
	if !c.Agrees() {
		word = "DIFFER"
	}
	fmt.Fprintf(&b, "%s  %s  %s and %s\n", word, c.Scenario, c.Verdicts[0], c.Verdicts[1])
	for _, d := range c.Differences {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(d, "\n", "\n  "))
	}
	for _, s := range c.Skipped {
		fmt.Fprintf(&b, "  left out, as a stage cannot make it: %s\n", s)
	}
	if len(c.Figures) == 0 {
		return b.String()
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  \t%s\t%s\twithin\t\n", c.Stages[0], c.Stages[1])
	for _, f := range c.Figures {
		mark := ""
		if !f.Agrees {
			mark = "no"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t± %s\t%s\n", f.Name, number(f.Values[0], f.Unit), number(f.Values[1], f.Unit), number(f.Within, f.Unit), mark)
	}
	t.Flush()
	if took := c.SetUp + c.TearDown; took > 0 {
		fmt.Fprintf(&b, "  set-up %.1f s and tear-down %.1f s: %.1f s beside the scenario\n", c.SetUp.Seconds(), c.TearDown.Seconds(), took.Seconds())
	}
	return b.String()
}

func number(v float64, unit string) string {
	text := fmt.Sprintf("%.2f", v)
	text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	if unit != "" {
		text += " " + unit
	}
	return text
}
