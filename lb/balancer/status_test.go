package balancer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
)

// What is limited is told beside its limit.
func TestStatusOfLimits(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	b := listen(t, func(p *peer) {
		for head, err := p.head(); err == nil; head, err = p.head() {
			if strings.HasPrefix(head, "GET /held ") {
				held <- struct{}{}
				await(t, release)
			}
			p.send(ok)
		}
	})
	l := start(t, setup{
		endpoints: []string{b.addr}, limits: "connections: 7",
		pool: "limits: {maxParallelRequests: 6, maxPendingRequests: 5, maxConnections: 4, perEndpoint: {maxParallelRequests: 3}}",
	})
	l.dial().send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	await(t, held)
	l.dial().answered(200, get) // its connection to the endpoint is kept
	l.ended(1)
	var got balancer.Status
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got = l.Status(); got.Pools[0].InFlight == 1 || time.Now().After(late) {
			break
		}
	}
	if diff := cmp.Diff([]balancer.ListenerStatus{{Name: "http", Address: "127.0.0.1:0", Connections: 2, Limit: 7}}, got.Listeners); diff != "" {
		t.Error("(-want +got)", diff)
	}
	want := balancer.PoolStatus{
		Name: "main", InFlight: 1, Connections: 2,
		Limits:    balancer.PoolLimits{InFlight: 4, EndpointInFlight: 3, Waiting: 5, Connections: 4},
		Endpoints: got.Pools[0].Endpoints,
	}
	if diff := cmp.Diff(want, got.Pools[0]); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

// Where the process has fewer connections than its listeners may, the limit of each is
// what the others leave. A listener that is removed has none.
func TestStatusOfSharedConnections(t *testing.T) {
	b := answering(t, ok)
	policy := func(listeners string) string {
		return `apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: "1"}
spec:
  listeners:
` + listeners + `
  routes: [{name: all, backendRefs: [{pool: main}]}]
  pools: [{name: main, endpoints: [{address: "` + b.addr + `"}]}]
`
	}
	http := `    - {name: http, address: "127.0.0.1:0", limits: {connections: 4, connectionsPerAddress: 4}}`
	other := `    - {name: other, address: "localhost:0", limits: {connections: 7, connectionsPerAddress: 7}}`
	l := start(t, setup{whole: policy(http + "\n" + other)}, func(o *balancer.Options) { o.MaxConnections = 5 })
	limits := func(want ...balancer.ListenerStatus) {
		t.Helper()
		if diff := cmp.Diff(want, l.Status().Listeners); diff != "" {
			t.Error("(-want +got)", diff)
		}
	}
	limits(balancer.ListenerStatus{Name: "http", Address: "127.0.0.1:0", Limit: 4}, balancer.ListenerStatus{Name: "other", Address: "localhost:0", Limit: 5})
	for range 3 {
		l.dial().answered(200, get)
	}
	limits(balancer.ListenerStatus{Name: "http", Address: "127.0.0.1:0", Connections: 3, Limit: 4}, balancer.ListenerStatus{Name: "other", Address: "localhost:0", Limit: 2})
	l.source.set(policy(http))
	if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
		t.Fatal(r)
	}
	limits(balancer.ListenerStatus{Name: "http", Address: "127.0.0.1:0", Connections: 3, Limit: 4})
}

func TestStatusOfRoutes(t *testing.T) {
	l := start(t, setup{routes: `    - name: cart
      hostnames: [shop.example.com, "*.example.org"]
      matches:
        - {path: {type: PathPrefix, value: /cart}, method: GET, headers: [{name: X-Beta, value: "1"}]}
        - {path: {type: Exact, value: /basket}, queryParams: [{name: id, value: "1"}]}
        - {path: {type: RegularExpression, value: "/c.*"}}
      backendRefs: [{pool: a, weight: 95}, {pool: b, weight: 5}]
      filters: [{requestMirror: {pool: c}}]
    - name: old
      matches: [{path: {type: PathPrefix, value: /old}}]
      filters: [{requestRedirect: {path: {type: ReplaceFullPath, value: /}}}]
    - {name: rest, backendRefs: [{pool: b}]}
`, pools: `    - {name: a, endpoints: [{address: "127.0.0.1:1"}]}
    - {name: b, endpoints: [{address: "127.0.0.1:1"}]}
    - {name: c, endpoints: [{address: "127.0.0.1:1"}]}
`})
	want := []balancer.RouteStatus{
		{
			Name: "cart", Hostnames: []string{"shop.example.com", "*.example.org"},
			Matches:  []string{"GET /cart/*, header X-Beta", "/basket, parameter id", "~ /c.*"},
			Backends: []balancer.BackendStatus{{Pool: "a", Weight: 95}, {Pool: "b", Weight: 5}}, Mirror: "c",
		},
		{Name: "old", Hostnames: []string{}, Matches: []string{"/old/*"}, Backends: []balancer.BackendStatus{}},
		{Name: "rest", Hostnames: []string{}, Matches: []string{"/*"}, Backends: []balancer.BackendStatus{{Pool: "b", Weight: 1}}},
	}
	if diff := cmp.Diff(want, l.Status().Routes); diff != "" {
		t.Error("(-want +got)", diff)
	}
}
