package expect

import (
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// instantName is an instant as scenarios write it.
func instantName(i scenario.Instant) string {
	switch {
	case i.Fault == "":
		return shortly(i.Offset)
	case i.End:
		return i.Fault + ".end"
	}
	return i.Fault
}

// shortly is a duration without the zeros that say nothing: 1m instead of 1m0s.
func shortly(d time.Duration) string {
	s := d.String()
	if n := len(s); n > 2 && s[n-2:] == "0s" && s[n-3] == 'm' {
		s = s[:n-2]
	}
	if n := len(s); n > 2 && s[n-2:] == "0m" && s[n-3] == 'h' {
		s = s[:n-2]
	}
	return s
}

// times finds when a fault begins and ends.
type times func(fault string) (start, end time.Duration, ok bool)

// instant is when an instant is.
func (t times) instant(i scenario.Instant) (time.Duration, bool) {
	if i.Fault == "" {
		return i.Offset, true
	}
	start, end, ok := t(i.Fault)
	if i.End {
		start = end
	}
	return start + i.Offset, ok
}

// span is the time over which an expectation is judged, [from, to), by its operator.
func (t times) span(e *scenario.Expectation, duration time.Duration) (from, to time.Duration, ok bool) {
	to, ok = duration, true
	switch e.Operator {
	case scenario.During:
		var start, end time.Duration
		start, end, ok = t(e.During.Fault)
		from, to = start+e.Grace, min(end, duration)
	case scenario.Within:
		from, ok = t.instant(e.After)
	case scenario.At:
		from, ok = t.instant(e.At)
	}
	return from, to, ok
}

// planned is the span as the scenario has it, which names what is unknown.
func (p *Program) planned(e *scenario.Expectation, f *finder) (from, to time.Duration, ok bool) {
	s := p.scenario
	var names []string
	t := times(func(fault string) (start, end time.Duration, ok bool) {
		for i := range s.Timeline {
			if c := &s.Timeline[i]; c.Name == fault && fault != "" {
				return c.At, plannedEnd(c, s.Duration), true
			} else if c.Name != "" {
				names = append(names, c.Name)
			}
		}
		return 0, 0, false
	})
	from, to, ok = t.span(e, s.Duration)
	named := map[scenario.Operator]scenario.Instant{scenario.During: e.During, scenario.Within: e.After, scenario.At: e.At}[e.Operator]
	switch {
	case !ok:
		f.at(nil, codeUnknownName, "%s", unknown("fault", named.Fault, names))
	case (e.Operator == scenario.Within || e.Operator == scenario.At) && (from < 0 || from >= s.Duration):
		f.at(nil, codeOperator, "%s is not within the run, which lasts %s", instantName(named), shortly(s.Duration))
		return from, to, false
	}
	return from, to, ok
}

// plannedEnd is when a fault is over: an act is at once, and anything else without an
// end at the run's.
func plannedEnd(f *scenario.Fault, duration time.Duration) time.Duration {
	switch {
	case f.Lasts() > 0:
		return f.At + f.Lasts()
	case f.Momentary():
		return f.At
	}
	return duration
}

// made finds faults as a run made them.
func made(run *history.Run) times {
	return func(fault string) (start, end time.Duration, ok bool) {
		for i := range run.Faults {
			if f := &run.Faults[i]; f.Name == fault && fault != "" {
				return f.Start, f.End, true
			}
		}
		return 0, 0, false
	}
}
