package storytest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes spans by OTLP over HTTP.
type receiver struct {
	url string

	mu    sync.Mutex
	spans []*otlp.Span
}

func newReceiver(t *testing.T) *receiver {
	r := new(receiver)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		text, err := io.ReadAll(q.Body)
		var m coltrace.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &m)
		}
		if err != nil || q.URL.Path != "/v1/traces" {
			t.Errorf("the receiver of spans got %s: %v", q.URL.Path, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				r.spans = append(r.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// span is one that was received, with its attributes as text.
type span struct {
	*otlp.Span
	trace, id, parent string
	server            bool
	is                map[string]string
}

// all is the spans so far.
func (r *receiver) all() (all []span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.spans {
		s := span{Span: o, trace: fmt.Sprintf("%x", o.TraceId), id: fmt.Sprintf("%x", o.SpanId), parent: fmt.Sprintf("%x", o.ParentSpanId),
			server: o.Kind == otlp.Span_SPAN_KIND_SERVER, is: map[string]string{}}
		for _, a := range o.Attributes {
			switch v := a.Value.Value.(type) {
			case *common.AnyValue_StringValue:
				s.is[a.Key] = v.StringValue
			case *common.AnyValue_IntValue:
				s.is[a.Key] = fmt.Sprint(v.IntValue)
			case *common.AnyValue_BoolValue:
				s.is[a.Key] = fmt.Sprint(v.BoolValue)
			}
		}
		all = append(all, s)
	}
	return all
}
