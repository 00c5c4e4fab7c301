package main

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// good is a result that passes every check.
func good() *result {
	kinds := func() map[string]Latencies {
		return map[string]Latencies{"get": {Answered: 1000, P99: time.Millisecond}}
	}
	start := time.Now()
	samples := func(n int) (all []sample) {
		for i := range n {
			all = append(all, sample{at: start.Add(time.Duration(i) * time.Second), rss: 100 << 20, files: 20})
		}
		return all
	}
	hostile := hostileReport{}
	for _, a := range attacks() {
		hostile[a.name] = map[outcome]int{cut: 3}
	}
	r := &result{
		start: state{files: 10, goroutines: 12, heap: 4 << 20, rss: 20 << 20},
		end:   state{files: 10, goroutines: 12, heap: 5 << 20, rss: 90 << 20},
		final: metrics{
			`lb_policy_reloads_total{result="committed"}`: 7, "lb_policy_last_reload_successful": 1,
			`lb_client_connections_closed_total{listener="http",reason="idle"}`: 3,
		},
		generations: 7,
	}
	for _, name := range []string{warmupPhase, baselinePhase, allPhase, recoveryPhase} {
		r.phases = append(r.phases, phaseResult{phase: phase{name: name}, honest: honestReport{Kinds: kinds()}, samples: samples(60), hostile: hostile})
	}
	return r
}

func TestJudge(t *testing.T) {
	all := 2 // its place among the phases
	for name, c := range map[string]struct {
		spoil  func(*result)
		failed string // check; none: all pass
	}{
		"nothing": {func(*result) {}, ""},
		"a failure in any phase": {func(r *result) {
			r.phases[0].honest.Kinds["get"] = Latencies{Answered: 1000, Failures: 1, First: "reset"}
		}, "honest requests"},
		"p99 doubled": {func(r *result) {
			r.phases[1].honest.Kinds["get"] = Latencies{Answered: 1000, P99: 10 * time.Millisecond}
			r.phases[all].honest.Kinds["get"] = Latencies{Answered: 1000, P99: 20 * time.Millisecond}
		}, ""},
		"p99 beyond factor and slack": {func(r *result) {
			r.phases[all].honest.Kinds["get"] = Latencies{Answered: 1000, P99: time.Millisecond + harmSlack + 1}
		}, "honest p99"},
		"p99 that suffers as much past the balancer": {func(r *result) {
			r.phases[all].honest.Kinds["get"] = Latencies{Answered: 1000, P99: 20*time.Millisecond + harmSlack}
			r.phases[all].honest.Kinds[directKind] = Latencies{Answered: 1000, P99: 20 * time.Millisecond}
		}, ""},
		"too few to judge any": {func(r *result) {
			r.phases[all].honest.Kinds["get"] = Latencies{Answered: enough - 1, P99: time.Second}
		}, "honest p99"},
		"not cut":    {func(r *result) { r.phases[all].hostile["flood"] = map[outcome]int{cut: 1, notCut: 1} }, "attacks are bounded"},
		"no contact": {func(r *result) { r.phases[all].hostile["flood"] = map[outcome]int{unreachable: 5} }, "every attack took place"},
		"a leak": {func(r *result) {
			for i := range r.phases[all].samples {
				r.phases[all].samples[i].rss += int64(i) << 18
			}
		}, "memory flat"},
		"growth before it is steady": {func(r *result) {
			for i := range 29 {
				r.phases[all].samples[i].rss = int64(i) << 20
			}
		}, ""},
		"memory at the end": {func(r *result) { r.end.rss = 111 << 20 }, "memory at the end"},
		"heap at the end":   {func(r *result) { r.end.heap += heapTolerance }, "heap at the end"},
		"a descriptor":      {func(r *result) { r.end.files += keptFiles + 1 }, "descriptors"},
		"a goroutine":       {func(r *result) { r.end.goroutines++ }, "goroutines"},
		"a connection":      {func(r *result) { r.final["lb_client_connections"] = 1 }, "connections"},
		"in flight":         {func(r *result) { r.final["lb_upstream_in_flight"] = 1 }, "requests in flight"},
		"a lost reload":     {func(r *result) { r.generations++ }, "reloads"},
		"a panic":           {func(r *result) { r.complaints = []string{"panic: x\n"} }, "log and end"},
		"killed":            {func(r *result) { r.stopped = errors.New("killed") }, "log and end"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			c.spoil(r)
			checks, err := judge(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range checks {
				if k.ok == (k.name == c.failed) {
					t.Errorf("%s: ok is %v: %s", k.name, k.ok, k.said)
				}
			}
		})
	}
}

func TestJudgeInvalid(t *testing.T) {
	r := good()
	r.phases[0].honest.Late.P99 = lateTolerance + 1
	if _, err := judge(r); !errors.Is(err, errInvalid) {
		t.Errorf("got %v, want %v", err, errInvalid)
	}
}

func TestRegress(t *testing.T) {
	at := []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}
	if slope, mean := regress(at, []float64{1, 3, 5, 7}); math.Abs(slope-2) > 1e-9 || mean != 4 {
		t.Errorf("slope %v, mean %v; want 2 and 4", slope, mean)
	}
	if slope, _ := regress(at, []float64{5, 1, 1, 5}); math.Abs(slope) > 1e-9 {
		t.Errorf("slope %v, want 0", slope)
	}
}

func TestReportShowsFailures(t *testing.T) {
	r := good()
	r.end.files += keptFiles + 1
	checks, err := judge(r)
	if err != nil {
		t.Fatal(err)
	}
	text := markdown(conditions{started: time.Now()}, r, checks, nil)
	if n := strings.Count(text, "**FAILED**"); n != 1 {
		t.Errorf("%d failures shown, want 1:\n%s", n, text)
	}
	if strings.Contains(text, "%!") || strings.Contains(text, "(MISSING)") {
		t.Errorf("badly formatted:\n%s", text)
	}
	if text := markdown(conditions{started: time.Now()}, r, nil, errInvalid); !strings.Contains(text, "**INVALID**") {
		t.Errorf("does not say that it is invalid:\n%s", text)
	}
}

func TestPlan(t *testing.T) {
	for _, d := range []time.Duration{shortest, time.Minute, 30 * time.Minute} {
		total := time.Duration(0)
		phases := newPlan(d, len(attacks())+1).phases(attacks())
		for _, p := range phases {
			if total += p.length; p.length <= 0 {
				t.Errorf("%v: %s takes %v", d, p.name, p.length)
			}
		}
		if total != d {
			t.Errorf("%v: all phases take %v", d, total)
		}
		if last := phases[len(phases)-2]; last.name != allPhase || len(last.attacks) != len(attacks()) || !last.reloads {
			t.Errorf("%v: %+v is not all at once", d, last)
		}
	}
}
