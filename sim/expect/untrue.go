package expect

import "time"

// mostSpans is how many stretches of time are told apart; the last one then goes on to
// the last violation.
const mostSpans = 100

// untrue is when something was not true: the instants of it, or the ends of its windows.
type untrue struct {
	spans     []Span
	stretches int // also those beyond mostSpans
	total     time.Duration
}

// add goes on by the instants from x to until.
func (e *untrue) add(x, until time.Duration) {
	e.total += until + 1 - x
	n := len(e.spans)
	switch {
	case n > 0 && e.spans[n-1].To == x:
		e.spans[n-1].To = until + 1
		return
	case n == mostSpans:
		e.spans[n-1].To = until + 1
	default:
		e.spans = append(e.spans, Span{x, until + 1})
	}
	e.stretches++
}
