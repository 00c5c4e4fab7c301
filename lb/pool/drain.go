package pool

import "time"

// drain is how far an endpoint is in its drain. Guarded by Registry.mu.
type drain struct {
	number  uint64 // counts beginnings and ends, so that a late timer is known
	since   time.Time
	timeout time.Duration
	timer   *time.Timer // nil: none runs
	expired bool        // broken off, or about to be: its transport cannot be used again
	pinned  bool        // named by the staged policy: must neither retire now nor be broken off
}

// startDrain lets e finish for timeout, counted from the drain's beginning. The
// caller holds mu.
func (r *Registry) startDrain(e *Endpoint, timeout time.Duration) {
	d := &e.drain
	if d.since.IsZero() {
		d.since = time.Now()
	} else if d.timeout == timeout || d.expired {
		return
	}
	r.stopTimer(d)
	d.timeout = timeout
	d.number++
	r.arm(e)
}

// arm has e broken off when its drain is over, if it drains. The caller holds mu.
func (r *Registry) arm(e *Endpoint) {
	d := &e.drain
	if r.closed || d.expired || d.pinned || d.since.IsZero() {
		return
	}
	number := d.number
	r.timers.Add(1)
	d.timer = time.AfterFunc(time.Until(d.since.Add(d.timeout)), func() {
		defer r.timers.Done()
		r.expire(e, number)
	})
}

// pin keeps an endpoint as it is until unpin: the policy that is staged may end its
// drain. The caller holds mu.
func (r *Registry) pin(e *Endpoint) {
	e.drain.pinned = true
	if !e.drain.expired {
		r.stopTimer(&e.drain)
		e.drain.number++
	}
}

// unpin lets the drain go on. It may be over by now. The caller holds mu.
func (r *Registry) unpin(e *Endpoint) {
	if e.drain.pinned {
		e.drain.pinned = false
		r.arm(e)
	}
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

// lastRequests is how long the requests of sessions may go on that were sent to an
// endpoint until its drain was over; no longer than that took.
const lastRequests = 10 * time.Second

// expire has the sessions of an endpoint leave whose drain took too long, and breaks
// off its requests: those of sessions, which may just have begun, a little later. Their
// ends retire it.
func (r *Registry) expire(e *Endpoint, number uint64) {
	r.mu.Lock()
	d := &e.drain
	if r.closed || d.number != number {
		r.mu.Unlock()
		return
	}
	d.timer = nil
	d.expired = true
	e.flags.Or(drained)
	late := min(d.timeout, lastRequests)
	if e.lodges && late > 0 {
		r.timers.Add(1)
		d.timer = time.AfterFunc(late, func() {
			defer r.timers.Done()
			r.breakOff(e, number)
		})
		r.mu.Unlock()
	} else {
		r.mu.Unlock()
		e.Transport.Abort()
	}
	e.queue.rouse()
	r.retire(e)
}

// breakOff ends the last requests.
func (r *Registry) breakOff(e *Endpoint, number uint64) {
	r.mu.Lock()
	if r.closed || e.drain.number != number {
		r.mu.Unlock()
		return
	}
	e.drain.timer = nil
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
