package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/event"
)

// place is what the labels of an endpoint's series say.
type place struct{ pool, address string }

type endpoint struct {
	place
	ids      int // how many ids stand for it: two while one drains and another was added
	duration histogram
	results  [maxResults]atomic.Uint64 // by index in event.Results
	resends  [maxResends]atomic.Uint64 // by index in event.Resends

	transitions [len(knownTransitions)]atomic.Uint64 // by index in knownTransitions
	mu          sync.Mutex
	others      map[transition]uint64 // nil: none so far
}

const (
	maxResults = 16
	maxResends = 3
)

func resultIndex(r event.Result) int { return slices.Index(event.Results, r) }

type transition struct {
	to     event.BreakerState
	reason string
}

// knownTransitions begin at 0; others appear when they first happen.
var knownTransitions = [...]transition{
	{event.BreakerOpen, "consecutive_failures"},
	{event.BreakerOpen, "failure_percent"},
	{event.BreakerHalfOpen, "open_elapsed"},
	{event.BreakerOpen, "probe_failed"},
	{event.BreakerOpen, "probe_timeout"},
	{event.BreakerClosed, "probes_succeeded"},
	{event.BreakerClosed, "turned_off"},
}

func (e *endpoint) transition(t transition) {
	if i := slices.Index(knownTransitions[:], t); i >= 0 {
		e.transitions[i].Add(1)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.others == nil {
		e.others = make(map[transition]uint64)
	}
	e.others[t]++
}

var (
	upstreamRequests = Family{"lb_upstream_requests_total",
		"Attempts at an endpoint, by result.", dto.MetricType_COUNTER}
	upstreamResends = Family{"lb_upstream_resends_total",
		"Requests that an attempt sent once more, since the endpoint had closed the kept connection, by what was sent before.", dto.MetricType_COUNTER}
	upstreamDuration = Family{"lb_upstream_request_duration_seconds",
		"Time of one attempt at an endpoint, from its choice to the last byte of the response.", dto.MetricType_HISTOGRAM}
	breakerTransitions = Family{"lb_circuit_breaker_transitions_total",
		"Transitions of an endpoint's circuit breaker.", dto.MetricType_COUNTER}

	resultLabels = labelsOf("result", event.Results...) // by index in event.Results

	resendLabels = labelsOf("reason", event.Resends...) // by index in event.Resends

	transitionLabels = func() (out [len(knownTransitions)][2]*dto.LabelPair) {
		for i, t := range knownTransitions {
			out[i] = t.labels()
		}
		return out
	}()
)

func (t transition) labels() [2]*dto.LabelPair {
	return [2]*dto.LabelPair{Label("reason", t.reason), Label("to", string(t.to))}
}

// endpointFamilies puts together the metrics of endpoints, in the order of their labels.
func (m *Metrics) endpointFamilies() []*dto.MetricFamily {
	endpoints := ordered(&m.mu, m.endpoints, func(a, b *endpoint) int {
		return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.pool, b.pool))
	})
	requests, resends, duration, changes := upstreamRequests.Begin(), upstreamResends.Begin(), upstreamDuration.Begin(), breakerTransitions.Begin()
	for _, e := range endpoints {
		address, pool := Label("endpoint", e.address), Label("pool", e.pool)
		for i := range event.Results {
			requests.Add(float64(e.results[i].Load()), address, pool, resultLabels[i])
		}
		for i, reason := range resendLabels {
			resends.Add(float64(e.resends[i].Load()), address, pool, reason)
		}
		duration.addHistogram(&e.duration, address, pool)
		for i, l := range transitionLabels {
			changes.Add(float64(e.transitions[i].Load()), address, pool, l[0], l[1])
		}
		e.mu.Lock()
		for t, n := range e.others {
			l := t.labels()
			changes.Add(float64(n), address, pool, l[0], l[1])
		}
		e.mu.Unlock()
	}
	return Families(requests, resends, duration, changes)
}
