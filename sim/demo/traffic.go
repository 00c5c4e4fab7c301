package demo

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/policy"
)

const (
	maxInFlight    = 256
	requestTimeout = 10 * time.Second
	maxResponse    = 1 << 20 // bytes read of a response
)

// traffic makes requests at a steady rate, whatever the answers do, to every
// route in turn. A request that would be one too many in flight is not made,
// and counted as missed.
type traffic struct {
	rate      float64
	transport *http.Transport
	requests  atomic.Pointer[[]*http.Request]

	made, errors, missed atomic.Uint64
}

// tally is what traffic has counted.
type tally struct{ requests, errors, missed uint64 }

func newTraffic(rate float64) *traffic {
	return &traffic{rate: rate, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
		MaxIdleConnsPerHost: maxInFlight,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}}
}

func (t *traffic) close() { t.transport.CloseIdleConnections() }

func (t *traffic) total() tally {
	return tally{t.made.Load(), t.errors.Load(), t.missed.Load()}
}

// aim directs what follows at the first listener and the routes of p.
func (t *traffic) aim(p *policy.Policy) {
	requests := requestsOf(p)
	t.requests.Store(&requests)
}

// run makes requests until ctx is done, and returns once all have ended.
func (t *traffic) run(ctx context.Context) {
	if t.rate == 0 {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, maxInFlight)
	gap := time.Duration(float64(time.Second) / t.rate)
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if rs := *t.requests.Load(); len(rs) > 0 {
			select {
			case room <- struct{}{}:
				wg.Go(func() {
					defer func() { <-room }()
					t.make(ctx, rs[i%len(rs)])
				})
			default:
				t.missed.Add(1)
			}
		}
		next = next.Add(gap)
		if now := time.Now(); now.Sub(next) > time.Second {
			next = now // after a pause of the whole process: no burst
		}
		timer.Reset(time.Until(next))
	}
}

// make makes one request and counts how it went. It may still end well when
// ctx is done.
func (t *traffic) make(ctx context.Context, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	t.made.Add(1)
	resp, err := t.transport.RoundTrip(r.Clone(ctx))
	if err != nil {
		t.errors.Add(1)
		return
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxResponse)); err != nil || resp.StatusCode >= 500 {
		t.errors.Add(1)
	}
}

// requestsOf returns a request for each route of p that has a pool, to the
// first listener. A route that asks for what cannot be made up, a regular
// expression, gets none.
func requestsOf(p *policy.Policy) []*http.Request {
	host, port, _ := net.SplitHostPort(p.Listeners[0].Address)
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	address := net.JoinHostPort(host, port)
	var all []*http.Request
	for _, route := range p.Routes {
		if len(route.BackendRefs) == 0 {
			continue
		}
		for _, m := range route.Matches {
			if r := requestFor(address, route.Hostnames, m); r != nil {
				all = append(all, r)
				break
			}
		}
	}
	return all
}

func requestFor(address string, hostnames []string, m policy.Match) *http.Request {
	if m.PathType == policy.PathRegex {
		return nil
	}
	r := &http.Request{
		Method: m.Method,
		URL:    &url.URL{Scheme: "http", Host: address, Path: m.Path},
		Header: http.Header{"User-Agent": {"sim-demo"}},
	}
	if len(hostnames) > 0 {
		r.Host = strings.ReplaceAll(hostnames[0], "*", "x")
	}
	for _, h := range m.Headers {
		if h.Regex != nil {
			return nil
		}
		r.Header.Set(h.Name, h.Value)
	}
	query := make(url.Values)
	for _, q := range m.Query {
		if q.Regex != nil {
			return nil
		}
		query.Set(q.Name, q.Value)
	}
	r.URL.RawQuery = query.Encode()
	return r
}
