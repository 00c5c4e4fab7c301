package pool_test

import (
	"testing"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// TestWhatACommitResets: a kept endpoint loses what its breaker had counted to
// another interval, and its health to the end of its checks; nothing else.
func TestWhatACommitResets(t *testing.T) {
	tests := []struct {
		name   string
		change func(*policy.Pool)
		want   pool.Changes
	}{
		{"nothing", func(*policy.Pool) {}, pool.Changes{Kept: 2}},
		{"thresholds", func(p *policy.Pool) {
			p.CircuitBreaker.ConsecutiveFailures, p.CircuitBreaker.OpenDuration = 9, time.Hour
		}, pool.Changes{Kept: 2}},
		{"the interval", func(p *policy.Pool) { p.CircuitBreaker.Interval += time.Second }, pool.Changes{Kept: 2, WindowsReset: 2}},
		{"other checks", func(p *policy.Pool) { p.HealthCheck.Active = &policy.ActiveCheck{Type: "TCP", Interval: time.Minute} }, pool.Changes{Kept: 2}},
		{"no checks", func(p *policy.Pool) { p.HealthCheck.Active = nil }, pool.Changes{Kept: 2, HealthReset: 2}},
		{"one more", func(p *policy.Pool) { p.Endpoints = equal(3); p.CircuitBreaker.Interval = time.Hour }, pool.Changes{Kept: 2, Added: 1, WindowsReset: 2}},
		{"one less", func(p *policy.Pool) { p.Endpoints = equal(1); p.HealthCheck.Active = nil }, pool.Changes{Kept: 1, Removed: 1, HealthReset: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			before := policyPool("RoundRobin", equal(2))
			before.HealthCheck.Active = &policy.ActiveCheck{Type: "HTTP", Interval: time.Second}
			if got := w.commit(before); got != (pool.Changes{Added: 2}) {
				t.Errorf("the first policy: %+v", got)
			}
			after := before
			tt.change(&after)
			if got := w.commit(after); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
