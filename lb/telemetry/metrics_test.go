package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

func newMetrics() (*telemetry.Metrics, *event.Listener) {
	m := telemetry.NewMetrics(telemetry.Build{Version: "v1.2.3", Revision: "abc", GoVersion: "go1.26"})
	return m, m.Events()
}

// shop is a policy with two routes, a pool with two endpoints, and a listener.
func shop() *event.Catalog {
	return &event.Catalog{
		Policy:    event.PolicyInfo{Name: "shop", Version: "1", Hash: "aa", Revision: "r1"},
		Listeners: []string{"http"},
		Routes:    []event.Named{{ID: 0, Name: "cart"}, {ID: 1, Name: "rest"}},
		Pools:     []event.Named{{ID: 0, Name: "cart"}},
		Endpoints: []event.NamedEndpoint{
			{ID: 0, Pool: 0, PoolName: "cart", Address: "10.0.0.1:80"},
			{ID: 1, Pool: 0, PoolName: "cart", Address: "10.0.0.2:80"},
		},
	}
}

func serve(e *event.Listener, c *event.Catalog) {
	e.PolicyPrepared(c)
	e.PolicyCommitted(&event.Commit{Catalog: c, At: time.Unix(1800000000, 5e8), Took: 20 * time.Millisecond})
}

