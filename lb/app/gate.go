package app

import (
	"context"
	"errors"
	"sync"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
)

// gate is the balancer as the admin address sees it, which is there longer: it
// lets reloads through only while the balancer serves.
type gate struct {
	*balancer.Balancer

	mu      sync.Mutex
	open    bool
	closing chan struct{}
	inside  sync.WaitGroup
}

func newGate(b *balancer.Balancer) *gate { return &gate{Balancer: b, closing: make(chan struct{})} }

var errGate = errors.New("the balancer is starting or stopping: nothing can be reloaded")

func (g *gate) Reload(ctx context.Context) reload.Result {
	g.mu.Lock()
	if !g.open {
		g.mu.Unlock()
		return reload.Result{Outcome: reload.Canceled, Err: errGate}
	}
	g.inside.Add(1)
	g.mu.Unlock()
	defer g.inside.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	g.inside.Go(func() {
		select {
		case <-g.closing:
			cancel()
		case <-done:
		}
	})
	return g.Balancer.Reload(ctx)
}

func (g *gate) opened() {
	g.mu.Lock()
	g.open = true
	g.mu.Unlock()
}

// close keeps reloads out and waits for those inside, which are canceled.
func (g *gate) close() {
	g.mu.Lock()
	g.open = false
	g.mu.Unlock()
	close(g.closing)
	g.inside.Wait()
}
