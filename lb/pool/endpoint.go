package pool

import (
	"math"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/upstream"
)

// Endpoint is what is known of one address of one pool. It outlives the
// policies that name it.
type Endpoint struct {
	ID, PoolID        event.ID
	PoolName, Address string
	Home              uint64 // see [HomeOf]
	Transport         *upstream.Transport

	registry *Registry
	group    *group
	breaker  atomic.Pointer[breaker.Breaker]
	flags    atomic.Uint32 // draining, unhealthy, slow; and what failed lately
	limit    atomic.Int64  // of requests in flight
	queue    queue         // of those who wait for it and no other

	drain  drain // guarded by registry.mu
	lodges bool  // sessions may be at home at it: it stays while it drains; guarded by registry.mu
	// Of the reload goroutine: the number of the last Stage that named it, and
	// its pool's setting.
	stage        uint64
	drainTimeout time.Duration
	kept         kept

	// Where its health counts: in the policy that serves and in the one that is
	// being committed; nil: nowhere. Guarded by group.mu.
	serving, coming *tally

	slowStart slowStart
	latency   latency // PeakEWMA

	_        [64]byte // inFlight changes with each request: a cache line of its own
	inFlight atomic.Int64
	_        [56]byte
}

// Bits of Endpoint.flags. None set is the usual case, told by one comparison.
const (
	draining uint32 = 1 << iota
	unhealthy
	slow
	tripped    // its breaker is not closed
	recovering // it starts slowly since it was not eligible: its sessions come back bit by bit too
	drained    // its drain took as long as it may: sessions have to leave as well
)

// retired is what inFlight is set to so that no request can begin any more.
const retired = math.MinInt64 / 2

// Breaker returns the endpoint's circuit breaker, which may be nil. A reload
// may give it one, so ask anew for each request.
func (e *Endpoint) Breaker() *breaker.Breaker { return e.breaker.Load() }

// Start is whether a request may begin at the endpoint it was picked.
type Start uint8

const (
	Started Start = iota // it counts: End is owed
	Drained              // the endpoint began to drain meanwhile
	Full                 // a limit is reached: see [Pool.Queue]
)

// InFlight is the number of requests between Begin and End. For a moment it may
// be one more, for a request that Begin is about to refuse.
func (e *Endpoint) InFlight() int64 { return max(0, e.inFlight.Load()) }

// Draining says whether it gets no new request, by policy or because no policy
// names it any more.
func (e *Endpoint) Draining() bool { return e.flags.Load()&draining != 0 }

// Healthy is what SetHealthy was told last; before that, what the pool's checks
// have an endpoint count as until its first one, and true without checks.
func (e *Endpoint) Healthy() bool { return e.flags.Load()&unhealthy == 0 }

// SetHealthy tells the verdict of the endpoint's active checks, and why.
func (e *Endpoint) SetHealthy(healthy bool, reason string) { e.setHealth(healthy, 0, reason) }

// HoldOut is SetHealthy(false) by one who will not say anything better for a
// time, whatever the checks find.
func (e *Endpoint) HoldOut(held time.Duration, reason string) { e.setHealth(false, held, reason) }

func (e *Endpoint) setHealth(healthy bool, held time.Duration, reason string) {
	if !e.group.setHealthy(e, healthy) {
		return
	}
	e.rouse()
	if f := e.registry.events.HealthChanged; f != nil {
		f(event.HealthChange{
			Pool: e.PoolID, Endpoint: e.ID, PoolName: e.PoolName, Address: e.Address,
			Healthy: healthy, Reason: reason, Held: held, At: time.Now(),
		})
	}
	e.group.tell()
}

// apply makes the settings of its pool act.
func (e *Endpoint) apply(p *policy.Pool) {
	e.Transport.SetLimits(limits(p))
	e.limit.Store(limitOf(p.Limits.PerEndpointParallelRequests))
	e.drainTimeout = p.DrainTimeout
	e.setSlowStart(p.LoadBalancer.SlowStartWindow)
	e.latency.measured.Store(p.LoadBalancer.Type == "PeakEWMA")
	s := breakerSettings(&p.CircuitBreaker)
	if b := e.breaker.Load(); b != nil {
		b.Update(s)
	} else {
		e.breaker.Store(breaker.New(s, e.random(), e.breakerChanged))
	}
}

// random returns a source of random numbers of its own for the endpoint, so that
// the same seed and the same events give the same numbers. It takes no lock.
func (e *Endpoint) random() func() uint64 {
	x := mix(e.registry.rand ^ mix(uint64(e.ID)))
	return func() uint64 {
		x++
		return mix(x)
	}
}

func (e *Endpoint) breakerChanged(from, to breaker.State, reason string) {
	if to == breaker.Closed {
		e.flags.And(^tripped)
		e.startSlowly(recovering)
	} else {
		e.flags.Or(tripped)
	}
	e.rouse()
	if f := e.registry.events.BreakerChanged; f != nil {
		f(event.BreakerChange{
			Pool: e.PoolID, Endpoint: e.ID, PoolName: e.PoolName, Address: e.Address,
			From: event.BreakerState(from), To: event.BreakerState(to), Reason: reason, At: time.Now(),
		})
	}
}

func limits(p *policy.Pool) upstream.Limits {
	return upstream.Limits{
		ConnectTimeout: p.ConnectTimeout,
		IdleTimeout:    p.IdleTimeout,
	}
}

func breakerSettings(c *policy.CircuitBreaker) breaker.Settings {
	return breaker.Settings{
		ConsecutiveFailures: c.ConsecutiveFailures,
		FailurePercent:      c.FailurePercent,
		MinRequests:         c.MinRequests,
		Interval:            c.Interval,
		OpenDuration:        c.OpenDuration,
		MaxOpenDuration:     c.MaxOpenDuration,
		HalfOpenRequests:    c.HalfOpenRequests,
	}
}
