package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"go-loadbalancer/lb/event"
)

// TracerOptions are what a tracer is made of, beside the environment.
type TracerOptions struct {
	// Build is what spans say of who made them.
	Build Build
	// Logger is told what of the environment is no good, when spans begin to be lost, and
	// when they get through again; nil discards that.
	Logger *slog.Logger
}

// Tracer exports a span for each sampled request, and one for each of its attempts.
// It must be made with [NewTracer].
//
// The request path copies what a span needs into a queue that is bounded; one goroutine
// makes spans of it and exports them. What finds the queue full is dropped and counted.
type Tracer struct {
	batching
	sampling
	logger *slog.Logger
	redact redactor

	collector otlptrace.Client
	batch     spanBatch // run's own
	failing   bool      // the last export failed; run's own

	records    sync.Pool // of *record
	queue      chan *record
	closed     atomic.Bool
	stop, done chan struct{}
	life       context.Context // ends when nothing more is to be waited for
	end        context.CancelFunc

	exported, overflowed, failed atomic.Uint64
}

// NewTracer returns a tracer by the standard OTEL_* variables of the environment; nil
// if they want no traces. It does nothing until it is started.
func NewTracer(o TracerOptions) (*Tracer, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	env := environment{o.Logger}
	if !env.wantsTraces() {
		return nil, nil
	}
	// What the library would write to the standard error by itself.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Logger.Warn("traces", "error", brief(err)) }))
	t := &Tracer{batching: env.batching(), logger: o.Logger, stop: make(chan struct{}), done: make(chan struct{})}
	t.life, t.end = context.WithCancel(context.Background())
	t.records.New = func() any { return new(record) }
	t.queue = make(chan *record, t.waiting)
	var sampler string
	t.sampling, sampler = env.sampling()
	from, err := resource.New(t.life,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName("lb"), semconv.ServiceVersion(o.Build.Version)),
		resource.WithFromEnv())
	if err != nil {
		o.Logger.Warn("traces: what is said of this process is not complete", "error", err)
	}
	var protocol string
	t.collector, protocol = env.collector()
	if err := t.collector.Start(t.life); err != nil {
		return nil, fmt.Errorf("traces: the OTEL_EXPORTER_OTLP_* variables: %w", err)
	}
	t.batch = newSpanBatch(from, o.Build.Version)
	o.Logger.Info("traces are exported", "protocol", protocol, "endpoint", env.printableEndpoint(), "sampler", sampler)
	return t, nil
}

// Start begins to export. It may be called once.
func (t *Tracer) Start() { go t.run() }

// Close exports what waits, and ends the tracer. If ctx ends first, what is left is
// dropped and counted, and an error returned. It needs a started tracer.
func (t *Tracer) Close(ctx context.Context) error {
	if !t.closed.Swap(true) {
		close(t.stop)
	}
	var err error
	select {
	case <-t.done:
	case <-ctx.Done():
		err = fmt.Errorf("traces: not all spans could be exported in time: %w", context.Cause(ctx))
		t.end()
		<-t.done // an export ends with its context
	}
	t.end()
	t.forget()
	if down := t.collector.Stop(ctx); down != nil && err == nil {
		err = fmt.Errorf("traces: %w", down)
	}
	return err
}

// Exported returns how many spans the collector took.
func (t *Tracer) Exported() uint64 { return t.exported.Load() }

// Dropped returns how many spans were lost, since the queue was full, and since the
// collector did not take them.
func (t *Tracer) Dropped() (overflowed, failed uint64) { return t.overflowed.Load(), t.failed.Load() }

// Sample is the [event.Sampler] that the environment wants.
func (t *Tracer) Sample(id [16]byte, parent event.TraceParent) bool { return t.wants(id, parent) }

