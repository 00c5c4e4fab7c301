//go:build !image

package containers

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/stage"
)

// ground is the containers of a run.
type ground struct {
	*engine
	ctx      context.Context // the run is given up when it ends
	job      *stage.Job
	id       string
	dir      string // of files that containers are given
	cut      bool   // packets will have to be dropped
	watchdog *watchdog
	subnet   netip.Prefix
	book     *book
	running  sync.WaitGroup
	over     chan struct{} // closed when the run is given up

	// Of the goroutine that plays.
	backends []*backend
	balances map[int]*balancer
	redis    *redis
	ports    map[uint16]bool // of 127.0.0.1 that were given
	listens  []uint16        // ports that balancers listen on

	mu      sync.Mutex
	given   bool // up
	hosts   map[string]*host
	conns   map[*conn]struct{}
	failed  []failure
	notes   []history.Note
	void    string
	began   time.Time
	removed sync.Once
	left    []string
}

// failure is an attempt at an endpoint, or at Redis, that did not go well.
type failure struct {
	at         string // real address
	replica    int
	begin, end time.Time
}

// runs numbers those of the process.
var runs atomic.Uint64

func newGround(e *engine, j *stage.Job) (g *ground, err error) {
	id := fmt.Sprintf("sim-%d-%d", os.Getpid(), runs.Add(1))
	g = &ground{
		engine: e, ctx: context.Background(), job: j, id: id, book: newBook(), over: make(chan struct{}),
		balances: map[int]*balancer{}, ports: map[uint16]bool{}, hosts: map[string]*host{}, conns: map[*conn]struct{}{},
	}
	for i := range j.Scenario.Timeline {
		f := &j.Scenario.Timeline[i]
		g.cut = g.cut || f.Blackhole || f.Partitioned
	}
	if g.dir, err = os.MkdirTemp("", "sim-containers-"); err != nil {
		return nil, err
	}
	if g.watchdog, err = watch(id); err != nil {
		os.RemoveAll(g.dir)
		return nil, err
	}
	return g, nil
}

func (g *ground) Stage() string      { return Stage }
func (g *ground) Clock() stage.Clock { return clock{} }

// clock is the real one.
type clock struct{}

func (clock) Round(t time.Time) time.Time { return t }
func (clock) Sleep(d time.Duration)       { time.Sleep(d) }

// Backend has one be made by Prepare.
func (g *ground) Backend(o model.Options, at netip.AddrPort) stage.Backend {
	b := &backend{g: g, o: o, at: at, faults: map[*remote]bool{}}
	g.backends = append(g.backends, b)
	g.host(o.Name, at).backend = b
	return b
}

// Where who is on the network; .1 is the gateway.
const (
	firstBackend  = 10
	mostBackends  = 180
	firstBalancer = 190 // lb/1 is one more
	mostBalancers = 50
	redisPlace    = 250
)

func (g *ground) place(n int) netip.Addr {
	a := g.subnet.Addr().As4()
	a[3] = byte(n)
	return netip.AddrFrom4(a)
}

// connect makes the network.
func (g *ground) connect(ctx context.Context) error {
	for i := 0; ; i++ {
		g.subnet = subnet(os.Getpid() + i)
		err := g.makeNetwork(ctx, g.id, g.subnet)
		if err == nil || i+1 == subnets || !strings.Contains(err.Error(), "overlap") {
			return err
		}
	}
}

