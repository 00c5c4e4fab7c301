package telemetry

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	dto "github.com/prometheus/client_model/go"
)

// Family is a metric with series of every endpoint or route. There can be thousands of
// these, and for a registry to be handed them one by one, and to look for two of a kind,
// takes longer than all the rest of a scrape. So whoever has such a metric puts it
// together by itself; see [Metrics.AddFamilies].
type Family struct {
	Name, Help string
	Type       dto.MetricType // counter, gauge or histogram
}

// Samples are a family's, as one scrape has them. Memory is taken for many at a time.
type Samples struct {
	family *dto.MetricFamily
	free   *sampleBlock
	used   int // of it
}

const (
	blockSamples = 128
	mostLabels   = 4
)

type sampleBlock struct {
	metrics [blockSamples]dto.Metric
	labels  [blockSamples][mostLabels]*dto.LabelPair
}

// Begin returns the family without samples.
func (f Family) Begin() *Samples {
	return &Samples{family: &dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: &f.Type}}
}

// Add adds a counter or a gauge. Its labels are four at most, in the order of their names.
// No two samples may have the same.
func (s *Samples) Add(value float64, labels ...*dto.LabelPair) {
	m := s.next(labels)
	if s.family.GetType() == dto.MetricType_COUNTER {
		c := &struct {
			dto.Counter
			value float64
		}{value: value}
		c.Value, m.Counter = &c.value, &c.Counter
	} else {
		g := &struct {
			dto.Gauge
			value float64
		}{value: value}
		g.Value, m.Gauge = &g.value, &g.Gauge
	}
}

func (s *Samples) addHistogram(h *histogram, labels ...*dto.LabelPair) {
	s.next(labels).Histogram = h.read()
}

func (s *Samples) next(labels []*dto.LabelPair) *dto.Metric {
	if s.free == nil || s.used == blockSamples {
		s.free, s.used = new(sampleBlock), 0
	}
	m := &s.free.metrics[s.used]
	m.Label = append(s.free.labels[s.used][:0], labels...)
	s.used++
	s.family.Metric = append(s.family.Metric, m)
	return m
}

// Families returns those of the families that have samples.
func Families(all ...*Samples) []*dto.MetricFamily {
	var out []*dto.MetricFamily
	for _, s := range all {
		if len(s.family.Metric) > 0 {
			out = append(out, s.family)
		}
	}
	return out
}

// Label is a label with its value.
func Label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// labelsOf are labels of one name.
func labelsOf[T ~string](name string, values ...T) (out []*dto.LabelPair) {
	for _, v := range values {
		out = append(out, Label(name, string(v)))
	}
	return out
}

// ordered are the values of a map that a mutex guards, in the order of their labels. It
// puts them in order without the mutex: requests and reloads need not wait for that.
func ordered[K comparable, V any](mu *sync.Mutex, of map[K]V, by func(a, b V) int) []V {
	mu.Lock()
	all := slices.Collect(maps.Values(of))
	mu.Unlock()
	slices.SortFunc(all, by)
	return all
}

// AddFamilies has the metrics include what a source returns, which is asked once a
// scrape. Their names must be nobody else's.
func (m *Metrics) AddFamilies(source func() []*dto.MetricFamily) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources = append(m.sources, source)
}

// Gather implements [prometheus.Gatherer]: it returns every metric, in the order of
// their names.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) {
	all, err := m.registry.Gather()
	m.mu.Lock()
	sources := slices.Clone(m.sources)
	m.mu.Unlock()
	for _, source := range sources {
		all = append(all, source()...)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, err
}
