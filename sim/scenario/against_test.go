package scenario_test

import (
	"os"
	"testing"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

func shop(t testing.TB) *policy.Policy {
	t.Helper()
	p, found := policy.Load(os.DirFS("testdata/policies"))
	if p == nil {
		t.Fatal(found)
	}
	return p
}

// against holds every scenario of testdata/against.yaml against the shop's policy.
func against(t testing.TB) ([]*scenario.Scenario, scenario.Diagnostics) {
	t.Helper()
	scenarios, found := scenario.Read(os.DirFS("testdata"), "against.yaml")
	if len(found) > 0 {
		t.Fatal(found)
	}
	for _, s := range scenarios {
		found = append(found, scenario.Check(s, shop(t))...)
	}
	return scenarios, found
}

func TestAgainstPolicy(t *testing.T) {
	_, found := against(t)
	golden(t, "testdata/against.txt", found.String())
}

func TestAgainstPolicyThatHasAll(t *testing.T) {
	scenarios, found := read("example.good.yaml")
	if len(scenarios) != 1 {
		t.Fatal(found)
	}
	if found := scenario.Check(scenarios[0], shop(t)); len(found) > 0 {
		t.Errorf("unexpected findings:\n%s", found)
	}
}

// TestAgainstPolicyByHand checks a scenario that was not read: it has no lines to show.
func TestAgainstPolicyByHand(t *testing.T) {
	s := &scenario.Scenario{
		Expect:    []scenario.Expectation{{That: "true"}},
		Timeline:  []scenario.Fault{{On: scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: 5}, Hang: true}},
		Mutations: []scenario.Mutation{{Set: []scenario.Assignment{{Path: "spec.pools[carts].protocol", Value: "H2"}}}},
	}
	found := scenario.Check(s, shop(t))
	want := "on: there is no cart/5: pool \"cart\" has 4 of them, from cart/1 to cart/4\n" +
		"spec.pools[carts].protocol: spec.pools of the policy has no item [carts]: did you mean \"cart\"?\n"
	if got := found.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
