package admin_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
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
