package balancer

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/names"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/server"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/snapshot"
)

// Options are the balancer's seams.
type Options struct {
	// Policies is where policies come from. Required.
	Policies reload.Source
	// LastGood keeps the last policy that served; nil keeps none.
	LastGood reload.LastGood
	// Listen opens a listener; nil is [net.ListenConfig]'s.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// AcceptGrace is how long a listener that is given up goes on accepting, so
	// that connections made just before are served. 0 is none.
	AcceptGrace time.Duration
	// MaxConnections bounds the client connections of all listeners together, so
	// that descriptors are left for the endpoints' side; 0: only the policy does.
	MaxConnections int
	// Dial opens an upstream connection; nil is [net.Dialer]'s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve looks up an endpoint's host name; ttl is how long the answer is
	// valid, 0 if nobody knows. It must return soon after ctx has ended. Nil: no
	// name can be resolved.
	Resolve func(ctx context.Context, host string) (addresses []netip.Addr, ttl time.Duration, err error)
	// Sessions is the store that replicas share, for pools that keep their sessions in
	// Redis; nil: those do as while it is away. It is closed by whoever opened it.
	Sessions session.Shared
	// CookieKeys seal what clients carry of their sessions: the first one seals, all of
	// them open. None: the replicas agree on one in the shared store; without that it is
	// a random one, and clients lose their sessions when the process ends.
	CookieKeys []session.Key
	// Trace decides which requests are traced; nil: the balancer takes no part in traces,
	// and passes on what clients send of theirs (W3C Trace Context). The ids it takes
	// part with are in Events.
	Trace event.Sampler
	// Events is told what happens; nil: nobody.
	Events *event.Listener
	// Rand seeds every random choice, which makes a run repeatable; 0 takes the
	// runtime's own source.
	Rand uint64
	// Wall is the wall clock; nil is [time.Now]. Durations never come from it.
	Wall func() time.Time
	// Logger gets what an operator should read; nil discards it.
	Logger *slog.Logger
}

// Balancer is a load balancer. Start and Shutdown are called once each; the
// other methods may be used by any goroutine at any time.
type Balancer struct {
	current   snapshot.Current
	registry  *pool.Registry
	names     *names.Book
	reloader  *reload.Reloader
	listeners *listeners
	checker   *health.Checker
	proxy     *proxy.Proxy
	sessions  *session.Sessions
	keyed     bool // the keys of sessions were given
	wall      func() time.Time
	logger    *slog.Logger

	started, draining atomic.Bool

	// life lasts from a successful Start to Shutdown.
	mu      sync.Mutex
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup // the watching, and reloads that were asked for
}

// New returns a balancer that has opened nothing yet.
func New(o Options) *Balancer {
	injected := o.Wall
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = new(net.ListenConfig).Listen
	}
	b := &Balancer{wall: o.Wall, logger: o.Logger, keyed: len(o.CookieKeys) > 0}
	seed, random, ages, phases := o.Rand, rand.Uint64, rand.Uint64, rand.Uint64
	if seed == 0 {
		seed = rand.Uint64()
	} else {
		// Each has its own: how much traffic there is does not move the checks.
		random, ages, phases = repeatable(seed, 0x6c62), repeatable(seed, 0x6167), repeatable(seed, 0x7068)
	}
	var secrets func([]byte)
	if o.Rand != 0 {
		secrets = repeatableBytes(repeatable(seed, 0x7365))
	}
	b.sessions = session.New(session.Options{Shared: o.Sessions, Keys: o.CookieKeys, Random: secrets, Wall: injected, Events: o.Events})
	b.registry = pool.NewRegistry(pool.Options{Dial: o.Dial, Events: o.Events, Rand: seed})
	b.proxy = proxy.New(proxy.Options{Current: &b.current, Sessions: b.sessions, Trace: o.Trace, Events: o.Events, Rand: random, Wall: o.Wall, Logger: o.Logger})
	b.checker = health.New(health.Options{Dial: o.Dial, Rand: phases, Logger: o.Logger})
	b.listeners = &listeners{
		open: o.Listen, grace: o.AcceptGrace, most: o.MaxConnections, events: o.Events, logger: o.Logger, rand: ages, abort: sync.OnceFunc(func() { b.proxy.Cut(); b.registry.Close() }),
		handler: b.proxy,
	}
	if o.MaxConnections > 0 {
		b.listeners.quota = server.NewQuota(o.MaxConnections)
	}
	b.names = names.New(names.Options{Resolve: o.Resolve, Events: o.Events, Rand: seed, Logger: o.Logger})
	b.reloader = reload.New(reload.Options{
		Source: o.Policies, LastGood: o.LastGood, Registry: b.registry, Current: &b.current, Names: b.names,
		Prepare: b.prepare, Events: o.Events, Logger: o.Logger,
	})
	return b
}

