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

// MostBehind is by how much the generator may be late: by more, and the run proves nothing.
const MostBehind = 10 * time.Millisecond

// nonVacuity: a run in which nothing went wrong, or nothing came, proves nothing.
func nonVacuity(x *index, v *violations) {
	if len(x.Requests) == 0 {
		v.add(0, "", "there was no request")
	}
	for i := range x.Faults {
		switch f := &x.Faults[i]; {
		case f.Skipped != "":
			v.add(f.Start, "", "%s of %s was not made: %s", title(f), f.On, f.Skipped)
		case f.Touched == 0:
			v.add(f.Start, "", "%s of %s touched nothing", title(f), f.On)
		}
	}
	if x.Behind > MostBehind {
		v.add(0, "", "the generator fell behind by %s, and %s is the most", brief(x.Behind), MostBehind)
	}
}

// title is what a fault is called.
func title(f *history.Fault) string {
	if f.Name == "" {
		return "the fault " + quote(f.What)
	}
	return "the fault " + f.Name
}
