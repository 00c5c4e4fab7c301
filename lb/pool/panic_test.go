package pool_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// TestPanicSpreads is about checks that all fail at once: every endpoint gets
// what it got before.
func TestPanicSpreads(t *testing.T) {
	statistics(t)
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			rnd := seeded(t)
			p := newWorld(t).serve(panicPool(algorithm))[0]
			due := map[string]float64{}
			for _, m := range p.Members() {
				due[m.Address] = 0.2
			}
			if algorithm == "ConsistentHash" { // as its ring has it
				due = shares(t, p, rnd, 20000)
			}
			recovers(p.Members()[2].Endpoint, 0) // its slow start is void when it fails
			for _, m := range p.Members() {
				m.SetHealthy(false, "test")
			}
			got := shares(t, p, rnd, 20000)
			for _, m := range p.Members() {
				within(t, m.Address, got[m.Address], due[m.Address], 0.1)
			}
		})
	}
}

// panicPool has a slow start as well: it must not disturb the spread.
func panicPool(algorithm string) policy.Pool {
	p := slowPool(algorithm, equal(5))
	p.HealthCheck.PanicThreshold = 50
	return p
}

// told is what PanicChanged said: "p+1/3" where p began to panic with one of three
// healthy.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, c := range w.panics {
		sign := map[bool]string{true: "+", false: "-"}[c.Panic]
		if c.At.IsZero() {
			w.t.Error("no time")
		}
		all = append(all, fmt.Sprintf("%s%s%d/%d", c.PoolName, sign, c.Healthy, c.Total))
	}
	w.panics = nil
	return strings.Join(all, " ")
}

// TestPanicIsTold plays changes of health (+a healthy, -a not) and commits (=50 a b!
// with a threshold; an endpoint's spare priority is written a/1, weight 0 a*), and
// compares what is told after each.
func TestPanicIsTold(t *testing.T) {
	tests := []struct{ name, steps string }{
		{"health", "=50 a b c | -a | -b > p+1/3 | -c | +c | +a > p-2/3 | +b"},
		{"threshold 0", "=0 a b | -a | -b"},
		{"threshold 100", "=100 a b | -a > p+1/2 | +a > p-2/2"},
		{"priorities", "=50 a b c/1 | -a | -b | -c > p+0/3 | +c > p-1/3 | -c > p+0/3 | +a > p-1/3"},
		{"a new threshold", "=0 a b | -a | -b | =50 a b > p+0/2 | =0 a b > p-0/2"},
		{"endpoints added", "=50 a b | -a | -b > p+0/2 | =50 a b c d > p-2/4"},
		{"endpoints removed", "=50 a b c | -a | =50 a b | =50 a > p+0/1"},
		{"an endpoint drained", "=50 a b c | -a | -b > p+1/3 | =50 a! b! c > p-1/1 | =50 a b c > p+1/3"},
		{"weight 0", "=50 a b c | -a | -b > p+1/3 | =50 a* b* c > p-1/1 | =50 a b* c"},
		{"removed ones do not count", "=50 a b | -a | =50 b c | +a | -a | -b | -c > p+0/2"},
		{"drained ones do not count", "=50 a! b | -a | -b > p+0/1 | +a | +b > p-1/1"},
		{"changed while removed", "=50 a! b c | -b | =50 b c | +b | -b | -c > p+0/2"},
		{"replaced by others", "=50 a b | -a | -b > p+0/2 | =50 c d > p-2/2"},
		{"the pool is gone", "=50 a b | -a | -b > p+0/2 | = > p-0/0 | =50 a b"},
		{"another priority", "=50 a b c | -c | -b > p+1/3 | =50 a b c/1 > p-1/3 | -a > p+0/3"},
		{"the same again", "=50 a b | -a | -b > p+0/2 | =50 a b | =50 a b | +a > p-1/2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var p *pool.Pool
			all := map[string]*pool.Endpoint{}
			for step := range strings.SplitSeq(tt.steps, " | ") {
				step, want, _ := strings.Cut(step, " > ")
				switch step[0] {
				case '+', '-':
					all[step[1:]].SetHealthy(step[0] == '+', "test")
				default:
					if step == "=" {
						w.serve()
						break
					}
					pp := only()
					words := strings.Fields(step[1:])
					fmt.Sscan(words[0], &pp.HealthCheck.PanicThreshold)
					for _, word := range words[1:] {
						e := policy.Endpoint{Address: strings.Trim(word, "!*/1"), Weight: 1}
						if strings.Contains(word, "/1") {
							e.Priority = 1
						}
						if strings.Contains(word, "*") {
							e.Weight = 0
						}
						e.Drain = strings.Contains(word, "!")
						pp.Endpoints = append(pp.Endpoints, e)
					}
					p = w.serve(pp)[0]
					maps.Copy(all, members(p))
				}
				if got := w.told(); got != want {
					t.Fatalf("%s: told %q, want %q", step, got, want)
				}
				if strings.HasPrefix(want, "p+") != p.Panic() && want != "" {
					t.Errorf("%s: panic is %v", step, p.Panic())
				}
			}
		})
	}
}

