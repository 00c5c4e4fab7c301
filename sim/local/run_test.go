package local_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session/redistest"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/local"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// policyOf is a policy of one route and one pool, cart, of so many endpoints, without
// breakers; more is more of the pool, in lines of YAML.
func policyOf(endpoints int, more string) string {
	text := "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop, version: \"1\"}\nspec:\n" +
		"  listeners: [{name: http, address: \":8000\"}]\n  routes: [{name: all, backendRefs: [{pool: cart}]}]\n" +
		"  pools:\n    - name: cart\n      circuitBreaker: {consecutiveFailures: 0, failurePercent: 0}\n" +
		"      loadBalancer: {type: RoundRobin}\n" + more + "      endpoints:\n"
	for i := range endpoints {
		text += fmt.Sprintf("        - {address: \"10.0.0.%d:8080\"}\n", i+1)
	}
	return text
}

func load(rate float64) scenario.Load {
	return scenario.Load{Rate: rate, RateEnd: rate, Arrivals: "Poisson", Deadline: 10 * time.Second, Requests: []scenario.Request{{Method: "GET", Path: "/cart", Weight: 1}}}
}

const (
	tries = 3
	// late is by how much the generator may be for a run to be of use: faults last longer.
	late = 300 * time.Millisecond
)

// run plays a scenario, again if the machine had no time for it.
func run(t *testing.T, s *scenario.Scenario, o local.Options) *history.Run {
	t.Helper()
	s.Seed = 42
	s.Topology.Replicas = max(1, s.Topology.Replicas)
	for range tries {
		r, err := local.Run(t.Context(), stage.Job{Scenario: s}, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure != "" || r.Stage != local.Stage || len(r.Requests) == 0 {
			t.Fatalf("stage %s, %d requests: %s", r.Stage, len(r.Requests), r.Failure)
		}
		for _, l := range r.Leaks {
			t.Errorf("left: %s", l)
		}
		for _, f := range r.Faults {
			t.Logf("%-14s %-7s %-30s %v to %v touched %d %s", f.Name, f.On, f.What, f.Start, f.End, f.Touched, f.Skipped)
		}
		if r.Behind <= late {
			return r
		}
		t.Logf("the generator was %v late", r.Behind)
	}
	t.Skipf("in %d runs the machine had no time for the generator", tries)
	return nil
}

// Where nothing goes wrong clients, balancers, their metrics and the backends agree, and
// each client has an address of its own.
func TestWell(t *testing.T) {
	l := load(100)
	l.Sessions = 10
	r := run(t, &scenario.Scenario{
		Duration: time.Second, Policy: scenario.Policy{Inline: policyOf(3, sessions)}, Topology: scenario.Topology{Replicas: 2},
		Load: []scenario.Load{l},
	}, local.Options{})
	counted, by := 0.0, map[string]int{}
	for replica := range r.Metrics {
		counted += r.Metrics[replica][`lb_requests_total{code="200",route="all"}`]
	}
	for _, q := range r.Requests {
		if by[q.By]++; !q.OK() || q.Ends != 1 || q.Route != "all" || q.Sticky == "" {
			t.Fatalf("%+v", q)
		}
	}
	for _, a := range r.Attempts {
		if a.Arrived != "all" || a.Breaker != "closed" {
			t.Fatalf("%+v", a)
		}
	}
	if int(counted) != len(r.Requests) || len(r.Attempts) != len(r.Requests) || len(by) != 3 {
		t.Errorf("%d requests, %d attempts, %v counted, by %v", len(r.Requests), len(r.Attempts), counted, by)
	}
}

func bytes(n int64) *int64 { return &n }

// Each fault of endpoints touches requests, does what it says to some of its time, and
// leaves no trace: the last request to each endpoint is as well as the first.
func TestEndpointFaults(t *testing.T) {
	const begins, lasts = 500 * time.Millisecond, 1500 * time.Millisecond
	status := func(all ...int) func(*history.Request) bool {
		return func(q *history.Request) bool { return slices.Contains(all, q.Status) }
	}
	broken := func(q *history.Request) bool { return q.Status == 200 && !q.Whole && !q.LooksWhole }
	slow := func(q *history.Request) bool { return q.Latency() > 500*time.Millisecond }
	// Who hangs is left at the fault's end.
	left := func(q *history.Request) bool { return q.Status == 502 && slow(q) }
	faults := []struct {
		name  string
		fault scenario.Fault
		does  func(*history.Request) bool
	}{
		{"respond", scenario.Fault{Respond: &scenario.Respond{Status: 418}}, status(418)},
		{"latency", scenario.Fault{Latency: &scenario.Latency{P50: 600 * time.Millisecond}}, slow},
		{"errors", scenario.Fault{Errors: &scenario.Errors{Percent: 50, Status: 500}}, status(500)},
		{"first", scenario.Fault{First: &scenario.First{Count: 3, Status: 500}}, status(500)},
		{"hang", scenario.Fault{Hang: true}, left},
		{"slow body", scenario.Fault{SlowBody: 100}, slow},
		{"truncate", scenario.Fault{Truncate: bytes(10)}, broken},
		{"content length", scenario.Fault{ContentLength: bytes(20)}, func(q *history.Request) bool { return q.Status == 200 && !q.Whole }},
		{"garbage", scenario.Fault{Garbage: true}, status(502)},
		{"close", scenario.Fault{Close: true}, status(502)},
		{"reset", scenario.Fault{Reset: true}, status(502)},
		{"refuse", scenario.Fault{Refuse: true}, status(502)},
		{"blackhole", scenario.Fault{Blackhole: true}, slow},
		{"partition", scenario.Fault{Partitioned: true}, slow},
		{"kill", scenario.Fault{Kill: true}, status(502)},
		{"restart", scenario.Fault{Restart: true}, status(502)},
		{"pause", scenario.Fault{Pause: true}, slow},
		{"flap", scenario.Fault{Flap: &scenario.Flap{Up: 300 * time.Millisecond, Down: 300 * time.Millisecond}}, status(502)},
	}
	s := &scenario.Scenario{Duration: 4 * time.Second, Policy: scenario.Policy{Inline: policyOf(len(faults), "")}, Load: []scenario.Load{load(300)}}
	for i, f := range faults {
		f.fault.Name, f.fault.At, f.fault.For = f.name, begins, lasts
		f.fault.On = scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: i + 1}
		s.Timeline = append(s.Timeline, f.fault)
	}
	r := run(t, s, local.Options{})
	at := map[string]string{} // endpoint, by request
	for _, a := range r.Attempts {
		at[a.Request] = a.Endpoint
	}
	for i, f := range faults {
		told := r.Faults[i]
		if told.Touched == 0 || told.Skipped != "" || told.Start != begins || told.End != begins+lasts {
			t.Errorf("%s: %+v", f.name, told)
		}
		does := 0
		var first, last *history.Request
		for k := range r.Requests {
			if q := &r.Requests[k]; at[q.ID] == told.On {
				if first == nil {
					first = q
				}
				last = q
				if f.does(q) && q.End > begins && q.Start < begins+lasts+late {
					does++
				}
			}
		}
		if does == 0 || !first.OK() || !last.OK() {
			t.Errorf("%s: done to %d requests, the first is\n%+v\nand the last\n%+v", f.name, does, first, last)
		}
	}
}

