package admin_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
	"go-loadbalancer/lb/tooltest"
)

// scrapers are the Accept fields that Prometheus 3 sends, by what it is told to prefer
// (scrape_protocols); it always asks for gzip.
var scrapers = map[string]string{
	"text":        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	"openmetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	"protobuf":    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
}

// large is a balancer of 500 endpoints in 50 pools and what happened to them: every
// endpoint has all its series, and durations in 40 buckets.
func large(tell *event.Listener) *fake {
	const pools, each = 50, 10
	c := &event.Catalog{Policy: event.PolicyInfo{Name: "shop", Version: "1", Hash: strings.Repeat("0123456789abcdef", 4)}, Listeners: []string{"http"}}
	b := &fake{ready: true}
	for p := range pools {
		pool := fmt.Sprintf("pool-%d", p)
		c.Routes = append(c.Routes, event.Named{ID: event.ID(p), Name: fmt.Sprintf("route-%d", p)})
		c.Pools = append(c.Pools, event.Named{ID: event.ID(p), Name: pool})
		status := balancer.PoolStatus{Name: pool}
		for e := range each {
			address := fmt.Sprintf("10.0.%d.%d:8080", p, e)
			c.Endpoints = append(c.Endpoints, event.NamedEndpoint{ID: event.ID(p*each + e), Pool: event.ID(p), PoolName: pool, Address: address})
			status.Endpoints = append(status.Endpoints, balancer.EndpointStatus{ID: fmt.Sprintf("%s/%d", pool, e+1), Address: address,
				Healthy: true, Breaker: balancer.BreakerStatus{State: "closed"}, Weight: 1, Eligible: true, InFlight: int64(e)})
		}
		b.status.Pools = append(b.status.Pools, status)
	}
	tell.PolicyPrepared(c)
	tell.PolicyCommitted(&event.Commit{Catalog: c, At: time.Unix(1800000000, 0)})
	duration := func(i int) time.Duration { // 40 buckets, of a ninth more each
		return time.Duration(float64(time.Millisecond) * pow(1.0905, i%40))
	}
	for i := range 200 * pools * each {
		endpoint := event.ID(i % (pools * each))
		pool := endpoint / each
		tell.RequestRouted(pool)
		tell.AttemptEnded(&event.Attempt{Route: pool, Pool: pool, Endpoint: endpoint, Number: 1, Result: event.Results[i/500%len(event.Results)], Duration: duration(i / 500)})
		tell.RequestEnded(&event.Request{Route: pool, Pool: pool, Status: []int{200, 404, 502, 503}[i/500%4], Duration: duration(i / 500)})
	}
	return b
}

func pow(x float64, n int) float64 {
	out := 1.0
	for range n {
		out *= x
	}
	return out
}

// BenchmarkScrape is a scrape over HTTP of 500 endpoints, as Prometheus does it.
func BenchmarkScrape(b *testing.B) {
	for _, format := range []string{"text", "openmetrics", "protobuf"} {
		b.Run(format, func(b *testing.B) {
			metrics := telemetry.NewMetrics(telemetry.Build{})
			balancer := large(metrics.Events())
			c := serve(b, balancer, func(o *admin.Options) { o.Metrics = metrics })
			request, err := http.NewRequestWithContext(b.Context(), "GET", c.base+"/metrics", nil)
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("Accept", scrapers[format])
			request.Header.Set("Accept-Encoding", "gzip")
			sent := int64(0)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				response, err := c.http.Do(request)
				if err != nil {
					b.Fatal(err)
				}
				if sent, err = io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
					b.Fatal(response.Status, err)
				}
				response.Body.Close()
				if response.Header.Get("Content-Encoding") != "gzip" {
					b.Fatal("it is not compressed")
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(sent), "B/scrape")
			response, err := c.http.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			defer response.Body.Close()
			z, err := gzip.NewReader(response.Body)
			if err != nil {
				b.Fatal(err)
			}
			whole, err := io.Copy(io.Discard, z)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(whole), "B/plain")
		})
	}
}

// cpuTime is the processor time of this process, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// traced is a balancer that has ended a sampled request, of 3 ms, and one that was not.
func traced(tell *event.Listener) {
	c := &event.Catalog{
		Routes: []event.Named{{Name: "r"}}, Pools: []event.Named{{Name: "p"}},
		Endpoints: []event.NamedEndpoint{{PoolName: "p", Address: "10.0.0.1:80"}},
	}
	tell.PolicyPrepared(c)
	tell.PolicyCommitted(&event.Commit{Catalog: c})
	start := time.Unix(1800000000, 0)
	for _, e := range []struct {
		span event.Span
		took time.Duration
	}{
		{event.Span{Trace: [16]byte{0xab, 15: 0xcd}, ID: [8]byte{1}, Sampled: true}, 3 * time.Millisecond},
		{event.Span{Trace: [16]byte{0xef}, ID: [8]byte{1}}, 40 * time.Millisecond},
	} {
		tell.RequestRouted(0)
		tell.AttemptEnded(&event.Attempt{Number: 1, Result: event.OK, Start: start, Duration: e.took, Span: e.span})
		tell.RequestEnded(&event.Request{Status: 200, Start: start, Duration: e.took, Span: e.span})
	}
}

