package memnet

import (
	"sync"
	"time"
)

// side is who reads a stream, or writes to it. The stream's lock is held.
//
// It waits on a timer alone, which whoever changes something sets: so a packet costs
// one switch to the goroutine that waits for it, at the instant of its arrival, and
// none before.
type side struct {
	lane lane
	by   int64 // the deadline, or never
	set  bool  // by is

	timer   *time.Timer
	waiting bool
	until   int64 // what the timer is set to

	busy bool
	turn sync.Cond // for the next, if more than one want to
}

// enter waits until nobody else does the same.
func (w *side) enter() {
	for w.busy {
		w.turn.Wait()
	}
	w.busy = true
	if !w.set {
		w.by, w.set = never, true
	}
}

func (w *side) leave() {
	w.busy = false
	w.turn.Signal()
}

func (w *side) late(now int64) bool { return w.by <= now }

// wait waits until a time, or until it is woken.
func (w *side) wait(s *stream, now, until int64) {
	if w.timer == nil {
		w.timer = time.NewTimer(time.Hour)
	}
	if until == never {
		w.timer.Stop()
	} else {
		until = w.lane.instant(max(until, now+1))
		w.timer.Reset(time.Duration(until - now))
	}
	w.until, w.waiting = until, true
	s.mu.Unlock()
	<-w.timer.C
	s.mu.Lock()
	w.waiting = false
}

// wake has it look at once.
func (w *side) wake(n *Network, now int64) { w.rouse(n, now, now+1) }

// rouse has it look at a time, if it would not earlier.
func (w *side) rouse(n *Network, now, at int64) {
	if !w.waiting || at >= w.until {
		return
	}
	w.until = w.lane.instant(max(at, now+1))
	w.timer.Reset(time.Duration(w.until - now))
}
