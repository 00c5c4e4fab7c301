package stage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go-loadbalancer/sim/scenario"
)

// onRedis makes a fault of Redis.
func (st *stage) onRedis(f *fault) {
	r := st.redis
	if r == nil {
		f.skip("there is no Redis: neither the policy nor the topology wants one")
		return
	}
	if f.Slow > 0 {
		f.lasts(r.Host().Slow(f.Slow))
	}
	if f.Partitioned {
		f.lasts(r.Host().Partition(st.hosts(f.Partition)))
	}
	switch {
	case f.Down:
		st.takeDown(f)
	case f.Failover:
		f.once(r.Failover())
		if f.lasting() && f.told.Skipped == "" {
			st.takeDown(f)
		}
	case f.Flush:
		f.once(r.Flush())
	case f.ReadOnly:
		before, err := r.ReadOnly(true)
		if err != nil {
			f.skip(err.Error())
			return
		}
		var touched int
		f.ends = append(f.ends, func() {
			after, err := r.ReadOnly(false)
			if err != nil {
				st.note(st.now(), fmt.Sprintf("Redis does not take writes again: %v", err))
			}
			touched = max(0, after-before)
		})
		f.touched = append(f.touched, func() int { return touched })
	case f.Reset:
		f.count(r.Host().Reset())
	case f.Slow == 0 && !f.Partitioned:
		f.skip("that cannot happen to Redis here")
	}
}

// takeDown has Redis be away until the fault's end.
func (st *stage) takeDown(f *fault) {
	f.lasts(st.redis.Host().Crash())
	f.ends = append(f.ends, func() {
		if err := st.redis.Listen(); err != nil {
			st.note(st.now(), fmt.Sprintf("Redis does not start again: %v", err))
		}
	})
}

// once is a fault that happened at once, unless it could not.
func (f *fault) once(touched int, err error) {
	if err != nil {
		f.skip(err.Error())
		return
	}
	f.count(touched)
}

// onBalancers makes a fault of replicas.
func (st *stage) onBalancers(f *fault) {
	switch {
	case f.Clock != 0:
		if _, ok := st.ground.(Processes); ok {
			f.skip("the wall clock of such a process is the machine's, which is left alone")
			return
		}
		st.jump(f)
	case f.Scale > 0:
		before := len(st.replicas())
		st.scale(f, f.Scale)
		if f.lasting() {
			f.ends = append(f.ends, func() { st.scale(f, before) })
		}
	case f.Kill, f.Restart:
		numbers := []int{f.On.Index}
		if f.On.Index == 0 {
			numbers = numbers[:0]
			for _, r := range st.alive {
				numbers = append(numbers, r.number)
			}
		}
		for _, n := range numbers {
			st.endReplica(f, n)
		}
	default:
		f.skip("that cannot happen to a balancer here")
	}
}

// jump has the wall clocks of replicas be wrong, of those too that start meanwhile.
func (st *stage) jump(f *fault) {
	w := &wrong{by: f.Clock, replica: f.On.Index}
	st.setClocks(func(all []*wrong) []*wrong { return append(all, w) })
	f.ends = append(f.ends, func() {
		st.setClocks(func(all []*wrong) []*wrong { return slices.DeleteFunc(all, func(one *wrong) bool { return one == w }) })
	})
	f.touched = append(f.touched, func() int { return int(w.told.Load()) })
}

// endReplica kills or stops one, for as long as the fault lasts.
func (st *stage) endReplica(f *fault, number int) {
	r := st.leave(number)
	if r == nil {
		f.skip(fmt.Sprintf("there is no %s then", replicaName(number)))
		return
	}
	st.lived(r, false, f.Kill)
	if f.Kill {
		st.note(st.now(), r.replica+" was killed")
		f.lasts(r.kill())
	} else {
		st.note(st.now(), r.replica+" was told to stop")
		f.count(1)
		r.handOver(st.ctx)
	}
	begin := func() { st.rejoin(number, r) }
	switch {
	case f.lasting():
		f.ends = append([]func(){begin}, f.ends...) // last of all, when its host is well
	case f.Restart:
		f.next = append(f.next, step{st.now() + handover, begin})
	}
}

// handover is how long a replica that is to end goes on while nobody sends it any more:
// who connects at that instant is still served.
const handover = time.Second

// handOver ends a replica that gets no requests any more. It does not wait for the end.
func (r *replica) handOver(ctx context.Context) {
	r.ending.Go(func() {
		rest(ctx, handover)
		r.shutdown(ctx)
	})
}

// scale starts or stops replicas until there are so many.
func (st *stage) scale(f *fault, to int) {
	f.count(1)
	for n := 1; len(st.replicas()) < to; n++ {
		there := false
		for _, r := range st.alive {
			there = there || r.number == n
		}
		if there {
			continue
		}
		if err := st.join(n); err != nil {
			st.note(st.now(), err.Error())
			return
		}
		st.note(st.now(), replicaName(n)+" serves")
	}
	for len(st.replicas()) > to {
		r := st.leave(st.alive[len(st.alive)-1].number)
		st.lived(r, false, false)
		st.note(st.now(), r.replica+" is to stop")
		r.handOver(st.ctx)
	}
}

// onPolicy has all replicas find another policy.
func (st *stage) onPolicy(f *fault) {
	if len(f.Apply) == 0 {
		f.skip("a policy can only be applied")
		return
	}
	files, err := st.job.files(&f.Apply[0])
	if err != nil {
		f.skip(err.Error())
		return
	}
	apply := func(files map[string][]byte) {
		st.files = files
		st.applied++
		clock := st.ground.Clock()
		for _, r := range slices.Clone(st.alive) {
			r.Apply(files)
			clock.Sleep(0) // one after the other
		}
	}
	before := st.files
	apply(files)
	f.count(len(st.alive))
	if f.lasting() {
		f.ends = append(f.ends, func() { apply(before) })
	}
}

// targetName is a target as scenarios write it.
func targetName(t scenario.Target) string {
	name := string(t.Kind)
	if t.Kind == scenario.OnEndpoint {
		if name = t.Pool; t.Index == 0 {
			return name + "/*"
		}
	}
	if t.Index > 0 {
		return fmt.Sprintf("%s/%d", name, t.Index)
	}
	return name
}
