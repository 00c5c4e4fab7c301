package admin

import (
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/telemetry"
)

// What is told of the balancer's status: what is not counted cannot drift.
var (
	upstreamInFlight = telemetry.Family{Name: "lb_upstream_in_flight",
		Help: "Requests that an endpoint is working on.", Type: dto.MetricType_GAUGE}
	breakerState = telemetry.Family{Name: "lb_circuit_breaker_state",
		Help: "1 for the state an endpoint's circuit breaker is in, 0 for the others.", Type: dto.MetricType_GAUGE}
	healthy = telemetry.Family{Name: "lb_endpoint_healthy",
		Help: "1 if the endpoint's checks say it is healthy, or if it has none.", Type: dto.MetricType_GAUGE}
	heldOut = telemetry.Family{Name: "lb_endpoint_held_out",
		Help: "1 while the endpoint is held out of its pool for having turned unhealthy again and again.", Type: dto.MetricType_GAUGE}
	draining = telemetry.Family{Name: "lb_endpoint_draining",
		Help: "1 while the endpoint is given nothing new, by the policy or since it was removed.", Type: dto.MetricType_GAUGE}
	clientConnectionsLimit = telemetry.Family{Name: "lb_client_connections_limit",
		Help: "Client connections that a listener may have open, by its limits or for want of descriptors.", Type: dto.MetricType_GAUGE}
	poolInFlightLimit = telemetry.Family{Name: "lb_pool_in_flight_limit",
		Help: "Requests that the endpoints of a pool together may work on.", Type: dto.MetricType_GAUGE}
	endpointInFlightLimit = telemetry.Family{Name: "lb_endpoint_in_flight_limit",
		Help: "Requests that each endpoint of a pool may work on, where there is such a limit.", Type: dto.MetricType_GAUGE}
	queueLimit = telemetry.Family{Name: "lb_queue_limit",
		Help: "Requests that may wait for their turn.", Type: dto.MetricType_GAUGE}
	upstreamConnections = telemetry.Family{Name: "lb_upstream_connections",
		Help: "Connections to the endpoints of a pool, unused ones included.", Type: dto.MetricType_GAUGE}
	upstreamConnectionsLimit = telemetry.Family{Name: "lb_upstream_connections_limit",
		Help: "Connections that there may be to the endpoints of a pool.", Type: dto.MetricType_GAUGE}
	poolPanic = telemetry.Family{Name: "lb_pool_panic",
		Help: "1 if so few endpoints of the pool are healthy that health is ignored.", Type: dto.MetricType_GAUGE}
	queueDepth = telemetry.Family{Name: "lb_queue_depth",
		Help: "Requests that wait because the pool, or every endpoint, has as many as it may.", Type: dto.MetricType_GAUGE}
)

// breakerStates is what [balancer.BreakerStatus] calls them.
var breakerStates = [...]string{"closed", "half-open", "open"}

// stateLabels are the same as labels.
var stateLabels = func() (out [len(breakerStates)]*dto.LabelPair) {
	for i, state := range breakerStates {
		out[i] = telemetry.Label("state", state)
	}
	return out
}()

// gauges makes metrics of a status.
func gauges(status balancer.Status) []*dto.MetricFamily {
	inFlight, breaker, well, held, drains := upstreamInFlight.Begin(), breakerState.Begin(), healthy.Begin(), heldOut.Begin(), draining.Begin()
	panics, queue := poolPanic.Begin(), queueDepth.Begin()
	mostClients, mostInFlight, mostEach, mostWaiting := clientConnectionsLimit.Begin(), poolInFlightLimit.Begin(), endpointInFlightLimit.Begin(), queueLimit.Begin()
	connections, mostConnections := upstreamConnections.Begin(), upstreamConnectionsLimit.Begin()
	for _, l := range status.Listeners {
		mostClients.Add(float64(l.Limit), telemetry.Label("listener", l.Name))
	}
	pools := map[string]bool{}
	for _, p := range status.Pools {
		if pools[p.Name] { // the same series twice would fail the whole scrape
			continue
		}
		pools[p.Name] = true
		pool := telemetry.Label("pool", p.Name)
		panics.Add(truth(p.Panic), pool)
		queue.Add(float64(p.Waiting), pool)
		if most := p.Limits; most != (balancer.PoolLimits{}) {
			mostInFlight.Add(float64(most.InFlight), pool)
			mostWaiting.Add(float64(most.Waiting), pool)
			connections.Add(float64(p.Connections), pool)
			mostConnections.Add(float64(most.Connections), pool)
			if most.EndpointInFlight > 0 {
				mostEach.Add(float64(most.EndpointInFlight), pool)
			}
		}

		// A removed endpoint that drains may have an address that was added again:
		// what is in flight adds up, and the newer one, which comes first, says
		// the rest.
		working := map[string]int64{}
		for _, e := range p.Endpoints {
			working[e.Address] += e.InFlight
		}
		for _, e := range p.Endpoints {
			n, first := working[e.Address]
			if !first {
				continue
			}
			delete(working, e.Address)
			address := telemetry.Label("endpoint", e.Address)
			inFlight.Add(float64(n), address, pool)
			well.Add(truth(e.Healthy), address, pool)
			held.Add(truth(e.Check.HeldUntil != nil), address, pool)
			drains.Add(truth(e.Draining), address, pool)
			for i, state := range breakerStates {
				breaker.Add(truth(e.Breaker.State == state), address, pool, stateLabels[i])
			}
		}
	}
	return telemetry.Families(inFlight, breaker, well, held, drains, panics, queue, mostClients, mostInFlight, mostEach, mostWaiting, connections, mostConnections)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
