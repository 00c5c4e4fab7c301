package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/explain"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/telemetry"
)

// fake is a balancer that says what it is told to.
type fake struct {
	mu       sync.Mutex
	status   balancer.Status
	ready    bool
	onReload func(context.Context) reload.Result
	reloads  int
	explains func(*explain.Asked) (*explain.Decision, error)
}

func (f *fake) Explain(_ context.Context, q *explain.Asked) (*explain.Decision, error) {
	return f.explains(q)
}

func (f *fake) Status() balancer.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fake) Ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready
}

func (f *fake) Reload(ctx context.Context) reload.Result {
	f.mu.Lock()
	f.reloads++
	do := f.onReload
	f.mu.Unlock()
	return do(ctx)
}

// sessions is the status of a store that answers and of sessions that had troubles.
func sessions() balancer.SessionsStatus {
	rate := .9876
	s := balancer.SessionsStatus{
		Store: "redis", State: "ok", HitRate: &rate,
		Moved:   map[string]uint64{"gone": 2, "drained": 31, "weight": 0},
		Refused: map[string]uint64{"forged": 4},
	}
	s.LatencyMs.Median, s.LatencyMs.P99 = .4212, 1.5
	return s
}

// shop is a status with everything in it.
func shop() balancer.Status {
	until := time.Date(2026, 11, 23, 10, 0, 5, 0, time.UTC)
	return balancer.Status{
		Policy: balancer.PolicyStatus{
			Name: "shop", Version: "2026-11-23.1", Hash: strings.Repeat("0123456789abcdef", 4), Revision: "4b825dc642cb",
			LoadedAt:  time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
			LastError: &balancer.LastError{At: until, Hash: "ffff", Reason: "invalid", Message: "shop.yaml:3:5: spec.<b>: no\n  a: \x1b[31m\n  ^"},
		},
		Sessions:  sessions(),
		Listeners: []balancer.ListenerStatus{{Name: "http", Address: ":8000", Connections: 3, Limit: 20_000}},
		Pools: []balancer.PoolStatus{{
			Name: "cart", Panic: true, InFlight: 5, Waiting: 7, Connections: 9,
			Limits: balancer.PoolLimits{InFlight: 1000, EndpointInFlight: 128, Waiting: 256, Connections: 1024},
			Endpoints: []balancer.EndpointStatus{
				{ID: "cart/1", Address: "10.0.0.1:80", Healthy: true, Check: balancer.CheckStatus{State: "passing", LastAt: &until}, Breaker: balancer.BreakerStatus{State: "closed"}, InFlight: 3, Weight: 2, Eligible: true},
				{ID: "cart/2", Address: "10.0.0.2:80", Healthy: false, Check: balancer.CheckStatus{State: "failing", LastError: "status 500, <i>", LastAt: &until, HeldUntil: &until, Falls: 2}, Breaker: balancer.BreakerStatus{State: "open", OpenUntil: &until}, Weight: 1, Why: "its breaker is open"},
				{ID: "cart/3", Address: "<script>alert(1)</script>", Healthy: true, Check: balancer.CheckStatus{State: "none"}, Breaker: balancer.BreakerStatus{State: "half-open"}, Weight: 1, Eligible: true},
				{ID: "cart/4", Address: "10.0.0.4:80", Check: balancer.CheckStatus{State: "none"}, Breaker: balancer.BreakerStatus{State: "open", OpenUntil: &until}, Draining: true, Weight: 1, Why: "draining"},
				{ID: "cart/-", Address: "10.0.0.1:80", InFlight: 2, Check: balancer.CheckStatus{State: "none"}, Breaker: balancer.BreakerStatus{State: "open"}, Draining: true, Why: "it was removed"},
			},
		}, {Name: "empty"}},
	}
}

type client struct {
	t    testing.TB
	base string
	http *http.Client
}

