package admin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// endpoints returns n endpoints of a pool, changed.
func endpoints(pool string, n int, change func(i int, e *balancer.EndpointStatus)) []balancer.EndpointStatus {
	out := make([]balancer.EndpointStatus, n)
	for i := range out {
		out[i] = balancer.EndpointStatus{
			ID: fmt.Sprintf("%s/%d", pool, i+1), Address: fmt.Sprint("a", i+1), Healthy: true, Eligible: true,
			Breaker: balancer.BreakerStatus{State: "closed"}, Weight: 1,
		}
		change(i+1, &out[i])
	}
	return out
}

// TestProblems: what is wrong, since when, and what is done about it.
func TestProblems(t *testing.T) {
	began := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	probe := began.Add(time.Minute)
	open := func(e *balancer.EndpointStatus) {
		e.Breaker, e.Eligible = balancer.BreakerStatus{State: "open", OpenUntil: &probe}, false
	}
	unhealthy := func(e *balancer.EndpointStatus) {
		e.Healthy, e.Eligible, e.Check.LastError = false, false, "status 500"
	}
	type problem struct {
		severity             telemetry.Severity
		what, breaker, doing string
		since, until         bool
	}
	tests := []struct {
		name string
		pool balancer.PoolStatus
		want []problem
	}{
		{"fine", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 3, func(int, *balancer.EndpointStatus) {})}, nil},
		{"one open", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 3, func(i int, e *balancer.EndpointStatus) {
			if i == 1 {
				open(e)
			}
		})}, []problem{{"warn", "Endpoint p/1, a1: too many failures in a row", "open",
			"It gets nothing until its next probe. The 2 of 3 endpoints that are left take its requests. It has opened 2 times.", true, true}}},
		{"one half-open, one left", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 2, func(i int, e *balancer.EndpointStatus) {
			if i == 2 {
				e.Breaker.State = "half-open"
			}
		})}, []problem{{"warn", "Endpoint p/2, a2", "half-open", "Probes decide whether it closes. The only one of 2 endpoints that is left takes its requests.", false, false}}},
		{"alone and half-open", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 1, func(_ int, e *balancer.EndpointStatus) { e.Breaker.State = "half-open" })},
			[]problem{{"warn", "Endpoint p/1, a1: too many failures in a row", "half-open",
				"Probes decide whether it closes. No endpoint is left for what else comes: it is answered 503 at once, with Retry-After. It has opened 2 times.", true, false}}},
		{"unhealthy and held out", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 3, func(i int, e *balancer.EndpointStatus) {
			if i == 2 {
				unhealthy(e)
				e.Check.HeldUntil, e.Check.Falls = &probe, 3
			}
		})}, []problem{{"warn", "Endpoint p/2, a2, is unhealthy: status 500", "",
			"It has turned unhealthy 3 times and is held out. The 2 of 3 endpoints that are left take its requests.", true, false}}},
		{"many", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 20, func(i int, e *balancer.EndpointStatus) {
			if i <= 5 {
				open(e)
			} else if i <= 9 {
				unhealthy(e)
			}
		})}, []problem{
			{"warn", "Pool p: the breakers of 5 endpoints are open or half-open", "open", "They get nothing but probes. The 11 of 20 endpoints that are left take their requests.", true, true},
			{"warn", "Pool p: 4 endpoints are unhealthy", "", "The 11 of 20 endpoints that are left take their requests.", false, false},
		}},
		{"none left", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 3, func(i int, e *balancer.EndpointStatus) {
			if i == 1 {
				open(e)
			} else {
				unhealthy(e)
			}
		})}, []problem{{"bad", "Pool p has no eligible endpoint: 1 breaker is open or half-open, 2 are unhealthy", "open",
			"Its requests are answered 503 at once, with Retry-After. Probes close the breakers as soon as endpoints answer. Checks go on, and bring back what passes.", true, true}}},
		{"panic", balancer.PoolStatus{Name: "p", Panic: true, Endpoints: endpoints("p", 3, func(i int, e *balancer.EndpointStatus) {
			if i > 1 {
				unhealthy(e)
				e.Eligible = true
			}
		})}, []problem{
			{"bad", "Pool p is in panic mode: too few endpoints are healthy", "", "Health is ignored, and requests are spread over all endpoints whose breakers admit them.", true, false},
			{"warn", "Endpoint p/2, a2, is unhealthy: status 500", "", "It gets requests nevertheless, since the pool is in panic mode.", true, false},
			{"warn", "Endpoint p/3, a3, is unhealthy: status 500", "", "It gets requests nevertheless, since the pool is in panic mode.", false, false},
		}},
		{"drains", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 2, func(_ int, e *balancer.EndpointStatus) { e.Draining, e.Eligible = true, false })},
			[]problem{{"bad", "Pool p has no endpoint: all drain, or no address of its names is known", "", "Its requests are answered 503 at once, with Retry-After.", false, false}}},
		{"removed", balancer.PoolStatus{Name: "p", Endpoints: endpoints("p", 1, func(_ int, e *balancer.EndpointStatus) { e.ID, e.Draining, e.Eligible = "p/-", true, false })}, nil},
		{"queue", balancer.PoolStatus{Name: "p", Waiting: 1, Endpoints: endpoints("p", 1, func(int, *balancer.EndpointStatus) {})},
			[]problem{{"warn", "Pool p: 1 request waits in its queue", "", "The pool, or every endpoint, has as many as its limits allow. Those that wait too long are answered 503.", false, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeline := telemetry.NewTimeline()
			happens := timeline.Events()
			for range 2 {
				happens.BreakerChanged(event.BreakerChange{PoolName: "p", Address: "a1", From: "closed", To: "open", Reason: "consecutive_failures", At: began})
			}
			happens.HealthChanged(event.HealthChange{PoolName: "p", Address: "a2", At: began})
			happens.PanicChanged(event.PanicChange{PoolName: "p", Panic: true, At: began})
			b := &fake{ready: true, status: balancer.Status{Policy: balancer.PolicyStatus{Hash: "aa"}, Pools: []balancer.PoolStatus{tt.pool}}}
			_, m := serve(t, b, func(o *admin.Options) { o.Timeline = timeline }).view().next()
			var got []problem
			for _, p := range m.Problems {
				got = append(got, problem{p.Severity, p.What, p.Breaker, p.Doing, p.Since == began.UnixMilli(), p.Until == probe.UnixMilli()})
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(problem{})); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

// What is not about a pool, the worst first.
func TestOtherProblems(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		ready  bool
		change func(*balancer.Status)
		want   []string
	}{
		{"no policy", false, func(s *balancer.Status) { s.Policy = balancer.PolicyStatus{} }, []string{"bad Not ready: no policy is loaded"}},
		{"draining", false, func(*balancer.Status) {}, []string{"bad Not ready: draining"}},
		{"refused", true, func(s *balancer.Status) {
			s.Policy.LastError = &balancer.LastError{At: at, Reason: "invalid", Message: "p.yaml:1:2: no\n  a\n  ^"}
		}, []string{"warn The newest policy was refused: p.yaml:1:2: no"}},
		{"refused, and nobody knows why", true, func(s *balancer.Status) {
			s.Policy.LastError = &balancer.LastError{At: at, Reason: "unreadable"}
		}, []string{"warn The newest policy was refused: unreadable"}},
		{"last good", true, func(s *balancer.Status) { s.Policy.LastGood = true }, []string{"warn The policy that serves comes from the state directory"}},
		{"store away", true, func(s *balancer.Status) {
			s.Sessions = balancer.SessionsStatus{Store: "redis", State: "away", Reason: "refused"}
		},
			[]string{"warn The session store is away: refused"}},
		{"listeners", true, func(s *balancer.Status) {
			s.Listeners = []balancer.ListenerStatus{
				{Name: "quiet", Connections: 80, Limit: 100}, {Name: "near", Connections: 81, Limit: 100}, {Name: "full", Connections: 5, Limit: 5},
			}
		}, []string{"bad Listener full has as many connections as it may: 5", "warn Listener near has 81 of the 100 connections that it may"}},
		{"several", false, func(s *balancer.Status) { s.Policy.LastGood = true }, []string{"bad Not ready: draining", "warn The policy that serves comes from the state directory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &fake{ready: tt.ready, status: lone()}
			b.change(tt.change)
			_, m := serve(t, b, nil).view().next()
			var got []string
			for _, p := range m.Problems {
				got = append(got, string(p.Severity)+" "+p.What)
				if p.Doing == "" {
					t.Errorf("%s: it does not say what is done about it", p.What)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

// A route whose requests fail is told of, whatever its endpoints' breakers say.
func TestFailingRoute(t *testing.T) {
	metrics := telemetry.NewMetrics(telemetry.Build{})
	catalog := &event.Catalog{Routes: []event.Named{{Name: "r"}}}
	e := metrics.Events()
	e.PolicyPrepared(catalog)
	e.PolicyCommitted(&event.Commit{Catalog: catalog})
	c := serve(t, &fake{status: lone(), ready: true}, func(o *admin.Options) { o.Metrics = metrics })
	v := c.view()
	v.next()
	for i := range 40 {
		e.RequestEnded(&event.Request{Status: 200 + 300*(i%10/9)}) // every tenth: 500
	}
	m := v.until("the route that fails", func(_ string, m message) bool { return len(m.Problems) > 0 })
	if p := m.Problems[0]; p.What != "Route r: 10 % of its requests are answered 5xx" || p.Route != "r" || p.Severity != telemetry.Bad || p.Since == 0 {
		t.Errorf("%+v", p)
	}
}
