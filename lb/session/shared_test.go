package session_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/session"
)

// shared is a store that replicas have in common, in memory. It counts what it is
// asked, and can forget everything without anybody being told.
type shared struct {
	mu       sync.Mutex
	memory   *session.Memory
	key      *session.Key
	asked    map[string]int
	watchers map[int]func(string, session.ID)
	watched  int
	deaf     bool          // who watches is told nothing
	err      error         // of finding a home
	slow     time.Duration // to find a home
}

func newShared() *shared {
	return &shared{memory: session.NewMemory(0, nil), asked: map[string]int{}, watchers: map[int]func(string, session.ID){}}
}

func (s *shared) enter(op string) *session.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[op]++
	return s.memory
}

func (s *shared) Find(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (session.Home, error) {
	memory := s.enter("find")
	s.mu.Lock()
	err, slow := s.err, s.slow
	s.mu.Unlock()
	time.Sleep(slow)
	if err != nil {
		return session.None, err
	}
	return memory.Find(ctx, pool, t, l)
}

func (s *shared) Bind(ctx context.Context, pool string, t *session.Ticket, home session.Home, l session.Lifetime) (session.Home, error) {
	return s.enter("bind").Bind(ctx, pool, t, home, l)
}

func (s *shared) Rebind(ctx context.Context, pool string, t *session.Ticket, from, to session.Home, l session.Lifetime) (session.Home, error) {
	got, err := s.enter("rebind").Rebind(ctx, pool, t, from, to, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rebound := range s.watchers {
		if !s.deaf {
			rebound(pool, t.ID)
		}
	}
	return got, err
}

func (s *shared) Touch(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (bool, error) {
	return s.enter("touch").Touch(ctx, pool, t, l)
}

// Watch tells of changes, unless it is deaf from the beginning.
func (s *shared) Watch(ctx context.Context, rebound func(string, session.ID), connected func(bool)) {
	s.mu.Lock()
	s.watched++
	n := s.watched
	s.watchers[n] = rebound
	connected(!s.deaf)
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	delete(s.watchers, n)
	s.mu.Unlock()
}

func (s *shared) Agree(_ context.Context, proposal session.Key) (session.Key, error) {
	s.enter("agree")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		s.key = &proposal
	}
	return *s.key, nil
}

// do has finding a home fail, or take a while.
func (s *shared) do(err error, slow time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.slow = err, slow
}

// lose forgets everything.
func (s *shared) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory, s.key = session.NewMemory(0, nil), nil
}

var _ session.Shared = (*shared)(nil)

var cart = &session.Persistence{
	Pool: "cart", Tag: 1, Kind: session.InRedis, Lifetime: life, Timeout: 5 * time.Millisecond,
}

// begin returns the sessions of a replica that ends with the test.
func begin(t *testing.T, store session.Shared) *session.Sessions {
	s := session.New(session.Options{Shared: store})
	t.Cleanup(s.Close)
	s.Start(t.Context())
	return s
}

// A store may lose the key that the replicas agree on without their being told. They
// put it there again, so that a replica which starts later gets it too.
func TestTheKeyIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		one := begin(t, store)
		var v session.Visit
		one.Open(&v, realm, nil)
		ticket := one.Seal(nil, realm, &v)
		synctest.Wait() // it has been asked twice: as the replica started, and as it was connected
		store.lose()
		time.Sleep(6 * time.Second)
		begin(t, store).Open(&v, realm, ticket)
		if !v.Known() {
			t.Error("a replica that started later does not know the ticket of another one")
		}
	})
}
