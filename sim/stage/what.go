package stage

import (
	"fmt"
	"strings"

	"go-loadbalancer/sim/scenario"
)

// what says in a few words what a fault is.
func what(f *scenario.Fault) string {
	var all []string
	say := func(is bool, format string, a ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, a...))
		}
	}
	if r := f.Respond; r != nil {
		say(true, "respond %d after %v", r.Status, r.After)
	}
	if l := f.Latency; l != nil {
		say(true, "latency %v, %v", l.P50, l.P99)
	}
	if e := f.Errors; e != nil {
		say(true, "errors %v%%", e.Percent)
	}
	if x := f.First; x != nil {
		say(true, "first %d", x.Count)
	}
	say(f.Hang, "hang")
	say(f.SlowBody > 0, "slowBody %d bytes a second", f.SlowBody)
	if f.Truncate != nil {
		say(true, "truncate after %d bytes", *f.Truncate)
	}
	if f.ContentLength != nil {
		say(true, "contentLength %d", *f.ContentLength)
	}
	say(f.Garbage, "garbage")
	say(f.Health != "", "health %s", f.Health)
	say(f.Refuse, "refuse")
	say(f.Blackhole, "blackhole")
	say(f.Reset, "reset")
	say(f.Close, "close")
	say(f.Partitioned, "partition")
	say(f.Kill, "kill")
	say(f.Restart, "restart")
	say(f.Pause, "pause")
	if x := f.Flap; x != nil {
		say(true, "flap %v up, %v down", x.Up, x.Down)
	}
	say(f.Clock != 0, "clock %v", f.Clock)
	say(f.Down, "down")
	say(f.Slow > 0, "slow %v", f.Slow)
	say(f.Failover, "failover")
	say(f.Flush, "flush")
	say(f.ReadOnly, "readonly")
	for i := range f.Apply {
		from := f.Apply[i].Dir
		if from == "" {
			from = "a policy"
		}
		say(true, "apply %s", from)
	}
	say(f.Scale > 0, "scale %d", f.Scale)
	if r := f.Repeat; r != nil {
		say(true, "%d times, every %v", r.Times, r.Every)
	}
	return strings.Join(all, ", ")
}
