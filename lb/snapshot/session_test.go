package snapshot_test

import (
	"testing"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// A home that is unknown is waited for by one and the same policy, which is told by how
// it keeps the pool's sessions: so that is the same by whichever route a request comes.
func TestSessionsOfAPoolInSeveralRoutes(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	keeps := &policy.SessionPersistence{Type: "Cookie", CookieName: "lb_session", Store: "Redis", IdleTimeout: time.Minute, AbsoluteTimeout: time.Hour}
	p := &policy.Policy{
		Name:  "p",
		Pools: []policy.Pool{{Name: "cart", SessionPersistence: keeps}, {Name: "next", SessionPersistence: keeps}, {Name: "none"}},
		Routes: []policy.Route{
			{Name: "a", BackendRefs: []policy.BackendRef{{Pool: "cart", Weight: 1}}},
			{Name: "b", BackendRefs: []policy.BackendRef{{Pool: "next", Weight: 1}, {Pool: "cart", Weight: 1}}},
			{Name: "c", BackendRefs: []policy.BackendRef{{Pool: "none", Weight: 1}}},
		},
	}
	serve := func() *snapshot.Snapshot {
		staged, err := snapshot.Compile(p, "", registry)
		if err != nil {
			t.Fatal(err)
		}
		var current snapshot.Current
		staged.Commit(&current, time.Now())
		return current.Load()
	}
	s := serve()
	a, b := s.Routes[0].Backends, s.Routes[1].Backends
	if a[0].Sessions == nil || a[0].Sessions != b[1].Sessions {
		t.Error("the routes keep the sessions of one pool in two ways")
	}
	if a[0].Sessions == b[0].Sessions {
		t.Error("two pools have one way")
	}
	if s.Routes[2].Backends[0].Sessions != nil || s.Routes[2].Carrier != nil {
		t.Error("a pool without sessions keeps them")
	}
	if next := serve(); next.Routes[0].Backends[0].Sessions == a[0].Sessions {
		t.Error("another policy is told from the one before by this")
	}
}
