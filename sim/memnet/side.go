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
	by  int64 // the deadline, or never
	set bool  // by is

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
		w.timer.Reset(time.Duration(until - now))
	}
	w.until, w.waiting = until, true
	s.mu.Unlock()
	<-w.timer.C
	s.mu.Lock()
	w.waiting = false
}

// soon is the longest until somebody who is woken looks.
const soon = 20_000

// wake has it look soon: at an instant of the stream's own, as many may be woken at one
// instant, in no order.
func (w *side) wake(s *stream, now int64) {
	if w.waiting {
		w.rouse(now, s.net.claim(now+1+int64(mix(s.id^uint64(now))%soon)))
	}
}

// rouse has it look at a time, if it would not earlier.
func (w *side) rouse(now, at int64) {
	if !w.waiting || at >= w.until {
		return
	}
	w.until = at
	w.timer.Reset(time.Duration(w.until - now))
}
