package scenario_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

const head = "apiVersion: sim/v1\nkind: Scenario\nmetadata: {name: s}\nspec:\n"

// one reads a scenario whose spec has the given lines, and returns it.
func one(t testing.TB, spec string) *scenario.Scenario {
	t.Helper()
	scenarios, found := scenario.Read(fstest.MapFS{
		"dir/a.yaml":         {Data: []byte(head + spec)},
		"policies/shop.yaml": {Data: []byte("x")},
	}, "dir/a.yaml")
	if len(scenarios) != 1 {
		t.Fatalf("%d scenarios:\n%s", len(scenarios), found)
	}
	return scenarios[0]
}

var unwritten = cmpopts.IgnoreUnexported(scenario.Scenario{})

// TestDefaults writes every default down a second time.
func TestDefaults(t *testing.T) {
	got := one(t, `  duration: 1m
  policy: ../policies
  topology: {pools: {cart: {}}}
  load: [{rate: 3, requests: [{get: /}]}, {users: 2, requests: [{get: /}]}]
  timeline: [{at: 1s, on: cart/1, errors: {percent: 3}}, {at: 1s, on: cart/1, first: {count: 3}}]
  expect: [{that: x}]
`)
	at := func(line, col int) scenario.Pos { return scenario.Pos{File: "dir/a.yaml", Line: line, Col: col} }
	cart := scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: 1}
	want := &scenario.Scenario{
		Pos: at(1, 1), Name: "s", Seed: 1, Duration: time.Minute,
		Policy:   scenario.Policy{Pos: at(6, 11), Dir: "policies"},
		Topology: scenario.Topology{Replicas: 1, Pools: []scenario.PoolModel{{Pos: at(7, 28), Name: "cart", Latency: scenario.Latency{P50: 5 * time.Millisecond}, BodySize: 64}}},
		Load: []scenario.Load{
			{Pos: at(8, 10), To: time.Minute, Rate: 3, RateEnd: 3, Arrivals: scenario.Poisson, Deadline: 10 * time.Second, Requests: []scenario.Request{{Pos: at(8, 31), Method: "GET", Path: "/", Weight: 1}}},
			{Pos: at(8, 43), To: time.Minute, Users: 2, Arrivals: scenario.Poisson, Deadline: 10 * time.Second, Requests: []scenario.Request{{Pos: at(8, 65), Method: "GET", Path: "/", Weight: 1}}},
		},
		Timeline: []scenario.Fault{
			{Pos: at(9, 14), At: time.Second, On: cart, Errors: &scenario.Errors{Percent: 3, Status: 503}},
			{Pos: at(9, 58), At: time.Second, On: cart, First: &scenario.First{Count: 3, Status: 503}},
		},
		Expect: []scenario.Expectation{{Pos: at(10, 12), That: "x", ThatPos: at(10, 19), Operator: scenario.Once}},
	}
	if diff := cmp.Diff(want, got, unwritten); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestValues reads what all.good.yaml writes.
