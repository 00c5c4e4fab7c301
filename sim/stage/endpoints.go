package stage

import (
	"fmt"
	"time"

	"go-loadbalancer/sim/scenario"
)

// onEndpoints makes a fault of endpoints.
func (st *stage) onEndpoints(f *fault) {
	places := st.cast.targets(f.On)
	if len(places) == 0 {
		f.skip("no policy of the scenario has such an endpoint")
		return
	}
	seen := map[*backend]bool{}
	for _, p := range places {
		if b := p.backend; !seen[b] {
			seen[b] = true
			st.onBackend(f, b)
		}
	}
}

// answers says whether a fault is of what an endpoint answers, or of the process while it
// is there.
func answers(f *scenario.Fault) bool {
	return f.Respond != nil || f.Latency != nil || f.Errors != nil || f.First != nil || f.Hang || f.SlowBody > 0 ||
		f.Truncate != nil || f.ContentLength != nil || f.Garbage || f.Health != "" || f.Reset || f.Close || f.Pause || f.Refuse
}

func (st *stage) onBackend(f *fault, b *backend) {
	if answers(f.Fault) {
		f.lasts(b.Begin(f.Fault))
	}
	if f.Refuse {
		f.lasts(b.host.Refuse())
	}
	if f.Blackhole {
		f.lasts(b.host.Blackhole())
	}
	if f.Partitioned {
		f.lasts(b.host.Partition(st.hosts(f.Partition)))
	}
	switch {
	case f.Kill:
		f.lasts(b.kill())
		f.ends = append(f.ends, st.again(b))
	case f.Restart:
		b.Drain()
		f.count(1)
		if f.lasting() {
			f.lasts(b.host.Refuse())
			f.ends = append(f.ends, st.again(b))
		} else {
			st.again(b)()
		}
	case f.Flap != nil:
		st.flap(f, b)
	}
}

// lasts has a fault of the network last as long as the scenario's.
func (f *fault) lasts(of Fault) {
	if one, ok := of.(interface{ Skipped() string }); ok && one.Skipped() != "" {
		f.skip(one.Skipped())
		return
	}
	f.touched = append(f.touched, of.Touched)
	f.ends = append(f.ends, of.End)
}

// kill ends a process.
func (b *backend) kill() Fault { return b.host.Crash() }

// again starts a process that has ended.
func (st *stage) again(b *backend) func() {
	return func() {
		if err := b.Start(); err != nil {
			st.note(st.now(), fmt.Sprintf("%s does not start again: %v", b.name, err))
		}
	}
}

// flap kills a process and starts it again, and so on until the fault's end.
func (st *stage) flap(f *fault, b *backend) {
	var down func()
	var crash Fault
	up := func() {
		if crash != nil {
			crash.End()
			crash = nil
			st.again(b)()
		}
	}
	f.ends = append(f.ends, up)
	end := st.Duration
	if f.lasting() {
		end = min(end, f.At+f.For)
	}
	down = func() {
		crash = b.kill()
		f.touched = append(f.touched, crash.Touched)
	}
	down()
	for at := f.At + f.Flap.Down; at < end; {
		f.next = append(f.next, step{at, up})
		if at += max(f.Flap.Up, time.Millisecond); at < end {
			f.next = append(f.next, step{at, down})
		}
		at += max(f.Flap.Down, time.Millisecond)
	}
}

// hosts are those of balancers; of all there may be if none is said.
func (st *stage) hosts(targets []scenario.Target) (hosts []Host) {
	for _, t := range targets {
		if t.Kind == scenario.OnBalancer && t.Index > 0 {
			hosts = append(hosts, replicaHost(st.ground, t.Index))
		}
	}
	if len(hosts) == 0 {
		for n := range st.mostReplicas() {
			hosts = append(hosts, replicaHost(st.ground, n+1))
		}
	}
	return hosts
}

// mostReplicas is how many there are at the most.
func (st *stage) mostReplicas() int {
	most := max(1, st.Topology.Replicas)
	for i := range st.Timeline {
		most = max(most, st.Timeline[i].Scale)
	}
	return most
}
