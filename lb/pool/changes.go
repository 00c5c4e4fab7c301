package pool

import (
	"time"

	"go-loadbalancer/lb/policy"
)

// Changes counts what a commit did to endpoints. Kept ones go on with their state:
// breaker, health, requests in flight, latency, slow start and connections.
type Changes struct {
	Kept, Added, Removed int
	// WindowsReset counts the kept ones that lost what failurePercent had counted, to
	// another interval.
	WindowsReset int
	// HealthReset counts those that lost the verdict of an active check, which there
	// is no more.
	HealthReset int
}

// kept is the settings by which an endpoint's state came about. It belongs to the
// reload goroutine.
type kept struct {
	known    bool
	interval time.Duration // of the breaker
	checked  bool
}

// reset notes what an endpoint loses by the settings its pool has now.
func (c *Changes) reset(e *Endpoint, p *policy.Pool) {
	now := kept{true, p.CircuitBreaker.Interval, p.HealthCheck.Active != nil}
	if e.kept.known && e.kept.interval != now.interval {
		c.WindowsReset++
	}
	if e.kept.checked && !now.checked {
		c.HealthReset++
	}
	e.kept = now
}
