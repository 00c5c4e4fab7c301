package server

import (
	"math"
	"sync/atomic"
)

// Quota is a number of connections that several servers share. A nil *Quota is
// one without end.
type Quota struct {
	limit int64
	taken atomic.Int64
}

// NewQuota returns a quota of that many connections.
func NewQuota(limit int) *Quota { return &Quota{limit: int64(limit)} }

// take takes one, if any is left.
func (q *Quota) take() bool {
	if q == nil {
		return true
	}
	if q.taken.Add(1) > q.limit {
		q.taken.Add(-1)
		return false
	}
	return true
}

// left is how many more there may be.
func (q *Quota) left() int {
	if q == nil {
		return math.MaxInt
	}
	return int(max(0, q.limit-q.taken.Load()))
}

func (q *Quota) give() {
	if q != nil {
		q.taken.Add(-1)
	}
}
