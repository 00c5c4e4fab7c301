package report

import (
	"fmt"
	"time"
)

// figure is the lanes of a run above each other, with one axis of time.
type figure struct {
	Label  string
	Ticks  []tick
	Bin    string // how wide one is
	Shades []part // faults, behind all lanes
	Marks  []mark // of findings, across all lanes
	Lanes  []lane
	Data   readout
}

// mark is where a finding first was not true.
type mark struct {
	N        int
	X, Width string // of its window, in percent
	At       string // of its end
	Left     bool   // its number is left of it
	Y        int    // of its number, in pixels: on different heights, since marks may be close
}

// lane is either a chart or bands.
type lane struct {
	Name  string
	Note  string
	Label string // for those who do not see it
	Chart *chart
	Bands []band
	More  int // bands that are left out
}

// readout is the numbers of each bin, for the script that shows those below the
// pointer: answers, errors and sheds in it, and p50 and p99 in milliseconds, -1 for none.
type readout struct {
	End   float64   `json:"end"` // seconds
	Width float64   `json:"width"`
	N     []int     `json:"n"`
	Errs  []int     `json:"errors"`
	Sheds []int     `json:"sheds"`
	P50   []float64 `json:"p50"`
	P99   []float64 `json:"p99"`
}

func figureOf(r *Run) *figure {
	h := r.History
	s := seriesOf(h)
	f := &figure{Ticks: s.ticks(), Bin: instant(s.width), Data: s.readout()}
	f.Label = fmt.Sprintf("The run over %s: %s. %s", instant(s.end), facts(r), wrong(r))
	untrue := f.mark(s.axis, r)
	faults, moreFaults := s.faults(h)
	for _, b := range faults {
		f.Shades = append(f.Shades, b.Parts...)
	}
	breakers, moreBreakers := s.breakers(h)
	healths, moreHealths := s.healths(h)
	policies, morePolicies := s.policies(h)
	bands := func(name, note, label string, rows []band, more int) {
		if len(rows) > 0 {
			f.Lanes = append(f.Lanes, lane{Name: name, Note: note, Label: label, Bands: rows, More: more})
		}
	}
	chart := func(name, note string, c *chart) {
		f.Lanes = append(f.Lanes, lane{Name: name, Note: note, Label: name + " over time; the upper edge is " + c.Top, Chart: c})
	}
	bands("Not true", "windows by their ends", "when what failed was not true", untrue, len(r.Failed())+len(r.Broken())-len(untrue))
	bands("Faults", "", "when faults were made", faults, moreFaults)
	chart("Answers", "by who gave them", s.stack(s.keys, s.answers))
	if bad := s.stack([]key{{"errors", "error"}, {"shed", "shed"}}, [][]int{s.errors, s.sheds}); len(bad.Paths) > 0 {
		chart("Errors", "and what was shed", bad)
	}
	latency := s.latency()
	f.Lanes = append(f.Lanes, lane{Name: "Latency", Note: "from the intended start", Label: "latency over time, p50 and p99, from " +
		latency.Lines[len(latency.Lines)-1].Text + " to " + latency.Lines[0].Text, Chart: latency})
	chart("Attempts", "by endpoint, retries too", s.stack(s.keys, s.attempts))
	bands("Breakers", "that changed", "states of breakers over time", breakers, moreBreakers)
	bands("Health", "that changed", "health over time", healths, moreHealths)
	bands("Policy", "", "which policy served", policies, morePolicies)
	if len(h.Moves) > 0 {
		chart("Moves of sessions", moved(s.reasons), s.stack([]key{{"moves", "move"}}, [][]int{s.moves}))
	}
	return f
}

// mark adds the marks of all findings that have a time, and returns their bands.
func (f *figure) mark(a axis, r *Run) (rows []band) {
	n := 0
	add := func(what string, e Evidence) {
		n++
		if e.First == nil || len(rows) == maxRows {
			return
		}
		p := a.part(e.First.From, e.First.To, "untrue", what+" was first not true")
		row := band{Label: fmt.Sprintf("%d: %s", n, what), Parts: []part{p}}
		if len(e.Untrue) > 0 {
			row.Parts = nil
		}
		for _, s := range e.Untrue {
			row.Parts = append(row.Parts, a.part(s.From, s.To, "untrue", what+" was not true"))
		}
		rows = append(rows, row)
		f.Marks = append(f.Marks, mark{N: n, X: p.X, Width: p.Width, At: x(a.at(e.First.To)), Left: a.at(e.First.To) > 97, Y: 14 + 12*(len(f.Marks)%2)})
	}
	for _, e := range r.Failed() {
		add(visible(e.Text), e.Evidence)
	}
	for _, i := range r.Broken() {
		add("invariant "+visible(i.ID), i.Evidence)
	}
	return rows
}

func (s *series) readout() readout {
	d := readout{End: s.end.Seconds(), Width: s.width.Seconds(), N: make([]int, s.bins), Errs: s.errors, Sheds: s.sheds}
	for _, by := range s.answers {
		for bin, n := range by {
			d.N[bin] += n
		}
	}
	ms := func(t time.Duration) float64 {
		if t < 0 {
			return -1
		}
		return float64(t.Round(10*time.Microsecond)) / float64(time.Millisecond)
	}
	for bin := range s.p50 {
		d.P50, d.P99 = append(d.P50, ms(s.p50[bin])), append(d.P99, ms(s.p99[bin]))
	}
	return d
}
