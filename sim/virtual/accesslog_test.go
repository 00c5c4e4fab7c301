package virtual_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/virtual"
)

// While an endpoint fails, its breaker opens, probes in vain and closes, the access log and
// the metrics of a run say what its clients saw, what came to its endpoints, and how its
// breakers changed.
func TestAccessLogIsWhatHappened(t *testing.T) {
	s := &scenario.Scenario{
		Seed: 7, Duration: time.Minute, Topology: scenario.Topology{Replicas: 2},
		Policy: scenario.Policy{Inline: policyOf(4, "      retry: {attempts: 1, codes: [503], backoff: 10ms}\n",
			"      circuitBreaker: {consecutiveFailures: 4, openDuration: 4s, maxOpenDuration: 8s, halfOpenRequests: 1}\n"+sessions)},
		Load: []scenario.Load{load(40), {Rate: 20, RateEnd: 20, Arrivals: "Poisson", Deadline: 2 * time.Second, Sessions: 20,
			Requests: []scenario.Request{{Method: "POST", Path: "/checkout", Weight: 1}}}},
		Timeline: []scenario.Fault{{Name: "broken", At: 10 * time.Second, For: 20 * time.Second, On: endpoint(2), Respond: &scenario.Respond{Status: http.StatusServiceUnavailable}}},
	}
	r, err := virtual.Run(t.Context(), stage.Job{Scenario: s, AccessLogs: true}, virtual.Options{Patience: time.Minute})
	if err != nil || r.Failure != "" || len(r.Leaks) > 0 {
		t.Fatal(err, r)
	}
	lines := map[string]map[string]any{}
	for replica, text := range r.AccessLogs {
		for line := range strings.Lines(text) {
			var f map[string]any
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			f["replica"] = replica
			if id := fmt.Sprint(f["request_id"]); lines[id] != nil {
				t.Errorf("request %s is logged twice", id)
			} else {
				lines[id] = f
			}
		}
	}
	tries := map[string][]*history.Attempt{}
	counted := map[string]map[string]float64{} // by replica and series
	count := func(replica, format string, of ...any) {
		if counted[replica] == nil {
			counted[replica] = map[string]float64{}
		}
		counted[replica][fmt.Sprintf(format, of...)]++
	}
	// An endpoint is cart/N in the run, and has its address in what the balancer says.
	address := func(endpoint string) string {
		var n int
		fmt.Sscanf(endpoint, "cart/%d", &n)
		return r.Pools[0].Endpoints[n-1]
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		tries[a.Request] = append(tries[a.Request], a)
		count(a.Replica, `lb_upstream_requests_total{endpoint=%q,pool="cart",result=%q}`, address(a.Endpoint), a.Result)
		if a.Arrived != "all" {
			t.Errorf("it did not come to its endpoint: %+v", a)
		}
	}
	failed, retried := 0, 0
	for i := range r.Requests {
		q := &r.Requests[i]
		f := lines[q.ID]
		if f == nil {
			t.Errorf("it is not logged: %+v", q)
			continue
		}
		of := tries[q.ID]
		last := of[len(of)-1]
		var flags []string
		if len(of) > 1 {
			flags = append(flags, event.Retried.String())
			retried++
		}
		if q.Status >= 500 {
			failed++
		}
		for name, want := range map[string]any{
			"http.request.method": q.Method, "url.path": q.Path, "http.response.status_code": float64(q.Status), "attempts": float64(len(of)),
			"upstream": address(last.Endpoint), "route": "all", "pool": "cart", "response_flags": strings.Join(flags, ","), "session_use": q.Sticky, "replica": q.Replica,
		} {
			if f[name] != want {
				t.Errorf("the log says %s %v, it was %v: %v %+v", name, f[name], want, f, q)
			}
		}
		// To the last microsecond: nothing takes time in between but the network.
		if took := f["http.server.request.duration"].(float64); took <= 0 || took > (q.End-q.Start).Seconds() {
			t.Errorf("the log says that it took %v s, its client waited %v", took, q.End-q.Start)
		}
		count(q.Replica, `lb_requests_total{code="%d",route="all"}`, q.Status)
		count(q.Replica, `lb_access_log_lines`)
	}
	opened := 0
	for _, b := range r.Breakers {
		count(b.Replica, `lb_circuit_breaker_transitions_total{endpoint=%q,pool="cart",reason=%q,to=%q}`, address(b.Endpoint), b.Reason, b.To)
		if b.Reason == "probe_failed" {
			opened++
		}
	}
	if len(lines) != len(r.Requests) || failed == 0 || retried == 0 || opened == 0 {
		t.Errorf("%d lines of %d requests, of which %d failed and %d were tried again; %d probes failed: this proves nothing", len(lines), len(r.Requests), failed, retried, opened)
	}
	for replica, all := range counted {
		for series, n := range all {
			if series == "lb_access_log_lines" {
				if got := strings.Count(r.AccessLogs[replica], "\n"); float64(got) != n {
					t.Errorf("%s has logged %d requests, it had %v", replica, got, n)
				}
			} else if got := r.Metrics[replica][series]; got != n {
				t.Errorf("%s has counted %s as %v, it was %v", replica, series, got, n)
			}
		}
	}
}