func TestValues(t *testing.T) {
	scenarios, found := read("all.good.yaml")
	if len(scenarios) != 2 {
		t.Fatal(found)
	}
	s := scenarios[0]
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(scenario.Pos{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
	}
	ms := time.Millisecond
	check("description", s.Description, "Everything goes wrong.\n\nOne thing after the other.\n")
	check("seed", s.Seed, uint64(1<<53))
	yes := true
	check("topology", s.Topology, scenario.Topology{Replicas: 2, Redis: &yes, Pools: []scenario.PoolModel{
		{Name: "cart", Latency: scenario.Latency{P50: 20 * ms, P99: 80 * ms}, Capacity: 100.5, Queue: 200},
		{Name: "slow", Latency: scenario.Latency{P50: time.Second}, BodySize: 64},
	}})
	l := s.Load[0]
	check("requests", l.Requests[:2], []scenario.Request{
		{Method: "GET", Path: "/cart?a=%20&b=[1]", Weight: 9, Headers: []scenario.Header{{Name: "X-Env", Value: "prod"}, {Name: "Accept", Value: "*/*"}}},
		{Method: "POST", Path: "/cart", Body: 512},
	})
	var methods []string
	for _, r := range l.Requests {
		methods = append(methods, r.Method)
	}
	check("methods", methods, []string{"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
	l.Requests = nil
	check("load", l, scenario.Load{From: 10 * time.Second, To: 9 * time.Minute, Rate: 200, Arrivals: scenario.Constant, Sessions: 500, Deadline: 2 * time.Second,
		Host: "shop.example.com", Listener: "http", Replica: 3, Retries: scenario.ClientRetries{Attempts: 2, Backoff: 100 * ms}, Pace: scenario.Pace{Head: 2, Body: 20, Read: 200}})
	check("think", s.Load[1].Think, 500*ms)

	at := time.Duration(-1)
	byKind := map[string]scenario.Fault{}
	for _, f := range s.Timeline {
		if f.At < at {
			t.Errorf("the fault at %s stands behind that at %s", f.At, at)
		}
		at = f.At
		byKind[fmt.Sprintf("%s %s %s", f.At, f.On, f.Name)] = f
	}
	hole := byKind["1m0s cart/1 hole"]
	check("respond", hole.Respond, &scenario.Respond{Status: 503, After: ms})
	check("health", hole.Health, "pass")
	many := byKind["1m0s cart/* "]
	check("latency", many.Latency, &scenario.Latency{P50: 2 * time.Second})
	check("truncate", []int64{*many.Truncate, *many.ContentLength}, []int64{0, 10})
	check("apply", byKind["3s policy "].Apply, []scenario.Policy{{Dir: "policies"}})
	check("scale", byKind["5s lb "].Scale, 3)
	check("clock", byKind["6s lb/2 "].Clock, -time.Hour)
	check("repeat", byKind["6s lb "].Repeat, &scenario.Repeat{Every: 2 * time.Second, Times: 3})
	storm := byKind["7s policy storm"]
	last := storm.Times()[99]
	check("apply in turns", []string{storm.Apply[0].Dir, strings.TrimSpace(storm.Apply[1].Inline), strings.TrimSpace(last.Apply[0].Inline)},
		[]string{"policies", "{kind: Policy}", "{kind: Policy}"})
	check("storm", []any{storm.Lasts(), storm.Momentary(), len(storm.Apply), len(storm.Times()), last.At, last.Momentary(), len(last.Apply)},
		[]any{59400 * ms, false, 2, 100, 66400 * ms, true, 1})
	var partition []scenario.Target
	flaps := 0
	for _, f := range s.Timeline {
		if f.On.Kind == scenario.OnRedis && f.Partitioned {
			partition = f.Partition
		}
		if f.Flap != nil {
			flaps++
			check("flap", *f.Flap, scenario.Flap{Up: 3 * time.Second, Down: 100 * ms})
		}
	}
	check("partition", partition, []scenario.Target{{Kind: scenario.OnBalancer, Index: 1}, {Kind: scenario.OnBalancer, Index: 3}})
	check("flaps", flaps, 1)

	during := scenario.Expectation{That: `success("5s") >= 0.999`, Operator: scenario.During, During: scenario.Instant{Fault: "hole"}, Grace: 3 * time.Second}
	check("during", s.Expect[1], during)
	check("at", []scenario.Instant{s.Expect[2].At, s.Expect[3].At}, []scenario.Instant{{Fault: "hole", End: true}, {Offset: 90 * time.Second}})
	check("sometimes", s.Expect[5].Operator, scenario.Sometimes)
	check("folded", s.Expect[6].That, `share("cart/1", "10s") >= 0.22`)
	check("from the beginning", s.Expect[8], scenario.Expectation{That: `success("1s") > 0.9`, Operator: scenario.Within, Within: 10 * time.Minute})
	check("breaker", s.Expect[9], scenario.Expectation{Operator: scenario.Once, Breaker: scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: 1},
		Path: []string{"closed", "open", "half-open", "closed"}, Max: map[string]int{"open": 2, "closed": 0}, Longest: map[string]time.Duration{"half-open": 2 * time.Second}})
	check("waive", s.Waive, []scenario.Waiver{{ID: scenario.ReloadLoss, Because: "The point of it."}})
	check("mutation", s.Mutations, []scenario.Mutation{{Name: "breaker", Set: []scenario.Assignment{
		{Path: "spec.pools[cart].circuitBreaker.failurePercent", Value: "0\n"},
		{Path: "spec.pools[0].endpoints", Value: "[{address: \"10.0.0.9:80\"}]\n"}}}})
}

// TestUse builds on another file: what is given replaces, lists as a whole.
func TestUse(t *testing.T) {
	scenarios, found := read("use.good.yaml")
	if len(scenarios) != 1 {
		t.Fatal(found)
	}
	s := scenarios[0]
	yes := true
	want := scenario.Topology{Replicas: 2, Redis: &yes, Pools: []scenario.PoolModel{
		{Name: "cart", Latency: scenario.Latency{P50: 20 * time.Millisecond}, BodySize: 3, Capacity: 10},
		{Name: "slow", Latency: scenario.Latency{P50: 5 * time.Millisecond}, BodySize: 64},
	}}
	if diff := cmp.Diff(want, s.Topology, cmpopts.IgnoreTypes(scenario.Pos{})); diff != "" {
		t.Errorf("topology: -want +got:\n%s", diff)
	}
	if s.Name != "longer" || s.Description != "" || s.Source != "" || s.Seed != 7 || s.Duration != 5*time.Minute || s.Policy.Dir != "policies" {
		t.Errorf("got %+v", s)
	}
	if len(s.Expect) != 1 || len(s.Timeline) != 1 || s.Timeline[0].Pos.File != "use/base.yaml" || s.Load[0].To != s.Duration {
		t.Errorf("got %d expectations, and faults %+v, load to %s", len(s.Expect), s.Timeline, s.Load[0].To)
	}
	base, found := scenario.Read(os.DirFS("testdata"), "use/base.yaml")
	if len(base) != 1 || base[0].Load[0].To != 4*time.Minute || base[0].Topology.Pools[0].Capacity != 0 {
		t.Errorf("the one that is used is another one by itself: %+v\n%s", base, found)
	}
}

func TestDirectories(t *testing.T) {
	good := head + "  duration: 1s\n  policy: {}\n  load: [{rate: 1, requests: [{get: /}]}]\n"
	named := func(name string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(strings.Replace(good, "name: s}", "name: "+name+"}", 1))}
	}
	many := fstest.MapFS{}
	for i := range 257 {
		many[fmt.Sprintf("many/%d.yaml", i)] = named(fmt.Sprintf("n%d", i))
	}
	tests := []struct {
		name  string
		files fstest.MapFS
		path  string
		want  []string // names
		found string
	}{
		{"in order", fstest.MapFS{"d/b.yaml": named("b"), "d/a.yml": named("a"), "d/.c.yaml": named("c"), "d/e/f.yaml": named("f"), "d/g.txt": named("g")}, "d/", []string{"a", "b"}, ""},
		{"the root", fstest.MapFS{"b.yaml": named("b")}, ".", []string{"b"}, ""},
		{"any name of a file", fstest.MapFS{"b.scenario": named("b")}, "b.scenario", []string{"b"}, ""},
		{"no file", fstest.MapFS{"d/readme": named("b")}, "d", nil, "d has no *.yaml or *.yml file: there is nothing to run\n"},
		{"nothing", fstest.MapFS{}, "d", nil, "cannot read the scenarios: open d: file does not exist\n"},
		{"outside", fstest.MapFS{}, "../d", nil, "cannot read the scenarios: open ../d: file does not exist\n"},
		{"too many", many, "many", nil, "many has more than 256 scenario files: spread them over directories\n"},
		{"too large", fstest.MapFS{"a.yaml": {Data: make([]byte, 1<<20+1)}}, "a.yaml", nil, "a.yaml:1:1: cannot be read: it is larger than 1 MiB\n"},
		{"twice", fstest.MapFS{"d/b.yaml": named("a"), "d/a.yaml": named("a")}, "d", []string{"a"},
			"d/b.yaml:3:18: metadata.name: \"a\" is the name of two scenarios: it is also that of the one at d/a.yaml:1:1\n  metadata: {name: a}\n                   ^\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scenarios, found := scenario.Read(tt.files, tt.path)
			var got []string
			for _, s := range scenarios {
				got = append(got, s.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || found.String() != tt.found {
				t.Errorf("-want +got:\n%s\nand found\n%s\nwant\n%s", diff, found, tt.found)
			}
		})
	}
}

// TestInlinePolicy finds a mistake inside a policy where it stands in the scenario.
func TestInlinePolicy(t *testing.T) {
	rest := "  duration: 1s\n  load: [{rate: 1, requests: [{get: /}]}]\n"
	tests := []struct{ name, spec, at string }{
		{"block", rest + "  policy:\n    apiVersion: lb/v1\n\n    # a remark\n    kind: Policies\n    metadata: {name: x}\n", "a.yaml:11:11"},
		{"block, not the last", "  policy:\n    apiVersion: lb/v1\n    kind: Policies\n# outdented\n    metadata: {name: x}\n" + rest, "a.yaml:7:11"},
		{"flow", rest + "  policy: {apiVersion: lb/v1, metadata: {name: \"x}\"}, kind: Policies}\n", "a.yaml:7:61"},
		{"flow, not the last", "  policy: {apiVersion: lb/v1, kind: Policies}   # }\n" + rest, "a.yaml:5:37"},
		{"flow over lines", "  policy: {\n  apiVersion: lb/v1,\n  kind: Policies\n  }\n" + rest, "a.yaml:7:9"},
		{"text", "  policy: |  # yaml\n     apiVersion: lb/v1\n\n     kind: Policies\n" + rest, "a.yaml:8:12"},
		{"folded text", "  policy: >\n     apiVersion: lb/v1\n\n     kind: Policies\n" + rest, "a.yaml:2:7"},
		{"documents", "  policy: |\n     kind: Policies\n     ---\n     kind: Policies\n" + rest, "a.yaml:1:7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := one(t, tt.spec).Policy.Files(nil)
			if err != nil {
				t.Fatal(err)
			}
			_, found := files.Load()
			if len(found) == 0 || found[0].Code != policy.CodeUnknownChoice || found[0].Pos.String() != tt.at {
				t.Errorf("want the wrong kind at %s, found\n%s\nin\n%s", tt.at, found, files["a.yaml"])
			}
		})
	}
}

func TestPolicyOfDirectory(t *testing.T) {
	p := scenario.Policy{Dir: "testdata/policies"}
	files, err := p.Files(os.DirFS("."))
	if err != nil || len(files) != 1 || files["shop.yaml"] == nil {
		t.Errorf("got %d files, %v", len(files), err)
	}
	if _, err := (scenario.Policy{Dir: "nowhere"}).Files(os.DirFS(".")); err == nil {
		t.Error("a directory that is not there was read")
	}
}
