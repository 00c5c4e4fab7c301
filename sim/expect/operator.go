package expect

import (
	"fmt"
	"time"

	"go-loadbalancer/sim/scenario"
)

// judgement is an expression judged by its operator.
type judgement struct {
	e        *evaluation
	c        *check
	from, to time.Duration // the time judged, [from, to)
	duration time.Duration // of the run
	vacuous  bool
}

// operate says why the expectation failed; empty: it did not. The evaluation is left
// where it did.
func (j *judgement) operate() string {
	if j.c.whole {
		return j.once()
	}
	switch j.c.of.Operator {
	case scenario.Within:
		return j.within()
	case scenario.At:
		return j.instant()
	case scenario.Sometimes:
		return j.sometimes()
	}
	return j.every()
}

// first is the first instant by which a whole window lies at from or later.
func (j *judgement) first() time.Duration { return j.from + max(j.c.window, 1) - 1 }

func (j *judgement) few() string {
	j.vacuous = true
	if j.first() >= j.to {
		return "vacuous, no window of it fits into the time"
	}
	if j.c.window == 0 {
		return "vacuous, it says nothing for want of events"
	}
	return fmt.Sprintf("vacuous, no window has %d events", fewest)
}

func (j *judgement) once() string {
	switch j.e.at(never - 1) {
	case yes:
		return ""
	case no:
		return "false of the whole run"
	}
	return j.few()
}

func (j *judgement) every() string {
	judged, why := false, ""
	j.e.walk(j.first(), j.to-1, func(x, _ time.Duration, t truth) bool {
		judged = judged || t != nothing
		if t == no {
			why = "false " + j.place(x)
		}
		return t != no
	})
	if why == "" && !judged {
		return j.few()
	}
	return why
}

func (j *judgement) sometimes() string {
	judged, found := false, false
	j.e.walk(j.first(), j.to-1, func(_, _ time.Duration, t truth) bool {
		judged, found = judged || t != nothing, t == yes
		return !found
	})
	switch {
	case found:
		return ""
	case !judged:
		return j.few()
	}
	return "never true; at the end " + j.place(j.e.now)
}

func (j *judgement) instant() string {
	switch j.e.at(j.from) {
	case yes:
		return ""
	case no:
		return "false " + j.place(j.from)
	}
	return j.few()
}

func (j *judgement) within() string {
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
		return !held && (since >= 0 || until < limit)
	})
	switch {
	case held:
		return ""
	case !judged:
		return j.few()
	case broken >= 0:
		return fmt.Sprintf("true, but never for %s; false again %s", shortly(hold), j.place(broken))
	case since >= 0:
		return fmt.Sprintf("true from %s on, and the run ends before %s are over", brief(since), shortly(hold))
	}
	return "not true by then; at last " + j.place(j.e.now)
}

// place says where an instant is, with its window.
func (j *judgement) place(x time.Duration) string {
	if j.c.window > 0 {
		return fmt.Sprintf("in the %s to %s", shortly(j.c.window), brief(x+1))
	}
	return "at " + brief(x)
}
