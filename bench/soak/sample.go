package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/bench/procfs"
)

// sample is what the balancer's process holds at an instant.
type sample struct {
	at    time.Time
	rss   int64 // bytes
	files int
	cpu   procfs.CPU
	tcp   int64 // bytes, of the whole machine, both ends of every connection
}

func takeSample(pid int) (sample, error) {
	s := sample{at: time.Now()}
	var err error
	if s.rss, err = procfs.ReadRSS(pid); err != nil {
		return s, err
	}
	if s.files, err = procfs.CountFiles(pid); err != nil {
		return s, err
	}
	if s.tcp, err = procfs.ReadTCPMemory(); err != nil {
		return s, err
	}
	s.cpu, err = procfs.ReadCPU([]int{pid})
	return s, err
}

// metrics are the values of /metrics: series of a name added up by the name
// alone, and also by name and labels.
type metrics map[string]float64

// scraper reads /metrics, always on one connection, so that it costs the
// balancer the same each time.
type scraper struct {
	client http.Client
	url    string
}

func newScraper(admin string) *scraper {
	return &scraper{http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1}}, "http://" + admin + "/metrics"}
}

func (s *scraper) close() { s.client.CloseIdleConnections() }

func (s *scraper) scrape(ctx context.Context) (metrics, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", s.url, response.Status)
	}
	return parseMetrics(response.Body)
}

// parseMetrics reads the Prometheus text format.
func parseMetrics(text io.Reader) (metrics, error) {
	m := metrics{}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("metrics: %q: a name and a value expected", line)
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %q: %w", line, err)
		}
		series := line[:i]
		m[series] += v
		if name, _, labelled := strings.Cut(series, "{"); labelled {
			m[name] += v
		}
	}
	return m, lines.Err()
}

// state is what should be as it was once everything is over.
type state struct {
	files, goroutines int
	heap, rss         int64 // bytes; heap is in use
}

func (s state) quietAs(start state) bool {
	return s.files <= start.files+keptFiles && s.goroutines <= start.goroutines
}

func (s *scraper) state(ctx context.Context, pid int) (state, metrics, error) {
	m, err := s.scrape(ctx)
	if err != nil {
		return state{}, nil, err
	}
	p, err := takeSample(pid)
	if err != nil {
		return state{}, nil, err
	}
	return state{p.files, int(m["go_goroutines"]), int64(m["go_memstats_heap_inuse_bytes"]), p.rss}, m, nil
}

// collect waits until the balancer has collected its garbage, pools included,
// which takes two rounds. Scraping makes garbage; nothing else does by then.
func (s *scraper) collect(ctx context.Context, atMost time.Duration) error {
	const rounds = 2
	first := -1.0
	for end := time.Now().Add(atMost); time.Now().Before(end); {
		m, err := s.scrape(ctx)
		if err != nil {
			return err
		}
		if n := m["go_gc_duration_seconds_count"]; first < 0 {
			first = n
		} else if n >= first+rounds {
			return nil
		}
	}
	return fmt.Errorf("the balancer did not collect its garbage within %v", atMost)
}
