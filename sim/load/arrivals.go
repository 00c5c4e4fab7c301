package load

import (
	"context"
	"math"
	"time"
)

// arrivals are the times at which the requests of an open loop come. Between them the
// integral of the rate grows by one, or by what is drawn.
type arrivals struct {
	from, length float64 // seconds
	rate, end    float64
	sum          float64
	step         func() float64
}

// next is the next of them; false: there is none before the load's end.
func (a *arrivals) next() (time.Duration, bool) {
	a.sum += a.step()
	slope := 0.0
	if a.length > 0 {
		slope = (a.end - a.rate) / (2 * a.length)
	}
	root := a.rate*a.rate + 4*slope*a.sum
	if root < 0 {
		return 0, false
	}
	// Of the two forms of the root this is the one that takes no difference of numbers that
	// are nearly the same, as they are with a rate that hardly changes.
	t := 2 * a.sum / (a.rate + math.Sqrt(root))
	if !(t < a.length) {
		return 0, false
	}
	return time.Duration((a.from + t) * float64(time.Second)), true
}

// open makes the requests of an open loop.
func (s *source) open(ctx context.Context) {
	a := arrivals{from: s.from.Seconds(), length: (s.to - s.from).Seconds(), rate: s.Rate, end: s.RateEnd}
	a.step = func() float64 { return 1 }
	if s.Arrivals != "Constant" {
		a.step = s.random.ExpFloat64
	}
	clock, last := s.g.clock(), time.Time{}
	for {
		at, ok := a.next()
		if !ok {
			return
		}
		due := s.g.o.Began.Add(at)
		if !due.After(last) {
			due = last.Add(1)
		}
		due = clock.Round(due)
		last = due
		if !until(ctx, due) || !s.g.room() {
			return
		}
		kind, who := s.kind(s.random), s.anybody(s.random)
		s.g.running.Go(func() { s.ask(ctx, kind, who, due) })
	}
}
