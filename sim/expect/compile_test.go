package expect_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/scenario"
)

// TestCompileComplains: what is wrong with an expression is said before the run, with
// its place. ^ in the expression is where; it is at line 7, column 14 that one begins.
func TestCompileComplains(t *testing.T) {
	p := load(t, shop)
	during := scenario.Expectation{Operator: scenario.During, During: scenario.Instant{Fault: "hole"}}
	for _, c := range []struct {
		that string
		e    scenario.Expectation
		want string
	}{
		{`^succes("5s") > 0.9`, scenario.Expectation{}, `there is no word "succes": did you mean "success"?`},
		{`success(^"card") > 0.9`, scenario.Expectation{}, `there is no route "card": did you mean "cart"?`},
		{`share(^"cart/3") > 0.9`, scenario.Expectation{}, `there is no cart/3: pool "cart" has 2 of them, from cart/1 to cart/2`},
		{`share(^"cart") > 0.9`, scenario.Expectation{}, `"cart" is a pool: name one of its endpoints, such as "cart/1"`},
		{`rate(^"web/2", "5s") > 1.0`, scenario.Expectation{}, `there is no pool or endpoint "web/2": did you mean "web/1"?`},
		{`breaker("cart/1", ^"lb/3") == "open"`, during, `there is no replica "lb/3": did you mean "lb/1"?`},
		{`breaker("cart/1") == ^"opened"`, during, `there is no state "opened": did you mean "open"?`},
		{`breaker("cart/1") in ["open", ^"halfopen"]`, during, `there is no state "halfopen": did you mean "half-open"?`},
		{`success(^"5") > 0.9`, scenario.Expectation{}, `"5" is no duration: write one such as "10s"`},
		{`success(^"2h") > 0.9`, scenario.Expectation{}, `the window is longer than the run, which lasts 1m`},
		{`success(^"-1s") > 0.9`, scenario.Expectation{}, `a window is longer than 0`},
		{`share("cart/1", ^"cart/2") > 0.9`, scenario.Expectation{}, `this should be a window, such as "10s": share(endpoint, [window])`},
		{`share(^"10s") > 0.9`, scenario.Expectation{}, `of which endpoint? share(endpoint, [window])`},
		{`latency(^1.5) < duration("1s")`, scenario.Expectation{}, `a quantile is above 0 and at most 1.0`},
		{`success("c" ^+ "art") > 0.9`, scenario.Expectation{}, `success needs it written out here, not computed: success([route,] [window])`},
		{`^success("5s")`, scenario.Expectation{}, `this is a double, neither true nor false: compare it with something`},
		{`^1 < 2`, scenario.Expectation{}, `this says nothing of the run`},
		{`rate() ^== 5`, scenario.Expectation{}, `== of a whole number and a fraction: what counts (lost, shed, `},
		{`shed("5s") ^== 0.0`, scenario.Expectation{}, `goes with whole numbers, such as 0, anything else with a point, such as 1.0`},
		{`probes("cart/1", ^"5s") == 0`, during, `probes is of an instant, and has no window: probes(endpoint, [replica])`},
		{`lost(^, "5s") == 0`, scenario.Expectation{}, `"," does not belong here`},
		{`latency(0.99) ^< 5`, scenario.Expectation{}, `a duration is written duration("80ms")`},
		{`^success(5) > 0.9`, scenario.Expectation{}, `success is not given (int): write success([route,] [window])`},
		{`success("5s") >^`, scenario.Expectation{}, `the expression ends where something should follow`},
		{`^breaker("cart/1") == "open"`, scenario.Expectation{}, `breaker is of an instant, not of the whole run: say which by at, during, within or sometimes`},
		{`^success() > 0.9`, during, `success needs a window, to be judged with during`},
		{`success("5s") > 0.9 && ^errors() < 0.1`, scenario.Expectation{}, `errors needs a window here, since others in this expression have one`},
		{`^success("20s") > 0.9`, during, `no window of 20s fits into hole, from 20s to 30s`},
		{`^success("5s") > 0.9`, scenario.Expectation{Operator: scenario.During, During: scenario.Instant{Fault: "hola"}}, `there is no fault "hola": did you mean "hole"?`},
		{`^success("5s") > 0.9`, scenario.Expectation{Operator: scenario.Within, Within: 3 * time.Second, After: scenario.Instant{Fault: "hole"}}, `no window of 5s that begins at hole or later ends within 3s`},
		{`^success("5s") > 0.9`, scenario.Expectation{Operator: scenario.Within, Within: 9 * time.Second, After: scenario.Instant{Fault: "hole", End: true}, Hold: time.Minute}, `the run ends before it can have held for 1m`},
		{`^success("5s") > 0.9`, scenario.Expectation{Operator: scenario.At, At: scenario.Instant{Offset: 2 * time.Second}}, `there is no window of 5s before 2s`},
		{`^success("5s") > 0.9`, scenario.Expectation{Operator: scenario.At, At: scenario.Instant{Offset: 2 * time.Minute}}, `2m is not within the run, which lasts 1m`},
	} {
		e := c.e
		before, after, _ := strings.Cut(c.that, "^")
		e.That, e.ThatPos = before+after, scenario.Pos{File: "s.yaml", Line: 7, Col: 14}
		s := &scenario.Scenario{Duration: time.Minute, Expect: []scenario.Expectation{e}, Timeline: []scenario.Fault{{Name: "hole", At: 20 * time.Second, For: 10 * time.Second}}}
		program, found := expect.Compile(s, p)
		if program != nil || len(found) != 1 {
			t.Errorf("%s: program %v, found %v", e.That, program, found)
			continue
		}
		d := found[0]
		if !strings.Contains(d.Message, c.want) || d.Pos.Line != 7 || d.Pos.Col != 14+len([]rune(before)) || d.Path != "spec.expect[0].that" {
			t.Errorf("%s:\n got %v\nwant column %d: %s", c.that, d, 14+len(before), c.want)
		}
	}
}

