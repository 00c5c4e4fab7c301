package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leastLeap is how far a wall clock must be from where it should be to have jumped. A
	// clock that is corrected bit by bit (by at most 500 ppm) takes half an hour to be
	// so far off, which is then a jump of a second, and harmless.
	leastLeap = time.Second
	// mostLeaps is how many jumps are remembered, the latest ones.
	mostLeaps = 16
)

// leaps are the jumps ahead that the wall clock has made while this process ran. A ticket
// tells when it was last used by a wall clock; what the clock has jumped over since then
// is no time for which the session was not used.
//
// Who starts after a jump does not know of it. A jump back makes sessions last longer by
// as much at the most, and none shorter.
type leaps struct {
	drift atomic.Int64 // of the wall clock from time that passes, in ns, when last looked at
	all   atomic.Pointer[[]leap]
	mu    sync.Mutex // of who changes them
}

// leap is a jump ahead: the clock never showed what is between from and to.
type leap struct{ from, to time.Time }

// begin is called once, with the clock's time at the Sessions' epoch.
func (l *leaps) begin(wall time.Time) { l.drift.Store(wall.UnixNano()) }

// look finds out whether the wall clock, which shows now, has jumped; since is the time
// that has passed since the epoch.
func (l *leaps) look(now time.Time, since time.Duration) {
	drift := now.UnixNano() - int64(since)
	if by := drift - l.drift.Load(); by > -int64(leastLeap) && by < int64(leastLeap) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	by := time.Duration(drift - l.drift.Load())
	if by > -leastLeap && by < leastLeap {
		return // somebody else has seen it
	}
	l.drift.Store(drift)
	var all []leap
	if before := l.all.Load(); before != nil {
		all = slices.Clone(*before)
	}
	if by > 0 {
		all = append(all, leap{now.Add(-by), now})
		all = all[max(0, len(all)-mostLeaps):]
	}
	for back := -by; back > 0 && len(all) > 0; {
		last := &all[len(all)-1] // it is taken back
		if size := last.to.Sub(last.from); size > back {
			last.to = last.to.Add(-back)
			break
		} else {
			all, back = all[:len(all)-1], back-size
		}
	}
	l.all.Store(&all)
}

// idle is how long ago seen was at now, without what the clock has jumped over. Who saw
// the session while this clock was in a leap goes by another clock, without the jump.
func (l *leaps) idle(seen Stamp, now time.Time) time.Duration {
	d := seen.ago(now)
	if l == nil {
		return d
	}
	if all := l.all.Load(); all != nil {
		for _, one := range *all {
			if seen.Time().Before(one.to) {
				d -= one.to.Sub(one.from)
			}
		}
	}
	return d
}
