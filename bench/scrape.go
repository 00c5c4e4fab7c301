package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/bench/procfs"
	"go-loadbalancer/bench/server"
)

// What is scraped: a policy of scrapePools × scrapeEndpoints.
const (
	scrapeTarget    = 20 * time.Millisecond
	scrapePools     = 50
	scrapeEndpoints = 10 // of each pool
	scrapeVisits    = 50 // requests to each endpoint before
	scrapesARound   = 20
)

// scrapeFormats are what a Prometheus asks for, by its setting scrape_protocols.
var scrapeFormats = []struct{ name, accept string }{
	{"text", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
	{"OpenMetrics", "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"},
	{"protobuf, with native histograms", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,*/*;q=0.1"},
}

// scrapes are what those in one format took.
type scrapes struct {
	format      string
	took        []float64 // seconds, of each
	cpu         []float64 // seconds of processor time a scrape, by round
	sent, whole int       // bytes, compressed and not
}

// scrape measures `GET /metrics` of a running balancer that has sent requests to all
// of its endpoints, compressed as Prometheus wants it.
func (b *bench) scrape(ctx context.Context, c candidate) ([]*scrapes, error) {
	endpoints, err := startEndpoints(ctx)
	if err != nil {
		return nil, err
	}
	defer endpoints.stop()
	p, err := b.start(ctx, c, row{})
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	if err := p.writePolicy(endpoints.policy(p.instance.Listen)); err != nil {
		return nil, err
	}
	if err := call(ctx, client, http.MethodPost, "http://"+p.instance.Admin+"/-/reload", nil); err != nil {
		return nil, err
	}
	for i := range scrapePools {
		for range scrapeEndpoints * scrapeVisits {
			if err := server.Get(ctx, client, fmt.Sprintf("http://%s/p%d", p.instance.Listen, i)); err != nil {
				return nil, err
			}
		}
	}
	var all []*scrapes
	for _, f := range scrapeFormats {
		all = append(all, &scrapes{format: f.name})
	}
	url := "http://" + p.instance.Admin + "/metrics"
	for i := range b.rounds + 1 { // the first round grows buffers and is not counted
		for n, f := range scrapeFormats {
			s, before := all[n], procfs.CPU(nil)
			for k := range scrapesARound + 1 {
				if k == 1 { // the first makes what the one before, of another format, left behind
					if before, err = procfs.ReadCPU(p.PIDs); err != nil {
						return nil, err
					}
				}
				start := time.Now()
				sent, err := scrapeOnce(ctx, client, url, f.accept)
				if err != nil {
					return nil, err
				}
				if i > 0 && k > 0 {
					s.took = append(s.took, time.Since(start).Seconds())
				}
				s.sent = len(sent)
				if i == 0 && k == 0 {
					if s.whole, err = s.check(sent); err != nil {
						return nil, fmt.Errorf("%s: scrape as %s: %w", c.name, f.name, err)
					}
				}
			}
			after, err := procfs.ReadCPU(p.PIDs)
			if err != nil {
				return nil, err
			}
			used, err := after.Since(before)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				s.cpu = append(s.cpu, used.Seconds()/scrapesARound)
			}
		}
		b.progress("scrape: %d of %d", i, b.rounds)
	}
	return all, nil
}

// scrapeOnce returns what was sent, compressed.
func scrapeOnce(ctx context.Context, client *http.Client, url, accept string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	kind, _, _ := strings.Cut(accept, ";")
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(response.Header.Get("Content-Type"), kind) {
		return nil, fmt.Errorf("GET %s as %s: %s, %s, compressed by %q", url, kind, response.Status, response.Header.Get("Content-Type"), response.Header.Get("Content-Encoding"))
	}
	return io.ReadAll(response.Body)
}

var attemptsPattern = regexp.MustCompile(`(?m)^lb_upstream_request_duration_seconds_count\{endpoint="127\.1\.[^}]*\} [1-9]`)

// check returns how large a scrape is when it is not compressed, which must have
// durations of every endpoint if it is text.
func (s *scrapes) check(sent []byte) (int, error) {
	z, err := gzip.NewReader(strings.NewReader(string(sent)))
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return 0, err
	}
	if n := len(attemptsPattern.FindAll(text, -1)); n != scrapePools*scrapeEndpoints && s.format == "text" {
		return 0, fmt.Errorf("it tells of durations of %d endpoints, not of %d", n, scrapePools*scrapeEndpoints)
	}
	return len(text), nil
}

// endpoints are backends that answer at once, each at an address of its own.
type endpoints struct {
	addresses []string
	server    http.Server
	serving   sync.WaitGroup
}

func startEndpoints(ctx context.Context) (*endpoints, error) {
	e := &endpoints{server: http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok")
	})}}
	for i := range scrapePools * scrapeEndpoints {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.1.%d.%d:0", i/scrapeEndpoints, i%scrapeEndpoints+1))
		if err != nil {
			e.stop()
			return nil, err
		}
		e.addresses = append(e.addresses, l.Addr().String())
		e.serving.Go(func() {
			if err := e.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				l.Close() // requests to it fail, which is told
			}
		})
	}
	return e, nil
}

func (e *endpoints) stop() {
	e.server.Close()
	e.serving.Wait()
}

func (e *endpoints) policy(listen string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: bench, version: scrape}\nspec:\n")
	fmt.Fprintf(&s, "  listeners:\n    - {name: http, address: %q}\n  routes:\n", listen)
	for i := range scrapePools {
		fmt.Fprintf(&s, "    - {name: r%d, matches: [{path: {type: PathPrefix, value: /p%d}}], backendRefs: [{pool: p%d}]}\n", i, i, i)
	}
	s.WriteString("  pools:\n")
	for i := range scrapePools {
		fmt.Fprintf(&s, "    - name: p%d\n      endpoints:\n", i)
		for _, a := range e.addresses[i*scrapeEndpoints : (i+1)*scrapeEndpoints] {
			fmt.Fprintf(&s, "        - {address: %q}\n", a)
		}
	}
	return s.String()
}
