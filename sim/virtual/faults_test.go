package virtual_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/virtual"
)

const (
	begins = 5 * time.Second
	lasts  = 5 * time.Second
)

// never has no breaker get in the way of what is to be seen.
const never = "      circuitBreaker: {consecutiveFailures: 0, failurePercent: 0}\n"

// within are the requests that began in the fault's time, late enough to feel it.
func within(r *history.Run) (all []history.Request) {
	for _, q := range r.Requests {
		if q.Start > begins+100*time.Millisecond && q.Start < begins+lasts {
			all = append(all, q)
		}
	}
	return all
}

func count(all []history.Request, is func(*history.Request) bool) (n int) {
	for i := range all {
		if is(&all[i]) {
			n++
		}
	}
	return n
}

func bytes(n int64) *int64 { return &n }

// Each fault of endpoints touches requests, does what it says to those of its time, and
// leaves no trace after it.
func TestEndpointFaults(t *testing.T) {
	all := func(is func(*history.Request) bool) func([]history.Request) bool {
		return func(q []history.Request) bool { return count(q, is) == len(q) }
	}
	some := func(least, most float64, is func(*history.Request) bool) func([]history.Request) bool {
		return func(q []history.Request) bool {
			share := float64(count(q, is)) / float64(len(q))
			return share >= least && share <= most
		}
	}
	status := func(want int) func(*history.Request) bool {
		return func(q *history.Request) bool { return q.Status == want }
	}
	broken := func(q *history.Request) bool { return !q.Whole && !q.LooksWhole }
	slow := func(q *history.Request) bool { return q.Latency() > time.Second }
	for name, tt := range map[string]struct {
		fault scenario.Fault
		does  func([]history.Request) bool
	}{
		"respond":        {scenario.Fault{Respond: &scenario.Respond{Status: 418, After: time.Millisecond}}, all(status(418))},
		"latency":        {scenario.Fault{Latency: &scenario.Latency{P50: 1100 * time.Millisecond}}, all(slow)},
		"errors":         {scenario.Fault{Errors: &scenario.Errors{Percent: 30, Status: 500}}, some(0.2, 0.4, status(500))},
		"first":          {scenario.Fault{First: &scenario.First{Count: 90, Status: 500}}, some(0.4, 0.6, status(500))},
		"hang":           {scenario.Fault{Hang: true}, all(func(q *history.Request) bool { return q.Err == "deadline" || q.Status >= 500 })},
		"slow body":      {scenario.Fault{SlowBody: 50}, all(slow)},
		"truncate":       {scenario.Fault{Truncate: bytes(10)}, all(broken)},
		"truncate all":   {scenario.Fault{Truncate: bytes(0)}, all(broken)},
		"content length": {scenario.Fault{ContentLength: bytes(70)}, all(broken)},
		"garbage":        {scenario.Fault{Garbage: true}, all(status(502))},
		"close":          {scenario.Fault{Close: true}, all(status(502))},
		"reset":          {scenario.Fault{Reset: true}, all(status(502))},
		"refuse":         {scenario.Fault{Refuse: true}, all(func(q *history.Request) bool { return q.Status >= 502 })},
		"blackhole":      {scenario.Fault{Blackhole: true}, all(func(q *history.Request) bool { return q.Status != 200 || slow(q) })},
		"partition":      {scenario.Fault{Partitioned: true}, all(func(q *history.Request) bool { return q.Status != 200 || slow(q) })},
		"kill":           {scenario.Fault{Kill: true}, all(func(q *history.Request) bool { return q.Status >= 502 })},
		"restart":        {scenario.Fault{Restart: true}, all(func(q *history.Request) bool { return q.Status >= 502 })},
		"pause":          {scenario.Fault{Pause: true}, some(0.5, 1, func(q *history.Request) bool { return q.Err == "deadline" || slow(q) })},
		"flap":           {scenario.Fault{Flap: &scenario.Flap{Up: time.Second, Down: time.Second}}, some(0.4, 0.8, func(q *history.Request) bool { return q.Status >= 502 })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := tt.fault
			f.Name, f.At, f.For, f.On = name, begins, lasts, endpoint(1)
			r := run(t, &scenario.Scenario{
				Duration: 15 * time.Second, Policy: scenario.Policy{Inline: policyOf(1, "", never)},
				Load: []scenario.Load{load(40)}, Timeline: []scenario.Fault{f},
			})
			if got := r.Faults[0]; got.Touched == 0 || got.Skipped != "" || got.Start != begins || got.End != begins+lasts || got.What == "" {
				t.Errorf("%+v", got)
			}
			if q := within(r); !tt.does(q) {
				t.Errorf("%d requests, of them %s", len(q), sprint(q[0], q[len(q)/2], q[len(q)-1]))
			}
			for _, q := range r.Requests {
				if (q.Start < begins-time.Second || q.Start > begins+lasts+3*time.Second) && (q.Status != 200 || !q.Whole) {
					t.Errorf("outside of the fault: %+v", q)
					break
				}
			}
		})
	}
}