// repeatable is a random source that gives the same numbers for the same seed and
// stream, as long as it is asked in the same order.
func repeatable(seed, stream uint64) func() uint64 {
	var mu sync.Mutex
	source := rand.NewPCG(seed, stream)
	return func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return source.Uint64()
	}
}

// repeatableBytes fills what it is given with random numbers.
func repeatableBytes(random func() uint64) func([]byte) {
	return func(b []byte) {
		for len(b) > 0 {
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], random())
			b = b[copy(b, word[:]):]
		}
	}
}

// agreeTimeout is how long a policy with sessions that replicas share waits for them to
// agree on a key, the first time.
const agreeTimeout = 500 * time.Millisecond

// prepareSessions begins to use the shared store, if the policy needs it: for its
// sessions, or for the key of those that are in cookies.
func (b *Balancer) prepareSessions(ctx context.Context, snap *snapshot.Snapshot) {
	inRedis, inCookies := snap.KeepsSessionsIn("Redis"), snap.KeepsSessionsIn("Cookie")
	shared := b.sessions.Status().Shared
	switch {
	case shared:
	case inRedis:
		b.logger.Warn("the policy keeps sessions in Redis, and no Redis was given: clients keep their endpoints by their cookies alone, and replicas with other keys do not know them",
			"hash", snap.Info.Hash, "do", "give --redis (LB_REDIS_URL)")
	case inCookies && !b.keyed:
		b.logger.Warn("the policy keeps sessions in cookies, which are sealed by a random key: other replicas do not know them, nor does this one once it was restarted",
			"hash", snap.Info.Hash, "do", "give --cookie-keys (LB_COOKIE_KEYS)")
	}
	if !inRedis && !(inCookies && shared && !b.keyed) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, agreeTimeout)
	defer cancel()
	b.sessions.Start(ctx)
}

// SetCookieKeys replaces Options.CookieKeys.
func (b *Balancer) SetCookieKeys(keys []session.Key) { b.sessions.SetKeys(keys) }

// prepare does what is fallible of a policy beside compiling it.
func (b *Balancer) prepare(ctx context.Context, snap *snapshot.Snapshot) (reload.Prepared, error) {
	p, err := b.listeners.prepare(ctx, snap)
	if err != nil {
		return nil, err
	}
	b.prepareSessions(ctx, snap)
	return checked{p, func() { b.checker.Apply(snap.Pools) }}, nil
}

// checked is what was prepared for a policy whose checks begin when it serves.
type checked struct {
	reload.Prepared
	check func()
}

func (c checked) Commit() {
	c.Prepared.Commit()
	c.check()
}

// Start loads the first policy, opens its listeners and serves. An error means
// that nothing is left open.
func (b *Balancer) Start(ctx context.Context) error {
	if err := b.reloader.Start(ctx); err != nil {
		b.names.Close()
		b.registry.Close()
		b.sessions.Close()
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life, b.end = context.WithCancel(context.Background())
	b.running.Go(func() { b.reloader.Run(b.life) })
	b.started.Store(true)
	return nil
}

// Shutdown stops accepting, lets what is in flight finish, and joins every
// goroutine. What has not finished when ctx ends is cut, and the error says so.
func (b *Balancer) Shutdown(ctx context.Context) error {
	b.draining.Store(true)
	b.mu.Lock()
	end := b.end
	b.mu.Unlock()
	if end == nil {
		return errors.New("balancer: Shutdown without a successful Start")
	}
	end()
	b.running.Wait()
	b.names.Close()
	err := b.listeners.shutdown(ctx)
	b.proxy.StopMirrors()
	b.checker.Stop()
	b.registry.Close()
	b.proxy.Close()
	b.sessions.Close()
	return err
}

// errNotServing is why a reload is canceled before Start and after Shutdown.
var errNotServing = errors.New("the balancer is starting or stopping: nothing can be reloaded")

// Reload reads the policy now and replaces the one that serves, if it is another
// and a good one. Before Start has succeeded and from Shutdown on it is
// canceled.
func (b *Balancer) Reload(ctx context.Context) reload.Result {
	b.mu.Lock()
	life := b.life
	if life == nil || b.draining.Load() {
		b.mu.Unlock()
		return reload.Result{Outcome: reload.Canceled, Err: errNotServing}
	}
	b.running.Add(1)
	b.mu.Unlock()
	defer b.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	return b.reloader.Reload(ctx)
}

// Ready reports whether a policy serves, which may be replaced, and the balancer is not
// draining.
func (b *Balancer) Ready() bool { return b.started.Load() && !b.draining.Load() }

// Addr is the address a listener of the policy that serves has, by the
// listener's name; nil if there is none of the name.
func (b *Balancer) Addr(listener string) net.Addr { return b.listeners.addr(listener) }
