package model

import (
	"slices"

	"go-loadbalancer/sim/scenario"
)

// Fault is something that is wrong with an endpoint.
type Fault struct {
	*scenario.Fault
	touched int
	failed  int // of First
}

// Begin has something be wrong from now on: whatever the fault says of answers, Pause,
// and Refuse as far as the endpoint is concerned, which then gives up its connections
// after the request under way, so that new ones are needed. Where faults say different
// things the one that began last counts.
func (e *Endpoint) Begin(f *scenario.Fault) *Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	fault := &Fault{Fault: f}
	e.faults = append(e.faults, fault)
	if f.Pause {
		e.paused++
	}
	if f.Refuse {
		e.hangUp()
	}
	return fault
}

// End ends it. Whoever was made to wait by Pause is served, and whoever hangs is left.
func (e *Endpoint) End(f *Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.faults, f)
	if i < 0 {
		return
	}
	e.faults = slices.Delete(e.faults, i, i+1)
	if f.Pause && e.paused > 0 {
		if e.paused--; e.paused == 0 {
			e.resumed.Broadcast()
		}
	}
	if f.Hang {
		for _, c := range e.ordered() {
			if c.hangs == f {
				c.Close()
			}
		}
	}
}

// Touched is how many requests of an endpoint have met a fault, health checks included.
func (e *Endpoint) Touched(f *Fault) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return f.touched
}

// plan is what happens to a request.
type plan struct {
	latency scenario.Latency
	status  int    // instead of 200; 0: that
	instead *Fault // of an answer: Hang, Garbage, Close or Reset
	slow    int    // bytes a second
	cut     *int64 // after so many bytes
	claim   *int64 // the length announced
	last    bool   // of the connection
}

// plan decides, and counts whom faults touch.
func (e *Endpoint) plan(check bool) plan {
	p := plan{latency: e.o.Latency}
	for _, f := range e.faults {
		met := f.Pause
		if check && f.Health != "" {
			f.touched++
			p.status = 0
			if f.Health == "fail" {
				p.status = 503
			}
			return plan{latency: p.latency, status: p.status, last: p.last}
		}
		if f.Latency != nil {
			p.latency, met = *f.Latency, true
		}
		if r := f.Respond; r != nil {
			p.latency, p.status, met = scenario.Latency{P50: r.After}, r.Status, true
		}
		if x := f.First; x != nil && f.failed < x.Count {
			f.failed++
			p.status, met = orDefault(x.Status), true
		}
		if x := f.Errors; x != nil && e.random.Float64()*100 < x.Percent {
			p.status, met = orDefault(x.Status), true
		}
		if f.Hang || f.Garbage || f.Close || f.Reset {
			p.instead, met = f, true
		}
		if f.SlowBody > 0 {
			p.slow, met = f.SlowBody, true
		}
		if f.Truncate != nil {
			p.cut, met = f.Truncate, true
		}
		if f.ContentLength != nil {
			p.claim, met = f.ContentLength, true
		}
		if f.Refuse {
			p.last = true
		}
		if met {
			f.touched++
		}
	}
	return p
}

func orDefault(status int) int {
	if status == 0 {
		return 503
	}
	return status
}