// serve starts a server for the balancer, with options of the test's choice.
func serve(t testing.TB, b *fake, change func(*admin.Options)) *client {
	t.Helper()
	addr := make(chan net.Addr, 1)
	o := admin.Options{
		Address:  "127.0.0.1:0",
		Balancer: b,
		Metrics:  telemetry.NewMetrics(telemetry.Build{Version: "v1"}),
		Build:    telemetry.Build{Version: "v1", GoVersion: "go1.26"},
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			ln, err := new(net.ListenConfig).Listen(ctx, network, address)
			if err == nil {
				addr <- ln.Addr()
			}
			return ln, err
		},
	}
	if change != nil {
		change(&o)
	}
	s := admin.New(o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &client{t, "http://" + (<-addr).String(), &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; each header is "Name: value", and Host works too.
func (c *client) do(method, path string, headers ...string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestRoutesAndMethods(t *testing.T) {
	b := &fake{status: shop(), ready: true, onReload: func(context.Context) reload.Result { return reload.Result{Outcome: reload.Unchanged} }}
	c := serve(t, b, nil)
	tests := []struct {
		method, path string
		status       int
		kind, allow  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", ""},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/static/page.css", 200, "text/css; charset=utf-8", ""},
		{"GET", "/static/", 404, "", ""},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", ""},
		{"GET", "/readyz", 200, "text/plain; charset=utf-8", ""},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", ""},
		{"GET", "/api/v1/status", 200, "application/json", ""},
		{"POST", "/-/reload", 200, "application/json", ""},
		{"GET", "/-/reload", 405, "", "POST"},
		{"POST", "/", 405, "", "GET, HEAD"},
		{"DELETE", "/api/v1/status", 405, "", "GET, HEAD"},
		{"POST", "/metrics", 405, "", "GET, HEAD"},
		{"GET", "/api/v1/explain", 400, "application/json", ""},
		{"DELETE", "/api/v1/explain", 405, "", "GET, HEAD, POST"},
		{"GET", "/static/page.js", 200, "text/javascript; charset=utf-8", ""},
		{"GET", "/static/ok.svg", 200, "image/svg+xml", ""},
		{"GET", "/static/../page.html", 404, "", ""},
		{"HEAD", "/api/v1/events", 200, "text/event-stream", ""},
		{"POST", "/api/v1/events", 405, "", "GET, HEAD"},
		{"GET", "/cart", 404, "", ""},
	}
	for _, tt := range tests {
		got := c.do(tt.method, tt.path)
		if got.status != tt.status || got.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", tt.method, tt.path, got.status, got.header.Get("Allow"), tt.status, tt.allow)
		}
		if kind := got.header.Get("Content-Type"); tt.kind != "" && kind != tt.kind {
			t.Errorf("%s %s: Content-Type %q, want %q", tt.method, tt.path, kind, tt.kind)
		}
		for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cache-Control", "Referrer-Policy"} {
			if got.header.Get(h) == "" {
				t.Errorf("%s %s: no %s", tt.method, tt.path, h)
			}
		}
	}
}

