package app_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"go-loadbalancer/lb/app"
)

// metric is the value of a series on the admin address, by how its line begins.
func (r *rig) metric(series string) float64 {
	r.t.Helper()
	_, text := r.get(r.admin + "/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return v
		}
	}
	return -1
}

// By the environment alone spans reach a collector, the last ones when the process ends;
// the access log names them.
func TestRunExportsTraces(t *testing.T) {
	var mu sync.Mutex
	var spans []*otlp.Span
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		text, err := io.ReadAll(q.Body)
		var m coltrace.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &m)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				spans = append(spans, ss.Spans...)
			}
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000") // only the end sends
	var out buffer
	heard := make(chan string, 2)
	r := run(t, func(_ http.ResponseWriter, q *http.Request) { heard <- q.Header.Get("traceparent") }, func(c *app.Config) { c.AccessLog, c.Stdout = "stdout", &out })
	if code := r.status(r.traffic + "/a?token=hunter2"); code != 200 {
		t.Fatal(code)
	}
	r.await("a request has ended", func() bool { return r.metric(`lb_requests_total{code="200",route="all"}`) == 1 })
	if r.metric("lb_trace_spans_exported_total") != 0 || r.metric(`lb_trace_spans_dropped_total{reason="queue_full"}`) != 0 || r.metric(`lb_trace_spans_dropped_total{reason="export_failed"}`) != 0 {
		t.Error("the metrics of spans are not there, or not 0")
	}
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
	if len(spans) != 2 {
		t.Fatalf("%d spans came", len(spans))
	}
	client, server := spans[0], spans[1]
	if got, want := <-heard, fmt.Sprintf("00-%x-%x-01", client.TraceId, client.SpanId); got != want {
		t.Errorf("the endpoint heard %q, want %q", got, want)
	}
	if server.Name != "GET /*" || !bytes.Equal(client.ParentSpanId, server.SpanId) {
		t.Errorf("spans %s and %s", server, client)
	}
	for _, want := range []string{fmt.Sprintf(`"trace_id":"%x","span_id":"%x","trace_flags":"01"`, server.TraceId, server.SpanId)} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log does not have %s:\n%s", want, &out)
		}
	}
	if strings.Contains(fmt.Sprint(spans)+out.String(), "hunter2") {
		t.Error("the secret of the query is shown")
	}
}

// A disk that is full, one that is slow, and a collector that cannot be reached: requests
// go on, what is lost is counted, it is said once, and the end comes in its time.
func TestTelemetryFailsAndRequestsDoNot(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it needs /dev/full and named pipes")
	}
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	// Opened, and never read.
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, tt := range []struct {
		name, log string
		env       map[string]string
		lost      string // grows
		says      string
		end       string // what Run complains of
	}{
		{"full disk", "/dev/full", nil, "lb_access_log_lines_dropped_total", "no space left on device", ""},
		{"slow disk", pipe, nil, "lb_access_log_lines_dropped_total", "", "not all lines could be written in time"},
		{"collector away", "off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "1"},
			`lb_trace_spans_dropped_total{reason="export_failed"}`, "connection refused", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			var log buffer
			r := run(t, hello, func(c *app.Config) {
				c.AccessLog = tt.log
				c.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), &log), nil))
			})
			long := r.traffic + "/" + strings.Repeat("x", 2000) + "?" + strings.Repeat("y", 2000)
			n := 0
			for deadline := time.Now().Add(20 * time.Second); r.metric(tt.lost) <= 0; {
				if time.Now().After(deadline) {
					t.Fatalf("after %d requests %s is %v", n, tt.lost, r.metric(tt.lost))
				}
				for range 100 {
					if code, body := r.get(long); code != 200 || body != "hello" {
						t.Fatalf("request %d: %d %q", n, code, body)
					}
					n++
				}
			}
			r.stop()
			if err := r.join(); (err == nil) != (tt.end == "") || err != nil && !strings.Contains(err.Error(), tt.end) {
				t.Errorf("the end: %v", err)
			}
			if got := len(regexp.MustCompile(`level=ERROR.*`+tt.says).FindAllString(log.String(), -1)); tt.says != "" && got != 1 {
				t.Errorf("it is said %d times", got)
			}
		})
	}
}

// A named pipe that nobody reads cannot be opened for writing, and that is said.
func TestAccessLogNeedsAReader(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	err := app.Run(t.Context(), app.Config{Policies: t.TempDir(), Admin: "127.0.0.1:0", AccessLog: pipe})
	if err == nil || !strings.Contains(err.Error(), "nobody reads this named pipe") || !strings.Contains(err.Error(), pipe) {
		t.Errorf("got %v", err)
	}
}