// series returns every series of the metric families with one of the prefixes,
// in the text format without comments.
func series(t *testing.T, m *telemetry.Metrics, prefixes ...string) string {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		for _, p := range prefixes {
			if !strings.HasPrefix(f.GetName(), p) {
				continue
			}
			for _, s := range f.GetMetric() {
				var labels []string
				for _, l := range s.GetLabel() {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
				value := s.GetCounter().GetValue() + s.GetGauge().GetValue()
				if h := s.GetHistogram(); h != nil {
					value = float64(h.GetSampleCount())
				}
				fmt.Fprintf(&out, "%s{%s} %v\n", f.GetName(), strings.Join(labels, ","), value)
			}
		}
	}
	return out.String()
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(lines)
	gotLines := strings.Split(strings.TrimSpace(got), "\n")
	slices.Sort(gotLines)
	if diff := cmp.Diff(lines, gotLines); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestMetricsOfRequests(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	for range 3 {
		e.RequestRouted(0)
	}
	e.RequestEnded(&event.Request{Route: 0, Status: 200, Duration: 3 * time.Millisecond})
	e.RequestEnded(&event.Request{Route: 0, Status: 503})
	e.RequestEnded(&event.Request{Route: event.None, Status: 404})
	e.RequestRouted(1)
	e.RequestEnded(&event.Request{Route: 1, Status: 0, Flags: event.DownstreamGone})
	e.RequestRouted(1)
	e.RequestEnded(&event.Request{Route: 1, Status: 1000}) // no such status
	expect(t, series(t, m, "lb_request"), `
		lb_request_duration_seconds{route=-} 1
		lb_request_duration_seconds{route=cart} 2
		lb_request_duration_seconds{route=rest} 2
		lb_requests_in_flight{route=cart} 1
		lb_requests_in_flight{route=rest} 0
		lb_requests_total{code=200,route=cart} 1
		lb_requests_total{code=503,route=cart} 1
		lb_requests_total{code=404,route=-} 1
		lb_requests_total{code=0,route=rest} 2`)
}

func TestMetricsOfEndpoints(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	for i, r := range event.Results {
		for range i + 1 {
			e.AttemptEnded(&event.Attempt{Route: 0, Pool: 0, Endpoint: 1, Result: r, Duration: time.Millisecond})
		}
	}
	e.AttemptEnded(&event.Attempt{Endpoint: event.None, Result: event.OK, Resend: event.ResentUnsent})
	for _, why := range []event.Resend{event.ResentUnsent, event.ResentUnread, event.ResentUnanswered, event.ResentUnanswered, "whim"} {
		e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK, Resend: why})
	}
	e.BreakerChanged(event.BreakerChange{Endpoint: 1, To: event.BreakerOpen, Reason: "failure_percent"})
	e.BreakerChanged(event.BreakerChange{Endpoint: 1, To: event.BreakerHalfOpen, Reason: "open_elapsed"})
	e.BreakerChanged(event.BreakerChange{Endpoint: 1, To: event.BreakerOpen, Reason: "forced"})
	want := ""
	for _, r := range []string{"aborted", "client_canceled", "connect", "exhausted", "ok", "overflow", "protocol_error", "reset", "status", "timeout", "truncated"} {
		want += fmt.Sprintf("lb_upstream_requests_total{endpoint=10.0.0.1:80,pool=cart,result=%s} 0\n", r)
	}
	for _, r := range []struct {
		name string
		n    int
	}{{"aborted", 11}, {"client_canceled", 8}, {"connect", 3}, {"exhausted", 9}, {"ok", 6}, {"overflow", 10}, {"protocol_error", 7}, {"reset", 5}, {"status", 2}, {"timeout", 4}, {"truncated", 6}} {
		want += fmt.Sprintf("lb_upstream_requests_total{endpoint=10.0.0.2:80,pool=cart,result=%s} %d\n", r.name, r.n)
	}
	expect(t, series(t, m, "lb_upstream"), `
		lb_upstream_request_duration_seconds{endpoint=10.0.0.1:80,pool=cart} 0
		lb_upstream_request_duration_seconds{endpoint=10.0.0.2:80,pool=cart} 71
		lb_upstream_resends_total{endpoint=10.0.0.1:80,pool=cart,reason=unanswered} 0
		lb_upstream_resends_total{endpoint=10.0.0.1:80,pool=cart,reason=unread} 0
		lb_upstream_resends_total{endpoint=10.0.0.1:80,pool=cart,reason=unsent} 0
		lb_upstream_resends_total{endpoint=10.0.0.2:80,pool=cart,reason=unanswered} 2
		lb_upstream_resends_total{endpoint=10.0.0.2:80,pool=cart,reason=unread} 1
		lb_upstream_resends_total{endpoint=10.0.0.2:80,pool=cart,reason=unsent} 1
		`+want)
	expect(t, series(t, m, "lb_circuit_breaker_transitions_total"), `
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=probes_succeeded,to=closed} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=turned_off,to=closed} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=open_elapsed,to=half-open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=consecutive_failures,to=open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=failure_percent,to=open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=probe_failed,to=open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.1:80,pool=cart,reason=probe_timeout,to=open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=probes_succeeded,to=closed} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=turned_off,to=closed} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=open_elapsed,to=half-open} 1
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=consecutive_failures,to=open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=failure_percent,to=open} 1
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=forced,to=open} 1
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=probe_failed,to=open} 0
		lb_circuit_breaker_transitions_total{endpoint=10.0.0.2:80,pool=cart,reason=probe_timeout,to=open} 0`)
}

func TestMetricsOfConnections(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	for range 3 {
		e.ConnectionOpened("http")
	}
	e.ConnectionClosed("http", event.ClosedByClient)
	e.ConnectionClosed("http", "surprise")
	e.ConnectionOpened("unknown")
	e.AcceptPaused("http")
	e.AcceptPaused("unknown")
	got := series(t, m, "lb_client_connections", "lb_accept_pauses")
	for _, want := range []string{
		"lb_client_connections{listener=http} 1\n",
		"lb_client_connections_opened_total{listener=http} 3\n",
		"lb_client_connections_closed_total{listener=http,reason=client} 1\n",
		"lb_client_connections_closed_total{listener=http,reason=other} 1\n",
		"lb_client_connections_closed_total{listener=http,reason=slow_reader} 0\n",
		"lb_accept_pauses_total{listener=http} 1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %sin\n%s", want, got)
		}
	}
	if strings.Contains(got, "unknown") {
		t.Errorf("a listener no policy names has a series:\n%s", got)
	}
}