// sessions has a pool keep sessions in Redis.
const sessions = "      sessionPersistence: {type: Cookie, store: Redis, cookie: {name: lb_session}, storeTimeout: 100ms}\n"

// sessioned is a scenario with all faults of Redis one after the other.
func sessioned() *scenario.Scenario {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	l := load(150)
	l.Sessions = 600 // so that there are new ones all the time
	s := &scenario.Scenario{
		Duration: ms(5000), Policy: scenario.Policy{Inline: policyOf(3, sessions)}, Topology: scenario.Topology{Replicas: 2}, Load: []scenario.Load{l},
		Timeline: []scenario.Fault{
			{Name: "slow", At: ms(400), For: ms(500), Slow: ms(50)},
			{Name: "read-only", At: ms(1000), For: ms(600), ReadOnly: true},
			{Name: "flush", At: ms(1700), Flush: true},
			{Name: "failover", At: ms(2000), Failover: true},
			{Name: "reset", At: ms(2600), Reset: true},
			{Name: "down", At: ms(2900), For: ms(500), Down: true},
			{Name: "partition", At: ms(4200), For: ms(400), Partitioned: true},
		},
	}
	for i := range s.Timeline {
		s.Timeline[i].On = scenario.Target{Kind: scenario.OnRedis}
	}
	return s
}

