package session

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
)

// Options are the seams of [Sessions].
type Options struct {
	// Shared is the store of pools whose sessions are in Redis; nil: there is none,
	// and they do as while it is away.
	Shared Shared
	// Keys seal the tickets. None: the replicas agree on one in the shared store;
	// without that it is a random one, and tickets do not outlive the process.
	Keys []Key
	// Random fills what it is given with random bytes, for ids and nonces; nil is
	// crypto/rand. It must be safe for concurrent use.
	Random func([]byte)
	// Wall is the wall clock; nil is [time.Now].
	Wall func() time.Time
	// Events is told of operations of the shared store, and of sessions that move or
	// are refused; nil: nobody.
	Events *event.Listener
}

// Sessions are the sessions of all pools.
type Sessions struct {
	remote
	keys   *Keyring
	agreed bool // on a key in the shared store, rather than given one
	shared Shared
	memory *Memory
	cookie CookieStore
	random func([]byte)
	wall   func() time.Time
	// injected: wall is not [time.Now], and may jump.
	injected bool
	events   event.Listener
	epoch    time.Time
	leaps    leaps
	tickets  tickets

	beliefs   *lru[place, belief]
	strangers *lru[place, stranger]

	hits, misses    atomic.Uint64
	moves, refusals tally
	lastError       atomic.Pointer[error]

	agreeNow chan struct{}
	life     context.Context
	end      context.CancelFunc

	mu      sync.Mutex
	started bool
	closed  bool
	running sync.WaitGroup
}

// New returns sessions that ask nobody yet. Close is owed.
func New(o Options) *Sessions {
	s := &Sessions{
		shared: o.Shared, random: o.Random, wall: o.Wall, agreed: len(o.Keys) == 0 && o.Shared != nil,
		epoch:     time.Now(),
		beliefs:   newLRU[place, belief](mostBeliefs, place.number),
		strangers: newLRU[place, stranger](mostStrangers, place.number),
		agreeNow:  make(chan struct{}, 1),
		remote:    remote{asking: make(chan struct{}, mostAsking), telling: make(chan struct{}, mostTelling)},
	}
	s.tickets.init()
	if s.injected = s.wall != nil; !s.injected {
		s.wall = time.Now
	}
	if s.random == nil {
		s.random = func(b []byte) { rand.Read(b) }
	}
	if o.Events != nil {
		s.events = *o.Events
	}
	keys := o.Keys
	if len(keys) == 0 {
		var k Key
		s.random(k[:])
		keys = []Key{k}
	}
	s.keys = NewKeyring(keys...)
	s.keys.Rand = o.Random
	s.memory = NewMemory(0, s.wall)
	s.memory.passed = s.now
	s.cookie.Wall, s.cookie.leaps = s.wall, &s.leaps
	s.leaps.begin(s.wall().Add(-s.now()))
	s.breaker = breaker.New(storeBreaker, nil, s.storeChanged)
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Start begins to use the shared store, if there is one: for when a policy needs it.
// It waits, until ctx ends, for the replicas to agree on a key, where none was given.
// Only the first call does anything.
func (s *Sessions) Start(ctx context.Context) {
	s.mu.Lock()
	if s.started || s.closed {
		s.mu.Unlock()
		return
	}
	s.started = true
	first := make(chan struct{})
	if s.shared != nil {
		s.running.Go(func() { s.shared.Watch(s.life, s.rebound, s.heard) })
		s.running.Go(func() { s.keepAttending(ctx, first) })
	} else {
		close(first)
	}
	s.mu.Unlock() // requests and Close do not wait for the replicas
	if f := s.events.SessionStoreChanged; f != nil && s.shared == nil {
		f(event.SessionStoreChange{Away: true, Err: errNone, At: s.wall()})
	}
	<-first
}

// reagree is how often the store is asked for the key that it agreed on: it may lose
// that and nobody is told, by FLUSHALL, or with a node of a cluster. A replica that
// starts then would come to have a key of its own.
const reagree = 5 * time.Second

// keepAttending attends to the store, the first time until ctx ends, and then from time
// to time: at once when it may have lost something, and more often while there is
// something to be had from it.
func (s *Sessions) keepAttending(ctx context.Context, first chan<- struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	again := s.attend(ctx)
	stop()
	close(first)
	const pause = time.Second
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		if !again {
			timer.Reset(reagree)
		}
		select {
		case <-s.life.Done():
			return
		case <-s.agreeNow:
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(s.life, operationTimeout)
		again = s.attend(ctx)
		cancel()
		timer.Reset(pause)
	}
}

// attend asks for the key on which the replicas agree; and where the store is given up,
// whether it is back, since sessions that are known may have nothing to ask it for. It
// says whether that is to be done again soon.
func (s *Sessions) attend(ctx context.Context) (again bool) {
	done, _, allowed := s.breaker.Allow(breaker.Willing)
	away, start := s.away(), time.Now()
	var err error
	switch {
	case s.agreed:
		err = s.agree(ctx)
	case away && allowed:
		_, err = s.shared.Find(ctx, "", &Ticket{Created: StampOf(s.wall())}, Lifetime{time.Minute, time.Minute})
		s.measured(event.SessionFind, err, time.Since(start))
	}
	if late := time.Duration(s.patience.Load()); err == nil && late > 0 && time.Since(start) > late {
		err = errLate // to every request it would be away
	}
	if allowed {
		done(s.verdict(err))
	}
	return err != nil || s.away()
}

// agree takes the key on which the replicas agree. Tickets that were sealed by the
// one before are still opened here.
func (s *Sessions) agree(ctx context.Context) error {
	start := time.Now()
	key, err := s.shared.Agree(ctx, s.keys.First())
	s.measured(event.SessionAgree, err, time.Since(start))
	if err != nil {
		return err
	}
	if key != s.keys.First() {
		s.keys.Adopt(key)
		s.tickets.rekeyed()
	}
	return nil
}

// SetKeys replaces the keys that were given: tickets sealed by others are refused
// from now on.
func (s *Sessions) SetKeys(keys []Key) {
	s.keys.Replace(keys...)
	s.tickets.rekeyed()
}

// away says whether the shared store is given up, or not trusted again yet.
func (s *Sessions) away() bool {
	state, _ := s.breaker.State()
	return state != breaker.Closed
}

// Available says whether the store of a pool's sessions is to be asked: if not, new
// sessions go where every replica would send them.
func (s *Sessions) Available(p *Persistence) bool {
	return p.Kind != InRedis || s.shared != nil && s.breaker.Admits(breaker.Willing)
}

// Close ends what is under way and joins every goroutine. The shared store is its
// owner's to close.
func (s *Sessions) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.running.Wait()
}

func (s *Sessions) now() time.Duration { return time.Since(s.epoch) }

// since is now, at a time that the wall clock has just told, if that is the machine's
// own, which tells both at once.
func (s *Sessions) since(wall time.Time) time.Duration {
	if s.injected {
		return s.now()
	}
	return wall.Sub(s.epoch)
}

// complain keeps an error of the shared store, for whoever asks why it is away.
func (s *Sessions) complain(err error) { s.lastError.Store(&err) }

// storeChanged is told of its breaker.
func (s *Sessions) storeChanged(from, to breaker.State, _ string) {
	f := s.events.SessionStoreChanged
	if f == nil || from != breaker.Closed && to != breaker.Closed {
		return
	}
	c := event.SessionStoreChange{Away: to != breaker.Closed, At: s.wall()}
	if c.Away {
		c.Err = errLate
		if err := s.lastError.Load(); err != nil && !errors.Is(*err, context.Canceled) {
			c.Err = *err
		}
	}
	f(c)
}
