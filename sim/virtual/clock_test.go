package virtual_test

import (
	"testing"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// A wall clock that jumps is told by, for as long as the fault lasts, and ends sessions
// whose absolute time it passes.
func TestClock(t *testing.T) {
	l := load(60)
	l.Sessions = 20
	short := "      sessionPersistence: {store: Cookie, idleTimeout: 10m, absoluteTimeout: 30m}\n"
	for name, c := range map[string]struct {
		by    time.Duration
		loses bool
	}{"ahead": {time.Hour, true}, "behind": {-time.Hour, false}, "a little ahead": {20 * time.Minute, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &scenario.Scenario{
				Duration: 15 * time.Second, Policy: scenario.Policy{Inline: policyOf(3, "", short)}, Topology: scenario.Topology{Replicas: 2}, Load: []scenario.Load{l},
				Timeline: []scenario.Fault{{Name: name, At: begins, For: lasts, On: scenario.Target{Kind: scenario.OnBalancer, Index: 1}, Clock: c.by}},
			})
			if f := r.Faults[0]; f.Touched == 0 || f.Skipped != "" || f.End != begins+lasts {
				t.Errorf("%+v", f)
			}
			lost := count(within(r), func(q *history.Request) bool { return q.Sticky == "new" && q.Replica == "lb/1" })
			if (lost > 0) != c.loses {
				t.Errorf("%d sessions began anew", lost)
			}
		})
	}
}