func TestMetricsOfReloads(t *testing.T) {
	m, e := newMetrics()
	const at = "lb_policy_last_reload_success_timestamp_seconds{} 1.8000000005e+09"
	check := func(when, want string) {
		t.Helper()
		t.Log(when)
		expect(t, series(t, m, "lb_policy_info", "lb_policy_last_reload_success", "lb_policy_reloads_total", "lb_policy_rejections_total"), want)
	}
	check("at first", `
		lb_policy_last_reload_successful{} 0
		lb_policy_rejections_total{reason=invalid} 0
		lb_policy_rejections_total{reason=listen} 0
		lb_policy_rejections_total{reason=other} 0
		lb_policy_rejections_total{reason=unreadable} 0
		lb_policy_reloads_total{result=committed} 0
		lb_policy_reloads_total{result=rejected} 0
		lb_policy_reloads_total{result=restored} 0`)
	first := shop()
	first.Policy.Revision = "r\xff"
	serve(e, first)
	e.PolicyRejected(&event.Rejection{Reason: "invalid", Err: errors.New("x")})
	check("after a refusal", `
		lb_policy_info{hash=aa,name=shop,revision=r�,version=1} 1
		`+at+`
		lb_policy_last_reload_successful{} 0
		lb_policy_rejections_total{reason=invalid} 1
		lb_policy_rejections_total{reason=listen} 0
		lb_policy_rejections_total{reason=other} 0
		lb_policy_rejections_total{reason=unreadable} 0
		lb_policy_reloads_total{result=committed} 1
		lb_policy_reloads_total{result=rejected} 1
		lb_policy_reloads_total{result=restored} 0`)
	next := shop()
	next.Policy.Version, next.Policy.Hash, next.Policy.Revision = "2", "bb", ""
	serve(e, next)
	e.PolicyRejected(&event.Rejection{Reason: "strange"})
	e.PolicyPrepared(first)
	e.PolicyCommitted(&event.Commit{Catalog: next, At: time.Unix(1800000000, 5e8), LastGood: true})
	check("after the last good one was restored", `
		lb_policy_info{hash=bb,name=shop,revision=,version=2} 1
		`+at+`
		lb_policy_last_reload_successful{} 0
		lb_policy_rejections_total{reason=invalid} 1
		lb_policy_rejections_total{reason=listen} 0
		lb_policy_rejections_total{reason=other} 1
		lb_policy_rejections_total{reason=unreadable} 0
		lb_policy_reloads_total{result=committed} 2
		lb_policy_reloads_total{result=rejected} 2
		lb_policy_reloads_total{result=restored} 1`)
}

// New addresses of names are prepared and committed like a policy, and count as
// none; a refusal before anything was made for it leaves them alone.
func TestRefreshIsNoReload(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	before := series(t, m, "lb_policy_")
	next := shop()
	next.Endpoints[1] = event.NamedEndpoint{ID: 2, Pool: 0, PoolName: "cart", Address: "10.0.0.3:80"}
	e.PolicyPrepared(next)
	e.PolicyCommitted(&event.Commit{Catalog: next, At: time.Unix(1900000000, 0), Took: time.Second, Refresh: true})
	expect(t, series(t, m, "lb_policy_"), before)
	e.PolicyRejected(&event.Rejection{Reason: "unreadable"})
	e.AttemptEnded(&event.Attempt{Endpoint: 2, Result: event.OK})
	if got := series(t, m, "lb_upstream_requests_total"); !strings.Contains(got, "lb_upstream_requests_total{endpoint=10.0.0.3:80,pool=cart,result=ok} 1") {
		t.Errorf("the new address does not count:\n%s", got)
	}
}

// inFlight returns the lines of the in-flight gauge, a handy list of the routes
// that have series.
func inFlight(t *testing.T, m *telemetry.Metrics) string {
	return series(t, m, "lb_requests_in_flight")
}

