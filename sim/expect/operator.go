package expect

import (
	"fmt"
	"time"

	"go-loadbalancer/sim/scenario"
)

// judgement is an expression judged by its operator.
type judgement struct {
	x        *index
	c        *check
	e        *evaluation
	from, to time.Duration // the time judged, [from, to)
	out      *Expectation
}

// evaluation is a new one, which stands nowhere yet.
func (j *judgement) evaluation() *evaluation {
	slots := make([]slot, len(j.c.calls))
	replicas := 1
	for i := range j.c.calls {
		slots[i] = j.x.slot(&j.c.calls[i])
		if j.c.calls[i].each() {
			replicas = len(j.x.replicas)
		}
	}
	return newEvaluation(j.c.program, slots, replicas)
}

// operate judges by the operator.
func (j *judgement) operate() {
	j.e = j.evaluation()
	switch {
	case j.c.whole:
		j.once()
	case j.c.of.Operator == scenario.Within:
		j.within()
	case j.c.of.Operator == scenario.At:
		j.instant()
	case j.c.of.Operator == scenario.Sometimes:
		j.sometimes()
	default:
		j.every()
	}
	if j.e.err != nil {
		j.fail("it cannot be evaluated: %v", j.e.err)
	}
}

func (j *judgement) fail(format string, args ...any) {
	j.out.Status, j.out.Why = Violated, fmt.Sprintf(format, args...)
}

// few fails since too little of it could be judged.
func (j *judgement) few(format string, args ...any) {
	j.out.Vacuous = true
	j.fail(format, args...)
}

// nothing fails since none of it could be judged.
func (j *judgement) nothing() {
	switch {
	case j.first() >= j.to:
		j.few("no window of it fits into the time")
	case j.c.window == 0:
		j.few("there was nothing to judge: nothing of the kind came to pass")
	default:
		j.few("no window has %d events: %s", fewest, moreEvents)
	}
}

// moreEvents is what to do about windows with too few.
const moreEvents = "take a longer window, or more load"

// tell shows what the words are worth where an evaluation stands, and requests from an
// instant on that are behind that.
func (j *judgement) tell(e *evaluation, from time.Duration) {
	j.out.Observed = e.observed(j.c.calls, j.x.replicas)
	j.out.Examples = j.x.examples(e.examples(from, mostExamples))
}

// at says when it was violated first.
func (j *judgement) at(s Span) { j.out.HasTime, j.out.From, j.out.To = true, s.From, s.To }

// first is the first instant by which a whole window lies at from or later.
func (j *judgement) first() time.Duration { return j.from + max(j.c.window, 1) - 1 }

func (j *judgement) once() {
	switch j.e.at(never - 1) {
	case nothing:
		j.nothing()
	case no:
		j.fail("not true of the whole run")
		j.tell(j.e, always)
	}
}

// share is how many of some instants were judged.
type share struct{ judged, all time.Duration }

func (s *share) add(n time.Duration, t truth) {
	s.all += n
	if t != nothing {
		s.judged += n
	}
}

func (j *judgement) every() {
	var all share
	var when untrue
	var worst extremes
	faults := make([]share, len(j.x.Faults))
	j.e.walk(j.first(), j.to-1, func(x, until time.Duration, t truth) bool {
		all.add(until+1-x, t)
		for i := range j.x.Faults {
			f := &j.x.Faults[i]
			if a, b := max(x, f.Start+max(j.c.window, 1)-1), min(until, f.End-1); a <= b {
				faults[i].add(b+1-a, t)
			}
		}
		if t == no {
			if when.stretches == 0 {
				j.at(spanOf(x, j.c.window))
				j.tell(j.e, always)
			}
			when.add(x, until)
			worst.see(j.e, j.c)
		}
		return j.e.err == nil
	})
	if all.all > 0 {
		j.out.Judged = float64(all.judged) / float64(all.all)
	}
	if when.stretches > 0 {
		j.out.Untrue = when.spans
		values, at := worst.observed(j.e, j.c, j.x.replicas, "")
		for i := range values {
			j.out.Worst = append(j.out.Worst, Worst{at[i], values[i]})
		}
		j.fail("not true %s", j.during(&when))
		return
	}
	j.judged(all, faults)
}

