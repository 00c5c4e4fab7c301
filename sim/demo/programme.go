package demo

import (
	"context"
	"log"
	"strings"
	"time"

	"go-loadbalancer/sim/backend"
)

// act is a while in which one endpoint misbehaves, or none does.
type act struct {
	lasts  time.Duration
	who    int            // which endpoint, from 0, of the pool played in
	faults backend.Faults // the zero value: all are well
	say    string         // what to look at; WHO stands for the endpoint's id
}

type acts []act

// programme returns the acts, which together last a cycle. Probes take long enough that a
// half-open breaker can be seen on the dashboard.
func programme(cycle time.Duration) acts {
	part := cycle / 12
	slow := backend.Latency{P50: backend.Duration(300 * time.Millisecond), P99: backend.Duration(900 * time.Millisecond)}
	return acts{
		{lasts: 2 * part, say: "all is well: the shares follow the weights, unless the pool is balanced by PeakEWMA"},
		{lasts: 3 * part, who: 0, faults: backend.Faults{Latency: slow},
			say: "WHO turns slow, 300ms to 900ms: LeastRequest sends it less than its weight, PeakEWMA next to nothing; other algorithms do not notice"},
		{lasts: 2 * part, say: "WHO is fast again: its share comes back (by PeakEWMA within a minute)"},
		{lasts: 3 * part, who: 1, faults: backend.Faults{Respond: &backend.Respond{Status: 503, After: backend.Duration(cycle / 100)}, Health: "pass"},
			say: "WHO answers 503, while its health checks pass: retries hide it, and after a few failures its breaker opens and the others take over"},
		{lasts: 2 * part, who: 1, faults: backend.Faults{Latency: backend.Latency{P50: backend.Duration(cycle / 60)}, Health: "pass", For: backend.Duration(part)},
			say: "WHO is well again, if slow at first: the next probes succeed, its breaker closes, and by slow start its share comes back bit by bit"},
	}
}

// run plays the acts again and again until ctx is done.
func (as acts) run(ctx context.Context, out *log.Logger, c *cast) {
	t := time.NewTimer(0)
	defer t.Stop()
	<-t.C
	for i := 0; ; i = (i + 1) % len(as) {
		a := as[i]
		who, ok := c.pick(a.who)
		if ok {
			out.Print("> " + strings.ReplaceAll(a.say, "WHO", who.id))
			who.SetFaults(a.faults) // valid by construction
		}
		t.Reset(a.lasts)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if ok {
			who.SetFaults(backend.Faults{})
		}
	}
}
