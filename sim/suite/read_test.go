package suite

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"go-loadbalancer/sim/stage"
)

func shop(pools string) string {
	return "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop, version: \"1\"}\nspec:\n  listeners: [{name: http, address: \":8000\"}]\n" +
		"  routes: [{name: cart, backendRefs: [{pool: cart}]}]\n  pools:\n" + pools
}

const (
	cart  = "    - {name: cart, endpoints: [{address: \"10.0.0.1:80\"}]}\n"
	extra = "    - {name: extra, endpoints: [{address: \"10.0.1.1:80\"}]}\n"
)

// A mutation is of all policies that have the item; what is wrong by itself, and what has
// no such item, stays as it was.
func TestMutantsOfAppliedPolicies(t *testing.T) {
	inline := strings.ReplaceAll(shop(cart), "\n", "\n        ")
	const head = "apiVersion: sim/v1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  duration: 5s\n  policy: first\n  load: [{rate: 50, requests: [{get: /cart}]}]\n  timeline:\n" +
		"    - {at: 1s, on: policy, apply: [more, bad], repeat: {every: 1s, times: 3}}\n    - at: 4s\n      on: policy\n      apply: |\n        "
	for _, tt := range []struct {
		path    string
		changed []string // of first, more, bad and the one written out
		wrong   string
	}{
		{"spec.pools[cart].drainTimeout", []string{"first", "more", "inline"}, ""},
		{"spec.pools[extra].drainTimeout", []string{"more"}, ""},
		{"spec.pools[none].drainTimeout", nil, "has no such item"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			fsys := fstest.MapFS{
				"first/p.yaml": {Data: []byte(shop(cart))}, "more/p.yaml": {Data: []byte(shop(cart + extra))}, "bad/p.yaml": {Data: []byte("kind: Policy\n")},
				"s.yaml": {Data: []byte(head + inline + "\n  mutations: [{name: m, set: {\"" + tt.path + "\": 7s}}]\n")},
			}
			plans, found := Read(fsys, []string{"s.yaml"}, Options{Mutate: true})
			if tt.wrong != "" {
				if !strings.Contains(found.String(), tt.wrong) {
					t.Errorf("got %q, want %q", found, tt.wrong)
				}
				return
			}
			if len(plans) != 1 || len(plans[0].mutants) != 1 {
				t.Fatal(found)
			}
			job := plans[0].mutants[0].job
			s := job.Scenario
			all := map[string]map[string][]byte{
				"first": job.Files, "more": job.Policies["more"], "bad": job.Policies["bad"], "inline": job.Policies[stage.Key(&s.Timeline[1].Apply[0])],
			}
			for name, files := range all {
				changed, text := false, ""
				for _, b := range files {
					text += string(b)
				}
				changed = strings.Contains(text, "drainTimeout: 7s")
				want := false
				for _, n := range tt.changed {
					want = want || n == name
				}
				if changed != want || text == "" {
					t.Errorf("%s changed: %v\n%s", name, changed, text)
				}
			}
			if before := plans[0].base.job; strings.Contains(string(before.Files["p.yaml"])+string(before.Policies["more"]["p.yaml"]), "drainTimeout") {
				t.Error("the scenario itself has the mutation")
			}
		})
	}
}

// A mutation that makes a policy wrong which is applied proves nothing.
func TestMutantThatIsWrong(t *testing.T) {
	fsys := fstest.MapFS{
		"first/p.yaml": {Data: []byte(shop(cart))}, "more/p.yaml": {Data: []byte(shop(cart + extra))},
		"s.yaml": {Data: []byte("apiVersion: sim/v1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  duration: 5s\n  policy: first\n  load: [{rate: 50, requests: [{get: /cart}]}]\n" +
			"  timeline: [{at: 1s, on: policy, apply: more}]\n  mutations: [{name: m, set: {\"spec.pools[extra].endpoints\": []}}]\n")},
	}
	if _, found := Read(fsys, []string{"s.yaml"}, Options{Mutate: true}); !strings.Contains(found.String(), `mutation "m" makes the policy a wrong one`) {
		t.Errorf("got %q", found)
	}
}

// All that is wrong is told at once: in other scenarios, of the policy, of expressions.
func TestAllAtOnce(t *testing.T) {
	const head = "apiVersion: sim/v1\nkind: Scenario\nmetadata: {name: %s}\nspec:\n  duration: 5s\n  policy: ../p\n  load: [{rate: 50, requests: [{get: /cart}]}]\n"
	fsys := fstest.MapFS{
		"p/p.yaml": {Data: []byte(shop(cart))},
		"s/a.yaml": {Data: []byte(fmt.Sprintf(head, "a") + "  durations: 5s\n")},
		"s/b.yaml": {Data: []byte(fmt.Sprintf(head, "b") + "  topology: {pools: {carts: {}}}\n" +
			"  timeline: [{at: 1s, on: cart/1, health: fail}]\n" +
			"  expect:\n    - {that: 'success() => 0.9'}\n    - {breaker: carts/1, max: {open: 1}}\n" +
			"  mutations: [{name: m, set: {\"spec.pools[carts].drainTimeout\": 7s}}]\n")},
		"s/c.yaml": {Data: []byte(fmt.Sprintf(head, "c") + "  expect: [{that: lost() == 0}]\n  mutations:\n" +
			"    - {name: same, set: {\"spec.pools[cart].loadBalancer.type\": LeastRequest}}\n" +
			"    - {name: bad, set: {\"spec.pools[cart].drainTimeout\": 7}}\n")},
		"s/d.yaml": {Data: []byte(strings.Replace(fmt.Sprintf(head, "d"), "policy: ../p", "policy: ../p/p.yaml", 1))},
	}
	_, found := Read(fsys, []string{"s", "s/c.yaml"}, Options{Mutate: true})
	for _, want := range []string{
		"s/a.yaml:8:3: spec.durations: is not a field",
		`s/b.yaml:8:29: spec.topology.pools.carts: the policy has no pool "carts"`,
		`s/b.yaml:9:43: spec.timeline[0].health: pool "cart" has no healthCheck.active`,
		`s/b.yaml:11:25: spec.expect[0].that: "=>" does not belong here`,
		`s/b.yaml:12:17: spec.expect[1].breaker: there is no pool "carts"`,
		`s/b.yaml:13:31: spec.mutations[0]`,
		`s/c.yaml:10:26: mutation "same" changes nothing`,
		`s/c.yaml:11:25: mutation "bad" makes the policy a wrong one`,
		`s/c.yaml:1:1: "s/c.yaml" is given twice`,
		`s/d.yaml:6:11: spec.policy: "p/p.yaml" is a file: a policy is all the files of a directory, so name that, "p"`,
	} {
		if strings.Count(found.String(), want) != 1 {
			t.Errorf("not once: %s", want)
		}
	}
	if t.Failed() || strings.Count(found.String(), "^") < 8 {
		t.Errorf("found\n%s", found)
	}
}
