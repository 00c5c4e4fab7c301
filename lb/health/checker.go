package health

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Options are a checker's seams.
type Options struct {
	// Dial opens a connection and obeys its context; nil is [net.Dialer]'s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Rand decides when checks are made. Required; any goroutine may call it.
	Rand func() uint64
	// Logger is told of panics; nil discards them.
	Logger *slog.Logger
}

// Checker checks the endpoints of the policy that serves. It must be made with
// [New]; its methods may be used by any goroutine.
type Checker struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	rand func() uint64
	log  *slog.Logger

	life    context.Context // ends with Stop
	end     context.CancelFunc
	wake    chan struct{}  // tells the scheduler to look again
	running sync.WaitGroup // the scheduler and the checks

	mu       sync.Mutex
	targets  map[*pool.Endpoint]*target
	schedule schedule // of who is not due yet
	places   places
	lines    map[string]*line // by pool
	applied  uint64
	memory   memory
}

// maxBusy is how many checks may be under way at once. It bounds the descriptors
// and the memory that dead and hostile endpoints cost. See [places] for who gets them.
const maxBusy = 1024

// New returns a checker of nothing.
func New(o Options) *Checker {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Checker{
		dial: o.Dial, rand: o.Rand, log: o.Logger,
		wake: make(chan struct{}, 1), targets: map[*pool.Endpoint]*target{},
		places: places{lines: map[*line]struct{}{}},
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Apply makes the checks those of the pools that serve. An endpoint that was
// checked before keeps what is known of it and when its next check is; new
// settings act from that one on, and a check under way that may take longer than
// they have it is given up: it says nothing, since an answer that is late by the
// new settings need not have been by its own. An endpoint that drains is not checked
// meanwhile, not even to the end, and decided upon anew by its first check afterwards; one that is
// there no more is remembered for MaxHoldDown, in case it comes back; one whose pool
// has no checks any more counts as healthy, and is forgotten. Apply cannot fail and waits for nothing. After Stop it
// does nothing.
func (c *Checker) Apply(pools []*pool.Pool) {
	back, gone, ok := c.adopt(pools)
	if !ok {
		return
	}
	for _, welcome := range back {
		welcome()
	}
	c.part(gone)
	for _, p := range pools {
		if p.Check != nil {
			continue
		}
		for _, m := range p.Members() {
			m.SetHealthy(true, "it is not checked any more")
		}
	}
}

// part ends what is known of targets that are gone, and keeps it for when they are
// back.
func (c *Checker) part(gone []*target) {
	for _, t := range gone {
		r := t.finish()
		c.mu.Lock()
		if _, checked := c.lines[t.endpoint.PoolName]; checked && r.found {
			at := place{t.endpoint.PoolName, t.endpoint.Address}
			c.memory.keep(at, r, time.Now().Add(t.check.MaxHoldDown))
		}
		c.mu.Unlock()
	}
}

// adopt finds the targets of the pools. back is to be called for those that are
// back, without mu; gone are those that no pool has.
func (c *Checker) adopt(pools []*pool.Pool) (back []func(), gone []*target, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return nil, nil, false
	}
	c.applied++
	now := time.Now()
	before := c.lines
	c.lines = make(map[string]*line, len(pools))
	for _, p := range pools {
		if p.Check == nil {
			continue
		}
		if c.lines[p.Name] = before[p.Name]; c.lines[p.Name] == nil {
			c.lines[p.Name] = new(line)
		}
		for _, m := range p.Members() {
			if welcome := c.take(&m, p.Check, now); welcome != nil {
				back = append(back, welcome)
			}
		}
	}
	for e, t := range c.targets {
		if t.applied == c.applied {
			continue
		}
		delete(c.targets, e)
		t.unschedule()
		if t.cancel != nil {
			t.cancel()
		}
		gone = append(gone, t)
	}
	if c.applied == 1 {
		c.running.Go(c.run)
	}
	c.rouse()
	return back, gone, true
}

// take makes an endpoint a target with these settings, and returns what is to be
// called, without mu, for one that is paused no more or was there before. The caller
// holds mu.
func (c *Checker) take(m *pool.Member, check *policy.ActiveCheck, now time.Time) (back func()) {
	paused := m.Drain
	t := c.targets[m.Endpoint]
	if t == nil {
		t = newTarget(m, c.lines[m.PoolName])
		c.targets[m.Endpoint] = t
		t.paused = true
		if old, ok := c.memory.recall(place{m.PoolName, m.Endpoint.Address}, now); ok {
			back = func() { t.recall(check, old) }
		}
	} else if t.paused && !paused {
		back = t.rejoin
	}
	sooner := t.paused || check.Interval < t.check.Interval
	t.applied, t.check, t.paused = c.applied, check, paused
	if t.cancel != nil && (paused || check.Timeout < t.timeout) {
		t.timeout, t.anew = check.Timeout, true
		t.cancel()
	}
	switch {
	case paused:
		t.unschedule()
	case sooner && t.cancel == nil:
		due := now.Add(c.phase(check))
		if !t.scheduled() || due.Before(t.due) {
			c.schedule.set(t, due)
		}
	}
	return back
}

// Stop ends all checks, whose results count no more, and joins every goroutine.
func (c *Checker) Stop() {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.running.Wait()
}

// State is what is known of an endpoint by its checks.
func (c *Checker) State(e *pool.Endpoint) State {
	c.mu.Lock()
	t := c.targets[e]
	paused := t != nil && t.paused
	c.mu.Unlock()
	if t == nil {
		return State{Phase: None}
	}
	s := *t.state.Load()
	if paused {
		s.Phase = None
	}
	return s
}

// run starts checks when they are due.
func (c *Checker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.life.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
		timer.Reset(c.startDue())
	}
}

