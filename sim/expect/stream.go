package expect

import (
	"math"
	"math/bits"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// stream is events in time, some of which count.
type stream struct {
	at       []time.Duration
	sum      []int32 // how many of the first i count; nil: all do
	requests []int32 // behind each, by index in the run; -1: none
}

func (s *stream) add(at time.Duration, request int32, counts bool) {
	if s.sum == nil {
		s.sum = make([]int32, 1, 1024)
	}
	n := s.sum[len(s.sum)-1]
	if counts {
		n++
	}
	s.at, s.sum, s.requests = append(s.at, at), append(s.sum, n), append(s.requests, request)
}

// counts says whether the i-th event does.
func (s *stream) counts(i int) bool { return s.sum[i+1] > s.sum[i] }

// slide is the events of a stream within a window: those from lo, before hi.
type slide struct {
	*stream
	window time.Duration // 0: all events, wherever it is
	lo, hi int
}

func (s *slide) seek(x time.Duration) {
	if s.window == 0 {
		s.hi = len(s.at)
		return
	}
	for s.hi < len(s.at) && s.at[s.hi] <= x {
		s.hi++
	}
	for s.lo < s.hi && s.at[s.lo] <= x-s.window {
		s.lo++
	}
}

func (s *slide) next() time.Duration {
	next := never
	if s.window > 0 && s.hi < len(s.at) {
		next = s.at[s.hi]
	}
	if s.window > 0 && s.lo < s.hi {
		next = min(next, s.at[s.lo]+s.window)
	}
	return next
}

func (s *slide) events() int { return s.hi - s.lo }

func (s *slide) counted() int {
	if s.hi == s.lo {
		return 0
	}
	return int(s.sum[s.hi] - s.sum[s.lo])
}

// pick is the first n requests in the window whose events count, or do not.
func (s *slide) pick(n int, counts bool) (requests []int32) {
	for i := s.lo; i < s.hi && len(requests) < n; i++ {
		if s.counts(i) == counts && s.requests[i] >= 0 {
			requests = append(requests, s.requests[i])
		}
	}
	return requests
}

// least is how many events a ratio of the window must have.
func (s *slide) least() int {
	if s.window == 0 {
		return 1
	}
	return fewest
}

// ratio is a share of a window's events.
type ratio struct {
	slide
	not bool // of those that do not count
	bad bool // it is those that do not count that people want to see
}

func (r *ratio) read(int) reading {
	n, k := r.events(), r.counted()
	if r.not {
		k = n - k
	}
	if n < r.least() {
		return reading{events: n, few: true}
	}
	return reading{bits: math.Float64bits(float64(k) / float64(n)), events: n}
}

func (r *ratio) show(bits uint64) ref.Val { return types.Double(math.Float64frombits(bits)) }

func (r *ratio) examples(_ time.Duration, n int) []int32 { return r.pick(n, !r.bad) }

// amplified is events to those of them that count.
type amplified struct{ slide }

func (a *amplified) read(int) reading {
	n := a.counted()
	if n < a.least() {
		return reading{events: n, few: true}
	}
	return reading{bits: math.Float64bits(float64(a.events()) / float64(n)), events: n}
}

func (a *amplified) show(bits uint64) ref.Val { return types.Double(math.Float64frombits(bits)) }

func (a *amplified) examples(_ time.Duration, n int) []int32 { return a.pick(n, false) }

// count is how many events of a window count.
type count struct{ slide }

func (c *count) read(int) reading { return reading{bits: uint64(c.counted()), events: c.events()} }

func (c *count) show(bits uint64) ref.Val { return types.Int(bits) }

func (c *count) examples(_ time.Duration, n int) []int32 { return c.pick(n, true) }

// rate is how many of them do, a second.
type rate struct {
	slide
	over time.Duration
}

func (r *rate) read(int) reading {
	return reading{bits: math.Float64bits(float64(r.counted()) / r.over.Seconds()), events: r.events()}
}

func (r *rate) show(bits uint64) ref.Val { return types.Double(math.Float64frombits(bits)) }

func (r *rate) examples(_ time.Duration, n int) []int32 { return r.pick(n, true) }

// quantile is a quantile of the values of a window's events.
type quantile struct {
	slide
	q      float64
	rank   []int32         // of each event's value among all there are
	sorted []time.Duration // the values, by rank
	tree   []int32         // Fenwick: how many events of each rank are in the window
	in, to int             // the window that the tree has
}

func newQuantile(s slide, q float64, values *ranks) *quantile {
	return &quantile{slide: s, q: q, rank: values.rank, sorted: values.sorted, tree: make([]int32, len(values.sorted)+1)}
}

func (q *quantile) put(i int, n int32) {
	for r := q.rank[i] + 1; int(r) < len(q.tree); r += r & -r {
		q.tree[r] += n
	}
}

func (q *quantile) seek(x time.Duration) {
	q.slide.seek(x)
	for ; q.to < q.hi; q.to++ {
		q.put(q.to, 1)
	}
	for ; q.in < q.lo; q.in++ {
		q.put(q.in, -1)
	}
}

// kth is the k-th smallest value of the window, k from 1.
func (q *quantile) kth(k int32) time.Duration {
	at := 0
	for step := 1 << bits.Len(uint(len(q.tree)-1)) >> 1; step > 0; step >>= 1 {
		if next := at + step; next < len(q.tree) && q.tree[next] < k {
			at = next
			k -= q.tree[next]
		}
	}
	return q.sorted[at]
}

func (q *quantile) read(int) reading {
	n := q.events()
	if n < q.least() {
		return reading{events: n, few: true}
	}
	return reading{bits: uint64(q.kth(int32(nearestRank(q.q, n)))), events: n}
}

// nearestRank is which of n values, from 1, is their q-quantile.
func nearestRank(q float64, n int) int {
	return min(max(int(math.Ceil(q*float64(n)-1e-9)), 1), n)
}

func (q *quantile) show(bits uint64) ref.Val { return types.Duration{Duration: time.Duration(bits)} }

// examples are the slowest.
func (q *quantile) examples(_ time.Duration, n int) (requests []int32) {
	var slowest []int // indices, the slowest first
	for i := q.lo; i < q.hi; i++ {
		at := len(slowest)
		for at > 0 && q.rank[slowest[at-1]] < q.rank[i] {
			at--
		}
		if at < n {
			slowest = append(slowest, 0)
			copy(slowest[at+1:], slowest[at:])
			slowest[at] = i
			slowest = slowest[:min(len(slowest), n)]
		}
	}
	for _, i := range slowest {
		requests = append(requests, q.requests[i])
	}
	return requests
}
