package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/policy"
)

func mustLoad(t *testing.T, files policy.Files) *policy.Policy {
	t.Helper()
	p, found := files.Load()
	if p == nil {
		t.Fatalf("the policy does not load:\n%s", found)
	}
	return p
}

// TestDefaults writes every default down a second time: changing one changes
// what running policies do.
func TestDefaults(t *testing.T) {
	files := policy.Files{"a.yaml": []byte(minimal)}
	got := mustLoad(t, files)
	at := func(line, col int) policy.Pos { return policy.Pos{File: "a.yaml", Line: line, Col: col} }
	want := &policy.Policy{
		Name:      "shop",
		Version:   "1",
		Hash:      files.Hash(),
		AccessLog: policy.AccessLog{Sample: 1, AlwaysErrors: true, AlwaysSlow: true, SlowerThan: time.Second},
		Listeners: []policy.Listener{{
			Pos: at(5, 15), Name: "http", Address: ":8000", Splice: true, Trace: "Refuse",
			Timeouts: policy.ListenerTimeouts{Idle: time.Minute, RequestHeader: 10 * time.Second, RequestBody: 30 * time.Second, Write: 30 * time.Second, ConnectionAge: 10 * time.Minute},
			Limits:   policy.ListenerLimits{HeaderBytes: 32 << 10, HeaderFields: 100, Connections: 20_000, ConnectionsPerAddress: 10_000, RequestBodyRate: 240, ResponseRate: 240},
		}},
		Routes: []policy.Route{{
			Pos: at(6, 12), Name: "all",
			Matches:     []policy.Match{{PathType: policy.PathPrefix, Path: "/"}},
			BackendRefs: []policy.BackendRef{{Pos: at(6, 38), Pool: "web", Weight: 1}},
			Timeouts:    policy.RouteTimeouts{Request: 30 * time.Second, StreamIdle: 5 * time.Minute},
		}},
		Pools: []policy.Pool{{
			Pos: at(7, 11), Name: "web",
			Endpoints:    []policy.Endpoint{{Pos: at(7, 35), Address: "10.0.0.1:80", Weight: 1}},
			DrainTimeout: 5 * time.Minute,
			LoadBalancer: policy.LoadBalancer{Type: "LeastRequest", BoundedLoadFactor: 1.25},
			CircuitBreaker: policy.CircuitBreaker{
				ConsecutiveFailures: 5, FailurePercent: 20, MinRequests: 20, Interval: 10 * time.Second,
				OpenDuration: 5 * time.Second, MaxOpenDuration: 30 * time.Second, HalfOpenRequests: 3, Codes: []int{500, 502, 503, 504},
				Errors: []string{"Connect", "Timeout", "Reset", "Protocol"},
			},
			HealthCheck:     policy.HealthCheck{PanicThreshold: 50},
			RetryBudget:     policy.RetryBudget{Percent: 20, MinRetriesPerSecond: 10},
			Limits:          policy.Limits{MaxParallelRequests: 1024, MaxPendingRequests: 256, PendingTimeout: time.Second, MaxConnections: 1024},
			Protocol:        "HTTP1",
			ConnectTimeout:  2 * time.Second,
			IdleTimeout:     30 * time.Second,
			ResolveInterval: 10 * time.Second,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDefaultsOfEmptyBlocks covers what has defaults only once its block is
// written.
func TestDefaultsOfEmptyBlocks(t *testing.T) {
	p := mustLoad(t, policy.Files{"a.yaml": []byte(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  accessLog: {}
  listeners: [{name: http, address: ":8000", timeouts: {}, limits: {}}]
  routes:
    - name: all
      matches: [{}]
      filters: [{rateLimit: {requests: 7}}, {requestMirror: {pool: web}}]
      backendRefs: [{pool: web}]
      timeouts: {}
      retry: {}
    - {name: moved, matches: [], filters: [{requestRedirect: {scheme: https}}]}
  pools:
    - name: web
      endpoints: [{address: "10.0.0.1:80"}]
      loadBalancer: {slowStart: {}}
      circuitBreaker: {openDuration: 45s}
      healthCheck: {active: {interval: 500ms}}
      sessionPersistence: {absoluteTimeout: 10m, cookie: {}}
      limits: {perEndpoint: {}}
      retryBudget: {}
`)})
	route, pool := p.Routes[0], p.Pools[0]
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
	}
	check("accessLog", p.AccessLog, policy.AccessLog{Sample: 1, AlwaysErrors: true, AlwaysSlow: true, SlowerThan: time.Second})
	check("listener timeouts", p.Listeners[0].Timeouts.Idle, time.Minute)
	check("matches", p.Routes[1].Matches, []policy.Match{{PathType: policy.PathPrefix, Path: "/"}})
	check("match", route.Matches[0].Path, "/")
	check("rateLimit", route.Filters.RateLimit, &policy.RateLimit{Requests: 7, Per: time.Second, Burst: 7, Key: "SourceIP"})
	check("mirror", route.Filters.Mirror, &policy.Mirror{Pool: "web", Percent: 100})
	check("redirect", p.Routes[1].Filters.Redirect, &policy.Redirect{Scheme: "https", StatusCode: 302})
	check("retry", route.Retry, &policy.Retry{Attempts: 1, Codes: []int{502, 503, 504}, Backoff: 25 * time.Millisecond})
	check("maxOpenDuration follows a longer openDuration", pool.CircuitBreaker.MaxOpenDuration, 45*time.Second)
	check("active check", pool.HealthCheck.Active, &policy.ActiveCheck{Type: "HTTP", Path: "/healthz", ExpectedStatuses: []int{200},
		Interval: 500 * time.Millisecond, Timeout: 500 * time.Millisecond, HealthyThreshold: 2, UnhealthyThreshold: 3, InitialState: "Healthy", HoldDown: time.Minute, MaxHoldDown: 10 * time.Minute})
	check("session", pool.SessionPersistence, &policy.SessionPersistence{Pos: policy.Pos{File: "a.yaml", Line: 21, Col: 27},
		Type: "Cookie", Store: "Redis", CookieName: "lb_session", CookiePath: "/", CookieSameSite: "Lax", CookieSecure: "Auto", CookieLifetime: "Session",
		AbsoluteTimeout: 10 * time.Minute, IdleTimeout: 10 * time.Minute,
		OnUnavailable: "Return", StoreTimeout: 5 * time.Millisecond})
	check("budget", pool.RetryBudget, policy.RetryBudget{Percent: 20, MinRetriesPerSecond: 10})
}

// TestValues reads what acts.good.yaml writes.
func TestValues(t *testing.T) {
	var p *policy.Policy
	for _, c := range cases(t, "good") {
		if c.name == "acts.good" {
			p = mustLoad(t, c.files)
		}
	}
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
	}
	check("trustedProxies", p.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")})
	check("accessLog", p.AccessLog, policy.AccessLog{Sample: 0.1, AlwaysErrors: true, SlowerThan: 250 * time.Millisecond, RedactQueryParams: []string{"email", "*"}})
	check("listener timeouts", p.Listeners[0].Timeouts, policy.ListenerTimeouts{Idle: 2 * time.Minute, RequestHeader: 5 * time.Second, RequestBody: 15 * time.Second, Write: 15 * time.Second, ConnectionAge: 5 * time.Minute})
	check("listener limits", p.Listeners[0].Limits, policy.ListenerLimits{HeaderBytes: 16384, HeaderFields: 64, Connections: 1000, ConnectionsPerAddress: 100, ResponseRate: 1000})
	check("connectionsPerAddress by default", p.Listeners[2].Limits.ConnectionsPerAddress, 50)
	check("trace", p.Listeners[1].Trace, "Allow")

	cart, items, old := p.Routes[0], p.Routes[1], p.Routes[2]
	check("hostnames", cart.Hostnames, []string{"shop.example.com", "*.shop.example.com", "10.0.0.1"})
	check("method", cart.Matches[0].Method, "GET")
	check("header", cart.Matches[0].Headers[0], policy.ValueMatch{Name: "X-Beta", Type: "Exact", Value: "1"})
	check("query", cart.Matches[0].Query, []policy.ValueMatch{{Name: "q", Type: "Exact"}})
	check("set", cart.Filters.RequestHeaders, &policy.HeaderModifier{
		Set: []policy.HeaderValue{{Name: "X-Env", Value: "prod"}}, Add: []policy.HeaderValue{{Name: "X-Tag", Value: "on"}}, Remove: []string{"X-Debug"}})
	check("rewrite", cart.Filters.Rewrite, &policy.URLRewrite{Hostname: "cart.internal", PathType: "ReplacePrefixMatch", Path: "/"})
	check("weights", []int{cart.BackendRefs[0].Weight, cart.BackendRefs[1].Weight}, []int{95, 0})
	check("timeouts", cart.Timeouts, policy.RouteTimeouts{Request: 10 * time.Second, BackendRequest: 2 * time.Second})
	check("redirect", old.Filters.Redirect, &policy.Redirect{Scheme: "https", Hostname: "shop.example.com", Port: 8443, PathType: "ReplaceFullPath", Path: "/new", StatusCode: 308})

	mobile := cart.Matches[0].Headers[1].Regex
	if !mobile.MatchString("a Mobile b") || mobile.MatchString("a desk b") {
		t.Errorf("the header's expression is %s", mobile)
	}
	item := items.Matches[0].PathRegex
	if !item.MatchString("/items/12") || item.MatchString("/items/12/a") || item.MatchString("x/items/12") {
		t.Errorf("the path's expression %s is not anchored at both ends", item)
	}
	if items.Matches[1].PathRegex != nil || items.Matches[1].PathType != policy.PathExact {
		t.Errorf("the exact match is %+v", items.Matches[1])
	}

	check("endpoint", p.Pools[0].Endpoints[2], policy.Endpoint{Pos: policy.Pos{File: "acts.good.yaml", Line: 50, Col: 11}, Address: "[2001:db8::1]:8080", Weight: 1, Priority: 1, Drain: true})
	check("breaker", p.Pools[0].CircuitBreaker, policy.CircuitBreaker{ConsecutiveFailures: 3, FailurePercent: 50, MinRequests: 10,
		Interval: 5 * time.Second, OpenDuration: time.Minute, MaxOpenDuration: 2 * time.Minute, HalfOpenRequests: 1, Codes: []int{}, Errors: []string{"Connect", "Timeout"}})
	check("retry", cart.Retry, &policy.Retry{Attempts: 2, Codes: []int{502, 503}, Backoff: 25 * time.Millisecond, Methods: []string{"GET", "PUT"}})
	check("rateLimit", items.Filters.RateLimit, &policy.RateLimit{Requests: 100, Per: time.Second, Burst: 50, Key: "Header", Header: "X-Api-Key"})
	check("active", p.Pools[0].HealthCheck, policy.HealthCheck{PanicThreshold: 50, Active: &policy.ActiveCheck{
		Type: "HTTP", Path: "/healthz", Hostname: "cart.example.com", ExpectedStatuses: []int{200, 204}, Interval: 2 * time.Second, Timeout: time.Second,
		HealthyThreshold: 2, UnhealthyThreshold: 3, InitialState: "Unhealthy", HoldDown: 2 * time.Minute, MaxHoldDown: 5 * time.Minute}})
	check("gRPC", p.Pools[1].HealthCheck.Active.Service, "cart.v1.Cart")
	check("limits", p.Pools[0].Limits, policy.Limits{MaxParallelRequests: 1024, MaxPendingRequests: 256, PendingTimeout: time.Second, MaxConnections: 1024, PerEndpointParallelRequests: 128})
	check("retryBudget", p.Pools[0].RetryBudget, policy.RetryBudget{Percent: 20, MinRetriesPerSecond: 10})
	check("slowStart", p.Pools[0].LoadBalancer.SlowStartWindow, 30*time.Second)
	check("resolveInterval", p.Pools[0].ResolveInterval, 5*time.Second)
	session := *p.Pools[0].SessionPersistence
	session.Pos = policy.Pos{}
	check("session", session, policy.SessionPersistence{Type: "Cookie", Store: "Redis", CookieName: "cart", CookiePath: "/cart", CookieSameSite: "Strict", CookieSecure: "Always",
		CookieLifetime: "Permanent", AbsoluteTimeout: 12 * time.Hour, IdleTimeout: time.Hour, OnUnavailable: "Rebind", StoreTimeout: 10 * time.Millisecond})
	check("hash", p.Pools[1].LoadBalancer, policy.LoadBalancer{Type: "ConsistentHash", HashOn: "Cookie", HashName: "user"})
}

func TestFilesAreReadInOrder(t *testing.T) {
	doc := func(body string) []byte {
		return []byte("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop}\nspec:\n" + body)
	}
	pool := func(name string) string {
		return "  pools: [{name: " + name + ", endpoints: [{address: \"10.0.0.1:80\"}]}]\n"
	}
	p := mustLoad(t, policy.Files{
		"c.yaml": doc(pool("five")),
		"a.yaml": []byte(minimal),
		"b.yml":  append(append(doc(pool("two")), "---\n"...), doc(pool("three"))...),
		"b.yaml": doc(pool("one")),
	})
	var names []string
	for _, pool := range p.Pools {
		names = append(names, pool.Name)
	}
	if diff := cmp.Diff([]string{"web", "one", "two", "three", "five"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
