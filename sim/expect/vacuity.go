package expect

import (
	"fmt"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

func leaks(x *index, v *violations) {
	for _, l := range x.Run.Leaks {
		v.add(x.Duration, "", "left when all had stopped: %s", l)
	}
}

// How late the generator may be. In virtual time nothing may be late at all but by what a
// fault has its own doing in; by the real clock a machine that does something else makes
// a few requests late, which says little of the others.
const (
	mostBehind = 10 * time.Millisecond  // beyond that a request is late
	mostLate   = 0.01                   // of the requests may be so, by the real clock
	farBehind  = 100 * time.Millisecond // and none more than that
)

// Behind says that the load did not come when it should have, so that the run proves
// nothing, and when the latest request came; empty: it came in time.
func Behind(run *history.Run) (why string, at time.Duration) {
	late, most := 0, run.Behind
	for i := range run.Requests {
		r := &run.Requests[i]
		by := r.Start - r.Intended
		if by > mostBehind {
			late++
		}
		if by >= most {
			most, at = by, r.Intended
		}
	}
	switch {
	case run.Stage == virtual && most > mostBehind:
		return fmt.Sprintf("the generator fell behind by %s, and %s is the most", brief(most), brief(mostBehind)), at
	case run.Stage != virtual && (most > farBehind || float64(late) > mostLate*float64(len(run.Requests))):
		return fmt.Sprintf("the generator fell behind: %d of %d requests began more than %s late, and %g %% may; the latest by %s, and %s is the most: take a machine that has nothing else to do, a lower rate, or try again",
			late, len(run.Requests), brief(mostBehind), 100*mostLate, brief(most), brief(farBehind)), at
	}
	return "", 0
}

// virtual is the stage on which time stands still while anything is done.
const virtual = "virtual"

// nonVacuity: a run in which nothing went wrong, or nothing came, proves nothing.
func nonVacuity(x *index, v *violations) {
	if len(x.Requests) == 0 {
		v.add(0, "", "there was no request")
	}
	for i := range x.Faults {
		f := &x.Faults[i]
		switch {
		case f.Skipped != "":
			v.add(f.Start, "", "%s of %s was not made: %s", title(f), f.On, f.Skipped)
		case f.Touched == 0:
			v.add(f.Start, "", "%s of %s touched nothing", title(f), f.On)
		default:
			continue
		}
		if len(v.kept) == v.count {
			v.kept[len(v.kept)-1].Pos = x.written(f)
		}
	}
	if why, at := Behind(x.Run); why != "" {
		v.add(at, "", "%s", why)
	}
}

// written is where the scenario has a fault; zero: that is not known.
func (x *index) written(f *history.Fault) (at scenario.Pos) {
	for i := range x.timeline {
		if c := &x.timeline[i]; c.Name == f.Name && c.On.String() == f.On && c.At <= f.Start+x.slack() {
			at = c.Pos
		}
	}
	return at
}

// title is what a fault is called.
func title(f *history.Fault) string {
	if f.Name == "" {
		return "the fault " + quote(f.What)
	}
	return "the fault " + f.Name
}
