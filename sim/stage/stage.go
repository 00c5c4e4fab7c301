package stage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/load"
	"go-loadbalancer/sim/scenario"
)

// stage is a run under way. But for what has a lock it is of the goroutine that plays
// it.
type stage struct {
	*scenario.Scenario
	ctx     context.Context // the run is given up when it ends
	job     *Job
	ground  Ground
	cast    *cast
	redis   Redis // nil: there is none
	policy  *policy.Policy
	files   map[string][]byte // that replicas which start now find
	applied int               // how often it has become another
	states  map[int]*kept     // of replicas, by number
	began   time.Time
	started int         // processes of balancers
	arrived chan func() // what is to be done as one has started meanwhile, which took its time
	coming  sync.WaitGroup
	lbs     []*replica // all that were started
	faults  []*fault
	clocks  atomic.Pointer[[]*wrong] // jumps of wall clocks that last

	mu    sync.Mutex
	alive []*replica // that requests are sent to, by number
	run   *history.Run
}

// mostRequests is how many there are in a run at the most: what each leaves in memory is
// kept until the run was judged.
const mostRequests = 2 * scenario.MostRequests

// Play plays a job, which must have been checked, on a ground that nobody has played on.
// An error is of a job that cannot be played, or ctx's; then too nothing is left running.
func Play(ctx context.Context, g Ground, j Job) (*history.Run, error) {
	entered := time.Now()
	st := &stage{Scenario: j.Scenario, ctx: ctx, job: &j, ground: g, files: j.Files, run: j.Failed(g.Stage(), ""), arrived: make(chan func(), mostComing)}
	st.run.Replicas = max(1, st.Topology.Replicas)
	st.cast = newCast(g)
	if err := st.read(); err != nil {
		return nil, err
	}
	cut := make(chan struct{})
	keep := context.AfterFunc(ctx, func() {
		g.Cut()
		close(cut)
	})
	defer func() {
		if !keep() {
			<-cut
		}
	}()
	if err := st.begin(); err != nil {
		st.end()
		return nil, cmp.Or(ctx.Err(), err)
	}
	hosts := hosts(st.policy, st.Load)
	clients := load.New(load.Options{
		Loads: st.Load, Seed: st.Seed, Began: st.began, End: st.Duration, Replicas: st.replicas, Dial: st.dial,
		Host: func(replica string, l *scenario.Load, r *scenario.Request) string {
			return cmp.Or(hosts[r], st.address(replica, l.Listener))
		},
		SessionHeader: st.header(), Most: mostRequests, Clock: func() load.Clock { return g.Clock() },
	})
	loads := make(chan struct{})
	go func() {
		clients.Run(ctx)
		close(loads)
	}()
	st.timeline()
	st.awaitComing()
	<-loads
	st.endFaults()
	ended := time.Now()
	st.end()
	if _, ok := g.(Processes); ok {
		st.run.SetUp, st.run.TearDown = st.began.Sub(entered), time.Since(ended)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	st.run.Requests, st.run.Behind = clients.Requests(), clients.Behind()
	st.collect()
	if clients.Full() {
		st.fail(fmt.Sprintf("there were more than %d requests, retries of clients included: give it less load, or users time to think", mostRequests))
	}
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
	wanted, _ := sessionsOf(st.policy)
	if st.Topology.Redis != nil {
		wanted = *st.Topology.Redis
	}
	if p, ok := st.ground.(Processes); ok {
		policies, err := st.policies()
		if err == nil {
			err = p.Prepare(st.ctx, max(1, st.Topology.Replicas), wanted, policies)
		}
		if err != nil {
			return err
		}
	}
	for _, b := range st.cast.all {
		if err := b.Start(); err != nil {
			return err
		}
	}
	if wanted {
		if st.redis, err = st.ground.Redis(); err != nil {
			return err
		}
	}
	for i := range max(1, st.Topology.Replicas) {
		if err := st.join(i + 1); err != nil {
			return err
		}
	}
	st.ground.Clock().Sleep(time.Millisecond)
	st.began = time.Now()
	for _, r := range st.lbs {
		r.begin(st.began)
	}
	st.run.Pools = st.cast.history()
	return nil
}

// policies are the files of all there are, those that it begins with first.
func (st *stage) policies() ([]map[string][]byte, error) {
	all := []map[string][]byte{st.files}
	for i := range st.Timeline {
		for k := range st.Timeline[i].Apply {
			files, err := st.job.files(&st.Timeline[i].Apply[k])
			if err != nil {
				return nil, err
			}
			all = append(all, files)
		}
	}
	return all, nil
}

// join starts a replica and sends it requests.
func (st *stage) join(number int) error {
	st.started++
	r, err := st.startReplica(number, st.started, st.files)
	if err != nil {
		return err
	}
	st.joined(r)
	return nil
}

// mostComing is how many replicas may be starting at a time.
const mostComing = 1024

// rejoin starts a replica once its last process has ended, and sends it requests. Where
// that takes real time nobody waits for it.
func (st *stage) rejoin(number int, last *replica) {
	served := func(r *replica, err error) {
		if err != nil {
			st.note(st.now(), err.Error())
			return
		}
		st.note(st.now(), r.replica+" serves again")
	}
	if _, ok := st.ground.(Processes); !ok {
		last.ending.Wait()
		served(last, st.join(number))
		return
	}
	st.started++
	nth, files, before := st.started, st.files, st.applied
	st.coming.Go(func() {
		last.ending.Wait()
		r, err := st.startReplica(number, nth, files)
		st.arrived <- func() {
			if err == nil {
				st.joined(r)
				if st.applied != before { // another policy meanwhile
					r.Apply(st.files)
				}
			}
			served(r, err)
		}
	})
}

// awaitComing waits for those that are starting yet.
func (st *stage) awaitComing() {
	st.coming.Wait()
	for range len(st.arrived) {
		(<-st.arrived)()
	}
}

// rest waits until a time of the run, and does meanwhile what is to be done as replicas
// have started; false: the run is given up.
func (st *stage) rest(until time.Duration) bool {
	if _, ok := st.ground.(Processes); !ok {
		return rest(st.ctx, until-st.now())
	}
	for {
		timer := time.NewTimer(until - st.now())
		select {
		case <-timer.C:
			return true
		case do := <-st.arrived:
			do()
		case <-st.ctx.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// joined sends a replica requests that has started.
func (st *stage) joined(r *replica) {
	number := r.number
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
}

// lived notes that a replica begins or ceases to be one that requests are sent to.
// It begins as its first policy serves: what it then tells is of a life of it.
func (st *stage) lived(r *replica, up, killed bool) {
	at := st.now()
	if up {
		at = min(at, r.served(at))
	}
	st.run.Lives = append(st.run.Lives, history.Life{At: at, Replica: r.replica, Up: up, Killed: killed})
	slices.SortStableFunc(st.run.Lives, func(a, b history.Life) int { return cmp.Compare(a.At, b.At) })
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

// end stops everything and looks for what is left.
func (st *stage) end() {
	for _, r := range st.alive {
		r.shutdown(st.ctx)
	}
	for _, r := range st.lbs {
		r.ending.Wait()
	}
	for _, b := range st.cast.all {
		b.Stop()
	}
	if st.redis != nil {
		st.redis.Stop()
	}
	left := st.ground.Left()
	for _, r := range st.lbs {
		st.run.Leaks = append(st.run.Leaks, r.left()...)
	}
	st.run.Leaks = append(st.run.Leaks, left...)
}
