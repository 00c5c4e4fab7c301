package telemetry

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// spanBatch is the spans that are sent next, as OTLP has them
// (https://opentelemetry.io/docs/specs/otlp/). Their memory serves one batch after the
// other: most of what a span costs is else the making of its many small parts.
type spanBatch struct {
	whole  []*tracepb.ResourceSpans // of one scope
	limits sdktrace.SpanLimits
	made   []*spanMessage // the first are in the batch
}

func newSpanBatch(from *resource.Resource, version string) spanBatch {
	about := &resourcepb.Resource{}
	for _, a := range from.Attributes() {
		// The environment may have brought anything, and what is not UTF-8 is never sent.
		text := &commonpb.AnyValue_StringValue{StringValue: strings.ToValidUTF8(a.Value.String(), "\ufffd")}
		about.Attributes = append(about.Attributes, &commonpb.KeyValue{Key: strings.ToValidUTF8(string(a.Key), "\ufffd"), Value: &commonpb.AnyValue{Value: text}})
	}
	scope := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: "go-loadbalancer/lb", Version: version}}
	return spanBatch{
		whole:  []*tracepb.ResourceSpans{{Resource: about, SchemaUrl: from.SchemaURL(), ScopeSpans: []*tracepb.ScopeSpans{scope}}},
		limits: sdktrace.NewSpanLimits(),
	}
}

func (b *spanBatch) scope() *tracepb.ScopeSpans { return b.whole[0].ScopeSpans[0] }
func (b *spanBatch) len() int                   { return len(b.scope().Spans) }

// next adds a span of which nothing is said yet.
func (b *spanBatch) next() *spanMessage {
	s := b.scope()
	if len(s.Spans) == len(b.made) {
		b.made = append(b.made, &spanMessage{limits: &b.limits})
	}
	m := b.made[len(s.Spans)]
	m.begin()
	s.Spans = append(s.Spans, &m.span)
	return m
}

// keptSpans is how many spans' memory is kept: some 5 MiB, if all have many attributes.
// Only a batch larger than the usual 512 has more.
const keptSpans = 1024

// empty takes all spans out, and lets go of what they said.
func (b *spanBatch) empty() {
	s := b.scope()
	for _, m := range b.made[:len(s.Spans)] {
		m.begin()
	}
	clear(s.Spans)
	s.Spans = s.Spans[:0]
	if len(b.made) > keptSpans {
		b.made = slices.Clone(b.made[:keptSpans])
		s.Spans = nil
	}
}

// spanMessage is a span.
type spanMessage struct {
	span       tracepb.Span
	status     tracepb.Status
	trace      [16]byte
	id, parent [8]byte
	limits     *sdktrace.SpanLimits
	attributes []*spanAttribute // the first are the span's
}

// spanAttribute is one of its attributes, and what its value may be of.
type spanAttribute struct {
	pair   commonpb.KeyValue
	value  commonpb.AnyValue
	text   commonpb.AnyValue_StringValue
	number commonpb.AnyValue_IntValue
	truth  commonpb.AnyValue_BoolValue
}

func (m *spanMessage) begin() {
	for _, a := range m.attributes[:len(m.span.Attributes)] {
		a.text.StringValue = ""
	}
	s := &m.span
	s.TraceId, s.SpanId, s.ParentSpanId, s.TraceState, s.Flags = m.trace[:], m.id[:], nil, "", 0
	s.Name, s.Kind, s.StartTimeUnixNano, s.EndTimeUnixNano = "", 0, 0, 0
	s.Attributes, s.DroppedAttributesCount = s.Attributes[:0], 0
	m.status.Code = tracepb.Status_STATUS_CODE_UNSET
	s.Status = &m.status
}

// text adds an attribute, unless the value is empty.
func (m *spanMessage) text(key attribute.Key, value string) {
	if value != "" {
		m.string(key, value)
	}
}

// string adds an attribute, whose value is ASCII (see shown).
func (m *spanMessage) string(key attribute.Key, value string) {
	if most := m.limits.AttributeValueLengthLimit; most >= 0 && len(value) > most {
		value = value[:most]
	}
	if a := m.attribute(key); a != nil {
		a.text.StringValue, a.value.Value = value, &a.text
	}
}

func (m *spanMessage) number(key attribute.Key, value int64) {
	if a := m.attribute(key); a != nil {
		a.number.IntValue, a.value.Value = value, &a.number
	}
}

func (m *spanMessage) truth(key attribute.Key, value bool) {
	if a := m.attribute(key); a != nil {
		a.truth.BoolValue, a.value.Value = value, &a.truth
	}
}

// attribute adds an attribute, if it is within what the environment allows
// (https://opentelemetry.io/docs/specs/otel/common/#attribute-limits).
func (m *spanMessage) attribute(key attribute.Key) *spanAttribute {
	n := len(m.span.Attributes)
	if most := m.limits.AttributeCountLimit; most >= 0 && n >= most {
		m.span.DroppedAttributesCount++
		return nil
	}
	if n == len(m.attributes) {
		m.attributes = append(m.attributes, new(spanAttribute))
	}
	a := m.attributes[n]
	a.pair.Key, a.pair.Value = string(key), &a.value
	m.span.Attributes = append(m.span.Attributes, &a.pair)
	return a
}

// failed says that what the span is of went wrong.
func (m *spanMessage) failed() { m.status.Code = tracepb.Status_STATUS_CODE_ERROR }
