package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"go-loadbalancer/lb/policy"
)

// large is a policy of 1,000 pools with 10 endpoints each, and a route for each
// pool.
func large() policy.Files {
	var routes, pools strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&routes, "    - {name: route-%d, matches: [{path: {value: /%d}}], backendRefs: [{pool: pool-%d}]}\n", i, i, i)
		fmt.Fprintf(&pools, "    - name: pool-%d\n      endpoints:\n", i)
		for j := range 10 {
			fmt.Fprintf(&pools, "        - {address: \"10.%d.%d.%d:8080\", weight: %d}\n", i/250, i%250, j, j+1)
		}
	}
	head := "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: large%s}\nspec:\n"
	return policy.Files{
		"routes.yaml": []byte(fmt.Sprintf(head, ", version: \"1\"") + "  listeners: [{name: http, address: \":8000\"}]\n  routes:\n" + routes.String()),
		"pools.yaml":  []byte(fmt.Sprintf(head, "") + "  pools:\n" + pools.String()),
	}
}

func TestLargePolicyLoads(t *testing.T) {
	p, found := large().Load()
	if len(found) > 0 {
		t.Fatalf("unexpected findings:\n%s", found)
	}
	if len(p.Pools) != 1000 || len(p.Routes) != 1000 || len(p.Pools[999].Endpoints) != 10 {
		t.Fatalf("got %d pools and %d routes, want 1000 of each with 10 endpoints", len(p.Pools), len(p.Routes))
	}
}

func BenchmarkLoadLarge(b *testing.B) {
	files := large()
	b.ReportAllocs()
	for b.Loop() {
		if _, found := files.Load(); found.HasErrors() {
			b.Fatal(found)
		}
	}
}
