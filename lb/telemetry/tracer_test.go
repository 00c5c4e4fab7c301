package telemetry_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/testing/protocmp"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// setenv sets the variables, and unsets all others of OpenTelemetry's that tests use.
func setenv(t *testing.T, vars map[string]string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
		"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TIMEOUT",
		"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT",
	} {
		t.Setenv(name, vars[name])
	}
	for name := range vars {
		t.Setenv(name, vars[name])
	}
}

// tracer returns a started tracer by the variables, and what it says to its log.
func tracer(t *testing.T, vars map[string]string) (*telemetry.Tracer, *buffer) {
	t.Helper()
	setenv(t, vars)
	log := &buffer{}
	tr, err := telemetry.NewTracer(telemetry.TracerOptions{Build: telemetry.Build{Version: "1.2.3"}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if tr == nil {
		t.Fatal("no traces are wanted")
	}
	tr.Start()
	t.Cleanup(func() { // again, of those that a test has closed
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		tr.Close(ctx)
	})
	return tr, log
}

func closeTracer(t *testing.T, tr *telemetry.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := tr.Close(ctx); err != nil {
		t.Error(err)
	}
}

// buffer may be written to and read by different goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// attempt is the second of request's.
func attempt() *event.Attempt {
	r := request()
	return &event.Attempt{
		Number: 2, Start: r.Start, Duration: time.Millisecond, Status: 502, Result: event.Failed, Verdict: event.VerdictFailure, Probe: true, Reused: true, Resend: event.ResentUnsent,
		RequestID: r.RequestID, PoolName: "cart-next", Upstream: "10.0.0.1:8080", Method: r.Method, Target: r.Target,
		Span: event.Span{Trace: r.Span.Trace, ID: [8]byte{9}, Parent: r.Span.ID, Sampled: true, State: []byte("a=1,b=2")},
	}
}

// protocols are the ways to a collector.
func protocols(c *collector) map[string]map[string]string {
	return map[string]map[string]string{
		"grpc":          {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.grpc},
		"http/protobuf": {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http},
		"http/json":     {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http},
		"by default":    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://" + c.http + "/v1/traces"},
	}
}

// What a real receiver of the protocol gets of a request and of its second attempt, by
// every protocol, zipped, with the headers of the environment.
func TestSpansReachTheCollector(t *testing.T) {
	for name := range protocols(&collector{}) {
		t.Run(name, func(t *testing.T) {
			c := collect(t)
			vars := protocols(c)[name]
			vars["OTEL_EXPORTER_OTLP_HEADERS"] = "x-secret=hunter2"
			vars["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
			vars["OTEL_SERVICE_NAME"] = "edge"
			vars["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=test,hostile=%ff"
			tr, log := tracer(t, vars)
			r := request()
			r.RoutePath, r.Span.State = "/cart/*", []byte("a=1,b=2")
			tr.Events().AttemptEnded(attempt())
			tr.Events().RequestEnded(r)
			closeTracer(t, tr)
			spans := c.got()
			if len(spans) != 2 || tr.Exported() != 2 {
				t.Fatalf("%d spans came, %d are said to\n%s", len(spans), tr.Exported(), log)
			}
			if c.resource["service.name"] != "edge" || c.resource["service.version"] != "1.2.3" || c.resource["deployment.environment.name"] != "test" {
				t.Errorf("resource %v", c.resource)
			}
			if c.secret != "hunter2" || strings.Contains(log.String(), "hunter2") {
				t.Errorf("the header came as %q; the log:\n%s", c.secret, log)
			}
			if name == "http/json" { // ids are hexadecimal there, which protojson takes for base64
				return
			}
			client, server := spans[0], spans[1]
			const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
			check := func(s *otlp.Span, kind otlp.Span_SpanKind, name, id, parent string, took time.Duration, attrs map[string]string) {
				t.Helper()
				if hexOf(s.TraceId) != trace || hexOf(s.SpanId) != id || hexOf(s.ParentSpanId) != parent || s.Name != name || s.Kind != kind || s.TraceState != "a=1,b=2" {
					t.Errorf("span %s", s)
				}
				if start := r.Start.UnixNano(); int64(s.StartTimeUnixNano) != start || int64(s.EndTimeUnixNano) != start+int64(took) {
					t.Errorf("it lasts from %d to %d", s.StartTimeUnixNano, s.EndTimeUnixNano)
				}
				if s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || s.Flags&1 == 0 {
					t.Errorf("status %v, flags %x", s.Status, s.Flags)
				}
				if diff := cmp.Diff(attrs, attributes(s.Attributes)); diff != "" {
					t.Error("(-want +got)", diff)
				}
			}
			check(client, otlp.Span_SPAN_KIND_CLIENT, "GET", "0900000000000000", "53995c3f42cd8ad8", time.Millisecond, map[string]string{
				"http.request.method": "GET", "server.address": "10.0.0.1", "server.port": `{"intValue":"8080"}`,
				"url.full": "http://10.0.0.1:8080/cart/7?b=2\\u0026token=REDACTED", "http.request.resend_count": `{"intValue":"1"}`,
				"http.response.status_code": `{"intValue":"502"}`, "error.type": "502",
				"lb.pool": "cart-next", "lb.attempt.result": "status", "lb.attempt.resend": "unsent", "lb.breaker.state": "half-open", "lb.breaker.verdict": "failure",
				"lb.connection.reused": `{"boolValue":true}`, "lb.request_id": "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
			})
			check(server, otlp.Span_SPAN_KIND_SERVER, "GET /cart/*", "53995c3f42cd8ad8", "00f067aa0ba902b7", r.Duration, map[string]string{
				"http.request.method": "GET", "http.route": "/cart/*", "url.scheme": "https", "url.path": "/cart/7", "url.query": "b=2\\u0026token=REDACTED",
				"server.address": "shop.example.com", "server.port": `{"intValue":"8443"}`, "network.protocol.version": "1.1",
				"client.address": "198.51.100.9", "network.peer.address": "192.0.2.7", "network.peer.port": `{"intValue":"51000"}`,
				"user_agent.original":       "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
				"http.response.status_code": `{"intValue":"502"}`, "error.type": "502",
				"http.request.body.size": `{"intValue":"12"}`, "http.response.body.size": `{"intValue":"3456"}`,
				"lb.listener": "http", "lb.route": "cart", "lb.pool": "cart-next", "lb.upstream": "10.0.0.1:8080", "lb.attempts": `{"intValue":"2"}`,
				"lb.response_flags": "UC,RT", "lb.session.use": "away", "lb.request_id": "9f8e7d6c5b4a39281706f5e4d3c2b1a0", "lb.policy.hash": "abababababab",
			})
		})
	}
}

// export returns what the collector gets of events.
func export(t *testing.T, feed func(*event.Listener)) []*otlp.Span {
	t.Helper()
	c := collect(t)
	tr, log := tracer(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http})
	feed(tr.Events())
	closeTracer(t, tr)
	if overflowed, failed := tr.Dropped(); overflowed+failed > 0 {
		t.Errorf("%d + %d spans were dropped:\n%s", overflowed, failed, log)
	}
	return c.got()
}

// A span says nothing of those that were in its place before.
func TestSpansHaveNothingOfEarlierOnes(t *testing.T) {
	bare := &event.Request{Start: request().Start, Method: []byte("GET"), Status: 200, Session: event.NoSession, Span: event.Span{Trace: [16]byte{1}, ID: [8]byte{2}, Sampled: true}}
	want := export(t, func(l *event.Listener) { l.RequestEnded(bare) })
	c := collect(t)
	tr, log := tracer(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "12",
	})
	for range 3 {
		tr.Events().RequestEnded(request())
		tr.Events().AttemptEnded(attempt())
	}
	tr.Events().RequestEnded(bare)
	closeTracer(t, tr)
	got := c.got()
	if len(want) != 1 || len(got) != 7 {
		t.Fatalf("%d and %d spans\n%s", len(want), len(got), log)
	}
	if diff := cmp.Diff(want[0], got[6], protocmp.Transform()); diff != "" {
		t.Error("(-alone +behind others)", diff)
	}
	if diff := cmp.Diff(got[0], got[4], protocmp.Transform()); diff != "" {
		t.Error("(-first +later)", diff)
	}
}

// After a batch larger than usual most of its memory is let go of, and the next one is
// right.
func TestLargeBatch(t *testing.T) {
	c := collect(t)
	tr, log := tracer(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http, "OTEL_BSP_MAX_QUEUE_SIZE": "5000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3000",
	})
	const spans = 4000
	r := request()
	for i := range spans {
		binary.BigEndian.PutUint64(r.Span.ID[:], uint64(i+1))
		tr.Events().RequestEnded(r)
	}
	closeTracer(t, tr)
	got := c.got()
	if len(got) != spans {
		t.Fatalf("%d spans came\n%s", len(got), log)
	}
	for i, s := range got {
		if id := binary.BigEndian.Uint64(s.SpanId); id != uint64(i+1) || len(s.Attributes) != len(got[0].Attributes) {
			t.Fatalf("span %d is %d, with %d attributes", i+1, id, len(s.Attributes))
		}
	}
	if kept := tr.Kept(); kept < 1000 || kept > 1100 {
		t.Errorf("the memory of %d spans is kept", kept)
	}
}

// An empty query is shown as one.
func TestEmptyQuery(t *testing.T) {
	r := request()
	r.Target = []byte("/cart?")
	s := export(t, func(l *event.Listener) { l.RequestEnded(r) })
	if query, has := attributes(s[0].Attributes)["url.query"]; len(s) != 1 || !has || query != "" {
		t.Errorf("%d spans, query %q %t", len(s), query, has)
	}
}

// The environment limits how much a span holds.
func TestSpanLimits(t *testing.T) {
	c := collect(t)
	tr, _ := tracer(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "5",
	})
	tr.Events().RequestEnded(request())
	closeTracer(t, tr)
	spans := c.got()
	if len(spans) != 1 {
		t.Fatalf("%d spans", len(spans))
	}
	want := map[string]string{"http.request.method": "GET", "url.scheme": "https", "url.path": "/cart", "url.query": "b=2\\u"}
	if diff := cmp.Diff(want, attributes(spans[0].Attributes)); diff != "" || spans[0].DroppedAttributesCount < 10 {
		t.Errorf("%d are said to be dropped (-want +got) %s", spans[0].DroppedAttributesCount, diff)
	}
}