// Health alone can be wrong, and right.
func TestHealthFaults(t *testing.T) {
	for _, says := range []string{"pass", "fail"} {
		t.Run(says, func(t *testing.T) {
			f := scenario.Fault{Name: says, At: begins, For: lasts, On: endpoint(1), Health: says}
			if says == "pass" {
				f.Respond = &scenario.Respond{Status: 500}
			}
			r := run(t, &scenario.Scenario{
				Duration: 20 * time.Second, Policy: scenario.Policy{Inline: policyOf(3, "", never+"      healthCheck: {active: {type: HTTP, http: {path: /healthz}, interval: 500ms, timeout: 200ms}}\n")},
				Load: []scenario.Load{load(40)}, Timeline: []scenario.Fault{f},
			})
			if r.Faults[0].Touched == 0 {
				t.Error("it touched nothing")
			}
			if fell := len(r.Healths) > 0 && !r.Healths[0].Healthy && r.Healths[0].Endpoint == "cart/1"; fell != (says == "fail") {
				t.Errorf("%+v", r.Healths)
			}
		})
	}
}

// Faults of Redis touch it, and no request fails of them.
func TestRedisFaults(t *testing.T) {
	for name, f := range map[string]scenario.Fault{
		"down": {Down: true}, "slow": {Slow: 500 * time.Millisecond}, "failover": {Failover: true}, "flush": {Flush: true}, "read-only": {ReadOnly: true},
		"partition": {Partitioned: true, Partition: []scenario.Target{{Kind: scenario.OnBalancer, Index: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.Name, f.At, f.On = name, begins, scenario.Target{Kind: scenario.OnRedis}
			if !f.Failover && !f.Flush {
				f.For = lasts
			}
			l := load(60)
			l.Sessions = 600
			r := run(t, &scenario.Scenario{
				Duration: 15 * time.Second, Policy: scenario.Policy{Inline: policyOf(3, "", sessions)}, Topology: scenario.Topology{Replicas: 2},
				Load: []scenario.Load{l}, Timeline: []scenario.Fault{f},
			})
			if got := r.Faults[0]; got.Touched == 0 || got.Skipped != "" {
				t.Errorf("%+v", got)
			}
			for _, q := range r.Requests {
				if q.Status != 200 || !q.Whole || q.Sticky == "" {
					t.Errorf("%+v", q)
					break
				}
			}
		})
	}
}

// Sessions that move are told to Redis by a script, which other replicas hear of.
func TestRebind(t *testing.T) {
	l := load(100)
	l.Sessions = 60
	rebind := "      sessionPersistence: {store: Redis, onUnavailable: Rebind}\n      circuitBreaker: {consecutiveFailures: 2, openDuration: 20s}\n"
	r := run(t, &scenario.Scenario{
		Duration: 15 * time.Second, Policy: scenario.Policy{Inline: policyOf(3, "", rebind)}, Topology: scenario.Topology{Replicas: 2}, Load: []scenario.Load{l},
		Timeline: []scenario.Fault{{Name: "broken", At: begins, On: endpoint(1), Respond: &scenario.Respond{Status: 503}}},
	})
	if len(r.Moves) == 0 {
		t.Error("no session has moved")
	}
}

// A fault that repeats is one that happens several times, and policies take turns.
func TestRepeat(t *testing.T) {
	r := run(t, &scenario.Scenario{
		Duration: 20 * time.Second, Policy: scenario.Policy{Inline: policyOf(1, "", never)}, Load: []scenario.Load{load(100)},
		Timeline: []scenario.Fault{
			{Name: "sick", At: begins, For: time.Second, On: endpoint(1), Repeat: &scenario.Repeat{Every: 2 * time.Second, Times: 3}, Respond: &scenario.Respond{Status: 418}},
			{Name: "storm", At: 12 * time.Second, On: scenario.Target{Kind: scenario.OnPolicy}, Repeat: &scenario.Repeat{Every: 100 * time.Millisecond, Times: 10},
				Apply: []scenario.Policy{{Inline: policyOf(2, "", never)}, {Inline: policyOf(3, "", never)}}},
		},
	})
	for i, want := range [][2]time.Duration{{begins, begins + 5*time.Second}, {12 * time.Second, 12900 * time.Millisecond}} {
		if f := r.Faults[i]; f.Start != want[0] || f.End != want[1] || f.Touched == 0 {
			t.Errorf("%+v, want %v", f, want)
		}
	}
	for _, q := range r.Requests {
		since := q.Start - begins
		sick := since >= 0 && since < 5*time.Second && since%(2*time.Second) < time.Second
		edge := (since+10*time.Millisecond)%time.Second < 20*time.Millisecond // it is on its way then
		if (q.Status == 418) != sick && !edge {
			t.Errorf("%v: %d", q.Start, q.Status)
		}
	}
	if n := len(r.Policies); n != 11 || len(r.Faults) != 2 {
		t.Errorf("%d policies served, %d faults", n, len(r.Faults))
	}
}

// Replicas come and go, and policies: good ones serve, bad ones are refused.
func TestControl(t *testing.T) {
	lb := func(n int) scenario.Target { return scenario.Target{Kind: scenario.OnBalancer, Index: n} }
	r := run(t, &scenario.Scenario{
		Duration: 30 * time.Second, Policy: scenario.Policy{Inline: policyOf(3, "", "")}, Topology: scenario.Topology{Replicas: 2},
		Load: []scenario.Load{load(100)},
		Timeline: []scenario.Fault{
			{Name: "kill", At: 5 * time.Second, For: 5 * time.Second, On: lb(2), Kill: true},
			{Name: "stop", At: 12 * time.Second, For: 2 * time.Second, On: lb(1), Restart: true},
			{Name: "scale", At: 16 * time.Second, For: 4 * time.Second, On: lb(0), Scale: 4},
			{Name: "bad", At: 22 * time.Second, On: scenario.Target{Kind: scenario.OnPolicy}, Apply: []scenario.Policy{{Inline: "kind: Policy"}}},
			{Name: "good", At: 24 * time.Second, On: scenario.Target{Kind: scenario.OnPolicy}, Apply: []scenario.Policy{{Inline: policyOf(5, "", "")}}},
			{Name: "elsewhere", At: 26 * time.Second, On: scenario.Target{Kind: scenario.OnRedis}, Down: true},
		},
	})
	for _, f := range r.Faults {
		if (f.Touched == 0 || f.Skipped != "") != (f.Name == "elsewhere") {
			t.Errorf("%+v", f)
		}
	}
	by := map[string]int{}
	failed := 0
	for _, q := range r.Requests {
		by[q.Replica]++
		if !q.OK() {
			if failed++; q.Start < 4900*time.Millisecond || q.Start > 5*time.Second {
				t.Errorf("not one that was in flight to who was killed: %+v", q)
			}
		}
	}
	if by["lb/1"] == 0 || by["lb/2"] == 0 || by["lb/3"] == 0 || by["lb/4"] == 0 || failed > 5 {
		t.Errorf("%v, %d failed", by, failed)
	}
	refused, hashes, endpoints := 0, map[string]bool{}, map[string]bool{}
	for _, p := range r.Policies {
		if p.Refused != "" {
			refused++
		} else {
			hashes[p.Hash] = true
		}
	}
	for _, a := range r.Attempts {
		endpoints[a.Endpoint] = true
	}
	if refused != 2 || len(hashes) != 2 || len(endpoints) != 5 {
		t.Errorf("%d refused, %d served, endpoints %v", refused, len(hashes), endpoints)
	}
	if _, ok := r.Metrics["lb/2"]; ok {
		t.Error("a replica that was killed has metrics")
	}
	var lives []string
	for _, l := range r.Lives {
		word := "goes"
		switch {
		case l.Up:
			word = "comes"
		case l.Killed:
			word = "is killed"
		}
		lives = append(lives, fmt.Sprintf("%s %s at %v", l.Replica, word, l.At.Truncate(time.Second)))
	}
	want := []string{
		"lb/2 is killed at 5s", "lb/2 comes at 10s", "lb/1 goes at 12s", "lb/1 comes at 14s",
		"lb/3 comes at 16s", "lb/4 comes at 16s", "lb/4 goes at 20s", "lb/3 goes at 20s",
	}
	if !slices.Equal(lives, want) {
		t.Errorf("lives %q, want %q", lives, want)
	}
}

// What is wrong with a job is said, and what is wrong with a run.
func TestFailures(t *testing.T) {
	s := &scenario.Scenario{Seed: 1, Duration: time.Second, Policy: scenario.Policy{Inline: "kind: Policy"}}
	if _, err := virtual.Run(t.Context(), stage.Job{Scenario: s}, virtual.Options{}); err == nil {
		t.Error("a wrong policy")
	}
	s.Policy.Inline = policyOf(1, "", "")
	s.Duration = 1000 * time.Hour
	s.Load = []scenario.Load{load(1000)}
	r, err := virtual.Run(t.Context(), stage.Job{Scenario: s}, virtual.Options{Patience: 500 * time.Millisecond})
	if err != nil || r.Failure == "" || r.Seed != 1 {
		t.Errorf("a run without end: %v %v", r, err)
	}
}
