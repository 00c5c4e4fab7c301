package pool_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// told says whether a turn was told since it was last asked.
func told(turn *pool.Turn) bool {
	select {
	case _, open := <-turn.Come():
		return open
	default:
		return false
	}
}

// queued is a pool of one endpoint that has all the requests it may, and turns in
// its queue, of which the first was told and found no place.
func queued(t *testing.T, w *world, l policy.Limits, turns int) (*pool.Pool, *pool.Endpoint, []*pool.Turn) {
	t.Helper()
	if l.PendingTimeout == 0 {
		l.PendingTimeout = time.Second
	}
	p := w.serve(limited(1, l))[0]
	e := p.Members()[0].Endpoint
	start(p, 1000)
	var out []*pool.Turn
	for i := range turns {
		turn := p.Queue()
		if turn == nil {
			t.Fatalf("turn %d was refused", i+1)
		}
		if told(turn) != (i == 0) {
			t.Errorf("turn %d told at first: %v", i+1, i != 0)
		}
		out = append(out, turn)
	}
	if turns > 0 && e.Begin(out[0]) != pool.Full {
		t.Error("it began at once")
	}
	return p, e, out
}

// bubble runs a test in virtual time. What it leaves in the queue must not matter.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(t, w)
		w.Close()
	})
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	for _, l := range []policy.Limits{{MaxParallelRequests: 1}, {PerEndpointParallelRequests: 1}} {
		l.MaxPendingRequests = 3
		bubble(t, func(t *testing.T, w *world) { firstInFirstOut(t, w, l) })
	}
}

func firstInFirstOut(t *testing.T, w *world, l policy.Limits) {
	p, e, turns := queued(t, w, l, 3)
	if p.Queue() != nil || p.Waiting() != 3 {
		t.Errorf("%d wait, of three that may", p.Waiting())
	}
	for i, turn := range turns {
		e.End()
		// A place is free: nobody gets it but the first.
		if s := e.Begin(nil); s != pool.Full {
			t.Errorf("%d wait, and one who came later begins: %v", p.Waiting(), s)
		}
		for j := len(turns) - 1; j >= i; j-- {
			if told(turns[j]) != (j == i) {
				t.Errorf("turn %d is first, and %d told: %v", i+1, j+1, j != i)
			}
			if j > i && e.Begin(turns[j]) != pool.Full {
				t.Errorf("turn %d is first, and %d begins", i+1, j+1)
			}
		}
		if s := e.Begin(turn); s != pool.Started {
			t.Errorf("turn %d: %v", i+1, s)
		}
		turn.Leave()
		turn.Leave()
		if p.Waiting() != 2-i || e.InFlight() != 1 {
			t.Errorf("%d wait, %d in flight", p.Waiting(), e.InFlight())
		}
	}
	e.End()
	if e.Begin(nil) != pool.Started {
		t.Error("nobody waits, and nobody may begin")
	}
}

// The queue's bound is the policy's of now, and none or no time to wait is no queue.
func TestQueueBound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, l := range []policy.Limits{{MaxParallelRequests: 1, PendingTimeout: time.Second}, {MaxParallelRequests: 1, MaxPendingRequests: 5}} {
			if w.serve(limited(1, l))[0].Queue() != nil {
				t.Errorf("%+v: there is a queue", l)
			}
		}
		p, _, turns := queued(t, w, policy.Limits{MaxParallelRequests: 1, MaxPendingRequests: 2}, 2)
		w.serve(limited(1, policy.Limits{MaxParallelRequests: 1, MaxPendingRequests: 1, PendingTimeout: time.Second}))
		turns[0].Leave()
		if p.Queue() != nil {
			t.Error("one more than may")
		}
		turns[1].Leave()
		if p.Queue() == nil {
			t.Error("the queue is empty, and nobody may wait")
		}
	})
}

// Who leaves, from wherever, passes his place on.
func TestLeavingTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, e, turns := queued(t, w, policy.Limits{MaxParallelRequests: 2, MaxPendingRequests: 9}, 4)
		turns[1].Leave()
		if told(turns[2]) || told(turns[0]) {
			t.Error("somebody was told though the first is the same")
		}
		turns[0].Leave()
		if !told(turns[2]) {
			t.Error("the first left without a place, and the next was not told")
		}
		e.End()
		e.End()
		if !told(turns[2]) || e.Begin(turns[2]) != pool.Started {
			t.Error("there is room and the first does not begin")
		}
		turns[2].Leave()
		if !told(turns[3]) || e.Begin(turns[3]) != pool.Started {
			t.Error("there is more room, and the next does not begin")
		}
		turns[3].Leave()
		if p.Waiting() != 0 || e.Begin(nil) != pool.Full || e.InFlight() != 2 {
			t.Errorf("%d wait, %d in flight", p.Waiting(), e.InFlight())
		}
		// The timer is gone with the last.
		time.Sleep(time.Second)
		for _, turn := range turns {
			if told(turn) {
				t.Error("told after it left")
			}
		}
		// Nothing stays of who waited in vain.
		e.End()
		if e.Begin(nil) != pool.Started {
			t.Error("there is no room")
		}
	})
}