// Prepare makes all containers and starts them, each as soon as it can be: the balancers
// when all of the others serve.
func (g *ground) Prepare(ctx context.Context, balancers int, wanted bool, policies []map[string][]byte) error {
	if len(g.backends) > mostBackends || balancers > mostBalancers {
		return fmt.Errorf("%d endpoints and %d balancers: there is room for %d and %d", len(g.backends), balancers, mostBackends, mostBalancers)
	}
	if wanted {
		if err := g.has(ctx, g.options.Redis, "pull it, or where no registry can be reached make it with .ci/images redis"); err != nil {
			return err
		}
	}
	if err := g.connect(ctx); err != nil {
		return err
	}
	for i, b := range g.backends {
		b.real = netip.AddrPortFrom(g.place(firstBackend+i), b.at.Port())
		g.book.add(b.at, b.real)
	}
	for _, files := range policies {
		p, _ := policy.Files(files).Load()
		if p == nil {
			continue // a bad one, which only the balancers are to find out
		}
		ports, err := g.book.listeners(p)
		if err != nil {
			return err
		}
		for _, port := range ports {
			if !slices.Contains(g.listens, port) {
				g.listens = append(g.listens, port)
			}
		}
		if err := named(p); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := tasks{failed: cancel}
	var others sync.WaitGroup
	serve := func(make, begin func(context.Context) error) {
		others.Add(1)
		all.do(func() error {
			defer others.Done()
			if err := make(ctx); err != nil {
				return err
			}
			return begin(ctx)
		})
	}
	if wanted { // first, for it takes longest
		g.redis = newRedis(g)
		serve(g.redis.make, g.redis.begin)
	}
	for _, b := range g.backends {
		serve(b.make, b.begin)
	}
	first := g.book.policy(policies[0])
	for n := range balancers {
		all.do(func() error {
			b, err := g.balancer(n + 1)
			if err != nil {
				return err
			}
			if err := b.make(ctx, first); err != nil {
				return err
			}
			others.Wait()
			return b.launch(ctx)
		})
	}
	err := all.wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began = time.Now() // but for the milliseconds in which the replicas are taken over
	return err
}

// named says whether a policy has endpoints with host names: containers have addresses.
func named(p *policy.Policy) error {
	for i := range p.Pools {
		for _, e := range p.Pools[i].Endpoints {
			if _, err := netip.ParseAddrPort(e.Address); err == nil {
				continue
			}
			return fmt.Errorf("endpoint %s: on this stage endpoints have IP addresses, not host names", e.Address)
		}
	}
	return nil
}

// tasks are done at the same time; the first error is theirs.
type tasks struct {
	failed  func() // nil, or called at the first error: the others need not go on
	running sync.WaitGroup
	mu      sync.Mutex
	err     error
}

func (t *tasks) do(f func() error) {
	t.running.Go(func() {
		if err := f(); err != nil {
			t.fail(err)
		}
	})
}

func (t *tasks) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
		if t.failed != nil {
			t.failed()
		}
	}
}

func (t *tasks) wait() error {
	t.running.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (g *ground) Redis() (stage.Redis, error) { return g.redis, nil }

// note notes something that happened.
func (g *ground) note(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := time.Duration(0)
	if !g.began.IsZero() {
		at = time.Since(g.began)
	}
	g.notes = append(g.notes, history.Note{At: at, Text: fmt.Sprintf(format, args...)})
}

// fail makes the run void: what it tells is not all there was.
func (g *ground) fail(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.void == "" {
		g.void = fmt.Sprintf(format, args...)
	}
}

// finish adds to a run what is known here alone.
func (g *ground) finish(run *history.Run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	run.Notes = append(run.Notes, g.notes...)
	if run.Failure == "" {
		run.Failure = g.void
	}
}

func (g *ground) Cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.given {
		return
	}
	g.given = true
	close(g.over)
	for c := range g.conns {
		c.reset()
	}
}

// Left waits for the ends of all, removes them, and says what could not be.
func (g *ground) Left() []string {
	for _, b := range g.backends {
		b.queue.close()
	}
	for _, b := range g.balances {
		b.queue.close()
	}
	if g.redis != nil {
		g.redis.queue.close()
	}
	left := g.remove()
	g.running.Wait() // streams end with what they are of
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		left = append(left, fmt.Sprintf("a connection from %s to %s", c.LocalAddr(), c.RemoteAddr()))
	}
	return left
}

// remove removes all that there is of the run, once.
func (g *ground) remove() []string {
	g.removed.Do(func() {
		g.Cut()
		g.left = g.engine.remove(labelRun + "=" + g.id)
		if err := os.RemoveAll(g.dir); err != nil {
			g.left = append(g.left, err.Error())
		}
		g.watchdog.end(len(g.left) == 0)
	})
	return g.left
}

// failures counts attempts at an address that did not go well, of some balancers or all,
// and were under way between two times.
func (g *ground) failures(at string, replicas []int, from, to time.Time) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.failed {
		f := &g.failed[i]
		if f.at == at && f.end.After(from) && f.begin.Before(to) && (len(replicas) == 0 || slices.Contains(replicas, f.replica)) {
			n++
		}
	}
	return n
}

// queue is what is done with a container, one thing after the other.
type queue struct {
	work    chan func()
	once    sync.Once
	running sync.WaitGroup
}

// mostWork is how much may wait.
const mostWork = 1024

func newQueue() *queue {
	q := &queue{work: make(chan func(), mostWork)}
	q.running.Go(func() {
		for f := range q.work {
			f()
		}
	})
	return q
}

// do has something be done, which is not waited for.
func (q *queue) do(f func()) { q.work <- f }

// wait has something be done, and waits for it.
func (q *queue) wait(f func()) {
	done := make(chan struct{})
	q.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

func (q *queue) close() {
	if q == nil {
		return
	}
	q.once.Do(func() { close(q.work) })
	q.running.Wait()
}

func local(port uint16) string { return "127.0.0.1:" + strconv.Itoa(int(port)) }