func TestMetricsForgetARouteAfterItsLastRequest(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	e.RequestRouted(0)
	e.RequestRouted(1)
	e.RequestEnded(&event.Request{Route: 1, Status: 200})
	next := shop()
	next.Routes = []event.Named{{ID: 2, Name: "new"}}
	e.PolicyPrepared(next)
	expect(t, inFlight(t, m), "lb_requests_in_flight{route=cart} 1\nlb_requests_in_flight{route=new} 0\nlb_requests_in_flight{route=rest} 0")
	e.PolicyCommitted(&event.Commit{Catalog: next})
	expect(t, inFlight(t, m), "lb_requests_in_flight{route=cart} 1\nlb_requests_in_flight{route=new} 0")
	e.RequestEnded(&event.Request{Route: 0, Status: 200, Flags: event.Retried})
	expect(t, inFlight(t, m), "lb_requests_in_flight{route=new} 0")
	if got := series(t, m, "lb_request_duration"); strings.Contains(got, "cart") {
		t.Errorf("a histogram was left behind:\n%s", got)
	}
	e.RequestRouted(0) // late
	e.RequestEnded(&event.Request{Route: 0, Status: 200})
	expect(t, inFlight(t, m), "lb_requests_in_flight{route=new} 0")
	if got := m.Totals().Requests.Successful; got != 2 {
		t.Errorf("the totals have %d requests, want the 2 of the routes that are gone", got)
	}
	if got := m.Totals().ResponseFlags["RT"]; got != 1 {
		t.Errorf("the totals have %d flags, want that of the route that is gone", got)
	}
}

func TestMetricsKeepARouteThatComesBack(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	e.RequestRouted(0)
	without := shop()
	without.Routes = without.Routes[1:]
	serve(e, without)
	serve(e, shop())
	e.RequestEnded(&event.Request{Route: 0, Status: 200})
	expect(t, inFlight(t, m), "lb_requests_in_flight{route=cart} 0\nlb_requests_in_flight{route=rest} 0")
	expect(t, series(t, m, "lb_requests_total"), "lb_requests_total{code=200,route=cart} 1")
}

func TestMetricsFollowAnIDThatNamesAnother(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	e.RequestEnded(&event.Request{Route: 0, Status: 200})
	other := shop()
	other.Routes = []event.Named{{ID: 0, Name: "other"}, {ID: 3, Name: "rest"}}
	other.Endpoints[0].Address = "10.0.0.9:80"
	serve(e, other)
	e.RequestEnded(&event.Request{Route: 0, Status: 500})
	e.RequestEnded(&event.Request{Route: 3, Status: 200})
	expect(t, series(t, m, "lb_requests_total"), "lb_requests_total{code=500,route=other} 1\nlb_requests_total{code=200,route=rest} 1")
	if got := series(t, m, "lb_upstream"); strings.Contains(got, "10.0.0.1:") || !strings.Contains(got, "10.0.0.9:") {
		t.Errorf("endpoint 0 is 10.0.0.9:80 now:\n%s", got)
	}
}

func TestMetricsForgetAnEndpointWhenItIsRetired(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	next := shop()
	next.Endpoints = next.Endpoints[:1]
	serve(e, next)
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK}) // drains
	if got := series(t, m, "lb_upstream_requests"); !strings.Contains(got, "endpoint=10.0.0.2:80,pool=cart,result=ok} 1") {
		t.Errorf("a draining endpoint is not counted:\n%s", got)
	}
	e.EndpointRetired(1)
	e.EndpointRetired(1)
	e.EndpointRetired(99)
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK})
	e.BreakerChanged(event.BreakerChange{Endpoint: 1})
	if got := series(t, m, "lb_"); strings.Contains(got, "10.0.0.2") {
		t.Errorf("a retired endpoint still has series:\n%s", got)
	}
	if got := m.Totals().Upstream.Attempts; got != 1 {
		t.Errorf("the totals have %d attempts, want 1", got)
	}
}