// TestCompileLines: a place in a later line of a block scalar is in a later line.
func TestCompileLines(t *testing.T) {
	scenarios, found := scenario.Read(fstest.MapFS{"s.yaml": {Data: []byte(`apiVersion: sim/v1
kind: Scenario
metadata: {name: lines}
spec:
  duration: 1m
  policy: "apiVersion: lb/v1\nkind: Policy"
  load: [{rate: 1, requests: [{get: /cart}]}]
  expect:
    - that: |
        success() > 0.9 &&
          errrors() < 0.1
`)}}, "s.yaml")
	if len(scenarios) != 1 {
		t.Fatal(found)
	}
	_, found = expect.Compile(scenarios[0], load(t, shop))
	if len(found) != 1 || found[0].Pos.Line != 11 || found[0].Pos.Col != 11 || !strings.Contains(found.String(), " errrors() < 0.1\n") {
		t.Errorf("%v", found)
	}
}

// TestCompileEverything: all that is wrong is said at once, and later policies add
// endpoints with the numbers after those there are.
func TestCompileEverything(t *testing.T) {
	p := load(t, shop)
	s := &scenario.Scenario{Duration: time.Minute, Expect: []scenario.Expectation{
		{That: `share("cart/3", "5s") > 0.1 && success("nobody") > 0.5`},
		{Breaker: scenario.Target{Pool: "cart", Index: 3}, Path: []string{"open"}},
		{Breaker: scenario.Target{Pool: "card"}, Max: map[string]int{"open": 1}},
	}}
	if _, found := expect.Compile(s, p); len(found) != 4 {
		t.Errorf("%d findings, want 4:\n%v", len(found), found)
	}
	grown := load(t, strings.Replace(shop, `{address: "10.0.0.1:80"}`, `{address: "10.0.0.9:80"}`, 1))
	if _, found := expect.Compile(s, p, grown); len(found) != 2 || strings.Contains(fmt.Sprint(found), "cart/3") {
		t.Errorf("with the endpoint that a later policy adds:\n%v", found)
	}
}
