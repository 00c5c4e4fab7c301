package virtual

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/load"
	"go-loadbalancer/sim/memnet"
	"go-loadbalancer/sim/scenario"
)

// stage is a run under way. But for what has a lock it is of the goroutine that plays
// it.
type stage struct {
	*scenario.Scenario
	job     *Job
	net     *memnet.Network
	cast    *cast
	redis   *redis // nil: there is none
	policy  *policy.Policy
	files   map[string][]byte // that replicas which start now find
	began   time.Time
	started int        // processes of balancers
	lbs     []*replica // all that were started
	faults  []*fault
	clocks  atomic.Pointer[[]*wrong] // jumps of wall clocks that last

	mu    sync.Mutex
	alive []*replica // that requests are sent to, by number
	run   *history.Run
}

// play plays a job in the bubble that it is called in.
func play(j *Job) (*history.Run, error) {
	st := &stage{Scenario: j.Scenario, job: j, files: j.Files, run: j.failed("")}
	st.run.Replicas = max(1, st.Topology.Replicas)
	st.net = memnet.New(memnet.Options{Seed: st.Seed})
	st.cast = newCast(st.net)
	if err := st.read(); err != nil {
		return nil, err
	}
	if err := st.begin(); err != nil {
		return nil, err
	}
	hosts := hosts(st.policy, st.Load)
	g := load.New(load.Options{
		Loads: st.Load, Seed: st.Seed, Began: st.began, End: st.Duration, Replicas: st.replicas, Dial: st.dial,
		Host: func(replica string, l *scenario.Load, r *scenario.Request) string {
			return cmp.Or(hosts[r], st.address(replica, l.Listener))
		},
		SessionHeader: st.header(), Clock: func() load.Clock { return st.net.Clock() },
	})
	loads := make(chan struct{})
	go func() {
		g.Run(context.Background())
		close(loads)
	}()
	st.timeline()
	<-loads
	st.endFaults()
	st.end()
	st.run.Requests, st.run.Behind = g.Requests(), g.Behind()
	st.collect()
	return st.run, nil
}

// read reads the policies. The first must be good; of the others those are of interest
// that are.
func (st *stage) read() error {
	p, found := policy.Files(st.files).Load()
	if p == nil {
		return fmt.Errorf("the policy is wrong:\n%s", found)
	}
	st.policy = p
	if err := st.cast.add(p, st.Scenario); err != nil {
		return err
	}
	for i := range st.Timeline {
		for k := range st.Timeline[i].Apply {
			files, err := st.job.files(&st.Timeline[i].Apply[k])
			if err != nil {
				return err
			}
			if p, _ := policy.Files(files).Load(); p != nil {
				if err := st.cast.add(p, st.Scenario); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (st *stage) header() string {
	_, header := sessionsOf(st.policy)
	return header
}

// begin starts everything. The run begins when all replicas serve.
func (st *stage) begin() (err error) {
	for _, b := range st.cast.all {
		if err := b.start(); err != nil {
			return err
		}
	}
	wanted, _ := sessionsOf(st.policy)
	if st.Topology.Redis != nil {
		wanted = *st.Topology.Redis
	}
	if wanted {
		if st.redis, err = startRedis(st.net); err != nil {
			return err
		}
	}
	for i := range max(1, st.Topology.Replicas) {
		if err := st.join(i + 1); err != nil {
			return err
		}
	}
	st.net.Clock().Sleep(time.Millisecond)
	st.began = time.Now()
	for _, r := range st.lbs {
		r.begin(st.began)
	}
	st.run.Pools = st.cast.history()
	return nil
}

// join starts a replica and sends it requests.
func (st *stage) join(number int) error {
	r, err := st.startReplica(number)
	if err != nil {
		return err
	}
	st.lbs = append(st.lbs, r)
	if !st.began.IsZero() {
		st.lived(r, true, false)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	i := 0
	for i < len(st.alive) && st.alive[i].number < number {
		i++
	}
	st.alive = append(st.alive[:i:i], append([]*replica{r}, st.alive[i:]...)...)
	return nil
}

// lived notes that a replica begins or ceases to be one that requests are sent to.
func (st *stage) lived(r *replica, up, killed bool) {
	st.run.Lives = append(st.run.Lives, history.Life{At: st.now(), Replica: r.replica, Up: up, Killed: killed})
}

// leave has a replica get no requests any more; nil: there was none of the number.
func (st *stage) leave(number int) *replica {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, r := range st.alive {
		if r.number == number {
			st.alive = append(st.alive[:i:i], st.alive[i+1:]...)
			return r
		}
	}
	return nil
}

// replicas are the names of those that requests are sent to.
func (st *stage) replicas() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	names := make([]string, len(st.alive))
	for i, r := range st.alive {
		names[i] = r.replica
	}
	return names
}

func (st *stage) now() time.Duration { return time.Since(st.began) }

// settled is how long things that end by themselves are given in the end: what go-redis
// leaves behind sleeps for a second.
const settled = 3 * time.Second

// end stops everything and looks for what is left.
func (st *stage) end() {
	for _, r := range st.alive {
		r.shutdown()
	}
	for _, r := range st.lbs {
		r.ending.Wait()
	}
	for _, b := range st.cast.all {
		b.Stop()
	}
	if st.redis != nil {
		st.redis.stop()
	}
	time.Sleep(settled)
	for _, r := range st.lbs {
		st.run.Leaks = append(st.run.Leaks, r.left()...)
	}
	st.run.Leaks = append(st.run.Leaks, st.net.Left()...)
	st.run.Leaks = append(st.run.Leaks, goroutines()...)
}

// goroutines are those of the bubble but for this one, by the function that each runs.
func goroutines() (left []string) {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, true)]
	for i, g := range strings.Split(string(text), "\n\n") {
		head, rest, _ := strings.Cut(g, "\n")
		if i == 0 || !strings.Contains(head, "synctest bubble") || strings.Contains(rest, "testing/synctest.") || strings.Contains(g, "internal/synctest.Run") {
			continue
		}
		_, state, _ := strings.Cut(head, "[")
		state, _, _ = strings.Cut(state, ",")
		first, _, _ := strings.Cut(rest, "\n")
		first, _, _ = strings.Cut(first, "(0x")
		left = append(left, "a goroutine, "+state+", in "+first)
	}
	return left
}
