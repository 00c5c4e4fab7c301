package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// origin is what all spans of a process have in common.
type origin struct {
	resource *resource.Resource
	scope    instrumentation.Scope
	limits   sdktrace.SpanLimits
}

// finishedSpan is a span as exporters take it. The SDK makes one of a span that it has
// followed from its beginning to its end, which takes twice as long as all the rest of
// exporting one; a record is of a span that has ended.
type finishedSpan struct {
	sdktrace.ReadOnlySpan // nil: only what it keeps to the SDK is left to it
	*origin

	name            string
	kind            trace.SpanKind
	context, parent trace.SpanContext
	start, end      time.Time
	attributes      []attribute.KeyValue
	dropped         int
	status          sdktrace.Status
}

// limit keeps the span's attributes within what the environment allows
// (https://opentelemetry.io/docs/specs/otel/common/#attribute-limits).
func (s *finishedSpan) limit() {
	if most := s.limits.AttributeCountLimit; most >= 0 && len(s.attributes) > most {
		s.dropped = len(s.attributes) - most
		s.attributes = s.attributes[:most]
	}
	most := s.limits.AttributeValueLengthLimit
	if most < 0 {
		return
	}
	for i, a := range s.attributes {
		if a.Value.Type() == attribute.STRING {
			if v := a.Value.AsString(); len(v) > most { // they are ASCII: see shown
				s.attributes[i].Value = attribute.StringValue(v[:most])
			}
		}
	}
}

func (s *finishedSpan) Name() string                                { return s.name }
func (s *finishedSpan) SpanContext() trace.SpanContext              { return s.context }
func (s *finishedSpan) Parent() trace.SpanContext                   { return s.parent }
func (s *finishedSpan) SpanKind() trace.SpanKind                    { return s.kind }
func (s *finishedSpan) StartTime() time.Time                        { return s.start }
func (s *finishedSpan) EndTime() time.Time                          { return s.end }
func (s *finishedSpan) Attributes() []attribute.KeyValue            { return s.attributes }
func (s *finishedSpan) Links() []sdktrace.Link                      { return nil }
func (s *finishedSpan) Events() []sdktrace.Event                    { return nil }
func (s *finishedSpan) Status() sdktrace.Status                     { return s.status }
func (s *finishedSpan) InstrumentationScope() instrumentation.Scope { return s.scope }
func (s *finishedSpan) Resource() *resource.Resource                { return s.resource }
func (s *finishedSpan) DroppedAttributes() int                      { return s.dropped }
func (s *finishedSpan) DroppedLinks() int                           { return 0 }
func (s *finishedSpan) DroppedEvents() int                          { return 0 }
func (s *finishedSpan) ChildSpanCount() int                         { return 0 }