// The names of spans and what is an error, by the conventions.
func TestSpanNamesAndErrors(t *testing.T) {
	requests := []struct {
		change     func(*event.Request)
		name, err  string
		code       otlp.Status_StatusCode
		hasStatus  bool
		parentless bool
	}{
		{func(r *event.Request) { r.Status, r.Flags, r.RoutePath = 200, 0, "/" }, "GET /", "", otlp.Status_STATUS_CODE_UNSET, true, false},
		{func(r *event.Request) { r.Status, r.Flags = 404, event.NoRoute }, "GET", "", otlp.Status_STATUS_CODE_UNSET, true, false},
		{func(r *event.Request) { r.Status, r.Flags = 503, event.BreakersOpen }, "GET", "503", otlp.Status_STATUS_CODE_ERROR, true, false},
		{func(r *event.Request) { r.Status, r.Flags = 200, event.UpstreamReset|event.Retried }, "GET", "UC", otlp.Status_STATUS_CODE_ERROR, true, false},
		{func(r *event.Request) { r.Status, r.Flags = 0, event.DownstreamGone }, "GET", "", otlp.Status_STATUS_CODE_UNSET, false, false},
		{func(r *event.Request) {
			r.Status, r.Method, r.RoutePath, r.Span.Parent = 500, []byte("HACK\x1b"), "/a/*", [8]byte{}
		}, "HTTP /a/*", "500", otlp.Status_STATUS_CODE_ERROR, true, true},
		{func(r *event.Request) { r.Status, r.Method, r.Flags = 400, nil, event.DownstreamProtocol }, "HTTP", "", otlp.Status_STATUS_CODE_UNSET, true, false},
	}
	attempts := []struct {
		change func(*event.Attempt)
		err    string
	}{
		{func(a *event.Attempt) { a.Status, a.Result = 200, event.OK }, ""},
		{func(a *event.Attempt) { a.Status, a.Result = 404, event.OK }, "404"},
		{func(a *event.Attempt) { a.Status, a.Result = 0, event.TimedOut }, "timeout"},
		{func(a *event.Attempt) { a.Status, a.Result = 200, event.Truncated }, "truncated"},
		{func(a *event.Attempt) { a.Status, a.Result = 0, event.ClientCanceled }, ""},
	}
	spans := export(t, func(l *event.Listener) {
		for _, tt := range requests {
			r := request()
			tt.change(r)
			l.RequestEnded(r)
		}
		for _, tt := range attempts {
			a := attempt()
			tt.change(a)
			l.AttemptEnded(a)
		}
		unsampled := request()
		unsampled.Span.Sampled = false
		l.RequestEnded(unsampled)
		a := attempt()
		a.Span.Sampled = false
		l.AttemptEnded(a)
	})
	if len(spans) != len(requests)+len(attempts) {
		t.Fatalf("%d spans", len(spans))
	}
	for i, tt := range requests {
		s, as := spans[i], attributes(spans[i].Attributes)
		if _, has := as["http.response.status_code"]; s.Name != tt.name || as["error.type"] != tt.err || s.Status.GetCode() != tt.code || has != tt.hasStatus || (len(s.ParentSpanId) == 0) != tt.parentless {
			t.Errorf("request %d: %q, error %q, %v, %v", i, s.Name, as["error.type"], s.Status, as)
		}
	}
	if as := attributes(spans[5].Attributes); as["http.request.method"] != "_OTHER" || as["http.request.method_original"] != `HACK\u001b` {
		t.Errorf("method %v", as)
	}
	for i, tt := range attempts {
		s := spans[len(requests)+i]
		if as := attributes(s.Attributes); as["error.type"] != tt.err || (s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR) != (tt.err != "") {
			t.Errorf("attempt %d: error %q, %v", i, as["error.type"], s.Status)
		}
	}
}

