package breaker

import (
	"time"

	"github.com/sony/gobreaker/v2"
)

// windowSteps is in how many steps the window of FailurePercent moves on.
const windowSteps = 10

// closed returns a closed period with a machine of its own. gobreaker freezes
// its window's length, so each closing takes a new one; everything else that
// a reload may change is kept outside it:
//   - ReadyToTrip reads the thresholds through the settings pointer;
//   - the open time is openUntil, and gobreaker's own is the shortest there is;
//   - probes are counted here, and gobreaker is told of the last success only.
func (b *Breaker) closed(number uint64) *period {
	var reason string // guarded by the machine's lock
	var m *gobreaker.CircuitBreaker[struct{}]
	s := b.settings.Load()
	m = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Interval:     s.Interval,
		BucketPeriod: (s.Interval + windowSteps - 1) / windowSteps,
		Timeout:      1,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			reason = b.settings.Load().trips(b.consecutive.Load(), c.TotalSuccesses, c.TotalFailures)
			return reason != ""
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch {
			case to == gobreaker.StateHalfOpen:
				reason = OpenElapsed
			case to == gobreaker.StateClosed:
				reason = ProbesSucceeded
			case from == gobreaker.StateHalfOpen:
				reason = ProbeFailed
			}
			b.turn(m, to, reason)
		},
	})
	return &period{
		number: number, state: Closed, machine: m,
		done: func(err error) { b.record(number, err) },
	}
}

// turn begins a new period. It runs under the lock of machine m, which is no
// longer the breaker's if Update has just replaced it: then the old one's last
// change is void.
func (b *Breaker) turn(m *gobreaker.CircuitBreaker[struct{}], to gobreaker.State, reason string) {
	for {
		old := b.period.Load()
		if old.machine != m {
			return
		}
		var next *period
		switch to {
		case gobreaker.StateOpen:
			next = &period{state: Open, machine: m, openUntil: time.Now().Add(b.settings.Load().OpenDuration)}
		case gobreaker.StateHalfOpen:
			next = &period{state: HalfOpen, machine: m, probes: probes{since: time.Now()}}
		default:
			b.consecutive.Store(0)
			next = b.closed(old.number + 1)
		}
		next.number = old.number + 1
		if !b.period.CompareAndSwap(old, next) {
			continue
		}
		if b.changed != nil {
			b.changed(old.state, next.state, reason)
		}
		return
	}
}
