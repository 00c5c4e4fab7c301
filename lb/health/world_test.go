package health_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// usual is a check of the usual settings, by connection alone.
var usual = policy.ActiveCheck{
	Type: "TCP", Interval: 2 * time.Second, Timeout: time.Second,
	HealthyThreshold: 2, UnhealthyThreshold: 3, InitialState: "Healthy",
	HoldDown: time.Minute, MaxHoldDown: 10 * time.Minute,
}

// with is the usual check, changed.
func with(change func(*policy.ActiveCheck)) *policy.ActiveCheck {
	a := usual
	change(&a)
	return &a
}

var errDown = errors.New("it is down")

// dialed is one check of an endpoint.
type dialed struct {
	address string
	at      time.Time
}

// world is endpoints, their checker, and what they did.
type world struct {
	t        testing.TB
	registry *pool.Registry
	checker  *health.Checker
	pools    []*pool.Pool
	// answer decides the n-th check of an address, from 0.
	answer func(ctx context.Context, address string, n int) error
	script func(net.Conn) // what is said on a connection; nil: it is closed

	mu      sync.Mutex
	dials   []dialed
	count   map[string]int
	changes []event.HealthChange
	log     strings.Builder
}

// newWorld makes a world whose endpoints take connections as answer says.
func newWorld(t testing.TB, answer func(ctx context.Context, address string, n int) error) *world {
	t.Helper()
	w := &world{t: t, answer: answer, count: map[string]int{}}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	source := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	w.registry = pool.NewRegistry(pool.Options{Events: &event.Listener{
		HealthChanged: func(c event.HealthChange) {
			w.note(func() { w.changes = append(w.changes, c) })
		},
	}})
	w.checker = health.New(health.Options{
		Dial: w.dial,
		Rand: func() uint64 {
			mu.Lock()
			defer mu.Unlock()
			return source.Uint64()
		},
		Logger: slog.New(slog.NewTextHandler(writer{w}, nil)),
	})
	t.Cleanup(func() {
		w.checker.Stop()
		w.registry.Close()
	})
	return w
}

// writer keeps what is logged.
type writer struct{ w *world }

func (l writer) Write(p []byte) (n int, err error) {
	l.w.note(func() { n, err = l.w.log.Write(p) })
	return n, err
}

func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n := 0
	w.note(func() {
		n = w.count[address]
		w.count[address]++
		w.dials = append(w.dials, dialed{address, time.Now()})
	})
	if err := w.answer(ctx, address, n); err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	if w.script == nil {
		far.Close()
		return near, nil
	}
	go func() {
		defer far.Close()
		w.script(far)
	}()
	return near, nil
}

// serve makes one pool the one that serves. An address that ends in ! drains.
func (w *world) serve(check *policy.ActiveCheck, addresses ...string) {
	w.t.Helper()
	w.servePools(poolOf("p", check, addresses...))
}

func poolOf(name string, check *policy.ActiveCheck, addresses ...string) policy.Pool {
	p := policy.Pool{Name: name, DrainTimeout: time.Hour}
	p.HealthCheck.Active = check
	p.CircuitBreaker.OpenDuration = time.Second
	for _, a := range addresses {
		a, drain := strings.CutSuffix(a, "!")
		p.Endpoints = append(p.Endpoints, policy.Endpoint{Address: a, Weight: 1, Drain: drain})
	}
	return p
}

func (w *world) servePools(pools ...policy.Pool) {
	w.t.Helper()
	s, err := w.registry.Stage(pools)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Commit(func() {})
	w.pools = s.Pools()
	w.checker.Apply(w.pools)
}

func (w *world) endpoint(address string) *pool.Endpoint {
	w.t.Helper()
	for _, m := range w.pools[0].Members() {
		if m.Address == address {
			return m.Endpoint
		}
	}
	w.t.Fatalf("no endpoint %s", address)
	return nil
}

func (w *world) state(address string) health.State { return w.checker.State(w.endpoint(address)) }

// checks is how often an address was checked.
func (w *world) checks(address string) (n int) {
	w.note(func() { n = w.count[address] })
	return n
}

// asked is how many checks were made.
func (w *world) asked() (n int) {
	w.note(func() { n = len(w.dials) })
	return n
}

// told is the changes so far, each as "+" or "-" and its reason.
func (w *world) told() (out []string) {
	w.note(func() {
		for _, c := range w.changes {
			sign := "-"
			if c.Healthy {
				sign = "+"
			}
			out = append(out, sign+" "+c.Reason)
		}
	})
	return out
}

// scripted makes the n-th check of every address pass if the n-th letter is a P;
// the last letter holds from then on.
func scripted(script string) func(context.Context, string, int) error {
	return func(_ context.Context, _ string, n int) error {
		if script[min(n, len(script)-1)] == 'P' {
			return nil
		}
		return errDown
	}
}

func hang(ctx context.Context, _ string, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

func manyAddresses(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&255, i&255))
	}
	return out
}
