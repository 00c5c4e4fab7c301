package balancer_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go-loadbalancer/lb/balancer"
)

// TestReloadSaysWhatIsKept: what a reload does to endpoints is said by the log's line and
// by the status, and is so: the one that stays has its breaker, its health and its
// requests in flight as before.
func TestReloadSaysWhatIsKept(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	stays := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			w.WriteHeader(500)
		case "/hang":
			close(asked)
			await(t, answer)
		default:
			w.WriteHeader(500)
		}
	})
	goes, _ := well(t, "goes")
	comes, _ := well(t, "comes")
	var log lines
	s := setup{
		endpoints: []string{stays, goes},
		weights:   []int{1, 0},
		breaker:   "consecutiveFailures: 1, openDuration: 1h, maxOpenDuration: 1h",
		pool:      "healthCheck: {panicThreshold: 100, active: {interval: 20ms, unhealthyThreshold: 1}}",
	}
	l := start(t, s, func(o *balancer.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	hung := l.dial()
	hung.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
	await(t, asked)
	l.dial().answered(500, get)
	l.until("its breaker to open", func() bool { return len(l.breakers) == 1 })
	l.turned(1, false)

	reloads := func(want balancer.ChangesStatus, words string) (kept balancer.EndpointStatus) {
		t.Helper()
		before := len(log.String())
		l.source.set(s.text())
		if r := l.Reload(t.Context()); r.Err != nil {
			t.Fatal(r.Err)
		}
		status := l.Status()
		if got := status.Policy.Endpoints; got != want {
			t.Errorf("status: %+v, want %+v", got, want)
		}
		if said := log.String()[before:]; !strings.Contains(said, words) {
			t.Errorf("the log does not say %s:\n%s", words, said)
		}
		return status.Pools[0].Endpoints[0]
	}
	s.endpoints = []string{stays, comes}
	s.breaker += ", interval: 11s"
	kept := reloads(balancer.ChangesStatus{Kept: 1, Added: 1, Removed: 1, BreakerWindowsReset: 1},
		"endpointsKept=1 endpointsAdded=1 endpointsRemoved=1 breakerWindowsReset=1 healthReset=0")
	if kept.Address != stays || kept.Breaker.State != "open" || kept.Healthy || kept.InFlight != 1 {
		t.Errorf("kept: %+v", kept)
	}
	s.pool = ""
	kept = reloads(balancer.ChangesStatus{Kept: 2, HealthReset: 2},
		"endpointsKept=2 endpointsAdded=0 endpointsRemoved=0 breakerWindowsReset=0 healthReset=2")
	if kept.Breaker.State != "open" || !kept.Healthy || kept.InFlight != 1 {
		t.Errorf("without checks: %+v", kept)
	}
	close(answer)
	hung.response("GET")
}