// Whatever clients send, a span is printable ASCII without markup, of bounded length,
// and none takes its batch with it.
func TestHostileSpans(t *testing.T) {
	hostile := []string{
		"\x1b]0;title\x07\x1b[31mred", "<script>alert(1)</script>", "\xff\xfe\xc3\x28", "\u202egnp.exe", "a\r\nSet-Cookie: b", "\x00", "\x9b31m", "\"'&`",
		strings.Repeat("\xff", 100_000), strings.Repeat("/<", 50_000),
	}
	spans := export(t, func(l *event.Listener) {
		for _, text := range hostile {
			r, b := request(), []byte(text)
			r.Method, r.Host, r.UserAgent, r.RequestID, r.Span.State = b, b, b, b, b[:min(len(b), 512)]
			r.Target = []byte("/" + text + "?" + text + "&token=hunter2")
			l.RequestEnded(r)
			a := attempt()
			a.Method, a.RequestID, a.Span.State, a.Target = b, b, b[:min(len(b), 512)], r.Target
			l.AttemptEnded(a)
		}
		l.RequestEnded(request())
	})
	if len(spans) != 2*len(hostile)+1 {
		t.Fatalf("%d spans", len(spans))
	}
	for i, s := range spans {
		texts := []string{s.Name, s.TraceState}
		for _, v := range attributes(s.Attributes) {
			texts = append(texts, v)
		}
		for _, text := range texts {
			if strings.HasPrefix(text, "{") { // no text
				continue
			}
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '<' || r == '>' || r == '&' }) || len(text) > 30_000 {
				t.Errorf("span %d has %.100q, of %d bytes", i, text, len(text))
			}
			if strings.Contains(text, "hunter2") {
				t.Errorf("span %d: the secret is shown in %q", i, text)
			}
		}
	}
}

