package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// written is scenarios of these names, each with one expectation and one mutation, which
// takes the retries away.
func written(names ...string) fstest.MapFS {
	text := ""
	for _, name := range names {
		text += "---\napiVersion: sim/v1\nkind: Scenario\nmetadata: {name: " + name + "}\nspec:\n  duration: 5s\n  policy: policy\n" +
			"  load: [{rate: 50, requests: [{get: /cart}]}]\n  timeline: [{name: slow, at: 1s, on: cart/1, latency: 1s}]\n" +
			"  expect: [{that: 'success() >= 0.9'}, {that: 'lost() == 0'}]\n  mutations: [{name: m, set: {\"spec.pools[cart].drainTimeout\": 7s}}]\n"
	}
	return fstest.MapFS{"s.yaml": {Data: []byte(strings.TrimPrefix(text, "---\n"))}, "policy/p.yaml": {Data: []byte(shop(cart))}}
}

// told is a run in which so many of ten requests failed.
func told(j stage.Job, failed int) *history.Run {
	run := j.Failed("fake", "")
	run.Replicas = 1
	run.Faults = []history.Fault{{Name: "slow", On: "cart/1", Start: time.Second, End: 5 * time.Second, Touched: 1}}
	metrics := map[string]float64{}
	for i := range 10 {
		r := history.Request{
			ID: fmt.Sprint("r", i), Intended: time.Duration(i) * 100 * time.Millisecond, Start: time.Duration(i) * 100 * time.Millisecond,
			End: time.Second, Deadline: 2 * time.Second, Replica: "lb/1", Method: "GET", Path: "/cart", Status: 200, By: "cart/1", Whole: true, LooksWhole: true, Route: "cart", Ends: 1,
		}
		if i < failed {
			r.Status = 500
		}
		metrics[fmt.Sprintf(`lb_requests_total{code="%d",route="cart"}`, r.Status)]++
		run.Requests = append(run.Requests, r)
	}
	run.Metrics = map[string]map[string]float64{"lb/1": metrics}
	return run
}

func mutated(j stage.Job) bool {
	return strings.Contains(string(j.Files["p.yaml"]), "drainTimeout: 7s")
}

func play(t *testing.T, files fstest.MapFS, o Options) (*report.Suite, string) {
	t.Helper()
	plans, found := Read(files, []string{"s.yaml"}, o)
	if found.HasErrors() {
		t.Fatal(found)
	}
	var out bytes.Buffer
	s := &report.Suite{Files: files}
	if err := Play(t.Context(), plans, o, s, report.NewTerminal(&out, os.Getenv)); err != nil {
		t.Fatal(err)
	}
	return s, out.String()
}

// TestPlay: what each run comes to is what the suite says of its scenario.
func TestPlay(t *testing.T) {
	const nth = "the second run: panic"
	for name, c := range map[string]struct {
		run  func(j stage.Job, n int) (*history.Run, error) // n counts the runs of the scenario itself, from 1
		want report.Verdict
		why  string
	}{
		"the same twice": {func(j stage.Job, _ int) (*history.Run, error) { return told(j, 0), nil }, report.Passed, ""},
		"not the same": {func(j stage.Job, n int) (*history.Run, error) {
			run := told(j, 0)
			run.Requests[3].End += time.Duration(n)
			return run, nil
		}, report.Invalid, "requests, number 4"},
		"it fails":         {func(j stage.Job, _ int) (*history.Run, error) { return told(j, 5), nil }, report.Failed, ""},
		"a panic":          {func(j stage.Job, _ int) (*history.Run, error) { return j.Failed("fake", "panic: x"), nil }, report.Failure, "panic: x"},
		"it cannot be run": {func(stage.Job, int) (*history.Run, error) { return nil, errors.New("no room") }, report.Failure, "no room"},
		"a panic, the second time": {func(j stage.Job, n int) (*history.Run, error) {
			if n == 2 {
				return j.Failed("fake", "panic: x"), nil
			}
			return told(j, 0), nil
		}, report.Failure, nth},
		"no second time": {func(j stage.Job, n int) (*history.Run, error) {
			if n == 2 {
				return nil, errors.New("no room")
			}
			return told(j, 0), nil
		}, report.Invalid, "the second run could not be made"},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			s, _ := play(t, written("one"), Options{Workers: 1, Stage: Stage{Name: "fake", Run: func(_ context.Context, j stage.Job) (*history.Run, error) {
				n++
				return c.run(j, n)
			}}})
			if r := s.Runs[0]; len(s.Runs) != 1 || n != 2 || r.Verdict != c.want || !strings.Contains(r.Why, c.why) {
				t.Errorf("%d runs: %s, %q; want %s, %q", n, r.Verdict, r.Why, c.want, c.why)
			}
		})
	}
}

