//go:build !image

package containers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/containers"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

const hour = time.Hour

// policyOf is a policy of one route and one pool, cart, of so many endpoints; more is more
// of the pool, in lines of YAML.
func policyOf(endpoints int, more string) string {
	text := "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop, version: \"1\"}\nspec:\n" +
		"  listeners: [{name: http, address: \"127.0.0.1:8000\"}]\n  routes: [{name: all, backendRefs: [{pool: cart}], timeouts: {backendRequest: 500ms}}]\n" +
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

func play(t *testing.T, s *scenario.Scenario) *history.Run {
	t.Helper()
	engine(t)
	s.Seed = 42
	r, err := containers.Run(t.Context(), stage.Job{Scenario: s}, containers.Options{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("set-up %v, tear-down %v; the generator was %v late", r.SetUp, r.TearDown, r.Behind)
	if r.SetUp <= 0 || r.TearDown <= 0 {
		t.Error("it does not say how long that took")
	}
	if r.Failure != "" || r.Stage != containers.Stage || len(r.Requests) == 0 {
		t.Fatalf("stage %s, %d requests: %s", r.Stage, len(r.Requests), r.Failure)
	}
	for _, l := range append(r.Leaks, left(t.Context(), os.Getpid())...) {
		t.Errorf("left: %s", l)
	}
	for _, n := range r.Notes {
		t.Logf("%v %s", n.At, n.Text)
	}
	for _, f := range r.Faults {
		t.Logf("%-10s %-7s %-30s %v to %v touched %d %s", f.Name, f.On, f.What, f.Start, f.End, f.Touched, f.Skipped)
		if (f.Touched == 0) != (f.Name == "clock") || (f.Skipped != "") != (f.Name == "clock") {
			t.Errorf("%+v", f)
		}
	}
	return r
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func endpoint(n int) scenario.Target {
	return scenario.Target{Kind: scenario.OnEndpoint, Pool: "cart", Index: n}
}

// Faults of each kind do to endpoints what they say, and leave no trace; clients, balancers,
// their metrics and the backends agree on what happened.
func TestEndpointFaults(t *testing.T) {
	status := func(all ...int) func(*history.Request) bool {
		return func(q *history.Request) bool { return slices.Contains(all, q.Status) }
	}
	const begins, lasts, late = 1500 * time.Millisecond, 2 * time.Second, time.Second
	faults := []struct {
		name  string
		fault scenario.Fault
		does  func(*history.Request) bool
	}{
		{"respond", scenario.Fault{Respond: &scenario.Respond{Status: 418}}, status(418)},
		{"hang", scenario.Fault{Hang: true}, status(504)},
		{"reset", scenario.Fault{Reset: true}, status(502)},
		{"refuse", scenario.Fault{Refuse: true}, status(502)},
		{"blackhole", scenario.Fault{Blackhole: true}, status(504, 502)},
		{"partition", scenario.Fault{Partitioned: true, Partition: []scenario.Target{{Kind: scenario.OnBalancer, Index: 1}}}, status(504, 502)},
		{"kill", scenario.Fault{Kill: true}, status(502)},
		{"pause", scenario.Fault{Pause: true}, status(504)},
	}
	s := &scenario.Scenario{Duration: 7 * time.Second, Policy: scenario.Policy{Inline: policyOf(len(faults), "")}, Load: []scenario.Load{load(100)}, Topology: scenario.Topology{Replicas: 2}}
	for i, f := range faults {
		f.fault.Name, f.fault.At, f.fault.For, f.fault.On = f.name, begins, lasts, endpoint(i+1)
		s.Timeline = append(s.Timeline, f.fault)
	}
	r := play(t, s)
	at, by := map[string]string{}, map[string]string{} // endpoint and replica, by request
	for _, a := range r.Attempts {
		at[a.Request], by[a.Request] = a.Endpoint, a.Replica
		if a.Result == "ok" && a.Arrived != "all" {
			t.Errorf("%+v", a)
		}
	}
	counted := 0.0
	for replica := range r.Metrics {
		for series, n := range r.Metrics[replica] {
			if strings.HasPrefix(series, "lb_requests_total{") {
				counted += n
			}
		}
	}
	for i := range r.Requests {
		if q := &r.Requests[i]; q.Ends != 1 || q.Route != "all" || q.Policy != r.Policies[0].Hash {
			t.Errorf("%+v", q)
		}
	}
	if int(counted) != len(r.Requests) {
		t.Errorf("%d requests, %v counted", len(r.Requests), counted)
	}
	for i, f := range faults {
		does := 0
		var first, last *history.Request
		for k := range r.Requests {
			q := &r.Requests[k]
			if at[q.ID] != r.Faults[i].On {
				continue
			}
			if first == nil {
				first = q
			}
			last = q
			if f.does(q) && q.End > begins && q.Start < begins+lasts+late {
				does++
				if f.name == "partition" && by[q.ID] != "lb/1" {
					t.Errorf("it cuts off %s too", by[q.ID])
				}
			}
		}
		if does == 0 || !first.OK() || !last.OK() {
			t.Errorf("%s: done to %d requests, the first is\n%+v\nand the last\n%+v", f.name, does, first, last)
		}
	}
}

// Replicas come and go, with a real Redis between them that does too; policies are swapped
// and refused. No request fails but those that a killed replica had.
func TestShared(t *testing.T) {
	lb := func(n int) scenario.Target { return scenario.Target{Kind: scenario.OnBalancer, Index: n} }
	policies, redis := scenario.Target{Kind: scenario.OnPolicy}, scenario.Target{Kind: scenario.OnRedis}
	sessions := "      sessionPersistence: {type: Cookie, store: Redis, cookie: {name: lb_session}, storeTimeout: 100ms}\n"
	l := load(60)
	l.Sessions = 400 // so many that some are new when the fourth endpoint is there
	r := play(t, &scenario.Scenario{
		Duration: 14 * time.Second, Policy: scenario.Policy{Inline: policyOf(3, sessions)}, Topology: scenario.Topology{Replicas: 3}, Load: []scenario.Load{l},
		Timeline: []scenario.Fault{
			{Name: "bad", At: ms(300), On: policies, Apply: []scenario.Policy{{Inline: "kind: Policy"}}},
			{Name: "kill", At: ms(500), For: ms(1000), On: lb(2), Kill: true},
			{Name: "stop", At: ms(800), On: lb(1), Restart: true},
			{Name: "clock", At: ms(1000), For: ms(1000), On: lb(0), Clock: time.Hour},
			{Name: "slow", At: ms(1000), For: ms(1000), On: redis, Slow: ms(50)},
			{Name: "down", At: ms(2500), For: ms(1500), On: redis, Down: true},
			{Name: "good", At: ms(10000), On: policies, Apply: []scenario.Policy{{Inline: policyOf(4, sessions)}}},
		},
	})
	for _, q := range r.Requests {
		if !q.OK() && (q.Replica != "lb/2" || q.Start > 2*time.Second) {
			t.Errorf("not one that was in flight to who was killed: %+v", q)
		}
	}
	last, endpoints, homes := map[string]string{}, map[string]bool{}, 0
	for _, p := range r.Policies {
		if p.Refused == "" {
			last[p.Replica] = p.Hash
		}
	}
	for _, a := range r.Attempts {
		endpoints[a.Endpoint] = true
	}
	for _, q := range r.Requests {
		if q.Sticky == "home" {
			homes++
		}
	}
	if len(last) != 3 || last["lb/1"] != last["lb/2"] || last["lb/2"] != last["lb/3"] || last["lb/1"] == r.Policies[0].Hash {
		t.Errorf("in the end they serve %v, and began with %s", last, r.Policies[0].Hash)
	}
	if !endpoints["cart/4"] || len(endpoints) != 4 || homes == 0 {
		t.Errorf("endpoints %v, %d requests at home", endpoints, homes)
	}
	var lives []string
	for _, l := range r.Lives {
		lives = append(lives, fmt.Sprintf("%s %v", l.Replica, l.Up))
	}
	slices.Sort(lives)
	if got := strings.Join(lives, ", "); got != "lb/1 false, lb/1 true, lb/2 false, lb/2 true" {
		t.Errorf("lives: %s", got)
	}
}

// A run that is given up ends at once, and leaves nothing.
func TestGivenUp(t *testing.T) {
	engine(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for len(left(ctx, os.Getpid())) < 3 && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
	}()
	began := time.Now()
	r, err := containers.Run(ctx, stage.Job{Scenario: &scenario.Scenario{
		Seed: 1, Duration: hour, Policy: scenario.Policy{Inline: policyOf(3, "")}, Load: []scenario.Load{load(10)},
	}}, containers.Options{Image: image})
	if !errors.Is(err, context.Canceled) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if all := left(t.Context(), os.Getpid()); len(all) > 0 {
		t.Errorf("left: %v", all)
	}
}

// Nor does a process that is killed, or panics where nobody recovers: another one sees to
// that.
func TestNoLongerThere(t *testing.T) {
	engine(t)
	for _, how := range []string{"panic", "kill"} {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), alone+"="+how)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if !bufio.NewScanner(out).Scan() {
			t.Errorf("%s: it says nothing", how)
		}
		if how == "kill" {
			c.Process.Kill()
		}
		c.Wait()
		end := time.Now().Add(time.Minute)
		for len(left(t.Context(), c.Process.Pid)) > 0 && time.Now().Before(end) {
			time.Sleep(100 * time.Millisecond)
		}
		if all := left(t.Context(), c.Process.Pid); len(all) > 0 {
			t.Errorf("%s: left: %v", how, all)
		}
	}
}

// What is wrong is said, with what to do.
func TestWrong(t *testing.T) {
	engine(t)
	s := func(policy string) *scenario.Scenario {
		return &scenario.Scenario{Seed: 1, Duration: time.Second, Policy: scenario.Policy{Inline: policy}, Load: []scenario.Load{load(10)}}
	}
	store := "      sessionPersistence: {type: Cookie, store: Redis}\n"
	for _, tt := range []struct {
		name, policy string
		o            containers.Options
		want         string
	}{
		{"image", policyOf(1, ""), containers.Options{Image: "none:such"}, "there is no image none:such: build it: docker build"},
		{"redis", policyOf(1, store), containers.Options{Image: image, Redis: "none:redis"}, "there is no image none:redis: pull it"},
		{"policy", "kind: Policy", containers.Options{Image: image}, "the policy is wrong"},
		{"name", strings.Replace(policyOf(1, ""), "10.0.0.1", "cart.local", 1), containers.Options{Image: image}, "endpoint cart.local:8080: on this stage endpoints have IP addresses"},
		{"not lb", policyOf(1, ""), containers.Options{Image: containers.DefaultRedis}, "does not start"},
	} {
		_, err := containers.Run(t.Context(), stage.Job{Scenario: s(tt.policy)}, tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if all := left(t.Context(), os.Getpid()); len(all) > 0 {
			t.Errorf("%s: left: %v", tt.name, all)
		}
	}
}