// TestPanicServesDuringACommit replaces healthy endpoints by unhealthy ones. Neither
// the pool before the swap nor the one after it refuses.
func TestPanicServesDuringACommit(t *testing.T) {
	w := newWorld(t)
	w.serve(only("a", "b", "c"))
	s, err := w.Stage([]policy.Pool{only("d")})
	if err != nil {
		t.Fatal(err)
	}
	d := s.Pools()[0].Members()[0].Endpoint
	d.SetHealthy(false, "not checked yet")
	s.Commit(func() {
		if e, refusal := s.Pools()[0].Pick(1, pool.Key{}, nil, 0); e != d {
			t.Errorf("at the swap: %v", refusal)
		}
	})
	if got := w.told(); got != "p+0/1" {
		t.Errorf("told %q", got)
	}
}

// TestPanicIsToldOnceAndInOrder changes health from many goroutines, some of them the
// listener itself, while policies come and go. What is told alternates, one call at a
// time, and ends with how it is.
func TestPanicIsToldOnceAndInOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var current atomic.Pointer[pool.Pool]
	var inside, calls, last atomic.Int32
	var reentered atomic.Bool
	r := pool.NewRegistry(pool.Options{Events: &event.Listener{PanicChanged: func(c event.PanicChange) {
		if inside.Add(1) != 1 {
			t.Error("two calls at once")
		}
		now := int32(0)
		if c.Panic {
			now = 1
		}
		if last.Swap(now) == now {
			t.Errorf("told twice that panic is %v", c.Panic)
		}
		if (c.Healthy*2 < c.Total) != c.Panic {
			t.Errorf("%+v", c)
		}
		calls.Add(1)
		if p := current.Load(); p != nil && reentered.CompareAndSwap(false, true) {
			e := p.Members()[0].Endpoint
			e.SetHealthy(!e.Healthy(), "from within")
			p.Panic()
		}
		inside.Add(-1)
	}}})
	defer r.Close()
	serve := func(n int) {
		s, err := r.Stage([]policy.Pool{policyPool("Random", equal(n))})
		if err != nil {
			t.Error(err)
			return
		}
		s.Commit(func() { current.Store(s.Pools()[0]) })
	}
	serve(4)
	var all sync.WaitGroup
	for g := range uint64(4) {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, g))
			for range 3000 {
				m := current.Load().Members()
				m[rnd.IntN(len(m))].SetHealthy(rnd.IntN(2) == 0, "test")
				reentered.Store(false)
			}
		})
	}
	rnd := rand.New(rand.NewPCG(seed, 9))
	for range 300 {
		serve(3 + rnd.IntN(3))
	}
	all.Wait()
	reentered.Store(true)
	if is := current.Load().Panic(); is != (last.Load() == 1) {
		t.Errorf("panic is %v, and was told otherwise", is)
	}
	if calls.Load() < 10 {
		t.Errorf("only %d changes", calls.Load())
	}
}
