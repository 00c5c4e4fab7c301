package expect

import (
	"testing"
	"testing/fstest"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

// What the reference says of operators compiles.
func TestSigns(t *testing.T) {
	p, found := policy.Load(fstest.MapFS{"p.yaml": {Data: []byte("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop, version: \"1\"}\nspec: {listeners: [{name: http, address: \":8000\"}], " +
		"routes: [{name: cart, backendRefs: [{pool: cart}]}], pools: [{name: cart, endpoints: [{address: \"10.0.0.1:80\"}]}]}\n")}})
	if p == nil {
		t.Fatal(found)
	}
	for _, s := range signs {
		e := scenario.Expectation{That: s.tried, Operator: scenario.Sometimes}
		if _, found := Compile(&scenario.Scenario{Name: "s", Duration: time.Minute, Expect: []scenario.Expectation{e}}, p); found.HasErrors() {
			t.Errorf("%v: %s: %v", s.written, s.tried, found)
		}
	}
}
