package snapshot_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/snapshot"
)

// limited is a policy whose one route has a rate limit.
func limited(route string, limit *policy.RateLimit) *policy.Policy {
	return &policy.Policy{
		Pools: []policy.Pool{{Name: "a", Endpoints: []policy.Endpoint{{Address: "x:1", Weight: 1}}}},
		Routes: []policy.Route{{
			Name: route, BackendRefs: []policy.BackendRef{{Pool: "a", Weight: 1}},
			Matches: []policy.Match{{PathType: policy.PathPrefix, Path: "/"}},
			Filters: policy.Filters{RateLimit: limit},
		}},
	}
}

func bySource(requests, burst int) *policy.RateLimit {
	return &policy.RateLimit{Requests: requests, Per: time.Hour, Burst: burst, Key: "SourceIP"}
}

func byHeader(name string) *policy.RateLimit {
	return &policy.RateLimit{Requests: 1, Per: time.Hour, Burst: 5, Key: "Header", Header: name}
}

// What a key has left is kept while a route of the name has a rate limit by the
// same kind of key.
func TestRateLimitAcrossReloads(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, next  *policy.Policy
		refused      bool // a policy between the two was compiled and given up
		left, hourly int  // at once after the reload, and an hour later
	}{
		{name: "the same", first: limited("r", bySource(1, 5)), next: limited("r", bySource(1, 5)), left: 2, hourly: 1},
		{name: "other numbers", first: limited("r", bySource(1, 5)), next: limited("r", bySource(3, 4)), left: 2, hourly: 3},
		{name: "a refused policy", first: limited("r", bySource(1, 5)), next: limited("r", bySource(1, 5)), refused: true, left: 2, hourly: 1},
		{name: "another route", first: limited("r", bySource(1, 5)), next: limited("s", bySource(1, 5)), left: 5, hourly: 1},
		{name: "another kind of key", first: limited("r", bySource(1, 5)), next: limited("r", byHeader("X-Key")), left: 5, hourly: 1},
		{name: "the same header", first: limited("r", byHeader("X-Key")), next: limited("r", byHeader("x-key")), left: 2, hourly: 1},
		{name: "another header", first: limited("r", byHeader("X-Key")), next: limited("r", byHeader("X-Other")), left: 5, hourly: 1},
		{name: "no limit before", first: limited("r", nil), next: limited("r", bySource(1, 5)), left: 5, hourly: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry := pool.NewRegistry(pool.Options{})
				defer registry.Close()
				var current snapshot.Current
				serve := func(p *policy.Policy) *snapshot.RateLimit {
					s, err := snapshot.Compile(p, "", registry)
					if err != nil {
						t.Fatal(err)
					}
					s.Commit(&current, time.Now())
					return current.Load().Routes[0].RateLimit
				}
				take := func(l *snapshot.RateLimit, n int) (ok int) {
					for range n {
						if l.Take(l.Value([]byte("key"))) == 0 {
							ok++
						}
					}
					return ok
				}
				if first := serve(c.first); first != nil {
					take(first, 3)
				}
				if c.refused {
					s, err := snapshot.Compile(limited("r", bySource(1, 1)), "", registry)
					if err != nil {
						t.Fatal(err)
					}
					s.Discard()
				}
				l := serve(c.next)
				if n := take(l, 10); n != c.left {
					t.Errorf("%d are left, want %d", n, c.left)
				}
				time.Sleep(time.Hour)
				if n := take(l, 10); n != c.hourly {
					t.Errorf("%d an hour later, want %d", n, c.hourly)
				}
			})
		})
	}
}

// A route that had its limit taken away begins anew when it gets one again.
func TestRateLimitDropped(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	var current snapshot.Current
	for i, p := range []*policy.Policy{limited("r", bySource(1, 1)), limited("r", nil), limited("r", bySource(1, 1))} {
		s, err := snapshot.Compile(p, "", registry)
		if err != nil {
			t.Fatal(err)
		}
		s.Commit(&current, time.Now())
		if l := current.Load().Routes[0].RateLimit; l != nil && l.Take(l.Value(nil)) > 0 {
			t.Errorf("policy %d: the bucket is not full", i)
		}
	}
}
