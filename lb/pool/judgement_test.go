package pool_test

import (
	"slices"
	"testing"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
)

// TestJudge: by each of circuitBreaker.errors alone, what an attempt that ended so says
// about its endpoint. What is the client's doing, or ours, is never held against it.
func TestJudge(t *testing.T) {
	names := map[event.Result]string{
		event.ConnectFailed: "Connect", event.TimedOut: "Timeout", event.Reset: "Reset", event.Truncated: "Reset",
		event.ProtocolError: "Protocol",
	}
	ours := []event.Result{event.ClientCanceled, event.Exhausted, event.Overflowed, event.Aborted}
	for _, counts := range []string{"Connect", "Timeout", "Reset", "Protocol"} {
		pp := policyPool("Random", equal(1))
		pp.CircuitBreaker.Errors = []string{counts}
		p := newWorld(t).serve(pp)[0]
		for _, r := range event.Results {
			want := pool.NoJudgement
			switch {
			case r == event.OK:
				want = pool.Good
			case r == event.Failed || names[r] == counts:
				want = pool.Bad
			case names[r] == "" && !slices.Contains(ours, r):
				t.Fatalf("what is %q?", r)
			}
			if got := p.Judge(r); got != want {
				t.Errorf("errors: [%s], %q: %d, want %d", counts, r, got, want)
			}
		}
	}
}
