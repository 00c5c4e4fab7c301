package telemetry

import (
	"cmp"
	"maps"
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

	mu          sync.Mutex
	transitions map[transition]uint64
}

const maxResults = 16

func resultIndex(r event.Result) int { return slices.Index(event.Results, r) }

type transition struct {
	to     event.BreakerState
	reason string
}

// knownTransitions begin at 0; others appear when they first happen.
var knownTransitions = [...]transition{
	{event.BreakerOpen, "consecutive_failures"},
	{event.BreakerOpen, "failure_percent"},
	{event.BreakerOpen, "probe_failed"},
	{event.BreakerOpen, "probe_timeout"},
	{event.BreakerHalfOpen, "open_elapsed"},
	{event.BreakerClosed, "probes_succeeded"},
}

func (e *endpoint) transition(t transition) {
	e.mu.Lock()
	e.transitions[t]++
	e.mu.Unlock()
}

var (
	upstreamRequests = Family{"lb_upstream_requests_total",
		"Attempts at an endpoint, by result.", dto.MetricType_COUNTER}
	upstreamDuration = Family{"lb_upstream_request_duration_seconds",
		"Time of one attempt at an endpoint, from its choice to the last byte of the response.", dto.MetricType_HISTOGRAM}
	transitions = Family{"lb_circuit_breaker_transitions_total",
		"Transitions of an endpoint's circuit breaker.", dto.MetricType_COUNTER}

	// resultLabels are those of attempts, by index in event.Results.
	resultLabels = func() (out []*dto.LabelPair) {
		for _, r := range event.Results {
			out = append(out, Label("result", string(r)))
		}
		return out
	}()
)

// endpointFamilies puts together the metrics of endpoints, in the order of their labels.
func (m *Metrics) endpointFamilies() []*dto.MetricFamily {
	m.mu.Lock()
	endpoints := slices.Collect(maps.Values(m.endpoints))
	m.mu.Unlock()
	slices.SortFunc(endpoints, func(a, b *endpoint) int {
		return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.pool, b.pool))
	})
	requests, duration, changes := upstreamRequests.Begin(), upstreamDuration.Begin(), transitions.Begin()
	for _, e := range endpoints {
		labels := EndpointLabels(e.pool, e.address)
		for i := range event.Results {
			requests.Add(float64(e.results[i].Load()), labels, resultLabels[i])
		}
		duration.addHistogram(&e.duration, labels)
		for _, t := range e.changes() {
			changes.Add(float64(t.times), labels, Label("reason", t.reason), Label("to", string(t.to)))
		}
	}
	return Families(requests, duration, changes)
}

// changed is how often an endpoint's breaker made a transition.
type changed struct {
	transition
	times uint64
}

// changes returns the transitions in the order of their labels.
func (e *endpoint) changes() []changed {
	e.mu.Lock()
	out := make([]changed, 0, len(e.transitions))
	for t, n := range e.transitions {
		out = append(out, changed{t, n})
	}
	e.mu.Unlock()
	slices.SortFunc(out, func(a, b changed) int {
		return cmp.Or(cmp.Compare(a.reason, b.reason), cmp.Compare(a.to, b.to))
	})
	return out
}
