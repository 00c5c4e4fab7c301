package pool_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// limited is a pool of n endpoints with limits.
func limited(n int, l policy.Limits) policy.Pool {
	p := policyPool("LeastRequest", equal(n))
	p.Limits = l
	return p
}

// pick picks whatever there is.
func pick(p *pool.Pool, rnd uint64) (*pool.Endpoint, pool.Refusal) {
	return p.Pick(rnd, pool.Key{}, nil, breaker.Willing)
}

// start begins as many requests as it may, at most n.
func start(p *pool.Pool, n int) (begun []*pool.Endpoint, refused pool.Refusal) {
	for i := range n {
		e, why := pick(p, uint64(i))
		if e == nil {
			return begun, why
		}
		if e.Begin(nil) != pool.Started {
			return begun, pool.AllFull
		}
		begun = append(begun, e)
	}
	return begun, pool.None
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name   string
		limits policy.Limits
		want   int // requests at once, of three endpoints
	}{
		{"none", policy.Limits{}, 100},
		{"requests", policy.Limits{MaxParallelRequests: 7}, 7},
		{"connections", policy.Limits{MaxConnections: 5}, 5},
		{"fewer requests than connections", policy.Limits{MaxParallelRequests: 4, MaxConnections: 9}, 4},
		{"fewer connections than requests", policy.Limits{MaxParallelRequests: 9, MaxConnections: 4}, 4},
		{"endpoints", policy.Limits{PerEndpointParallelRequests: 2}, 6},
		{"endpoints below the pool", policy.Limits{MaxParallelRequests: 7, PerEndpointParallelRequests: 2}, 6},
		{"the pool below endpoints", policy.Limits{MaxParallelRequests: 5, PerEndpointParallelRequests: 2}, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newWorld(t).serve(limited(3, tt.limits))[0]
			begun, why := start(p, 100)
			if len(begun) != tt.want || (why == pool.AllFull) != (tt.want < 100) {
				t.Fatalf("%d began, then %v; want %d", len(begun), why, tt.want)
			}
			for _, m := range p.Members() {
				if most := int64(tt.limits.PerEndpointParallelRequests); most > 0 && m.InFlight() > most {
					t.Errorf("%s has %d", m.Address, m.InFlight())
				}
			}
			for _, e := range begun {
				e.End()
			}
			if begun, _ = start(p, 100); len(begun) != tt.want {
				t.Errorf("%d began the second time", len(begun))
			}
		})
	}
}

// TestBeginCountsAgain picks for several requests before any of them begins, as
// happens when they come at once: each Pick sees room, and Begin must see that
// there is none any more, for a request that waited too.
func TestBeginCountsAgain(t *testing.T) {
	for _, l := range []policy.Limits{
		{PerEndpointParallelRequests: 2},
		{MaxParallelRequests: 2},
		{MaxParallelRequests: 9, PerEndpointParallelRequests: 2},
	} {
		l.MaxPendingRequests, l.PendingTimeout = 1, time.Second
		p := newWorld(t).serve(limited(1, l))[0]
		var picked []*pool.Endpoint
		for i := range uint64(4) {
			e, why := pick(p, i)
			if e == nil {
				t.Fatalf("%+v: refused: %v", l, why)
			}
			picked = append(picked, e)
		}
		for i, want := range []pool.Start{pool.Started, pool.Started, pool.Full, pool.Full} {
			if got := picked[i].Begin(nil); got != want {
				t.Errorf("%+v: request %d: %d, want %d", l, i+1, got, want)
			}
		}
		e := picked[0]
		turn := p.Queue()
		if e.Begin(turn) != pool.Full || e.InFlight() != 2 {
			t.Errorf("%+v: the first who waits makes %d", l, e.InFlight())
		}
		e.End()
		if e.Begin(turn) != pool.Started || e.InFlight() != 2 {
			t.Errorf("%+v: the first who waits does not begin when there is room", l)
		}
		turn.Leave()
		e.End()
		e.End()
	}
}

// Every algorithm passes over endpoints that have as many as they may.
func TestFullEndpointsAreNotPicked(t *testing.T) {
	for _, algorithm := range []string{"RoundRobin", "LeastRequest", "Random", "PeakEWMA", "ConsistentHash"} {
		for _, n := range []int{1, 3, 200} {
			rnd := seeded(t)
			pp := limited(n, policy.Limits{PerEndpointParallelRequests: 1})
			pp.LoadBalancer.Type = algorithm
			p := newWorld(t).serve(pp)[0]
			last := p.Members()[n-1].Endpoint
			for _, m := range p.Members()[:n-1] {
				begin(t, m.Endpoint)
			}
			for range 20 {
				if e, why := p.Pick(rnd.Uint64(), pool.KeyOf([]byte{byte(rnd.Uint64())}), nil, breaker.Willing); e != last {
					t.Fatalf("%s of %d: picked %v, %v", algorithm, n, e, why)
				}
			}
			if ok, why := p.Eligible(&p.Members()[0]); ok != (n == 1) {
				t.Errorf("%s of %d: a full one is eligible: %v %q", algorithm, n, ok, why)
			}
			begin(t, last)
			if e, why := pick(p, rnd.Uint64()); e != nil || why != pool.AllFull {
				t.Errorf("%s of %d, all full: %v, %v", algorithm, n, e, why)
			}
		}
	}
}