// Events returns the listener that feeds the tracer.
func (t *Tracer) Events() *event.Listener {
	return &event.Listener{
		RequestEnded: func(e *event.Request) {
			if e.Span.Sampled {
				r := t.records.Get().(*record)
				r.ofRequest(e, t.redact.hidden())
				t.take(r)
			}
		},
		AttemptEnded: func(a *event.Attempt) {
			if a.Span.Sampled {
				r := t.records.Get().(*record)
				r.ofAttempt(a, t.redact.hidden())
				t.take(r)
			}
		},
		PolicyPrepared:  t.redact.prepared,
		PolicyCommitted: t.redact.committed,
	}
}

func (t *Tracer) take(r *record) {
	if t.closed.Load() || !t.enqueue(r) {
		t.overflowed.Add(1)
		t.records.Put(r)
	}
}

// enqueue reports whether there was place.
func (t *Tracer) enqueue(r *record) bool {
	select {
	case t.queue <- r:
	default:
		return false
	}
	if t.closed.Load() { // meanwhile
		select {
		case <-t.done: // nobody takes it out any more
			t.forget()
		default: // run does, or Close when run has ended
		}
	}
	return true
}

// forget counts what waits once run has ended as dropped.
func (t *Tracer) forget() {
	for {
		select {
		case r := <-t.queue:
			t.overflowed.Add(1)
			t.records.Put(r)
		default:
			return
		}
	}
}

func (t *Tracer) run() {
	defer close(t.done)
	timer := time.NewTimer(t.delay)
	timer.Stop()
	for {
		select {
		case r := <-t.queue:
			if t.batch.len() == 0 {
				timer.Reset(t.delay)
			}
			t.record(r)
			if t.batch.len() >= t.size {
				t.export()
			}
		case <-timer.C:
			t.export()
		case <-t.stop:
			t.drain()
			return
		}
	}
}

// drain exports all there is.
func (t *Tracer) drain() {
	for {
		select {
		case r := <-t.queue:
			t.record(r)
			if t.batch.len() >= t.size {
				t.export()
			}
		default:
			t.export()
			return
		}
	}
}

func (t *Tracer) record(r *record) {
	r.span(t.batch.next())
	r.reset()
	t.records.Put(r)
}

func (t *Tracer) export() {
	if t.batch.len() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.life, t.timeout)
	err := t.collector.UploadTraces(ctx, t.batch.whole)
	cancel()
	if n := uint64(t.batch.len()); err == nil {
		t.exported.Add(n)
	} else {
		t.failed.Add(n)
	}
	switch {
	case err != nil && !t.failing:
		t.logger.Error("traces: spans are lost until the collector takes them", "error", brief(err))
	case err == nil && t.failing:
		overflowed, failed := t.Dropped()
		t.logger.Info("traces: the collector takes spans again", "dropped", overflowed+failed)
	}
	t.failing = err != nil
	t.batch.empty()
}

// maxSaid is how much of an error is logged: a collector's answer may be part of it.
const maxSaid = 512

func brief(err error) string {
	text := err.Error()
	if len(text) > maxSaid {
		text = text[:maxSaid] + "…"
	}
	return text
}

var (
	exportedDesc = prometheus.NewDesc("lb_trace_spans_exported_total",
		"Spans that the collector took.", nil, nil)
	spansDroppedDesc = prometheus.NewDesc("lb_trace_spans_dropped_total",
		"Spans lost, by reason: the queue was full, or the collector did not take them.", []string{"reason"}, nil)
)

// Describe implements [prometheus.Collector].
func (t *Tracer) Describe(ch chan<- *prometheus.Desc) {
	ch <- exportedDesc
	ch <- spansDroppedDesc
}

// Collect implements [prometheus.Collector].
func (t *Tracer) Collect(ch chan<- prometheus.Metric) {
	overflowed, failed := t.Dropped()
	ch <- counter(exportedDesc, t.Exported())
	ch <- counter(spansDroppedDesc, overflowed, "queue_full")
	ch <- counter(spansDroppedDesc, failed, "export_failed")
}
