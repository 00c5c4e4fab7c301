package telemetry_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// histogramOf returns the only histogram of a family whose labels have the value.
func histogramOf(t *testing.T, m *telemetry.Metrics, family, label string) *dto.Histogram {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if f.GetName() == family && l.GetValue() == label {
					return s.GetHistogram()
				}
			}
		}
	}
	t.Fatalf("there is no %s of %s", family, label)
	return nil
}

// native are the counts of a native histogram, by the index of the bucket.
func native(h *dto.Histogram) map[int]int64 {
	out := map[int]int64{}
	index, count, next := 0, int64(0), 0
	for _, span := range h.GetPositiveSpan() {
		index += int(span.GetOffset())
		for range span.GetLength() {
			count += h.GetPositiveDelta()[next]
			if count != 0 {
				out[index] = count
			}
			index, next = index+1, next+1
		}
	}
	return out
}

// classic are the cumulative counts of a classic histogram, by upper bound.
func classic(h *dto.Histogram) map[float64]uint64 {
	out := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		out[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	return out
}

// Whatever the durations, those on bounds of buckets included, both kinds say what
// client_golang's histogram would.
func TestHistogramCountsAsTheLibrary(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	durations := []time.Duration{0, 1, 30517, 30518, 30519, 5 * time.Millisecond, 5*time.Millisecond + 1, time.Second, time.Second + 1,
		10 * time.Second, 10*time.Second + 1, 250 * time.Millisecond, 32768 * time.Second}
	for range 5000 { // evenly over the powers of two from 1 ns to 9 h
		durations = append(durations, time.Duration(math.Exp(random.Float64()*math.Log(float64(9*time.Hour)))))
	}
	library := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "x", Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: 1.0 / 32768,
	})
	m, e := newMetrics()
	serve(e, shop())
	for _, d := range durations {
		library.Observe(d.Seconds())
		e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK, Duration: d})
		e.RequestEnded(&event.Request{Route: 1, Duration: d})
	}
	var metric dto.Metric
	if err := library.Write(&metric); err != nil {
		t.Fatal(err)
	}
	want := metric.GetHistogram()
	for family, label := range map[string]string{"lb_request_duration_seconds": "rest", "lb_upstream_request_duration_seconds": "10.0.0.2:80"} {
		got := histogramOf(t, m, family, label)
		if diff := cmp.Diff(classic(want), classic(got)); diff != "" {
			t.Errorf("%s: classic buckets (-library +ours) %s", family, diff)
		}
		if diff := cmp.Diff(native(want), native(got)); diff != "" {
			t.Errorf("%s: native buckets (-library +ours) %s", family, diff)
		}
		if got.GetSampleCount() != uint64(len(durations)) || got.GetZeroCount() != want.GetZeroCount() || got.GetZeroThreshold() != want.GetZeroThreshold() ||
			got.GetSchema() != want.GetSchema() || math.Abs(got.GetSampleSum()/want.GetSampleSum()-1) > 1e-9 {
			t.Errorf("%s: %d of %d, zero %d of %d up to %g, schema %d, sum %g of %g", family, got.GetSampleCount(), len(durations),
				got.GetZeroCount(), want.GetZeroCount(), got.GetZeroThreshold(), got.GetSchema(), got.GetSampleSum(), want.GetSampleSum())
		}
		if at := got.GetCreatedTimestamp().AsTime(); time.Since(at) > time.Minute || time.Since(at) < 0 {
			t.Errorf("%s: it was created at %v", family, at)
		}
	}
}

// The number of native buckets has a bound, whatever durations there are.
func TestHistogramIsBounded(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	n := 0
	for d := 1.0; d < math.MaxInt64; d *= 1.01 {
		e.AttemptEnded(&event.Attempt{Endpoint: 0, Duration: time.Duration(d)})
		n++
	}
	e.AttemptEnded(&event.Attempt{Endpoint: 0, Duration: math.MaxInt64})
	e.AttemptEnded(&event.Attempt{Endpoint: 0, Duration: -1}) // no clock should say so
	h := histogramOf(t, m, "lb_upstream_request_duration_seconds", "10.0.0.1:80")
	sum := int64(h.GetZeroCount())
	for _, n := range native(h) {
		sum += n
	}
	if got := len(native(h)); got != 240 || sum != int64(n)+2 || h.GetSampleCount() != uint64(n)+2 {
		t.Errorf("%d buckets, want 240; %d counted in them and %d in all, want %d", got, sum, h.GetSampleCount(), n+2)
	}
	if empty := histogramOf(t, m, "lb_upstream_request_duration_seconds", "10.0.0.2:80"); empty.Schema == nil || empty.GetZeroThreshold() == 0 || len(empty.GetBucket()) != len(prometheus.DefBuckets) {
		t.Errorf("one without durations is not seen to be native and classic: %v", empty)
	}
}

// Only a sampled trace is an exemplar, the latest in each classic bucket.
func TestExemplars(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	start := time.Unix(1800000000, 0)
	end := func(trace byte, sampled bool, d time.Duration) {
		span := event.Span{Trace: [16]byte{15: trace}, ID: [8]byte{1}, Sampled: sampled}
		e.AttemptEnded(&event.Attempt{Endpoint: 0, Start: start, Duration: d, Span: span})
		e.RequestEnded(&event.Request{Route: 0, Start: start, Duration: d, Span: span})
	}
	exemplars := func(h *dto.Histogram) map[float64]string {
		out := map[float64]string{}
		for _, b := range h.GetBucket() {
			if x := b.GetExemplar(); x != nil {
				if len(x.GetLabel()) != 1 || x.GetLabel()[0].GetName() != "trace_id" {
					t.Errorf("labels %v", x.GetLabel())
				}
				if want := start.Add(time.Duration(x.GetValue() * 1e9)); !x.GetTimestamp().AsTime().Equal(want) {
					t.Errorf("%v: at %v, want the end of the request, %v", x.GetLabel(), x.GetTimestamp().AsTime(), want)
				}
				out[b.GetUpperBound()] = strings.TrimLeft(x.GetLabel()[0].GetValue(), "0")
			}
		}
		return out
	}
	check := func(want map[float64]string) {
		t.Helper()
		for family, label := range map[string]string{"lb_request_duration_seconds": "cart", "lb_upstream_request_duration_seconds": "10.0.0.1:80"} {
			if diff := cmp.Diff(want, exemplars(histogramOf(t, m, family, label))); diff != "" {
				t.Errorf("%s (-want +got) %s", family, diff)
			}
		}
	}
	end(1, false, time.Millisecond)
	end(0, false, time.Millisecond)
	check(map[float64]string{})
	end(2, true, time.Millisecond)
	end(3, true, 2*time.Millisecond)
	end(4, false, 3*time.Millisecond)
	end(5, true, 300*time.Millisecond)
	end(6, true, time.Minute)
	check(map[float64]string{.005: "3", .5: "5", math.Inf(1): "6"})
}
