package telemetry

import (
	"cmp"
	"math/bits"
	"strconv"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/event"
)

type route struct {
	name     string
	inFlight gauge
	duration histogram
	codes    [maxCode + 1]atomic.Uint64 // by status; 0: none was sent
	flags    [32]atomic.Uint64          // by index in event.EachFlag
}

func newRoute(name string) *route {
	return &route{name: name, duration: histogram{created: time.Now()}}
}

// maxCode is the highest HTTP status (RFC 9110 section 15).
const maxCode = 599

func (r *route) ended(e *event.Request) {
	code := e.Status
	if uint(code) > maxCode {
		code = 0
	}
	r.codes[code].Add(1)
	for f := uint32(e.Flags); f != 0; f &= f - 1 {
		r.flags[bits.TrailingZeros32(f)].Add(1)
	}
	r.duration.observe(e.Duration, e.Start, &e.Span)
}

var (
	requests = Family{"lb_requests_total",
		"Requests ended, by the status sent to the client; 0 where none was.", dto.MetricType_COUNTER}
	responseFlags = Family{"lb_response_flags_total",
		"Requests ended, by what was remarkable about them; one may have several flags.", dto.MetricType_COUNTER}
	requestDuration = Family{"lb_request_duration_seconds",
		"Time from the first byte of a request to the last of its response.", dto.MetricType_HISTOGRAM}
	requestsInFlight = Family{"lb_requests_in_flight",
		"Requests routed and not yet ended.", dto.MetricType_GAUGE}

	flagLabels = func() (out []*dto.LabelPair) { // by index in event.EachFlag
		for _, f := range event.EachFlag {
			out = append(out, Label("flag", f.String()))
		}
		return out
	}()
)

// routeFamilies puts together the metrics of routes, in the order of their names.
func (m *Metrics) routeFamilies() []*dto.MetricFamily {
	routes := ordered(&m.mu, m.routes, func(a, b *route) int { return cmp.Compare(a.name, b.name) })
	total, flags, duration, inFlight := requests.Begin(), responseFlags.Begin(), requestDuration.Begin(), requestsInFlight.Begin()
	for _, r := range append([]*route{m.noRoute}, routes...) {
		name := Label("route", r.name)
		for code := range r.codes {
			if n := r.codes[code].Load(); n > 0 {
				total.Add(float64(n), Label("code", strconv.Itoa(code)), name)
			}
		}
		for i, f := range flagLabels {
			flags.Add(float64(r.flags[i].Load()), f, name)
		}
		duration.addHistogram(&r.duration, name)
		if r != m.noRoute { // it is routed nowhere
			inFlight.Add(float64(r.inFlight.n.Load()), name)
		}
	}
	return Families(total, flags, duration, inFlight)
}