// The policy's names are redacted from when it is prepared, in traces and in the log;
// those of the policy before until it serves.
func TestPolicyRedactsQueryParams(t *testing.T) {
	catalog := func(names ...string) *event.Catalog {
		return &event.Catalog{AccessLog: event.AccessLog{Sample: 1, RedactQueryParams: names}}
	}
	steps := []struct {
		does func(*event.Listener)
		want string // of a=1&e-mail=2&B=3&bare
	}{
		{func(*event.Listener) {}, "a=1&e-mail=2&B=3&bare"},
		{func(l *event.Listener) { l.PolicyPrepared(catalog("e-mail")) }, "a=1&e-mail=REDACTED&B=3&bare"},
		{func(l *event.Listener) { l.PolicyCommitted(&event.Commit{Catalog: catalog("e-mail")}) }, "a=1&e-mail=REDACTED&B=3&bare"},
		{func(l *event.Listener) { l.PolicyPrepared(catalog("b", "bare")) }, "a=1&e-mail=REDACTED&B=REDACTED&bare"},
		{func(l *event.Listener) { l.PolicyCommitted(&event.Commit{Catalog: catalog("b", "bare")}) }, "a=1&e-mail=2&B=REDACTED&bare"},
		{func(l *event.Listener) { l.PolicyPrepared(catalog("*")) }, "a=REDACTED&e-mail=REDACTED&B=REDACTED&REDACTED"},
		{func(l *event.Listener) { l.PolicyCommitted(&event.Commit{Catalog: catalog()}) }, "a=1&e-mail=2&B=3&bare"},
	}
	var out bytes.Buffer
	log := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(&out)})
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	spans := export(t, func(l *event.Listener) {
		both := event.Tee(l, log.Events())
		for _, step := range steps {
			step.does(both)
			r := request()
			r.Target = []byte("/?a=1&e-mail=2&B=3&bare")
			both.RequestEnded(r)
		}
	})
	closeLog(t, log)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, step := range steps {
		if got := fields(t, lines[i])["url.query"]; got != step.want {
			t.Errorf("step %d: the log has %q, want %q", i, got, step.want)
		}
		if got := strings.ReplaceAll(attributes(spans[i].Attributes)["url.query"], `\u0026`, "&"); got != step.want {
			t.Errorf("step %d: the span has %q, want %q", i, got, step.want)
		}
	}
}