// What makes room tells the first who waits.
func TestQueueIsTold(t *testing.T) {
	one := policy.Limits{MaxParallelRequests: 1, MaxPendingRequests: 9, PendingTimeout: time.Second}
	two := one
	two.MaxParallelRequests = 2
	for name, happens := range map[string]func(t *testing.T, w *world, p *pool.Pool){
		"an end":        func(_ *testing.T, _ *world, p *pool.Pool) { p.Members()[0].End() },
		"higher limits": func(_ *testing.T, w *world, _ *pool.Pool) { w.serve(limited(1, two)) },
		"another pool":  func(_ *testing.T, w *world, _ *pool.Pool) { w.serve() },
		"a health":      func(_ *testing.T, _ *world, p *pool.Pool) { p.Members()[0].SetHealthy(false, "test") },
		"a breaker":     func(t *testing.T, _ *world, p *pool.Pool) { trip(t, p.Members()[0].Endpoint) },
		"time": func(*testing.T, *world, *pool.Pool) {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p, _, turns := queued(t, w, one, 2)
				time.Sleep(99 * time.Millisecond)
				if told(turns[0]) {
					t.Error("told before it")
				}
				happens(t, w, p)
				if !told(turns[0]) || told(turns[1]) {
					t.Error("the first was not told, or somebody else was")
				}
				turns[0].Leave()
				turns[1].Leave()
			})
		})
	}
}

// A first who waits for long is told again and again.
func TestQueueTicks(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, _, turns := queued(t, w, policy.Limits{MaxParallelRequests: 1, MaxPendingRequests: 9}, 2)
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if !told(turns[0]) || told(turns[1]) {
				t.Fatal("not told, or the wrong one")
			}
		}
		turns[0].Leave()
		turns[1].Leave()
		next := p.Queue() // the timer starts anew
		told(next)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if !told(next) {
			t.Error("not told the second time")
		}
		next.Leave()
	})
}

// The end of everything ends every wait, and Close joins the timer.
func TestCloseEndsWaits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, _, turns := queued(t, w, policy.Limits{MaxParallelRequests: 1, MaxPendingRequests: 9}, 3)
		began := time.Now()
		w.Close()
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		for i, turn := range turns {
			if _, open := <-turn.Come(); open {
				t.Errorf("turn %d is to wait on", i+1)
			}
			turn.Leave()
		}
		if p.Queue() != nil || p.Waiting() != 0 {
			t.Error("somebody may wait")
		}
	})
}

// A turn is good for its own pool only, in whatever policy.
func TestTurnOf(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := limited(1, policy.Limits{MaxParallelRequests: 1, MaxPendingRequests: 1, PendingTimeout: time.Second})
		b := a
		b.Name = "q"
		old := w.serve(a, b)
		next := w.serve(a, b)
		turn := old[0].Queue()
		if !turn.Of(old[0]) || !turn.Of(next[0]) || turn.Of(old[1]) {
			t.Error("it is of another pool")
		}
		if old[1].Members()[0].Begin(turn) == pool.Started {
			t.Error("it begins in another pool")
		}
		if next[0].Queue() != nil {
			t.Error("each policy has a queue of its own")
		}
		if next[0].Members()[0].Begin(turn) != pool.Started {
			t.Error("it does not begin in the next policy's pool")
		}
		turn.Leave()
	})
}

// TestQueueModel throws thousands of seeded steps at a pool and compares it to a
// list: who comes first begins first, and nobody waits beside a free place.
func TestQueueModel(t *testing.T) {
	const runs, steps = 40, 400
	for range runs {
		rnd := seeded(t)
		bubble(t, func(t *testing.T, w *world) {
			m := &model{t: t, w: w, rnd: rnd}
			m.reload()
			for range steps {
				m.step()
				m.settle()
				m.check()
				if t.Failed() {
					return
				}
			}
			m.drain()
		})
	}
}

type model struct {
	t   *testing.T
	w   *world
	rnd *rand.Rand

	p        *pool.Pool
	limits   policy.Limits
	inFlight []flight
	waiting  []*pool.Turn // in the order they came
}

type flight struct {
	e    *pool.Endpoint
	done func(error)
}