func TestMetricsOfAnEndpointAddedAgainWhileItDrains(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	again := shop()
	again.Endpoints[1].ID = 7 // the same address, a new endpoint; 1 still drains
	serve(e, again)
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK})
	e.AttemptEnded(&event.Attempt{Endpoint: 7, Result: event.OK})
	e.EndpointRetired(1)
	e.AttemptEnded(&event.Attempt{Endpoint: 7, Result: event.OK})
	if got := series(t, m, "lb_upstream_requests"); !strings.Contains(got, "endpoint=10.0.0.2:80,pool=cart,result=ok} 3") {
		t.Errorf("want 3:\n%s", got)
	}
}

func TestMetricsForgetAPolicyThatWasPreparedAndRefused(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	before := series(t, m, "lb_request", "lb_upstream", "lb_client", "lb_circuit")
	bad := shop()
	bad.Routes = append(bad.Routes, event.Named{ID: 2, Name: "new"})
	bad.Endpoints = append(bad.Endpoints, event.NamedEndpoint{ID: 2, PoolName: "cart", Address: "10.0.0.3:80"})
	bad.Listeners = append(bad.Listeners, "more")
	e.PolicyPrepared(bad)
	e.PolicyRejected(&event.Rejection{Reason: "listen"})
	expect(t, series(t, m, "lb_request", "lb_upstream", "lb_client", "lb_circuit"), before)
	e.PolicyRejected(&event.Rejection{Reason: "invalid"}) // before anything was prepared
	expect(t, series(t, m, "lb_request", "lb_upstream", "lb_client", "lb_circuit"), before)
}

func TestMetricsForgetAListenerAfterItsLastConnection(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	e.ConnectionOpened("http")
	next := shop()
	next.Listeners = []string{"other"}
	serve(e, next)
	if got := series(t, m, "lb_client_connections"); !strings.Contains(got, "lb_client_connections{listener=http} 1") {
		t.Errorf("a connection that drains is not counted:\n%s", got)
	}
	e.ConnectionClosed("http", event.ClosedDrain)
	if got := series(t, m, "lb_client_connections"); strings.Contains(got, "listener=http") {
		t.Errorf("a closed listener still has series:\n%s", got)
	}
	if got := m.Totals().Connections; got.Opened != 1 || got.Open != 0 {
		t.Errorf("totals: %+v", got)
	}
}

func TestMetricsTotals(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	e.PolicyRejected(&event.Rejection{})
	for _, status := range []int{101, 200, 204, 301, 404, 500, 503, 0} {
		e.RequestRouted(0)
		e.RequestEnded(&event.Request{Route: 0, Status: status, Flags: event.Retried})
	}
	e.RequestEnded(&event.Request{Route: event.None, Status: 404, Flags: event.NoRoute})
	e.RequestRouted(1)
	for _, r := range []event.Result{event.OK, event.Failed, event.ClientCanceled, event.Overflowed} {
		e.AttemptEnded(&event.Attempt{Endpoint: 0, Result: r})
	}
	e.ConnectionOpened("http")
	got := m.Totals()
	var want telemetry.Totals
	want.Requests.Informational, want.Requests.Successful, want.Requests.Redirected = 1, 2, 1
	want.Requests.ClientError, want.Requests.ServerError, want.Requests.None = 2, 2, 1
	want.ResponseFlags = map[string]uint64{"RT": 8, "NR": 1}
	want.RequestsInFlight = 1
	want.Upstream.Attempts, want.Upstream.Failed = 4, 1
	want.Connections.Open, want.Connections.Opened = 1, 1
	want.Reloads.Committed, want.Reloads.Rejected = 1, 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got) %s", diff)
	}
}