// TestMutations: one is caught by what holds without it, and by nothing else.
func TestMutations(t *testing.T) {
	failure := func(j stage.Job) *history.Run { return j.Failed("fake", "deadlock") }
	for name, c := range map[string]struct {
		base, mutant func(stage.Job) *history.Run
		caught       bool
		by           string
	}{
		"an expectation": {
			func(j stage.Job) *history.Run { return told(j, 0) },
			func(j stage.Job) *history.Run { return told(j, 5) }, true, "success() >= 0.9",
		},
		"an invariant": {
			func(j stage.Job) *history.Run { return told(j, 0) },
			func(j stage.Job) *history.Run {
				run := told(j, 0)
				run.Leaks = []string{"a goroutine"}
				return run
			}, true, "leaks",
		},
		"nothing": {
			func(j stage.Job) *history.Run { return told(j, 0) },
			func(j stage.Job) *history.Run { return told(j, 0) }, false, "everything held",
		},
		"what fails anyway": {
			func(j stage.Job) *history.Run { return told(j, 5) },
			func(j stage.Job) *history.Run { return told(j, 6) }, false, "nothing failed that does not fail without it",
		},
		"what fails anyway, and something else": {
			func(j stage.Job) *history.Run { return told(j, 5) },
			func(j stage.Job) *history.Run {
				run := told(j, 5)
				run.Requests[9].Status, run.Requests[9].Whole, run.Requests[9].LooksWhole = 0, false, false
				return run
			}, true, "lost() == 0",
		},
		"a run with nothing to judge": {
			func(j stage.Job) *history.Run { return told(j, 0) },
			func(j stage.Job) *history.Run {
				run := told(j, 0)
				run.Requests, run.Metrics = nil, map[string]map[string]float64{"lb/1": {}}
				return run
			}, false, "nothing failed: too little was there to judge success() >= 0.9",
		},
		"a late run": {
			func(j stage.Job) *history.Run { return told(j, 0) },
			func(j stage.Job) *history.Run {
				run := told(j, 5)
				run.Behind = time.Second
				return run
			}, false, "its run proves nothing: the generator fell behind: 0 of 10 requests began more than 10ms late, and 1 % may; the latest by 1s, and 100ms is the most: take a machine that has nothing else to do, a lower rate, or try again",
		},
		"a run that came to nothing": {func(j stage.Job) *history.Run { return told(j, 0) }, failure, false, "its run came to no end: deadlock"},
		"nothing to compare with":    {failure, func(j stage.Job) *history.Run { return told(j, 5) }, false, "without it the run came to no end"},
	} {
		t.Run(name, func(t *testing.T) {
			s, out := play(t, written("one"), Options{Mutate: true, Once: true, Stage: Stage{Name: "fake", Run: func(_ context.Context, j stage.Job) (*history.Run, error) {
				if mutated(j) {
					return c.mutant(j), nil
				}
				return c.base(j), nil
			}}})
			if m := s.Runs[0].Mutations[0]; m.Caught != c.caught || m.By != c.by || m.Name != "m" {
				t.Errorf("%+v\n%s", m, out)
			}
			if s.Runs[0].Determinism.Checked {
				t.Error("what was played once was compared")
			}
			if v := s.Runs[0].Verdict; v == report.Passed && !c.caught {
				t.Errorf("the run %s:\n%s", v, out)
			}
			if !c.caught && s.Exit() != 1 {
				t.Errorf("exit status %d with a mutation that was not caught", s.Exit())
			}
		})
	}
}

// TestOrder: the runs are in the order of the plans, whatever ends first, and one that comes
// to nothing keeps no other from being played.
func TestOrder(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	var now, most atomic.Int32
	s, _ := play(t, written(names...), Options{Once: true, Workers: 3, Stage: Stage{Name: "fake", Run: func(_ context.Context, j stage.Job) (*history.Run, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if j.Scenario.Name == "b" {
			return nil, errors.New("no room")
		}
		return told(j, 0), nil
	}}})
	for i, r := range s.Runs {
		want := report.Passed
		if names[i] == "b" {
			want = report.Failure
		}
		if r.Scenario.Name != names[i] || r.Verdict != want || r.Stage != "fake" {
			t.Errorf("%d: %s, %s", i, r.Scenario.Name, r.Verdict)
		}
	}
	if len(s.Runs) != len(names) || most.Load() > 3 {
		t.Errorf("%d runs, %d at once", len(s.Runs), most.Load())
	}
}

// TestGivenUp: when the context ends no more is played, and the suite is as it was.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Once: true, Workers: 1, Stage: Stage{Name: "fake", Run: func(ctx context.Context, _ stage.Job) (*history.Run, error) {
		cancel()
		return nil, ctx.Err()
	}}}
	files := written("a", "b")
	plans, found := Read(files, []string{"s.yaml"}, o)
	if found.HasErrors() {
		t.Fatal(found)
	}
	s := &report.Suite{}
	if err := Play(ctx, plans, o, s, report.NewTerminal(&bytes.Buffer{}, os.Getenv)); !errors.Is(err, context.Canceled) || len(s.Runs) > 0 {
		t.Errorf("%v, %d runs", err, len(s.Runs))
	}
}

// TestNotOnThisStage: a fault that cannot be made is an error where it is written.
func TestNotOnThisStage(t *testing.T) {
	o := Options{Stage: Stage{Name: "fake", Cannot: func(f *scenario.Fault) string {
		if f.Latency != nil {
			return "time stands still"
		}
		return ""
	}}}
	_, found := Read(written("one"), []string{"s.yaml"}, o)
	if text := found.String(); !strings.Contains(text, "s.yaml:8:14: ") || !strings.Contains(text, "on the stage fake this cannot happen to cart/1: time stands still") {
		t.Errorf("got %s", found)
	}
}
