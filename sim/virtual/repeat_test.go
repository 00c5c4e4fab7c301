package virtual_test

import (
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/virtual"
)

// sessions has a pool keep sessions in Redis.
const sessions = "      sessionPersistence: {type: Cookie, store: Redis, cookie: {name: lb_session}}\n"

// busy is a scenario with all that moves: replicas, sessions, Redis, checks, retries
// and faults one over the other.
func busy() *scenario.Scenario {
	open, users := load(60), load(0)
	open.Sessions = 40
	open.RateEnd = 120
	open.Retries = scenario.ClientRetries{Attempts: 2, Backoff: 50 * time.Millisecond}
	open.Requests = []scenario.Request{{Method: "GET", Path: "/cart", Weight: 9}, {Method: "POST", Path: "/cart", Weight: 1, Body: 5000}}
	users.Users, users.Think = 5, 300*time.Millisecond
	lb := scenario.Target{Kind: scenario.OnBalancer}
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return &scenario.Scenario{
		Seed: 42, Duration: 40 * time.Second, Policy: scenario.Policy{Inline: policyOf(4, "      retry: {attempts: 2}\n", checks+sessions)},
		Topology: scenario.Topology{
			Replicas: 2,
			Pools:    []scenario.PoolModel{{Name: "cart", Latency: scenario.Latency{P50: 10 * time.Millisecond, P99: 60 * time.Millisecond}, Capacity: 100, Queue: 20, BodySize: 3000}},
		},
		Load: []scenario.Load{open, users},
		Timeline: []scenario.Fault{
			{Name: "slow", At: at(2), For: at(4), On: endpoint(1), Latency: &scenario.Latency{P50: 400 * time.Millisecond, P99: time.Second}},
			{Name: "gray", At: at(4), For: at(6), On: endpoint(2), Errors: &scenario.Errors{Percent: 30, Status: 500}, Health: "pass"},
			{Name: "flap", At: at(6), For: at(10), On: endpoint(3), Flap: &scenario.Flap{Up: at(2), Down: at(1)}},
			{Name: "failover", At: at(8), On: scenario.Target{Kind: scenario.OnRedis}, Failover: true},
			{Name: "hole", At: at(10), For: at(4), On: endpoint(4), Blackhole: true},
			{Name: "crash", At: at(15), For: at(5), On: scenario.Target{Kind: scenario.OnBalancer, Index: 2}, Kill: true},
			{Name: "away", At: at(18), For: at(3), On: scenario.Target{Kind: scenario.OnRedis}, Down: true},
			{Name: "policy", At: at(22), On: scenario.Target{Kind: scenario.OnPolicy}, Apply: []scenario.Policy{{Inline: policyOf(3, "", checks+sessions)}}},
			{Name: "more", At: at(24), For: at(6), On: lb, Scale: 3},
			{Name: "bad", At: at(26), On: scenario.Target{Kind: scenario.OnPolicy}, Apply: []scenario.Policy{{Inline: "kind: Nonsense"}}},
			{Name: "pause", At: at(28), For: at(2), On: endpoint(1), Pause: true},
			{Name: "drip", At: at(31), For: at(3), On: endpoint(2), SlowBody: 1000},
		},
	}
}

// The same seed is the same run, to the last nanosecond; another seed another one.
func TestRepeatable(t *testing.T) {
	times := 20
	if testing.Short() {
		times = 3
	}
	jobs := make([]stage.Job, times)
	for i := range jobs {
		jobs[i] = stage.Job{Scenario: busy()}
	}
	other := busy()
	other.Seed = 43
	jobs = append(jobs, stage.Job{Scenario: other})
	runs := make([]*history.Run, len(jobs))
	virtual.RunAll(t.Context(), jobs, virtual.Options{}, func(i int, r *history.Run, err error) {
		if err != nil || r.Failure != "" {
			t.Fatalf("run %d: %v %s", i, err, r.Failure)
		}
		runs[i] = r
	})
	for i := range times {
		if runs[i].Hash() != runs[0].Hash() {
			t.Errorf("run %d: %s", i, difference(runs[0], runs[i]))
		}
	}
	if runs[times].Hash() == runs[0].Hash() {
		t.Error("another seed gave the same run")
	}
	for _, f := range runs[0].Faults {
		t.Logf("%-8s %-7s %-30s %v to %v touched %d %s", f.Name, f.On, f.What, f.Start, f.End, f.Touched, f.Skipped)
		if f.Touched == 0 || f.Skipped != "" {
			t.Errorf("%s touched nothing: %s", f.Name, f.Skipped)
		}
	}
	for _, l := range runs[0].Leaks {
		t.Errorf("left: %s", l)
	}
}

// difference tells of the first things that two runs have not in common.
func difference(a, b *history.Run) string {
	for _, d := range []string{
		firstOf(a.Requests, b.Requests), firstOf(a.Attempts, b.Attempts), firstOf(a.Breakers, b.Breakers), firstOf(a.Healths, b.Healths),
		firstOf(a.Policies, b.Policies), firstOf(a.Moves, b.Moves), firstOf(a.Faults, b.Faults), firstOf(a.Notes, b.Notes), firstOf(a.Leaks, b.Leaks),
	} {
		if d != "" {
			return d
		}
	}
	for replica, series := range a.Metrics {
		for name, value := range series {
			if got := b.Metrics[replica][name]; got != value {
				return sprint(replica+" "+name, value, got)
			}
		}
	}
	return "something else"
}

func firstOf[T comparable](a, b []T) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return sprint(a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return sprint(len(a), len(b))
	}
	return ""
}