func TestMetricsAreNamedWell(t *testing.T) {
	m, e := newMetrics()
	m.Registry().MustRegister(telemetry.NewAccessLog(telemetry.AccessLogOptions{}))
	serve(e, shop())
	e.RequestEnded(&event.Request{Route: 0, Status: 200, Session: event.SessionNew})
	// Lint only what is ours: the runtime's collectors have names of their own.
	ours := prometheus.GathererFunc(func() (out []*dto.MetricFamily, err error) {
		all, err := m.Gather()
		for _, f := range all {
			if strings.HasPrefix(f.GetName(), "lb_") {
				out = append(out, f)
			}
		}
		return out, err
	})
	problems, err := testutil.GatherAndLint(ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if got := series(t, m, "lb_build_info"); got != "lb_build_info{go_version=go1.26,revision=abc,version=v1.2.3} 1\n" {
		t.Errorf("got %s", got)
	}
	if series(t, m, "go_goroutines") == "" || series(t, m, "process_") == "" {
		t.Error("the runtime's own metrics are missing")
	}
}

// consistent checks that both kinds of histograms have counted the same, which Prometheus
// insists on for the native one.
func consistent(t *testing.T, families []*dto.MetricFamily) {
	t.Helper()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			h := m.GetHistogram()
			if h.GetSchema() == 0 { // it is classic only
				continue
			}
			sum := h.GetZeroCount()
			for _, n := range native(h) {
				sum += uint64(n)
			}
			last := uint64(0)
			for _, b := range h.GetBucket() {
				if b.GetCumulativeCount() < last {
					t.Errorf("%s: buckets shrink: %v", f.GetName(), h)
				}
				last = b.GetCumulativeCount()
			}
			if sum != h.GetSampleCount() || last > sum {
				t.Errorf("%s: %d in native buckets, %d in classic ones, %d in all", f.GetName(), sum, last, h.GetSampleCount())
			}
		}
	}
}

// TestMetricsUnderReloads drives requests, reloads and scrapes at once, as the
// balancer does, and checks that nothing is lost or left behind.
func TestMetricsUnderReloads(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m, e := newMetrics()
	serve(e, shop())
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		r := rand.New(rand.NewPCG(seed, 1))
		for n := 0; ; n++ {
			select {
			case <-stop:
				serve(e, shop())
				return
			default:
			}
			c := shop()
			c.Routes = c.Routes[:1+r.IntN(2)]
			c.Endpoints = append(c.Endpoints, event.NamedEndpoint{ID: 2, PoolName: "cart", Address: fmt.Sprint(n)})
			e.PolicyPrepared(c)
			if r.IntN(3) == 0 {
				e.PolicyRejected(&event.Rejection{Reason: "listen"})
				continue
			}
			e.PolicyCommitted(&event.Commit{Catalog: c})
			e.EndpointRetired(2)
		}
	})
	var requests sync.WaitGroup
	const workers, each = 4, 3000
	for w := range workers {
		requests.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(10+w)))
			for range each {
				e.RequestRouted(0)
				span := event.Span{Trace: [16]byte{1}, ID: [8]byte{1}, Sampled: r.IntN(2) == 0}
				took := time.Duration(r.Int64N(int64(20 * time.Second)))
				e.AttemptEnded(&event.Attempt{Endpoint: event.ID(r.IntN(4)), Result: event.OK, Duration: took, Span: span})
				e.SessionMoved(event.SessionMove{Pool: event.ID(r.IntN(2)), Reason: event.MovedGone})
				e.RequestEnded(&event.Request{Route: 0, Status: 200 + 100*r.IntN(4), Session: event.SessionHome, Duration: took, Span: span})
				id := event.ID(2 + r.IntN(2)) // no policy has it
				e.RequestRouted(id)
				e.RequestEnded(&event.Request{Route: id, Status: 200})
			}
		})
	}
	for range 20 {
		families, err := m.Gather()
		if err != nil {
			t.Error(err)
		}
		consistent(t, families)
	}
	requests.Wait()
	close(stop)
	wg.Wait()
	expect(t, inFlight(t, m), "lb_requests_in_flight{route=cart} 0\nlb_requests_in_flight{route=rest} 0")
	if got, want := series(t, m, "lb_session_requests"), fmt.Sprintf("lb_session_requests_total{pool=cart,use=home} %d\n", workers*each); !strings.Contains(got, want) {
		t.Errorf("requests of a pool that was always there were lost: want %sin\n%s", want, got)
	}
	if got := m.Totals().Requests; got.Successful+got.Redirected+got.ClientError+got.ServerError < workers*each {
		t.Errorf("requests of a route that was always there were lost: %+v", got)
	}
}

