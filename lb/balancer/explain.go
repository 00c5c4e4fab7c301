package balancer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go-loadbalancer/lb/explain"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/snapshot"
)

// Explain says what would become of a request by now, and why; see [proxy.Proxy.Explain].
// It sends nothing and changes nothing.
func (b *Balancer) Explain(ctx context.Context, q *explain.Asked) (*explain.Decision, error) {
	if b.current.Load() == nil {
		return nil, errors.New("no policy serves yet")
	}
	return b.proxy.Explain(ctx, q, true), nil
}

// ExplainPolicy says what would become of a request by a policy that serves nobody: every
// endpoint counts as healthy and idle, and host names are endpoints by themselves. An
// error is of a policy that does not compile.
func ExplainPolicy(p *policy.Policy, q *explain.Asked) (*explain.Decision, error) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	staged, err := snapshot.Compile(p, "", registry)
	if err != nil {
		return nil, fmt.Errorf("the policy does not compile: %w", err)
	}
	var current snapshot.Current
	staged.Commit(&current, time.Now())
	for _, p := range current.Load().Pools {
		for _, m := range p.Members() {
			m.SetHealthy(true, "")
		}
	}
	sessions := session.New(session.Options{})
	defer sessions.Close()
	asked := proxy.New(proxy.Options{Current: &current, Sessions: sessions})
	defer asked.Close()
	return asked.Explain(context.Background(), q, false), nil
}
