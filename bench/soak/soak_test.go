package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go-loadbalancer/bench/child"
	"go-loadbalancer/bench/server"
	"go-loadbalancer/lb/policy"
)

func TestMain(m *testing.M) {
	if role(os.Args[1:]) {
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestSoak is a whole soak, if a short one. What depends on how fast the machine
// is, and on a balancer that has warmed up, is not judged.
func TestSoak(t *testing.T) {
	runtime.LockOSThread() // until the test's end: see server.Start
	dir := t.TempDir()
	s := &soak{
		plan: plan{warmup: 300 * time.Millisecond, baseline: 300 * time.Millisecond, each: 100 * time.Millisecond, all: 2 * time.Second, recovery: 300 * time.Millisecond},
		rate: 200, seed: 1, dir: dir, binary: filepath.Join(dir, "lb"), progress: t.Logf,
	}
	if err := server.Build(t.Context(), "go-loadbalancer/lb", s.binary); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to   **child.Process
		args []string
	}{{&s.honest, []string{honestRole, "1"}}, {&s.hostile, []string{hostileRole}}} {
		p, err := child.Start(nil, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
		}()
		*c.to = p
	}
	r, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.phases {
		r.phases[i].honest.Late = Latencies{}
	}
	checks, err := judge(r)
	if err != nil {
		t.Fatal(err)
	}
	timed := []string{"honest p99", "attacks are bounded", "every attack took place", "memory flat", "memory at the end"}
	for _, k := range checks {
		t.Logf("%s: %v: %s", k.name, k.ok, k.said)
		if !k.ok && !slices.Contains(timed, k.name) {
			t.Errorf("%s: %s", k.name, k.said)
		}
	}
	if l := r.phase(allPhase).honest.Kinds; l["get"].Answered == 0 || l[streamNames[eventStreams]].Answered == 0 || l[streamNames[tunnels]].Answered == 0 {
		t.Errorf("honest clients were not heard: %+v", l)
	}
}

// Every generation of the policy is valid, and unlike the one before it.
func TestPolicy(t *testing.T) {
	p := policyFile{
		file: filepath.Join(t.TempDir(), "policy.yaml"), listen: "127.0.0.1:1",
		backends: backends{Sound: []string{"127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"}, Faulty: "127.0.0.1:5"}, huge: "127.0.0.1:6",
	}
	var last string
	for range 3 {
		if err := p.write(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) == last {
			t.Error("nothing changed")
		}
		last = string(text)
		_, found := policy.Load(fstest.MapFS{"policy.yaml": {Data: text}})
		for _, d := range found {
			t.Error(d)
		}
	}
}

// The honest side against a backend, with nothing between that could do wrong.
func TestHonest(t *testing.T) {
	b, err := serveBackends(1)
	if err != nil {
		t.Fatal(err)
	}
	r := honestUntil(t, b.Sound[0], func(l Latencies) bool { return l.Answered > 0 })
	for name, l := range r.Kinds {
		if l.Failures > 0 || l.P50 <= 0 || l.Max < l.P99 {
			t.Errorf("%s: %+v", name, l)
		}
	}
	// Against one that does everything wrong, everything fails.
	r = honestUntil(t, b.Faulty, func(l Latencies) bool { return l.Failures > 0 || len(l.Outcomes) > 0 })
	for name, l := range r.Kinds {
		if name == "faulty" && (l.Failures > 0 || l.Answered == 0) || name != "faulty" && l.Answered > 0 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// honestUntil runs honest clients until a condition has held of each kind.
func honestUntil(t *testing.T, target string, condition func(Latencies) bool) honestReport {
	t.Helper()
	h := newHonest(target, target, 1000)
	stop := background(h.run)
	sum := honestReport{Kinds: map[string]Latencies{}}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		for name, l := range h.report().Kinds {
			if was := sum.Kinds[name]; !condition(was) {
				sum.Kinds[name] = l
			}
		}
		met := true
		for _, l := range sum.Kinds {
			met = met && condition(l)
		}
		if met || time.Now().After(deadline) {
			stop()
			if !met {
				t.Fatalf("in vain: %+v", sum.Kinds)
			}
			return sum
		}
	}
}

// An attack that is interrupted ends, whatever it waits for.
func TestAttacksEnd(t *testing.T) {
	b, err := serveBackends(1)
	if err != nil {
		t.Fatal(err)
	}
	a := &assault{target: b.Sound[0], seed: 1, counts: map[string]map[outcome]int{}}
	stop := background(func(ctx context.Context) { a.run(ctx, attacks()) })
	total := 0
	for deadline := time.Now().Add(20 * time.Second); total < 100 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, n := range a.take() {
			total += n[cut] + n[gaveUp]
		}
	}
	stop()
	if total < 100 {
		t.Errorf("%d connections, 100 were awaited", total)
	}
}

func TestParseMetrics(t *testing.T) {
	m, err := parseMetrics(strings.NewReader("# HELP x y\nup 1\nx{a=\"b c\"} 2\nx{a=\"d\"} 3.5e1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (metrics{"up": 1, `x{a="b c"}`: 2, `x{a="d"}`: 35, "x": 37}); !maps.Equal(m, want) {
		t.Errorf("got %v, want %v", m, want)
	}
	for _, text := range []string{"x", "x y"} {
		if _, err := parseMetrics(strings.NewReader(text)); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
}

func TestComplaints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	text := `{"level":"INFO","msg":"fine"}
{"level":"WARN","msg":"circuit breaker open"}
{"level":"WARN","msg":"pool in panic mode"}
{"level":"ERROR","msg":"a request made the balancer panic"}
fatal error: out of memory
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := complaints(file); err != nil || len(found) != 2 {
		t.Errorf("got %q, %v; want the last two lines", found, err)
	}
}

func TestParse(t *testing.T) {
	o, err := parse(nil)
	if want := (options{duration: 30 * time.Minute, rate: 2000, seed: 1}); err != nil || o != want {
		t.Errorf("got %+v, %v; want %+v", o, err, want)
	}
	for _, args := range [][]string{{"-duration", "1s"}, {"-rate", "0"}, {"-rate", "9999"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}
