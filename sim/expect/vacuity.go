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

// mostBehind is by how much the generator may be late, by stage. On containers everybody
// has processors in common with the engine, and one that starts takes one for a while. A
// latency counts from when a request should have begun: who is late is not let off
// anything.
func mostBehind(stage string) time.Duration {
	if stage == "containers" {
		return 50 * time.Millisecond
	}
	return 10 * time.Millisecond
}

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
	if most := mostBehind(x.Stage); x.Behind > most {
		v.add(0, "", "the generator fell behind by %s, and %s is the most", brief(x.Behind), most)
	}
}

// title is what a fault is called.
func title(f *history.Fault) string {
	if f.Name == "" {
		return "the fault " + quote(f.What)
	}
	return "the fault " + f.Name
}