// Faults touch a Redis of each kind, and no request fails of them. One that is not the
// simulator's own is spared what would change it.
func TestRedis(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	theirs, err := redistest.Start(t.TempDir(), redistest.Options{Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Stop()
	if _, err := theirs.Do("SET", "kept", "yes"); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]local.Options{"in this process": {}, "started": {Redis: local.Start}, "somebody else's": {Redis: theirs.URL()}} {
		t.Run(name, func(t *testing.T) {
			r := run(t, sessioned(), o)
			for _, f := range r.Faults {
				spared := o.Redis == theirs.URL() && (f.Name == "flush" || f.Name == "failover" || f.Name == "read-only")
				if (f.Skipped != "") != spared || (f.Touched > 0) == spared {
					t.Errorf("%+v", f)
				}
			}
			known := 0
			for _, q := range r.Requests {
				if !q.OK() || q.Sticky == "" {
					t.Fatalf("%+v", q)
				}
				if q.Sticky == "home" {
					known++
				}
			}
			if known == 0 {
				t.Error("no session was known again")
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(dir, "sim-redis-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if kept, err := theirs.Do("GET", "kept"); err != nil || kept != "yes" {
		t.Errorf("somebody else's key is %v, %v", kept, err)
	}
	keys, err := theirs.Do("KEYS", "*sim-*")
	if all, _ := keys.([]any); err != nil || len(all) == 0 {
		t.Errorf("the sessions were not kept in it: %v, %v", keys, err)
	}
}

// Replicas come and go, and policies: good ones serve, bad ones are refused; and what
// cannot be made is told.
func TestControl(t *testing.T) {
	lb := func(n int) scenario.Target { return scenario.Target{Kind: scenario.OnBalancer, Index: n} }
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	r := run(t, &scenario.Scenario{
		Duration: ms(4500), Policy: scenario.Policy{Inline: policyOf(3, "")}, Topology: scenario.Topology{Replicas: 2},
		Load: []scenario.Load{load(150)},
		Timeline: []scenario.Fault{
			{Name: "kill", At: ms(400), For: ms(300), On: lb(2), Kill: true},
			{Name: "stop", At: ms(900), For: ms(1200), On: lb(1), Restart: true},
			{Name: "scale", At: ms(2400), For: ms(500), On: lb(0), Scale: 4},
			{Name: "bad", At: ms(3000), On: scenario.Target{Kind: scenario.OnPolicy}, Apply: []scenario.Policy{{Inline: "kind: Policy"}}},
			{Name: "good", At: ms(3300), On: scenario.Target{Kind: scenario.OnPolicy}, Apply: []scenario.Policy{{Inline: policyOf(5, "")}}},
			{Name: "elsewhere", At: ms(3600), On: scenario.Target{Kind: scenario.OnRedis}, Down: true},
		},
	}, local.Options{})
	for _, f := range r.Faults {
		if skipped := f.Name == "elsewhere"; (f.Touched == 0) != skipped || (f.Skipped != "") != skipped {
			t.Errorf("%+v", f)
		}
	}
	by := map[string]int{}
	for _, q := range r.Requests {
		by[q.Replica]++
		if !q.OK() && (q.Start > ms(400)+late || q.End < ms(400)) {
			t.Errorf("not one that was in flight to who was killed: %+v", q)
		}
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
	if len(by) != 4 || refused != 2 || len(hashes) != 2 || len(endpoints) != 5 {
		t.Errorf("requests %v, %d refused, %d served, endpoints %v", by, refused, len(hashes), endpoints)
	}
	var lives []string
	for _, l := range r.Lives {
		lives = append(lives, fmt.Sprintf("%s %v %v", l.Replica, l.Up, l.Killed))
	}
	want := "lb/2 false true, lb/2 true false, lb/1 false false, lb/1 true false, lb/3 true false, lb/4 true false, lb/4 false false, lb/3 false false"
	if got := strings.Join(lives, ", "); got != want {
		t.Errorf("lives %s\nwant  %s", got, want)
	}
	if _, ok := r.Metrics["lb/2"]; ok {
		t.Error("a replica that was killed has metrics")
	}
}

// A run that is given up ends at once, whatever is under way, and leaves nothing: no
// goroutine (which TestMain looks for), no server, no directory.
func TestGivenUp(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	slow := load(100)
	slow.Deadline = time.Hour
	slow.Retries = scenario.ClientRetries{Attempts: 10, Backoff: time.Hour}
	target := func(n int) scenario.Target { return scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: n} }
	s := &scenario.Scenario{
		Seed: 1, Duration: time.Hour, Policy: scenario.Policy{Inline: policyOf(4, sessions)}, Topology: scenario.Topology{Replicas: 2},
		Load: []scenario.Load{slow},
		Timeline: []scenario.Fault{
			{Name: "hang", On: target(1), Hang: true},
			{Name: "latency", On: target(2), Latency: &scenario.Latency{P50: time.Hour}},
			{Name: "hole", On: target(3), Blackhole: true},
			{Name: "status", On: target(4), Respond: &scenario.Respond{Status: 503}},
		},
	}
	// It is under way once the server is there, and soon after so are requests.
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		for ctx.Err() == nil {
			if found, _ := filepath.Glob(filepath.Join(dir, "sim-redis-*", "server", "log")); len(found) > 0 {
				time.Sleep(time.Second)
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	began := time.Now()
	r, err := local.Run(ctx, stage.Job{Scenario: s}, local.Options{Redis: local.Start})
	if !errors.Is(err, context.Canceled) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// What is wrong with a job is said, and what is wrong with the options; then too nothing
// is left.
func TestWrong(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()
	for _, tt := range []struct{ policy, redis, want string }{
		{"kind: Policy", "", "the policy is wrong"},
		{policyOf(1, sessions), "rediss://127.0.0.1", "without TLS"},
		{policyOf(1, sessions), "redis://a,b", "one server"},
		{policyOf(1, sessions), "redis://:s3cret@[", "the URL of Redis"},
		{policyOf(1, sessions), "redis://" + nobody, "Redis cannot be reached"},
	} {
		s := &scenario.Scenario{Seed: 1, Duration: time.Second, Policy: scenario.Policy{Inline: tt.policy}, Load: []scenario.Load{load(10)}}
		o := local.Options{Redis: tt.redis}
		err := o.Reach() // whoever runs several asks once before the first
		if err == nil {
			_, err = local.Run(t.Context(), stage.Job{Scenario: s}, o)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q", tt.redis, err, tt.want)
		}
	}
}
