package balancer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/balancer"
)

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