func TestReadiness(t *testing.T) {
	tests := []struct {
		name   string
		ready  bool
		hash   string
		status int
		body   string
	}{
		{"serving", true, "aa", 200, "ready\n"},
		{"starting", false, "", 503, "not ready: no policy is loaded\n"},
		{"draining", false, "aa", 503, "not ready: draining\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &fake{ready: tt.ready}
			b.status.Policy.Hash = tt.hash
			c := serve(t, b, nil)
			if got := c.do("GET", "/readyz"); got.status != tt.status || got.body != tt.body {
				t.Errorf("got %d %q", got.status, got.body)
			}
			if got := c.do("GET", "/healthz"); got.status != 200 {
				t.Errorf("/healthz: %d: it must not depend on the policy", got.status)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	c := serve(t, &fake{status: shop(), ready: true}, nil)
	var got balancer.Status
	if err := json.Unmarshal([]byte(c.do("GET", "/api/v1/status").body), &got); err != nil {
		t.Fatal(err)
	}
	want := shop()
	want.Pools[1].Endpoints, want.Routes = []balancer.EndpointStatus{}, []balancer.RouteStatus{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
	// Each flag that some request had is counted.
	metrics := telemetry.NewMetrics(telemetry.Build{})
	c = serve(t, &fake{status: shop(), ready: true}, func(o *admin.Options) { o.Metrics = metrics })
	flags := map[string]uint64{}
	for i, f := range event.EachFlag {
		for range i + 1 {
			metrics.Events().RequestEnded(&event.Request{Route: event.None, Status: 503, Flags: f})
		}
		flags[f.String()] = uint64(i + 1)
	}
	var status admin.Status
	if err := json.Unmarshal([]byte(c.do("GET", "/api/v1/status").body), &status); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(flags, status.ResponseFlags); diff != "" {
		t.Error("flags (-want +got)", diff)
	}
	// Before the start there is nothing, which is said by empty lists.
	c = serve(t, &fake{}, nil)
	body := c.do("GET", "/api/v1/status").body
	for _, empty := range []string{`"pools": []`, `"routes": []`, `"lastError": null`, `"hitRate": null`, `"moved": {}`, `"refused": {}`, `"responseFlags": {}`} {
		if !strings.Contains(body, empty) {
			t.Errorf("no %s in %s", empty, body)
		}
	}
}

func TestMetricsNegotiation(t *testing.T) {
	c := serve(t, &fake{status: shop(), ready: true}, nil)
	tests := []struct{ accept, kind string }{
		{"", "text/plain"},
		{"*/*", "text/plain"},
		{"application/json", "application/json"},
		{"text/html, application/json;q=0.5", "application/json"},
		{"application/json;q=0", "text/plain"},
		{"application/json;q=0.2, text/plain;q=0.3", "text/plain"},
		{"application/json;q=bad", "text/plain"},
		// What Prometheus sends.
		{"application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text"},
	}
	for _, tt := range tests {
		got := c.do("GET", "/metrics", "Accept: "+tt.accept)
		if kind := got.header.Get("Content-Type"); got.status != 200 || !strings.HasPrefix(kind, tt.kind) {
			t.Errorf("Accept %q: %d %s, want %s", tt.accept, got.status, kind, tt.kind)
		}
		if !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Accept") {
			t.Errorf("Accept %q: Vary %q", tt.accept, got.header.Values("Vary"))
		}
	}
}

func TestHealthDocument(t *testing.T) {
	good := balancer.Status{
		Policy: balancer.PolicyStatus{Name: "shop", Hash: "aa"},
		Pools: []balancer.PoolStatus{{Name: "cart", Endpoints: []balancer.EndpointStatus{
			{ID: "cart/1", Eligible: true}, {ID: "cart/2", Draining: true},
		}}},
	}
	restored := good
	restored.Policy.LastGood = true
	away := good
	away.Sessions = balancer.SessionsStatus{Store: "redis", State: "away"}
	why := good
	why.Sessions = balancer.SessionsStatus{Store: "redis", State: "away", Reason: "no address is given"}
	tests := []struct {
		name   string
		status balancer.Status
		ready  bool
		want   admin.Condition
		why    []string
	}{
		{"ok", good, true, admin.OK, []string{}},
		{"degraded", shop(), true, admin.Degraded, []string{
			"the newest policy was refused (invalid)", "pool cart is in panic mode", "pool cart: 2 of 3 endpoints are eligible",
			"pool empty has no endpoint that takes requests: all drain, or no address of its names is known"}},
		{"restored", restored, true, admin.Degraded, []string{"the last good policy serves, restored from the state directory"}},
		{"store away", away, true, admin.Degraded, []string{"the session store is away"}},
		{"store away, and why", why, true, admin.Degraded, []string{"the session store is away: no address is given"}},
		{"starting", balancer.Status{}, false, admin.NotReady, []string{"no policy is loaded"}},
		{"draining", good, false, admin.NotReady, []string{"draining"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			metrics := telemetry.NewMetrics(telemetry.Build{})
			c := serve(t, &fake{status: tt.status, ready: tt.ready}, func(o *admin.Options) { o.Metrics = metrics })
			metrics.Events().RequestEnded(&event.Request{Route: event.None, Status: 404})
			var got admin.Health
			if err := json.Unmarshal([]byte(c.do("GET", "/metrics", "Accept: application/json").body), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.why, got.Why); got.Condition != tt.want || diff != "" {
				t.Errorf("%q, want %q (-want +got) %s", got.Condition, tt.want, diff)
			}
			if got.Totals.Requests.ClientError != 1 || got.Build.Version != "v1" || got.Policy.Name != tt.status.Policy.Name || got.Pools == nil {
				t.Errorf("%+v", got)
			}
			if since := time.Since(got.Time); since < -time.Minute || since > time.Minute {
				t.Errorf("time %v", got.Time)
			}
		})
	}
}

func TestGauges(t *testing.T) {
	metrics := telemetry.NewMetrics(telemetry.Build{})
	c := serve(t, &fake{status: shop()}, func(o *admin.Options) { o.Metrics = metrics })
	body := c.do("GET", "/metrics").body
	for _, want := range []string{
		`lb_pool_panic{pool="cart"} 1`,
		`lb_pool_panic{pool="empty"} 0`,
		`lb_queue_depth{pool="cart"} 7`,
		`lb_queue_depth{pool="empty"} 0`,
		`lb_client_connections_limit{listener="http"} 20000`,
		`lb_pool_in_flight_limit{pool="cart"} 1000`,
		`lb_endpoint_in_flight_limit{pool="cart"} 128`,
		`lb_queue_limit{pool="cart"} 256`,
		`lb_upstream_connections{pool="cart"} 9`,
		`lb_upstream_connections_limit{pool="cart"} 1024`,
		`lb_upstream_in_flight{endpoint="10.0.0.1:80",pool="cart"} 5`, // with the one that drains
		`lb_upstream_in_flight{endpoint="10.0.0.2:80",pool="cart"} 0`,
		`lb_endpoint_healthy{endpoint="10.0.0.1:80",pool="cart"} 1`,
		`lb_endpoint_healthy{endpoint="10.0.0.2:80",pool="cart"} 0`,
		`lb_endpoint_draining{endpoint="10.0.0.1:80",pool="cart"} 0`, // the one that was added again says so
		`lb_endpoint_draining{endpoint="10.0.0.4:80",pool="cart"} 1`,
		`lb_endpoint_held_out{endpoint="10.0.0.1:80",pool="cart"} 0`,
		`lb_endpoint_held_out{endpoint="10.0.0.2:80",pool="cart"} 1`,
		`lb_circuit_breaker_state{endpoint="10.0.0.1:80",pool="cart",state="closed"} 1`,
		`lb_circuit_breaker_state{endpoint="10.0.0.1:80",pool="cart",state="open"} 0`,
		`lb_circuit_breaker_state{endpoint="10.0.0.2:80",pool="cart",state="open"} 1`,
		`lb_circuit_breaker_state{endpoint="<script>alert(1)</script>",pool="cart",state="half-open"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	// A removed pool has no limits, and so nothing to compare with them.
	if of := regexp.MustCompile(`(?m)^lb_\w+(_limit|_connections)\{pool="empty"\}.*$`).FindAllString(body, -1); of != nil {
		t.Errorf("%q", of)
	}
	if t.Failed() {
		t.Log(body)
	}
	problems, err := testutil.GatherAndLint(prometheus.GathererFunc(func() (ours []*dto.MetricFamily, err error) {
		all, err := metrics.Gather()
		for _, f := range all {
			if strings.HasPrefix(f.GetName(), "lb_") {
				ours = append(ours, f)
			}
		}
		return ours, err
	}))
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

func TestReloadAnswers(t *testing.T) {
	tests := []struct {
		result reload.Result
		status int
		body   string
	}{
		{reload.Result{Outcome: reload.Committed, Hash: "aa"}, 200, `{"outcome":"committed","hash":"aa","error":null}`},
		{reload.Result{Outcome: reload.Unchanged, Hash: "aa"}, 200, `{"outcome":"unchanged","hash":"aa","error":null}`},
		{reload.Result{Outcome: reload.Rejected, Hash: "bb", Err: errors.New("shop.yaml:1:2: no\n  ^")}, 422,
			`{"outcome":"rejected","hash":"bb","error":"shop.yaml:1:2: no\n  ^"}`},
		{reload.Result{Outcome: reload.Canceled, Err: context.DeadlineExceeded}, 503,
			`{"outcome":"canceled","hash":"","error":"context deadline exceeded"}`},
	}
	for _, tt := range tests {
		b := &fake{onReload: func(ctx context.Context) reload.Result {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a reload may take for ever")
			}
			return tt.result
		}}
		got := serve(t, b, nil).do("POST", "/-/reload")
		var want, is any
		json.Unmarshal([]byte(tt.body), &want)
		if err := json.Unmarshal([]byte(got.body), &is); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, is); got.status != tt.status || diff != "" {
			t.Errorf("%s: %d, want %d (-want +got) %s", tt.result.Outcome, got.status, tt.status, diff)
		}
	}
}

func TestWhoMayReload(t *testing.T) {
	const self = "SELF" // stands for the server's own host and port
	tests := []struct {
		name    string
		token   string
		headers []string
		status  int
	}{
		{"curl", "", nil, 200},
		{"curl by any name", "", []string{"Host: lb.example.com"}, 200},
		{"own page", "", []string{"Origin: http://" + self, "Sec-Fetch-Site: same-origin"}, 200},
		{"typed by a person", "", []string{"Sec-Fetch-Site: none"}, 200},
		{"localhost", "", []string{"Host: localhost:8080", "Origin: http://localhost:8080"}, 200},
		{"IPv6", "", []string{"Host: [::1]:8080", "Origin: http://[::1]:8080"}, 200},
		{"another site", "", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 403},
		{"another site, old browser", "", []string{"Origin: https://evil.example"}, 403},
		{"a sibling", "", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"no origin", "", []string{"Origin: null"}, 403},
		{"another port", "", []string{"Origin: http://127.0.0.1:1"}, 403},
		{"DNS rebinding", "", []string{"Host: evil.example:8080", "Origin: http://evil.example:8080", "Sec-Fetch-Site: same-origin"}, 403},
		{"DNS rebinding, no origin", "", []string{"Host: evil.example:8080", "Sec-Fetch-Mode: cors"}, 403},
		{"not quite localhost", "", []string{"Host: localhost.evil.example", "Origin: http://localhost.evil.example"}, 403},
		{"token", "s3cret", []string{"Authorization: Bearer s3cret"}, 200},
		{"token, lower-case scheme", "s3cret", []string{"Authorization: bearer s3cret"}, 200},
		{"no token", "s3cret", nil, 401},
		{"wrong token", "s3cret", []string{"Authorization: Bearer s3cre"}, 401},
		{"longer token", "s3cret", []string{"Authorization: Bearer s3crets"}, 401},
		{"basic", "s3cret", []string{"Authorization: Basic s3cret"}, 401},
		{"scheme only", "s3cret", []string{"Authorization: Bearer"}, 401},
		{"token from another site", "s3cret", []string{"Authorization: Bearer s3cret", "Origin: https://evil.example"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &fake{onReload: func(context.Context) reload.Result { return reload.Result{Outcome: reload.Committed} }}
			c := serve(t, b, func(o *admin.Options) { o.Token = tt.token })
			for i, h := range tt.headers {
				tt.headers[i] = strings.Replace(h, self, strings.TrimPrefix(c.base, "http://"), 1)
			}
			got := c.do("POST", "/-/reload", tt.headers...)
			if got.status != tt.status {
				t.Errorf("%d, want %d: %s", got.status, tt.status, got.body)
			}
			if called := b.reloads > 0; called != (tt.status == 200) {
				t.Errorf("reloaded: %v", called)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
			if tt.status != 200 && !strings.Contains(got.body, `"error"`) {
				t.Errorf("it does not say why: %s", got.body)
			}
			if strings.Contains(got.body, "s3cret") {
				t.Errorf("it gives the token away: %s", got.body)
			}
		})
	}
}

func TestOwnNameMayReload(t *testing.T) {
	b := &fake{onReload: func(context.Context) reload.Result { return reload.Result{Outcome: reload.Committed} }}
	c := serve(t, b, func(o *admin.Options) {
		o.Address = "LB.internal.example:8080"
		listen := o.Listen
		o.Listen = func(ctx context.Context, network, _ string) (net.Listener, error) {
			return listen(ctx, network, "127.0.0.1:0")
		}
	})
	if got := c.do("POST", "/-/reload", "Host: lb.internal.example:8080", "Origin: http://lb.internal.example:8080"); got.status != 200 {
		t.Errorf("%d: %s", got.status, got.body)
	}
}

func TestPage(t *testing.T) {
	c := serve(t, &fake{status: shop(), ready: true}, nil)
	got := c.do("GET", "/")
	for _, want := range []string{
		"not checked", "unhealthy", `good">healthy<`, "held out until 2026-11-23 10:00:05 UTC", "status 500, &lt;i&gt;", "[CB: CLOSED]", "[CB: OPEN]", "[CB: HALF-OPEN]", "panic mode", "its breaker is open", "draining", "No endpoints.",
		"2026-11-23.1", "0123456789ab", "4b825dc642cb", "2026-11-23 10:00:00 UTC", "shop.yaml:3:5: spec.&lt;b&gt;: no\n",
		"&lt;script&gt;alert(1)&lt;/script&gt;", `href="/static/page.css"`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if inline := regexp.MustCompile(`(?i)<script>|<script [^>]*>[^<]|<style|\sstyle=|\son\w+=|javascript:`).FindString(got.body); inline != "" {
		t.Errorf("the page has %q, which its content security policy forbids", inline)
	}
	if t.Failed() {
		t.Log(got.body)
	}
	csp := got.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("content security policy: %s", csp)
	}
	if body := serve(t, &fake{}, nil).do("GET", "/").body; !strings.Contains(body, "None is loaded.") || !strings.Contains(body, "not ready") {
		t.Errorf("before a policy is loaded:\n%s", body)
	}
}

// What is known of sessions is on the page, unless no pool keeps any, and the same in
// both documents.
func TestSessions(t *testing.T) {
	trouble := sessions()
	trouble.State, trouble.Reason, trouble.HitRate = "away", "dial tcp: <b>refused</b>", nil
	trouble.Moved, trouble.Refused = nil, map[string]uint64{"<i>": 1}
	memory := balancer.SessionsStatus{Store: "memory", State: "ok"}
	tests := []struct {
		name     string
		sessions balancer.SessionsStatus
		page     []string // nil: nothing of sessions
	}{
		{"well", sessions(), []string{`<dd>redis <span class="badge good">ok</span></dd>`, "<dd>median 0.42 ms, 99th percentile 1.50 ms</dd>", "<dd>98.8 %</dd>", "<dd>31 drained, 2 gone</dd>", "<dd>4 forged</dd>"}},
		{"away", trouble, []string{`<dd>redis <span class="badge bad">away</span> dial tcp: &lt;b&gt;refused&lt;/b&gt;</dd>`, "<dd>no request yet</dd>", "<dd>none</dd>", "<dd>1 &lt;i&gt;</dd>"}},
		{"nothing yet", memory, []string{`<dd>memory <span class="badge good">ok</span></dd>`, "<dd>none</dd>"}},
		{"none", balancer.SessionsStatus{Store: "none", State: "ok"}, nil},
		{"before the start", balancer.SessionsStatus{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &fake{status: balancer.Status{Sessions: tt.sessions}, ready: true}
			c := serve(t, b, nil)
			body := c.do("GET", "/").body
			if shown := strings.Contains(body, "<h2>Sessions</h2>"); shown != (tt.page != nil) {
				t.Errorf("the page shows them: %v\n%s", shown, body)
			}
			// Only Redis is waited for, and may know a session or not.
			if shown := strings.Contains(body, "<dt>Hit rate</dt>"); shown != (tt.sessions.Store == "redis") {
				t.Errorf("the page shows a hit rate: %v\n%s", shown, body)
			}
			for _, want := range tt.page {
				if !strings.Contains(body, want) {
					t.Errorf("no %q on the page\n%s", want, body)
				}
			}
			var status, metrics struct{ Sessions json.RawMessage }
			for _, document := range []struct {
				path string
				into any
			}{{"/api/v1/status", &status}, {"/metrics", &metrics}} {
				if err := json.Unmarshal([]byte(c.do("GET", document.path, "Accept: application/json").body), document.into); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(status.Sessions), string(metrics.Sessions)); diff != "" || status.Sessions == nil {
				t.Errorf("(-/api/v1/status +/metrics) %s", diff)
			}
		})
	}
}

func TestStartTellsTheAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := admin.New(admin.Options{Address: taken.Addr().String(), Balancer: &fake{}, Metrics: telemetry.NewMetrics(telemetry.Build{})})
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(t.Context()); err != nil { // harmless
		t.Error(err)
	}
}

// serverOn starts a server for the balancer; the test closes it.
func serverOn(t *testing.T, ln net.Listener, b *fake) *admin.Server {
	t.Helper()
	s := admin.New(admin.Options{
		Address: "any:1", Balancer: b, Metrics: telemetry.NewMetrics(telemetry.Build{}),
		Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil },
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCloseCutsWhatTakesTooLong(t *testing.T) {
	began := make(chan struct{})
	b := &fake{onReload: func(ctx context.Context) reload.Result {
		close(began)
		<-ctx.Done()
		return reload.Result{Outcome: reload.Canceled, Err: ctx.Err()}
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serverOn(t, ln, b)
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /-/reload HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
}
