package admin

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/telemetry"
)

// gauges makes metrics of the balancer's status, asking once a scrape: what is
// not counted cannot drift.
type gauges struct{ status func() balancer.Status }

var (
	upstreamInFlightDesc = prometheus.NewDesc("lb_upstream_in_flight",
		"Requests that an endpoint is working on.", []string{"pool", "endpoint"}, nil)
	breakerStateDesc = prometheus.NewDesc("lb_circuit_breaker_state",
		"1 for the state an endpoint's circuit breaker is in, 0 for the others.", []string{"pool", "endpoint", "state"}, nil)
	healthyDesc = prometheus.NewDesc("lb_endpoint_healthy",
		"1 if the endpoint's checks say it is healthy, or if it has none.", []string{"pool", "endpoint"}, nil)
	heldOutDesc = prometheus.NewDesc("lb_endpoint_held_out",
		"1 while the endpoint is held out of its pool for having turned unhealthy again and again.", []string{"pool", "endpoint"}, nil)
	panicDesc = prometheus.NewDesc("lb_pool_panic",
		"1 if so few endpoints of the pool are healthy that health is ignored.", []string{"pool"}, nil)
	queueDesc = prometheus.NewDesc("lb_queue_depth",
		"Requests that wait because the pool, or every endpoint, has as many as it may.", []string{"pool"}, nil)
)

// breakerStates is what [balancer.BreakerStatus] calls them.
var breakerStates = [...]string{"closed", "open", "half-open"}

// stateLabels are the same as labels.
var stateLabels = func() (out [len(breakerStates)]*dto.LabelPair) {
	for i, state := range breakerStates {
		out[i] = telemetry.Label("state", state)
	}
	return out
}()

// Describe implements [prometheus.Collector].
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- upstreamInFlightDesc
	ch <- breakerStateDesc
	ch <- healthyDesc
	ch <- heldOutDesc
	ch <- panicDesc
	ch <- queueDesc
}

// Collect implements [prometheus.Collector].
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	pools := map[string]bool{}
	for _, p := range g.status().Pools {
		if pools[p.Name] { // the same series twice would fail the whole scrape
			continue
		}
		pools[p.Name] = true
		ch <- gauge(panicDesc, truth(p.Panic), p.Name)
		ch <- gauge(queueDesc, float64(p.Waiting), p.Name)

		// A removed endpoint that drains may have an address that was added again:
		// what is in flight adds up, and the newer one, which comes first, says
		// the rest.
		inFlight := map[string]int64{}
		for _, e := range p.Endpoints {
			if _, twice := inFlight[e.Address]; !twice {
				labels := telemetry.EndpointLabels(p.Name, e.Address)
				ch <- labels.Gauge(healthyDesc, truth(e.Healthy))
				ch <- labels.Gauge(heldOutDesc, truth(e.Check.HeldUntil != nil))
				for i, state := range breakerStates {
					ch <- labels.Gauge(breakerStateDesc, truth(e.Breaker.State == state), stateLabels[i])
				}
			}
			inFlight[e.Address] += e.InFlight
		}
		for address, n := range inFlight {
			ch <- telemetry.EndpointLabels(p.Name, address).Gauge(upstreamInFlightDesc, float64(n))
		}
	}
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