// Each format has the durations as it can: native histograms and exemplars in the
// protobuf one, exemplars in OpenMetrics, classic buckets everywhere.
func TestExpositions(t *testing.T) {
	metrics := telemetry.NewMetrics(telemetry.Build{})
	traced(metrics.Events())
	c := serve(t, &fake{ready: true}, func(o *admin.Options) { o.Metrics = metrics })
	get := func(format, kind string) string {
		t.Helper()
		got := c.do("GET", "/metrics", "Accept: "+scrapers[format], "Accept-Encoding: gzip")
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || got.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %d %v", format, got.status, got.header)
		}
		z, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const trace = "ab0000000000000000000000000000cd"
	durations := map[string]string{"lb_request_duration_seconds": `route="r"`, "lb_upstream_request_duration_seconds": `endpoint="10.0.0.1:80",pool="p"`}

	text := get("text", "text/plain; version=0.0.4")
	open := get("openmetrics", "application/openmetrics-text; version=1.0.0")
	for name, labels := range durations {
		for _, want := range []string{
			name + `_bucket{` + labels + `,le="0.005"} 1`, name + `_bucket{` + labels + `,le="0.05"} 2`,
			name + `_bucket{` + labels + `,le="+Inf"} 2`, name + `_count{` + labels + `} 2`,
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("text has no %s", want)
			}
		}
		if want := name + `_bucket{` + labels + `,le="0.005"} 1 # {trace_id="` + trace + `"} 0.003 1.800000000003e+09`; !strings.Contains(open, want+"\n") {
			t.Errorf("OpenMetrics has no %s", want)
		}
	}
	if n := strings.Count(open, "trace_id="); n != 2 || !strings.HasSuffix(open, "# EOF\n") {
		t.Errorf("OpenMetrics has %d exemplars, want 2, and ends with %q", n, open[len(open)-10:])
	}
	if strings.Contains(text, "trace_id") {
		t.Error("text has exemplars, which its format does not know")
	}

	in := bufio.NewReader(strings.NewReader(get("protobuf", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")))
	found := 0
	for {
		family := &dto.MetricFamily{}
		err := protodelim.UnmarshalFrom(in, family)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range family.GetMetric() {
			h, labels := m.GetHistogram(), m.GetLabel()
			if durations[family.GetName()] == "" || labels[0].GetValue() != "r" && labels[0].GetValue() != "10.0.0.1:80" {
				continue
			}
			found++
			if h.GetSchema() != 3 || len(h.GetPositiveSpan()) != 2 || h.GetSampleCount() != 2 || len(h.GetBucket()) != 11 {
				t.Errorf("%s: %v", family.GetName(), h)
			}
			x := h.GetBucket()[0].GetExemplar()
			if len(x.GetLabel()) != 1 || x.GetLabel()[0].GetValue() != trace || x.GetValue() != .003 || h.GetBucket()[3].GetExemplar() != nil {
				t.Errorf("%s: exemplars %v", family.GetName(), h)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d histograms were found, want 2", found)
	}

	plain := c.do("GET", "/metrics", "Accept: "+scrapers["text"], "Accept-Encoding: identity")
	if plain.header.Get("Content-Encoding") != "" || !strings.Contains(plain.body, "lb_requests_total") {
		t.Errorf("who accepts no compression gets %v", plain.header)
	}
}

// A Prometheus scrapes it, and finds quantiles of the native histograms and the exemplar
// by its own queries.
func TestPrometheusUnderstandsIt(t *testing.T) {
	binary := tooltest.Path(t, "prometheus")
	metrics := telemetry.NewMetrics(telemetry.Build{})
	traced(metrics.Events())
	c := serve(t, &fake{ready: true}, func(o *admin.Options) { o.Metrics = metrics })
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nstorage: {exemplars: {max_exemplars: 100}}\nscrape_configs:\n  - job_name: lb\n    static_configs: [{targets: [%q]}]\n", strings.TrimPrefix(c.base, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature=native-histograms,exemplar-storage", "--log.level=warn")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); cmd.Wait() }()
	ask := func(path, name, query string) string {
		values := url.Values{name: {query}, "start": {"1799999000"}, "end": {"1800001000"}}
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/api/v1/"+path+"?"+values.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.http.Do(r)
		if err != nil {
			return err.Error() // it has not started yet
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	await := func(what, path, name, query string, want *regexp.Regexp) {
		t.Helper()
		got := ""
		for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if got = ask(path, name, query); want.MatchString(got) {
				return
			}
		}
		t.Fatalf("%s: %s: %s", what, query, got)
	}
	for name, labels := range map[string]string{"lb_request_duration_seconds": `route="r"`, "lb_upstream_request_duration_seconds": `endpoint="10.0.0.1:80"`} {
		// 40 ms lies between 2^(-38/8) s and 2^(-37/8) s: 37.2 and 40.5 ms.
		await("the 99th percentile", "query", "query", "histogram_quantile(0.99, "+name+"{"+labels+"})", regexp.MustCompile(`"0\.0(3[7-9]|40)\d*"`))
		await("the count", "query", "query", "histogram_count("+name+"{"+labels+"})", regexp.MustCompile(`,"2"\]`))
		await("the exemplar", "query_exemplars", "query", name, regexp.MustCompile(`"trace_id":"ab0000000000000000000000000000cd"`))
	}
}