// Which traces are sampled, by the environment.
func TestTraceSampling(t *testing.T) {
	for _, tt := range []struct {
		sampler, arg          string
		least, most           int // of 10,000 that begin here
		ofRecorded, ofDropped bool
		warns                 string
	}{
		{"", "", 10000, 10000, true, false, ""},
		{"parentbased_always_on", "", 10000, 10000, true, false, ""},
		{"parentbased_always_off", "", 0, 0, true, false, ""},
		{"parentbased_traceidratio", "0.01", 50, 150, true, false, ""},
		{"traceidratio", "1", 10000, 10000, true, true, ""},
		{"traceidratio", "0", 0, 0, false, false, ""},
		{"always_on", "", 10000, 10000, true, true, ""},
		{"always_off", "", 0, 0, false, false, ""},
		{"sometimes", "", 10000, 10000, true, false, "OTEL_TRACES_SAMPLER"},
		{"traceidratio", "1%", 10000, 10000, true, true, "OTEL_TRACES_SAMPLER_ARG"},
		{"traceidratio", "-1", 10000, 10000, true, true, "OTEL_TRACES_SAMPLER_ARG"},
		{"traceidratio", "NaN", 10000, 10000, true, true, "OTEL_TRACES_SAMPLER_ARG"},
	} {
		t.Run(tt.sampler+" "+tt.arg, func(t *testing.T) {
			tr, log := tracer(t, map[string]string{
				"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
				"OTEL_TRACES_SAMPLER": tt.sampler, "OTEL_TRACES_SAMPLER_ARG": tt.arg,
			})
			id := func(i int) (id [16]byte) {
				binary.BigEndian.PutUint64(id[8:], uint64(i)*0x9e3779b97f4a7c15) // what a ratio goes by
				return id
			}
			n := 0
			for i := range 10000 {
				if tr.Sample(id(i), event.NoTraceParent) {
					n++
				}
			}
			if n < tt.least || n > tt.most {
				t.Errorf("%d of 10,000 are sampled", n)
			}
			if got := tr.Sample(id(1), event.ParentRecorded); got != tt.ofRecorded {
				t.Errorf("one whose parent is recorded: %t", got)
			}
			if got := tr.Sample(id(1), event.ParentDropped); got != tt.ofDropped {
				t.Errorf("one whose parent is not: %t", got)
			}
			if allocs := testing.AllocsPerRun(100, func() { tr.Sample(id(7), event.NoTraceParent) }); allocs != 0 {
				t.Errorf("it allocates %v times", allocs)
			}
			if warned := strings.Contains(log.String(), "level=WARN"); warned != (tt.warns != "") || !strings.Contains(log.String(), tt.warns) {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// A ratio samples the traces that other services with the same ratio do, by the SDK.
func TestTraceSamplingIsTheSDKs(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, ratio := range []string{"0", "1e-9", "0.01", "0.3333333333333333", "0.5", "0.9999999999999999", "1"} {
		tr, _ := tracer(t, map[string]string{
			"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
			"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio,
		})
		fraction, err := strconv.ParseFloat(ratio, 64)
		if err != nil {
			t.Fatal(err)
		}
		sdk := sdktrace.TraceIDRatioBased(fraction)
		edge := uint64(fraction*(1<<63)) << 1
		for i := range 5000 {
			low := rnd.Uint64()
			if i < 5 {
				low = edge + uint64(i) - 2 // around which the one ends
			}
			var id [16]byte
			binary.BigEndian.PutUint64(id[:], rnd.Uint64())
			binary.BigEndian.PutUint64(id[8:], low)
			want := sdk.ShouldSample(sdktrace.SamplingParameters{ParentContext: t.Context(), TraceID: id}).Decision == sdktrace.RecordAndSample
			if got := tr.Sample(id, event.NoTraceParent); got != want {
				t.Fatalf("ratio %s, trace %x: %t, want %t", ratio, id, got, want)
			}
		}
	}
}

// Whether there are traces at all, and what is said of an environment that is no good.
func TestTracesAreWanted(t *testing.T) {
	const at = "http://user:hunter2@127.0.0.1:1"
	for _, tt := range []struct {
		vars   map[string]string
		wanted bool
		says   string
	}{
		{map[string]string{}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at}, true, "endpoint=http://127.0.0.1:1"},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": at + "/v1/traces?key=hunter2"}, true, "endpoint=http://127.0.0.1:1/v1/traces"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, "endpoint=localhost"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": at}, false, ""},
		{map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT": at}, false, "zipkin"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "console, otlp"}, true, "console"},
		{map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false, ""},
		{map[string]string{"OTEL_SDK_DISABLED": "yes", "OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}, true, "carrier-pigeon"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": "0"}, true, "OTEL_BSP_MAX_QUEUE_SIZE"},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_EXPORT_TIMEOUT": "soon"}, true, "OTEL_BSP_EXPORT_TIMEOUT"},
	} {
		setenv(t, tt.vars)
		var log buffer
		tr, err := telemetry.NewTracer(telemetry.TracerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil || (tr != nil) != tt.wanted || !strings.Contains(log.String(), tt.says) || strings.Contains(log.String(), "hunter2") {
			t.Errorf("%v: wanted %t, %v, log:\n%s", tt.vars, tr != nil, err, &log)
		}
		if tr != nil {
			tr.Start()
			closeTracer(t, tr)
		}
	}
}

// spansDropped is the metric, by reason.
func spansDropped(t *testing.T, tr *telemetry.Tracer) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(tr)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			label := f.GetName()
			for _, l := range m.Label {
				label += " " + l.GetValue()
			}
			out[label] = m.Counter.GetValue()
		}
	}
	return out
}

// A collector that takes connections and never answers: the queue fills, what comes then
// is dropped and counted, nothing waits, and closing ends in its time.
func TestSilentCollector(t *testing.T) {
	for name := range protocols(&collector{}) {
		t.Run(name, func(t *testing.T) {
			c := collect(t)
			c.hold = make(chan struct{})
			defer close(c.hold)
			vars := protocols(c)[name]
			vars["OTEL_BSP_MAX_QUEUE_SIZE"], vars["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], vars["OTEL_BSP_SCHEDULE_DELAY"] = "100", "10", "1"
			tr, log := tracer(t, vars)
			l := tr.Events()
			const n = 5000
			for range n {
				l.RequestEnded(request())
			}
			overflowed, failed := tr.Dropped()
			if overflowed < n-200 || failed != 0 { // 100 wait, and at most a batch or two were taken out
				t.Errorf("%d dropped, %d failed, while nothing could be sent", overflowed, failed)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := tr.Close(ctx); err == nil || !strings.Contains(err.Error(), "not all spans") {
				t.Errorf("close: %v", err)
			}
			l.RequestEnded(request()) // after the end, too, it is counted
			overflowed, failed = tr.Dropped()
			if overflowed+failed+tr.Exported() != n+1 || tr.Exported() != 0 {
				t.Errorf("%d + %d dropped, %d exported, of %d", overflowed, failed, tr.Exported(), n+1)
			}
			want := map[string]float64{"lb_trace_spans_exported_total": 0, "lb_trace_spans_dropped_total queue_full": float64(overflowed), "lb_trace_spans_dropped_total export_failed": float64(failed)}
			if diff := cmp.Diff(want, spansDropped(t, tr)); diff != "" {
				t.Error("(-want +got)", diff)
			}
			if got := strings.Count(log.String(), "spans are lost"); got != 1 {
				t.Errorf("it is said %d times:\n%s", got, log)
			}
		})
	}
}

// What comes to the queue when nobody takes it out any more is counted: it was on its way
// there when the tracer ended.
func TestNoSpanIsForgottenAtTheEnd(t *testing.T) {
	c := collect(t)
	tr, _ := tracer(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http})
	closeTracer(t, tr)
	telemetry.QueueLate(tr)
	if overflowed, failed := tr.Dropped(); overflowed != 1 || failed != 0 || tr.Exported() != 0 {
		t.Errorf("%d + %d dropped, %d exported, of one", overflowed, failed, tr.Exported())
	}
}

// A collector that nobody can reach, while requests are made: each is answered as if it
// were not there; and one that comes back gets spans again.
func TestUnreachableCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	tr, log := tracer(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + addr, "OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", "OTEL_BSP_SCHEDULE_DELAY": "1",
	})
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer endpoint.Close()
	b := balancer.New(balancer.Options{Trace: tr.Sample, Events: tr.Events(), Policies: one(fmt.Sprintf(`
apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: "1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes: [{name: all, backendRefs: [{pool: main}]}]
  pools: [{name: main, endpoints: [{address: %q}]}]
`, endpoint.Listener.Addr()))})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	ask := func() {
		t.Helper()
		resp, err := client.Get("http://" + b.Addr("http").String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	const n = 200
	for range n {
		ask()
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for ; !ok(); time.Sleep(time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatalf("waited in vain: %s\n%s", what, log)
			}
		}
	}
	await("all spans are counted as lost", func() bool { overflowed, failed := tr.Dropped(); return overflowed+failed == 2*n })
	if got := strings.Count(log.String(), "spans are lost"); got != 1 {
		t.Errorf("it is said %d times:\n%s", got, log)
	}
	// The collector is back, at the same address.
	l, err = net.Listen("tcp", addr)
	if err != nil {
		t.Skip("somebody else has taken the port: ", err)
	}
	back := &collector{}
	s := &http.Server{Handler: http.HandlerFunc(back.serveHTTP)}
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(l) })
	ask()
	await("spans come through", func() bool { return len(back.got()) == 2 })
	if tr.Exported() > 2 || !strings.Contains(spansText(back.got()), "lb.breaker.verdict=success") {
		t.Errorf("%d exported: %s", tr.Exported(), spansText(back.got()))
	}
	transport.CloseIdleConnections()
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	closeTracer(t, tr)
	if !strings.Contains(log.String(), "takes spans again") {
		t.Errorf("log:\n%s", log)
	}
	s.Close()
	serving.Wait()
}

func spansText(spans []*otlp.Span) string {
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "%s:", s.Name)
		for k, v := range attributes(s.Attributes) {
			fmt.Fprintf(&b, " %s=%s", k, v)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// A request that is not sampled costs the tracer nothing; one that is, nothing but what
// was made for those before it.
func TestTracerDoesNotAllocateForRequests(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget on purpose")
	}
	c := collect(t)
	c.hold = make(chan struct{})
	defer close(c.hold)
	tr, _ := tracer(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http, "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10", "OTEL_BSP_SCHEDULE_DELAY": "1"})
	l := tr.Events()
	for range 1000 { // until the one export hangs and the queue is full
		l.RequestEnded(request())
	}
	for _, sampled := range []bool{false, true} {
		r, a := request(), attempt()
		r.Span.Sampled, a.Span.Sampled = sampled, sampled
		if got := testing.AllocsPerRun(1000, func() { l.AttemptEnded(a); l.RequestEnded(r) }); got >= 1 {
			t.Errorf("sampled %t: %v allocations", sampled, got)
		}
	}
}