func TestMetricsDoNotAllocate(t *testing.T) {
	_, e := newMetrics()
	serve(e, shop())
	span := event.Span{Trace: [16]byte{1}, ID: [8]byte{1}, Sampled: true}
	r := &event.Request{Route: 0, Status: 200, Duration: time.Millisecond, Flags: event.Retried | event.RetryRefused, Session: event.SessionHome, Span: span}
	a := &event.Attempt{Endpoint: 1, Number: 2, Result: event.OK, Duration: time.Millisecond, Span: span}
	if got := testing.AllocsPerRun(1000, func() {
		e.RequestRouted(0)
		e.AttemptEnded(a)
		e.RetryRefused(0, event.RetryBudgetSpent)
		e.SessionStoreAsked(event.SessionAsked{Operation: event.SessionTouch, Result: event.SessionOK, Took: time.Millisecond})
		e.SessionMoved(event.SessionMove{Reason: event.MovedByWeight})
		e.SessionRefused("unreadable")
		e.RequestEnded(r)
	}); got != 0 {
		t.Errorf("%v allocations a request", got)
	}
}

func BenchmarkMetrics(b *testing.B) {
	for _, c := range []struct {
		name string
		use  event.SessionUse
		span event.Span
	}{
		{"plain", event.NoSession, event.Span{}},
		{"session", event.SessionHome, event.Span{}},
		{"sampled", event.NoSession, event.Span{Trace: [16]byte{1}, ID: [8]byte{1}, Sampled: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, e := newMetrics()
			serve(e, shop())
			r := &event.Request{Route: 0, Status: 200, Duration: time.Millisecond, Session: c.use, Span: c.span}
			a := &event.Attempt{Endpoint: 1, Result: event.OK, Duration: time.Millisecond, Span: c.span}
			b.ReportAllocs()
			for b.Loop() {
				e.RequestRouted(0)
				e.AttemptEnded(a)
				e.RequestEnded(r)
			}
		})
	}
}

// BenchmarkPrepare is a reload of 10,000 endpoints in 1,000 pools, all new.
func BenchmarkPrepare(b *testing.B) {
	c := &event.Catalog{}
	for i := range 10_000 {
		if i%10 == 0 {
			c.Routes = append(c.Routes, event.Named{ID: event.ID(i / 10), Name: fmt.Sprint("route-", i/10)})
		}
		c.Endpoints = append(c.Endpoints, event.NamedEndpoint{ID: event.ID(i), Pool: event.ID(i / 10), PoolName: fmt.Sprint("pool-", i/10), Address: fmt.Sprint("10.0.0.1:", i)})
	}
	for b.Loop() {
		_, e := newMetrics()
		serve(e, c)
	}
}

// TestDocumented: docs/telemetry.md names every reason for a connection's end and
// every result of an attempt and of a retry, and says of every flag what it means
// and what to do about it.
func TestDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range event.CloseReasons {
		if !bytes.Contains(docs, []byte("| `"+string(reason)+"` |")) {
			t.Errorf("the end of a connection for %q has no row", reason)
		}
	}
	for _, result := range event.Results {
		if !bytes.Contains(docs, []byte("`"+string(result)+"`")) {
			t.Errorf("the result %q is not named", result)
		}
	}
	for _, why := range event.RetryRefusals {
		if !bytes.Contains(docs, []byte("`"+string(why)+"`")) {
			t.Errorf("the result %q of a retry is not named", why)
		}
	}
	for _, f := range event.EachFlag {
		row := regexp.MustCompile("(?m)^\\| `" + f.String() + "` \\| [^|]{10,} \\| [^|]{10,} \\|$")
		if !row.Match(docs) {
			t.Errorf("the flag %s has no row that says what it means and what to do", f)
		}
	}
}
