package pool

import "time"

// drain is how far an endpoint is in its drain. Guarded by Registry.mu.
type drain struct {
	number  uint64 // counts beginnings and ends, so that a late timer is known
	since   time.Time
	timeout time.Duration
	timer   *time.Timer // nil: none runs
	expired bool        // broken off: its transport cannot be used again
	pinned  bool        // named by the staged policy: must not retire now
}

// startDrain lets e finish for timeout, counted from the drain's beginning. The
// caller holds mu.
func (r *Registry) startDrain(e *Endpoint, timeout time.Duration) {
	d := &e.drain
	if d.since.IsZero() {
		d.since = time.Now()
	} else if d.timeout == timeout {
		return
	}
	r.stopTimer(d)
	d.timeout = timeout
	d.number++
	if r.closed || d.expired {
		return
	}
	number := d.number
	r.timers.Add(1)
	d.timer = time.AfterFunc(time.Until(d.since.Add(timeout)), func() {
		defer r.timers.Done()
		r.expire(e, number)
	})
}

// stopDrain ends the drain of an endpoint that came back or is gone. The caller
// holds mu.
func (r *Registry) stopDrain(e *Endpoint) {
	r.stopTimer(&e.drain)
	e.drain.number++
	e.drain.since = time.Time{}
}

func (r *Registry) stopTimer(d *drain) {
	if d.timer != nil && d.timer.Stop() {
		r.timers.Done()
	}
	d.timer = nil
}

// expire breaks off the requests of an endpoint whose drain took too long. Their
// ends retire it.
func (r *Registry) expire(e *Endpoint, number uint64) {
	r.mu.Lock()
	if r.closed || e.drain.number != number {
		r.mu.Unlock()
		return
	}
	e.drain.timer = nil
	e.drain.expired = true
	e.flags.Or(drained)
	r.mu.Unlock()
	e.Transport.Abort()
	r.retire(e)
}

// retire closes an endpoint that no policy names, that has no request and at which
// no session is at home any more, and gives its id back. It does nothing for any
// other.
func (r *Registry) retire(e *Endpoint) {
	r.mu.Lock()
	_, leaving := r.leaving[e]
	if !leaving || e.drain.pinned || r.closed || e.lodges && !e.drain.expired || !e.inFlight.CompareAndSwap(0, retired) {
		r.mu.Unlock()
		return
	}
	e.flags.Or(drained)
	r.stopDrain(e)
	delete(r.leaving, e)
	if at := (place{e.PoolName, e.Address}); r.endpoints[at] == e {
		delete(r.endpoints, at)
	}
	e.group.lodging.leave(e)
	r.mu.Unlock()

	e.Transport.Close()
	if f := r.events.EndpointRetired; f != nil {
		f(e.ID)
	}
	r.mu.Lock()
	r.ids.giveBack(e.ID)
	r.mu.Unlock()
}
