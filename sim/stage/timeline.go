package stage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// fault is a fault of the scenario, as it is made.
type fault struct {
	*scenario.Fault
	told    history.Fault
	times   []*fault     // each time that it happens; itself, if that is once
	touched []func() int // who count whom it touches
	ends    []func()     // what is to be done at its end
	next    []step       // of faults that go on by themselves
	over    bool
}

// step is something that is done at a time of the run.
type step struct {
	at time.Duration
	do func()
}

// mostLate is how late something may happen without a note.
const mostLate = 10 * time.Millisecond

// timeline does what the scenario says, at its times, and returns when the run's time
// is over, or the run is given up.
func (st *stage) timeline() {
	var steps []step
	add := func(s ...step) {
		steps = append(steps, s...)
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	}
	for i := range st.Timeline {
		f := &fault{Fault: &st.Timeline[i]}
		f.told = history.Fault{Name: f.Name, On: targetName(f.On), What: what(f.Fault), Start: f.At, End: f.At}
		f.times = []*fault{f}
		if f.Repeat != nil {
			f.told.End = f.At + f.Lasts()
			f.times = nil
			for _, one := range f.Fault.Times() {
				f.times = append(f.times, &fault{Fault: one})
			}
		}
		st.faults = append(st.faults, f)
		for _, one := range f.times {
			steps = append(steps, step{one.At, func() {
				st.make(one)
				add(one.next...)
			}})
			if one.For > 0 {
				steps = append(steps, step{one.At + one.For, func() { st.finish(one, one.At+one.For) }})
			}
		}
	}
	add()
	for len(steps) > 0 && steps[0].at < st.Duration {
		next := steps[0]
		steps = steps[1:]
		if !st.rest(next.at) {
			return
		}
		if late := st.now() - next.at; late > mostLate {
			st.note(st.now(), fmt.Sprintf("what was to happen at %v happens %v late", next.at, late.Round(time.Millisecond)))
		}
		next.do()
	}
	st.rest(st.Duration)
}

// Cannot says why a fault cannot be made on any ground; empty: it can.
func Cannot(f *scenario.Fault) string {
	if f.Pause && f.On.Kind == scenario.OnBalancer {
		return "all balancers are in one process with the clock they wait by, so none can stand still alone; kill it, or partition what it reaches"
	}
	return ""
}

// finish ends a fault.
func (st *stage) finish(f *fault, at time.Duration) {
	if f.over {
		return
	}
	f.over = true
	if f.told.Skipped == "" {
		f.told.End = at
	}
	for _, end := range slices.Backward(f.ends) {
		end()
	}
}

// endFaults ends all that are left. Their end is the run's, but for what was done at
// once.
func (st *stage) endFaults() {
	for _, f := range st.faults {
		for _, one := range f.times {
			at := one.told.End
			if len(one.ends) > 0 {
				at = st.Duration
			}
			st.finish(one, at)
			f.told.Skipped = cmp.Or(f.told.Skipped, one.told.Skipped)
			for _, touched := range one.touched {
				f.told.Touched += touched()
			}
		}
		st.run.Faults = append(st.run.Faults, f.told)
	}
}

// make begins a fault.
func (st *stage) make(f *fault) {
	switch f.On.Kind {
	case scenario.OnEndpoint:
		st.onEndpoints(f)
	case scenario.OnRedis:
		st.onRedis(f)
	case scenario.OnBalancer:
		st.onBalancers(f)
	case scenario.OnPolicy:
		st.onPolicy(f)
	default:
		f.skip("this stage has no such target")
	}
}

// skip says why a fault could not be made.
func (f *fault) skip(why string) { f.told.Skipped = why }

// count has those count that were touched at once.
func (f *fault) count(n int) { f.touched = append(f.touched, func() int { return n }) }

// lasting is whether it has an end, or else is done at once.
func (f *fault) lasting() bool { return f.For > 0 }
