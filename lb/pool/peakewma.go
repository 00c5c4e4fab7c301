package pool

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// ewmaDecay is the time in which what an endpoint once took is forgotten to
	// 1/e, as in Finagle.
	ewmaDecay = 10 * time.Second
	// An attempt that failed counts as an answer that took leastFailure, or if that
	// is more as long as it was waited for or twice what the endpoint took so far,
	// up to mostFailure: failing fast must not look like being fast.
	leastFailure, mostFailure = time.Second, time.Minute
	// unmeasured stands for what an endpoint takes that has work and has not
	// answered ever: more than anything measured, so that it gets no second
	// request before the first one told how quick it is.
	unmeasured = float64(24 * time.Hour)
)

// pickPeakEWMA draws two different members by weight and takes the one that will
// probably answer sooner: the power of two choices over a moving average that
// jumps to peaks. It is the Peak EWMA of Twitter's Finagle
// (com.twitter.finagle.loadbalancer.PeakEwma; "Beyond Round Robin: Load
// Balancing for Latency", linkerd's blog, 2016), with three differences: a member
// that owes answers is as slow as it is silent, one that fails is slow, and
// weights count.
func (c *choice) pickPeakEWMA(f *filter, rnd uint64) *Endpoint {
	a, b, rnd := c.two(f, rnd)
	if b == nil {
		return a.endpoint()
	}
	if p := probed(a, b); p != nil {
		return p
	}
	now := a.registry.now()
	tookA, tookB := a.latency.expect(now), b.latency.expect(now)
	if c.cost(b, tookB) >= c.cost(a, tookA) {
		return a.Endpoint
	}
	// The first drawn is the one that is due by weight. Among equal weights the
	// cheaper one is taken, always. A lighter one is taken only as often as its
	// weight and its lead allow: this is the acceptance rule of Metropolis and
	// Hastings (1970), by which noise in what is measured moves no traffic from
	// heavy members to light ones.
	others := func(m *Member) float64 { return float64(c.weights.sum - uint64(m.Weight)) }
	if a.Weight > b.Weight && tookA*others(a) < tookB*others(b)*fraction(mix(rnd)) {
		return a.Endpoint
	}
	return b.Endpoint
}

// cost is how long one more request takes at m: what an answer takes, times the
// requests for its weight, where the mean weight counts as 1. One that starts
// slowly counts as having as much of its weight as of its share.
func (c *choice) cost(m *Member, took float64) float64 {
	n := m.InFlight()
	if took == 0 && n > 0 {
		took = unmeasured
	}
	share, _ := m.SlowStart()
	return took * (1 + float64(n)*c.weights.mean()/(float64(m.Weight)*share))
}

// fraction maps a random number to [0, 1).
func fraction(rnd uint64) float64 { return float64(rnd>>11) / (1 << 53) }

// latency is how long an endpoint takes to answer: a moving average that jumps
// to a longer time at once and forgets it slowly. Only endpoints of PeakEWMA
// pools are measured. All times are since the registry was made.
type latency struct {
	measured atomic.Bool
	// state is the average in ns as a float32, and when it was made in ticks: both
	// in one word, so that they fit each other. 0: none was made.
	state   atomic.Uint64
	waiting atomic.Int64 // attempts that wait for an answer
	since   atomic.Int64 // when the first of them began to, in ns
}

// tick is about a millisecond. They are counted in 32 bits, which overflow after
// 52 days: an average so old is taken for a young one, until the next answer.
const tick = 1 << 20

func pack(average float64, now time.Duration) uint64 {
	return uint64(math.Float32bits(float32(average)))<<32 | uint64(uint32(now/tick))
}

// unpack returns the average and its age.
func unpack(state uint64, now time.Duration) (average float64, age time.Duration) {
	ticks := uint32(now/tick) - uint32(state)
	if ticks > math.MaxUint32-1<<12 { // made just after now was read
		ticks = 0
	}
	return float64(math.Float32frombits(uint32(state >> 32))), time.Duration(ticks) * tick
}

