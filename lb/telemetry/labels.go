package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/event"
)

// Labels are put together once for many samples, in the order of their names. A scrape
// has two dozen samples of each endpoint.
type Labels []*dto.LabelPair

// EndpointLabels are those that all samples of an endpoint have: endpoint and pool.
// What they have beside must be behind these in the order of names.
func EndpointLabels(pool, address string) Labels {
	return Labels{label("endpoint", address), label("pool", pool)}
}

// Gauge is a sample with these labels and others.
func (l Labels) Gauge(d *prometheus.Desc, value float64, others ...*dto.LabelPair) prometheus.Metric {
	return l.sample(d, dto.MetricType_GAUGE, value, others...)
}

func (l Labels) sample(d *prometheus.Desc, kind dto.MetricType, value float64, others ...*dto.LabelPair) prometheus.Metric {
	all := l
	if len(others) > 0 {
		all = append(append(make(Labels, 0, len(l)+len(others)), l...), others...)
	}
	return &sample{d, kind, value, all}
}

// sample is what [prometheus.NewConstMetric] makes, with labels that are there already.
type sample struct {
	desc   *prometheus.Desc
	kind   dto.MetricType // counter or gauge
	value  float64
	labels Labels
}

// Desc implements [prometheus.Metric].
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.labels
	if s.kind == dto.MetricType_GAUGE {
		out.Gauge = &dto.Gauge{Value: &s.value}
	} else {
		out.Counter = &dto.Counter{Value: &s.value}
	}
	return nil
}

// Label is one label with its value.
func Label(name, value string) *dto.LabelPair { return label(name, value) }

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// resultLabels are those of attempts, by index in event.Results.
var resultLabels = func() (out []*dto.LabelPair) {
	for _, r := range event.Results {
		out = append(out, label("result", string(r)))
	}
	return out
}()