func (m *model) reload() {
	m.limits = policy.Limits{
		MaxParallelRequests: m.rnd.IntN(8), PerEndpointParallelRequests: 1 + m.rnd.IntN(3),
		MaxPendingRequests: m.rnd.IntN(6), PendingTimeout: time.Second,
	}
	pp := limited(3, m.limits)
	pp.CircuitBreaker.HalfOpenRequests = 2
	m.p = m.w.serve(pp)[0]
}

func (m *model) step() {
	switch m.rnd.IntN(20) {
	case 0:
		m.reload()
	case 1, 2:
		e := m.p.Members()[m.rnd.IntN(3)].Endpoint
		e.SetHealthy(m.rnd.IntN(3) > 0, "test")
	case 3, 4:
		// What happens by the passing of time may take until the next tick.
		time.Sleep(time.Duration(m.rnd.IntN(3000)) * time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	case 5, 6: // somebody's time is over
		if n := len(m.waiting); n > 0 {
			i := m.rnd.IntN(n)
			m.waiting[i].Leave()
			m.waiting = slices.Delete(m.waiting, i, i+1)
		}
	case 7, 8, 9, 10, 11, 12:
		if n := len(m.inFlight); n > 0 {
			i := m.rnd.IntN(n)
			f := m.inFlight[i]
			m.inFlight = slices.Delete(m.inFlight, i, i+1)
			if m.rnd.IntN(4) == 0 {
				f.done(breaker.Failed)
			} else {
				f.done(nil)
			}
			f.e.End()
		}
	default:
		m.come()
	}
}

// room says whether another request may begin.
func (m *model) room() bool {
	if most := min(limit(m.limits.MaxParallelRequests), limit(m.limits.MaxConnections)); len(m.inFlight) >= most {
		return false
	}
	for i := range m.p.Members() {
		if ok, _ := m.p.Eligible(&m.p.Members()[i]); ok {
			return true
		}
	}
	return false
}

func limit(n int) int {
	if n == 0 {
		return 1 << 30
	}
	return n
}

// try is what a request does that may go on: it reports whether it is over with
// picking.
func (m *model) try(turn *pool.Turn) bool {
	e, why := pick(m.p, m.rnd.Uint64())
	if e == nil {
		return why != pool.AllFull
	}
	if e.Begin(turn) != pool.Started {
		return false
	}
	done, _, ok := e.Breaker().Allow(breaker.Willing)
	if !ok {
		m.t.Fatal("the breaker of what was picked refuses")
	}
	m.inFlight = append(m.inFlight, flight{e, done})
	return true
}

func (m *model) come() {
	room, before := m.room(), len(m.inFlight)
	over := m.try(nil)
	if began := len(m.inFlight) > before; began != (room && len(m.waiting) == 0) {
		m.t.Errorf("began %v with room %v while %d wait", began, room, len(m.waiting))
	}
	if over {
		return
	}
	turn := m.p.Queue()
	if (turn == nil) != (len(m.waiting) >= m.limits.MaxPendingRequests) {
		m.t.Errorf("refused %v while %d wait of %d", turn == nil, len(m.waiting), m.limits.MaxPendingRequests)
	}
	if turn != nil {
		m.waiting = append(m.waiting, turn)
	}
}

// settle has everybody go on who was told, until nobody is.
func (m *model) settle() {
	for again := true; again; {
		again = false
		for i := 0; i < len(m.waiting); i++ {
			if !told(m.waiting[i]) {
				continue
			}
			if i > 0 {
				m.t.Errorf("told while %d wait before it", i)
			}
			again = true
			if m.try(m.waiting[i]) {
				m.waiting[i].Leave()
				m.waiting = slices.Delete(m.waiting, i, i+1)
			}
			break
		}
	}
}

func (m *model) check() {
	if m.p.Waiting() != len(m.waiting) {
		m.t.Errorf("%d wait, not %d", m.p.Waiting(), len(m.waiting))
	}
	sum := 0
	for _, x := range m.p.Members() {
		sum += int(x.InFlight())
	}
	if sum != len(m.inFlight) {
		m.t.Errorf("%d in flight, not %d", sum, len(m.inFlight))
	}
	if len(m.waiting) > 0 && m.room() {
		m.t.Errorf("%d wait beside a free place", len(m.waiting))
	}
}

// drain ends everything: everybody who waits gets his turn.
func (m *model) drain() {
	for _, x := range m.p.Members() {
		x.SetHealthy(true, "test")
	}
	m.settle()
	for len(m.inFlight) > 0 {
		f := m.inFlight[0]
		m.inFlight = m.inFlight[1:]
		f.done(nil)
		f.e.End()
		m.settle()
		m.check()
	}
	if len(m.waiting) > 0 || m.p.Waiting() != 0 {
		m.t.Errorf("%d wait at the end", m.p.Waiting())
	}
}
