package telemetry_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// collector is the receiving side of OTLP, by its own protocol definition: a gRPC
// server and an HTTP one.
type collector struct {
	coltrace.UnimplementedTraceServiceServer
	grpc, http string // host:port of each

	mu       sync.Mutex
	spans    []*otlp.Span
	resource map[string]string
	batches  int
	secret   string        // what the requests' x-secret says
	hold     chan struct{} // not nil: no request is answered before it is closed
}

func collect(t testing.TB) *collector {
	t.Helper()
	c := &collector{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(s, c)
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(l) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	h := httptest.NewServer(http.HandlerFunc(c.serveHTTP))
	t.Cleanup(h.Close)
	c.grpc, c.http = l.Addr().String(), h.Listener.Addr().String()
	return c
}

// Export implements the gRPC service.
func (c *collector) Export(ctx context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if v := md.Get("x-secret"); len(v) > 0 {
			c.mu.Lock()
			c.secret = v[0]
			c.mu.Unlock()
		}
	}
	c.take(ctx, r)
	return &coltrace.ExportTraceServiceResponse{}, nil
}

func (c *collector) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil || r.Method != "POST" || r.URL.Path != "/v1/traces" {
		http.Error(w, "POST /v1/traces is wanted", 400)
		return
	}
	var m coltrace.ExportTraceServiceRequest
	switch r.Header.Get("Content-Type") {
	case "application/x-protobuf":
		err = proto.Unmarshal(text, &m)
	case "application/json":
		err = protojson.Unmarshal(text, &m)
	}
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	if v := r.Header.Get("X-Secret"); v != "" {
		c.mu.Lock()
		c.secret = v
		c.mu.Unlock()
	}
	c.take(r.Context(), &m)
}

func (c *collector) take(ctx context.Context, r *coltrace.ExportTraceServiceRequest) {
	c.mu.Lock()
	hold := c.hold
	c.batches++
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		c.resource = attributes(rs.Resource.Attributes)
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
}

func (c *collector) got() []*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*otlp.Span(nil), c.spans...)
}

// attributes are a span's by name, as text.
func attributes(kvs []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range kvs {
		v := kv.Value
		switch v.Value.(type) {
		case *common.AnyValue_StringValue:
			out[kv.Key] = v.GetStringValue()
		default:
			text, _ := protojson.Marshal(v)
			out[kv.Key] = string(text)
		}
	}
	return out
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