// expect is how long an answer will take, in ns; 0 if nothing is known. An
// endpoint without work is forgiven bit by bit, until it is cheap enough for a
// request that shows how it is now. While that one waits, and as long as any
// does, it is as bad as it was, and no better than it is silent.
func (l *latency) expect(now time.Duration) float64 {
	average, age := unpack(l.state.Load(), now)
	if l.waiting.Load() == 0 {
		return average * decay(age)
	}
	if average == 0 {
		return unmeasured
	}
	silent := min(now-time.Duration(l.since.Load()), age)
	return max(average, float64(silent-tick)) // the age is rounded
}

// observe adds an answer that took so long.
func (l *latency) observe(took, now time.Duration) {
	l.change(now, func(average, old float64) float64 {
		if x := float64(took); x < average {
			return average*old + x*(1-old)
		}
		return float64(took)
	})
}

// failed adds an attempt that failed after so long. Each in a row doubles the
// average; none makes it shorter.
func (l *latency) failed(took, now time.Duration) {
	l.change(now, func(average, _ float64) float64 {
		return max(average, min(max(float64(took), 2*average, float64(leastFailure)), float64(mostFailure)))
	})
}

// abandoned adds an attempt whose answer was no longer waited for: it would have
// taken longer still.
func (l *latency) abandoned(took, now time.Duration) {
	l.change(now, func(average, _ float64) float64 { return max(average, float64(took)) })
}

// change replaces the average; old is what is left of it by now.
func (l *latency) change(now time.Duration, f func(average, old float64) float64) {
	for {
		state := l.state.Load()
		average, age := unpack(state, now)
		if l.state.CompareAndSwap(state, pack(max(f(average, decay(age)), 1), now)) {
			return
		}
	}
}

func decay(age time.Duration) float64 { return math.Exp(-float64(age) / float64(ewmaDecay)) }

// Wait is an attempt at an endpoint, by which is learnt whether the endpoint fails,
// and how long it takes where that is of interest. It must be told how the attempt
// went. The zero Wait does nothing.
type Wait struct {
	e        *Endpoint
	start    time.Duration
	measured bool
	owed     bool // it counts among those that wait for an answer
}

// Wait begins an attempt. A request that is not whole yet owes its length to the
// client: the endpoint is not taken to be silent meanwhile.
func (e *Endpoint) Wait(whole bool) Wait {
	l := &e.latency
	if !l.measured.Load() {
		return Wait{e: e}
	}
	now := e.registry.now()
	if whole {
		if l.waiting.Load() == 0 {
			l.since.Store(int64(now))
		}
		l.waiting.Add(1)
	}
	return Wait{e, now, true, whole}
}

// Answered tells that the head of the response came, so long after the request
// was sent; negative: not known, for it came before the request's end. A request
// that was whole is timed by itself.
func (w *Wait) Answered(took time.Duration) {
	if w.e == nil {
		return
	}
	w.e.succeeded()
	if !w.measured {
		return
	}
	now := w.e.registry.now()
	if w.owed {
		took = now - w.start
	}
	if took >= 0 {
		w.e.latency.observe(took, now)
	}
	w.settle()
}

// Failed tells that the attempt failed, by the status that came, without one, or
// after it. How long it went on counts only while it waits for the answer: the
// time of a body, of the request's or the answer's, is not the endpoint's doing.
func (w *Wait) Failed() {
	if w.e == nil {
		return
	}
	w.e.failed()
	if !w.measured {
		return
	}
	now := w.e.registry.now()
	took := time.Duration(0)
	if w.owed {
		took = now - w.start
	}
	w.e.latency.failed(took, now)
	w.settle()
}

// Abandoned tells that nobody waits for the answer any more. It does nothing if
// that came.
func (w *Wait) Abandoned() {
	if w.owed {
		now := w.e.registry.now()
		w.e.latency.abandoned(now-w.start, now)
		w.settle()
	}
}

// Excluded tells that the attempt says nothing about the endpoint: it never got
// there.
func (w *Wait) Excluded() { w.settle() }

func (w *Wait) settle() {
	if w.owed {
		w.owed = false
		w.e.latency.waiting.Add(-1)
	}
}