// It is of no use to wait for what would be refused all the same.
func TestFullAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.serve(limited(2, policy.Limits{PerEndpointParallelRequests: 1, MaxPendingRequests: 9}))[0]
		a, b := p.Members()[0].Endpoint, p.Members()[1].Endpoint
		begin(t, a)
		begin(t, b)
		expect := func(what string, want pool.Refusal) {
			t.Helper()
			if e, why := pick(p, 1); e != nil || why != want {
				t.Errorf("%s: %v", what, why)
			}
		}
		expect("both full", pool.AllFull)
		trip(t, a)
		expect("one open", pool.AllFull)
		trip(t, b)
		expect("both open", pool.BreakersOpen)
		time.Sleep(6 * time.Second)
		expect("both may be probed once they have room", pool.AllFull)
		a.SetHealthy(false, "test")
		b.End()
		if e, why := pick(p, 1); e != b {
			t.Errorf("one has room: %v", why)
		}
		if why := pool.AllFull; why.Final() || pool.QueueTimeout.Final() || !pool.BreakersOpen.Final() {
			t.Error("final")
		}
		a.End()
		w.Close()
	})
}

// A limit that is lowered lets nothing begin until it is kept.
func TestLoweredLimits(t *testing.T) {
	w := newWorld(t)
	p := w.serve(limited(2, policy.Limits{MaxParallelRequests: 6, PerEndpointParallelRequests: 3}))[0]
	begun, _ := start(p, 9)
	if len(begun) != 6 {
		t.Fatalf("%d began", len(begun))
	}
	for _, l := range []policy.Limits{{MaxParallelRequests: 2}, {PerEndpointParallelRequests: 1}} {
		p = w.serve(limited(2, l))[0]
		for left := 6; left > 2; left-- {
			if more, why := start(p, 1); len(more) > 0 || why != pool.AllFull {
				t.Errorf("%+v: one began beside %d: %v", l, left, why)
			}
			begun[left-1].End()
		}
		// One of each endpoint's is left, or both of one: make it one of each.
		begun[0].End()
		begun[1].End()
		if more, _ := start(p, 9); len(more) != 2 {
			t.Errorf("%+v: %d began", l, len(more))
		} else {
			more[0].End()
			more[1].End()
		}
		p = w.serve(limited(2, policy.Limits{MaxParallelRequests: 6, PerEndpointParallelRequests: 3}))[0]
		if begun, _ = start(p, 9); len(begun) != 6 {
			t.Fatalf("%d began after the limit was raised", len(begun))
		}
	}
}

// What overflows one pool is nothing to another.
func TestLimitsAreThePools(t *testing.T) {
	a, b := limited(1, policy.Limits{MaxParallelRequests: 1}), limited(1, policy.Limits{MaxParallelRequests: 1})
	b.Name = "q"
	p := newWorld(t).serve(a, b)
	for range 2 {
		if begun, _ := start(p[0], 2); len(begun) > 1 {
			t.Errorf("%d began", len(begun))
		}
	}
	if begun, _ := start(p[1], 2); len(begun) != 1 {
		t.Errorf("%d began in the other", len(begun))
	}
}

// TestNeverMoreThanTheLimits has many goroutines come, wait and go while the limits
// change. In a bubble time stands still as long as anybody can go on: if it moved,
// somebody was not told of a place, and only a timer did.
func TestNeverMoreThanTheLimits(t *testing.T) {
	for _, limits := range []policy.Limits{
		{MaxParallelRequests: 5},
		{PerEndpointParallelRequests: 2},
		{MaxParallelRequests: 5, PerEndpointParallelRequests: 2},
		{MaxParallelRequests: 1},
	} {
		limits.MaxPendingRequests, limits.PendingTimeout = 100, time.Hour
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p := w.serve(limited(3, limits))[0]
			began := time.Now()
			var all atomic.Int64
			each := map[*pool.Endpoint]*atomic.Int64{}
			for _, m := range p.Members() {
				each[m.Endpoint] = new(atomic.Int64)
			}
			var workers sync.WaitGroup
			for i := range uint64(32) {
				workers.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, i))
					for range 300 {
						e := await(t, p, rnd)
						if n := all.Add(1); limits.MaxParallelRequests > 0 && n > int64(limits.MaxParallelRequests) {
							t.Errorf("%d in the pool", n)
						}
						if n := each[e].Add(1); limits.PerEndpointParallelRequests > 0 && n > int64(limits.PerEndpointParallelRequests) {
							t.Errorf("%d at %s", n, e.Address)
						}
						for range rnd.IntN(200) {
							_ = rnd.Uint64()
						}
						each[e].Add(-1)
						all.Add(-1)
						e.End()
					}
				})
			}
			workers.Wait()
			if took := time.Since(began); took > 0 {
				t.Errorf("somebody was told only by a timer: it took %v", took)
			}
			if n := p.Waiting(); n != 0 {
				t.Errorf("%d wait", n)
			}
			w.Close()
		})
	}
}

// await begins a request, as the proxy does.
func await(t *testing.T, p *pool.Pool, rnd *rand.Rand) *pool.Endpoint {
	var turn *pool.Turn
	for {
		e, why := pick(p, rnd.Uint64())
		if e != nil && e.Begin(turn) == pool.Started {
			if turn != nil {
				turn.Leave()
			}
			return e
		}
		if e == nil && why != pool.AllFull {
			t.Errorf("refused: %v", why)
		}
		if turn == nil {
			if turn = p.Queue(); turn == nil {
				t.Error("the queue is full")
				return nil
			}
		}
		<-turn.Come()
	}
}
