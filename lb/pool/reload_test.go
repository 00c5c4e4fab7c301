package pool_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// TestRequestsDuringReloads sends requests while endpoints come and go. No
// request may begin on an endpoint that was retired, and each that is refused
// must find an endpoint in the pool that serves then.
func TestRequestsDuringReloads(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var gone sync.Map // *pool.Endpoint by id, of retired ones
	var registry *pool.Registry
	var byID sync.Map
	registry = pool.NewRegistry(pool.Options{Events: &event.Listener{
		EndpointRetired: func(id event.ID) {
			e, _ := byID.LoadAndDelete(id)
			gone.Store(e, true)
		},
	}})
	var current atomic.Pointer[pool.Pool]
	reload := func(rnd *rand.Rand) {
		var addresses []string
		for i := range 6 {
			switch rnd.IntN(3) {
			case 0:
				addresses = append(addresses, fmt.Sprintf("e%d", i))
			case 1:
				addresses = append(addresses, fmt.Sprintf("e%d!", i))
			}
		}
		addresses = append(addresses, fmt.Sprintf("last%d", rnd.IntN(2)))
		p := only(addresses...)
		p.LoadBalancer.Type = []string{"RoundRobin", "LeastRequest", "PeakEWMA", "Random", "ConsistentHash"}[rnd.IntN(5)]
		s, err := registry.Stage([]policy.Pool{p})
		if err != nil {
			t.Error(err)
			return
		}
		if rnd.IntN(5) == 0 {
			s.Discard()
			return
		}
		for _, m := range s.Pools()[0].Members() {
			byID.Store(m.ID, m.Endpoint)
		}
		s.Commit(func() { current.Store(s.Pools()[0]) })
	}
	first := rand.New(rand.NewPCG(seed, 99))
	for current.Load() == nil {
		reload(first)
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var served atomic.Int64
	for g := range uint64(4) {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, g))
			for {
				select {
				case <-stop:
					return
				default:
				}
				for try := 0; ; try++ {
					p := current.Load()
					e, refusal := p.Pick(rnd.Uint64(), pool.Key{}, nil, breaker.Willing)
					if refusal == pool.None && e.Begin(nil) == pool.Started {
						if _, is := gone.Load(e); is {
							t.Error("a request began on a retired endpoint")
						}
						w := e.Wait(true)
						if rnd.IntN(50) == 0 {
							e.SetHealthy(rnd.IntN(3) > 0, "test")
							time.Sleep(time.Duration(rnd.IntN(100)) * time.Microsecond)
						}
						w.Answered(0)
						e.End()
						served.Add(1)
						break
					}
					if refusal != pool.None && current.Load() == p {
						t.Errorf("refused by the pool that serves: %v", refusal)
						return
					}
				}
			}
		})
	}
	rnd := rand.New(rand.NewPCG(seed, 100))
	for n := 0; (n < 300 || served.Load() < 5000) && !t.Failed(); n++ {
		reload(rnd)
		registry.Leaving()
	}
	close(stop)
	clients.Wait()
	for _, e := range registry.Leaving() {
		t.Errorf("%s did not retire", e.Address)
	}
	registry.Close()
}