// judged sees that what was judged says something of the time: of half of it, and of each
// fault.
func (j *judgement) judged(all share, faults []share) {
	if all.judged == 0 {
		j.nothing()
		return
	}
	for i := range j.c.calls {
		if w := j.c.calls[i].word; w.state || w.rare {
			return // its events need not come: there may be no time to say anything of
		}
	}
	if 2*all.judged < all.all {
		j.few("%.0f %% of its windows have fewer than %d events, and say nothing: %s", 100*(1-j.out.Judged), fewest, moreEvents)
		return
	}
	for i := range faults {
		if f := &j.x.Faults[i]; f.Skipped == "" && faults[i].all > 0 && faults[i].judged == 0 {
			j.few("it says nothing of %s: no window from %s to %s has %d events: %s", title(f), brief(f.Start), brief(f.End), fewest, moreEvents)
			return
		}
	}
}

// during says when all it was not true.
func (j *judgement) during(e *untrue) string {
	first, last := e.spans[0].From, e.spans[len(e.spans)-1].To
	text := "at " + brief(first)
	if a, b := brief(first), brief(last); a != b {
		text = "from " + a + " to " + b
	}
	if j.c.window > 0 {
		text = "of windows that end " + text
	}
	if e.stretches > 1 {
		text += fmt.Sprintf(": for %s in all, in %d stretches", brief(e.total), e.stretches)
	}
	return text
}

func (j *judgement) sometimes() {
	judged, found := false, false
	j.e.walk(j.first(), j.to-1, func(_, _ time.Duration, t truth) bool {
		judged, found = judged || t != nothing, t == yes
		return !found && j.e.err == nil
	})
	switch {
	case found:
	case !judged:
		j.nothing()
	default:
		j.fail("not at any time")
		j.was(j.to - 1)
	}
}

func (j *judgement) instant() {
	switch j.e.at(j.from) {
	case nothing:
		j.nothing()
	case no:
		j.fail("not true then")
		j.at(spanOf(j.from, j.c.window))
		j.tell(j.e, always)
		j.out.Untrue = []Span{{j.from, j.from + 1}}
	}
}

func (j *judgement) within() {
	limit := min(j.from+j.c.of.Within, j.to-1)
	hold := j.c.of.Hold
	const not = -1
	since, broken, judged := time.Duration(not), time.Duration(not), false
	held := false
	j.e.walk(j.first(), j.to-1, func(x, until time.Duration, t truth) bool {
		judged = judged || t != nothing
		switch {
		case t == no:
			if since >= 0 {
				broken = x
			}
			since = not
		case t == yes && since < 0 && x <= limit:
			since = x
		}
		held = since >= 0 && until+1 >= since+max(hold, 1)
		return !held && (since >= 0 || until < limit) && j.e.err == nil
	})
	switch {
	case held:
	case !judged:
		j.nothing()
	case broken >= 0:
		j.fail("true before, but never for %s", shortly(hold))
		e := j.evaluation()
		e.at(broken)
		j.at(spanOf(broken, j.c.window))
		j.tell(e, j.from)
		j.out.Untrue = []Span{{broken, broken + 1}}
	case since >= 0:
		j.fail("true from %s on, and the run ends before %s are over", brief(since), shortly(hold))
		j.at(Span{since, j.to})
		j.tell(j.e, j.from)
	default:
		e := j.was(limit)
		later := time.Duration(not)
		e.walk(limit+1, j.to-1, func(x, _ time.Duration, t truth) bool {
			if t == yes {
				later = x
			}
			return later < 0
		})
		if j.fail("nor later"); later >= 0 {
			j.fail("true first at %s", brief(later))
		}
	}
}

// was shows what the words were worth up to a last instant, over all of which it was
// never true: what stayed as it was, the best, or else the last.
func (j *judgement) was(last time.Duration) *evaluation {
	j.out.Never = true
	j.at(Span{j.from, last})
	if j.c.window > 0 {
		j.at(Span{j.from, last + 1})
	}
	j.out.Untrue = []Span{{j.from, last + 1}}
	e := j.evaluation()
	var best extremes
	best.best = true
	var stayed []Observed
	same := map[int]bool{}
	e.walk(j.first(), last, func(time.Duration, time.Duration, truth) bool {
		best.see(e, j.c)
		now := e.observed(j.c.calls, j.x.replicas)
		for i, o := range now {
			same[i] = stayed == nil || same[i] && stayed[i].Value == o.Value
		}
		stayed = now
		return e.err == nil
	})
	e.at(last)
	j.tell(e, j.from)
	values, _ := best.observed(e, j.c, j.x.replicas, "at best")
	for i := range j.out.Observed {
		o := &j.out.Observed[i]
		switch o.How = "at last"; {
		case same[i]:
			o.How = "stayed"
		default:
			for _, v := range values {
				if v.Of == o.Of && (v.Replica == "" || v.Replica == o.Replica) {
					*o = v
				}
			}
		}
	}
	return e
}