// What waits is bounded in bytes too, however much clients send.
func TestTracerMemoryIsBounded(t *testing.T) {
	c := collect(t)
	c.hold = make(chan struct{})
	defer close(c.hold)
	const queue = 500
	tr, _ := tracer(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.http, "OTEL_BSP_MAX_QUEUE_SIZE": fmt.Sprint(queue), "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1", "OTEL_BSP_SCHEDULE_DELAY": "1"})
	l := tr.Events()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what a pool forgets is free after the second
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range 4 * queue {
		r, a, long := request(), attempt(), bytes.Repeat([]byte{0xff}, 64<<10)
		r.Method, r.Host, r.Target, r.UserAgent, r.RequestID = long, long, append([]byte("/?"), long...), long, long
		a.Method, a.Target, a.RequestID = long, r.Target, long
		l.AttemptEnded(a)
		l.RequestEnded(r)
	}
	if overflowed, _ := tr.Dropped(); overflowed < 6*queue {
		t.Fatalf("%d dropped: nothing was to be sent", overflowed)
	}
	if grown := int64(heap()) - int64(before); grown > queue*16<<10 {
		t.Errorf("%d spans that wait hold %d bytes, which is %d each", queue, grown, grown/queue)
	}
}

// What a collector answers is logged in part only, and cannot write to a terminal.
func TestCollectorsAnswerIsCut(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "\x1b[31m"+strings.Repeat("no ", 100_000), 400)
	}))
	defer s.Close()
	tr, log := tracer(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": s.URL})
	tr.Events().RequestEnded(request())
	closeTracer(t, tr)
	if _, failed := tr.Dropped(); failed != 1 {
		t.Errorf("%d failed", failed)
	}
	if text := log.String(); len(text) > 4<<10 || strings.Contains(text, "\x1b") || !strings.Contains(text, "400 Bad Request") {
		t.Errorf("log of %d bytes: %.1000q", len(text), text)
	}
}

// TestTracesAreDocumented keeps docs/telemetry.md true.
func TestTracesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := func(name string) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
	spans := export(t, func(l *event.Listener) {
		a := attempt()
		a.Mirror = true
		l.AttemptEnded(a)
		l.RequestEnded(request())
	})
	n := 0
	for _, s := range spans {
		for key := range attributes(s.Attributes) {
			if strings.HasPrefix(key, "lb.") {
				documented(key)
				n++
			}
		}
	}
	tr, _ := tracer(t, map[string]string{"OTEL_TRACES_EXPORTER": "otlp"})
	for series := range spansDropped(t, tr) {
		for name := range strings.FieldsSeq(series) {
			documented(name)
			n++
		}
	}
	if n < 20 {
		t.Errorf("%d names were looked for", n)
	}
}
