package session

import (
	"maps"
	"slices"
	"sync"
	"time"

	"go-loadbalancer/lb/breaker"
)

// Status is how sessions fare.
type Status struct {
	Shared bool // there is a shared store
	Away   bool // and it cannot be asked, or there is none
	// Reason is why it is away: its last error.
	Reason string
	// Median and P99 are of its last operations, up to 1,024; 0: there was none.
	Median, P99 time.Duration
	// Hits and Misses count the requests of sessions in the shared store for which it
	// need not, and need, be asked.
	Hits, Misses uint64
	// Moved and Refused count by reason: see event.MoveReason and event.Listener.
	Moved, Refused map[string]uint64
}

// Status tells how sessions fare.
func (s *Sessions) Status() Status {
	out := Status{
		Shared: s.shared != nil, Hits: s.hits.Load(), Misses: s.misses.Load(),
		Moved: s.moves.all(), Refused: s.refusals.all(),
	}
	out.Median, out.P99 = s.latencies.quantiles()
	state, _ := s.breaker.State()
	switch {
	case s.shared == nil:
		out.Away, out.Reason = true, errNone.Error()
	case state != breaker.Closed:
		out.Away, out.Reason = true, errLate.Error()
		if err := s.lastError.Load(); err != nil {
			out.Reason = (*err).Error()
		}
	}
	return out
}

// tally counts by a name of few.
type tally struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (t *tally) count(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]uint64{}
	}
	t.counts[name]++
}

func (t *tally) all() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// latencies are those of the last operations.
type latencies struct {
	mu   sync.Mutex
	last [1024]time.Duration
	n    int
}

func (l *latencies) note(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[l.n%len(l.last)] = d
	l.n++
}

func (l *latencies) quantiles() (median, p99 time.Duration) {
	l.mu.Lock()
	all := slices.Clone(l.last[:min(l.n, len(l.last))])
	l.mu.Unlock()
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100]
}