// rouse makes the scheduler look again.
func (c *Checker) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// startDue starts what is due, as far as there is room, and returns how long it
// is until the next.
func (c *Checker) startDue() time.Duration {
	const nothing = time.Hour // whoever adds something, or ends a check, rouses
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for len(c.schedule) > 0 && !c.schedule[0].due.After(now) {
		c.places.wait(heap.Pop(&c.schedule).(*target))
	}
	for t := c.places.take(); t != nil; t = c.places.take() {
		ctx, cancel := context.WithTimeout(c.life, t.check.Timeout)
		t.cancel, t.timeout = cancel, t.check.Timeout
		check := t.check
		c.running.Go(func() { c.perform(ctx, t, check) })
	}
	if len(c.schedule) > 0 {
		return time.Until(c.schedule[0].due)
	}
	return nothing
}

// perform makes one check and sees to the next.
func (c *Checker) perform(ctx context.Context, t *target, check *policy.ActiveCheck) {
	defer c.arrange(t, time.Now())
	var err error
	if p := c.guard(func() { err = ask(ctx, c.dial, t.endpoint.Address, t.host, check) }); p != nil {
		err = p
	}
	if ctx.Err() == context.Canceled {
		return // given up: that says nothing
	}
	c.guard(func() {
		if isOurs(err) {
			t.excuse(err)
		} else {
			t.judge(check, err)
		}
	})
}

// arrange gives the place of a check that ended to another, and the target its
// next one.
func (c *Checker) arrange(t *target, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.cancel()
	t.cancel = nil
	c.places.giveBack(t)
	if c.targets[t.endpoint] == t && !t.paused {
		c.schedule.set(t, c.next(t, began))
	}
	t.anew = false
	if len(c.places.lines) > 0 || len(c.schedule) > 0 && c.schedule[0] == t {
		c.rouse()
	}
}

// next is when the check is due that follows one that began then.
func (c *Checker) next(t *target, began time.Time) time.Time {
	interval := t.check.Interval
	late := began.Sub(t.due)
	switch {
	case t.anew: // and so may many others be: spread as first checks are
		return time.Now().Add(c.phase(t.check))
	case late > interval/5:
		// It waited for its turn, as many others did. They had theirs one right after
		// the other, and would stay so close together: each goes back to its own place.
		// What is less late than that is so by jitter, or since the machine is busy.
		return t.due.Add(late.Truncate(interval) + interval + jittered(interval, c.rand()))
	}
	return began.Add(jittered(interval, c.rand()))
}

// phase is a random time within the interval: the first checks of many are spread
// over it.
func (c *Checker) phase(check *policy.ActiveCheck) time.Duration {
	return time.Duration(c.rand() % uint64(check.Interval))
}

// jittered is an interval, give or take a tenth.
func jittered(interval time.Duration, rnd uint64) time.Duration {
	tenth := uint64(interval / 10)
	return interval - time.Duration(tenth) + time.Duration(rnd%(2*tenth+1))
}

// guard runs f. A panic in it is logged and returned as an error: what an
// endpoint answers is its own, and must not end the process that serves.
func (c *Checker) guard(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in a health check; please report it", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error in the check: %v (a bug in the load balancer: the log has the stack; please report it)", p)
		}
	}()
	f()
	return nil
}
