package expect

import (
	"time"

	"go-loadbalancer/sim/history"
)

func leaks(x *index, v *violations) {
	for _, l := range x.Run.Leaks {
		v.add(x.Duration, "", "left when all had stopped: %s", l)
	}
}

// mostBehind is by how much the generator may be late.
const mostBehind = 10 * time.Millisecond

// nonVacuity: a run in which nothing went wrong, or nothing came, proves nothing.
func nonVacuity(x *index, v *violations) {
	if len(x.Requests) == 0 {
		v.add(0, "", "there was no request")
	}
	for i := range x.Faults {
		if f := &x.Faults[i]; f.Touched == 0 && f.Skipped == "" {
			v.add(f.Start, "", "%s of %s touched nothing", title(f), f.On)
		}
	}
	if x.Behind > mostBehind {
		v.add(0, "", "the generator fell behind by %s, and %s is the most", brief(x.Behind), mostBehind)
	}
}

// title is what a fault is called.
func title(f *history.Fault) string {
	if f.Name == "" {
		return "the fault " + quote(f.What)
	}
	return "the fault " + f.Name
}
