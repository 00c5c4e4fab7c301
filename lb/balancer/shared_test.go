package balancer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

// shared is a store that replicas have in common, in memory: for what does not depend
// on Redis. It can be down, slow, or lose everything.
type shared struct {
	mu       sync.Mutex
	memory   *session.Memory
	key      *session.Key
	down     bool
	slow     time.Duration
	asked    map[string]int
	watchers map[int]watcher
	watched  int
}

type watcher struct {
	rebound   func(string, session.ID)
	connected func(bool)
}

func newShared() *shared {
	return &shared{memory: session.NewMemory(1<<16, nil), asked: map[string]int{}, watchers: map[int]watcher{}}
}

var errDown = errors.New("down")

// enter counts an operation, and waits for as long as it takes.
func (s *shared) enter(ctx context.Context, op string) (*session.Memory, error) {
	s.mu.Lock()
	s.asked[op]++
	down, slow, memory := s.down, s.slow, s.memory
	s.mu.Unlock()
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if down {
		return nil, errDown
	}
	return memory, ctx.Err()
}

func (s *shared) Find(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (session.Home, error) {
	memory, err := s.enter(ctx, "find")
	if err != nil {
		return session.None, err
	}
	return memory.Find(ctx, pool, t, l)
}

func (s *shared) Bind(ctx context.Context, pool string, t *session.Ticket, home session.Home, l session.Lifetime) (session.Home, error) {
	memory, err := s.enter(ctx, "bind")
	if err != nil {
		return session.None, err
	}
	return memory.Bind(ctx, pool, t, home, l)
}

func (s *shared) Rebind(ctx context.Context, pool string, t *session.Ticket, from, to session.Home, l session.Lifetime) (session.Home, error) {
	memory, err := s.enter(ctx, "rebind")
	if err != nil {
		return session.None, err
	}
	got, err := memory.Rebind(ctx, pool, t, from, to, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watchers {
		w.rebound(pool, t.ID)
	}
	return got, err
}

func (s *shared) Touch(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (bool, error) {
	memory, err := s.enter(ctx, "touch")
	if err != nil {
		return false, err
	}
	return memory.Touch(ctx, pool, t, l)
}

func (s *shared) Watch(ctx context.Context, rebound func(string, session.ID), connected func(bool)) {
	s.mu.Lock()
	s.watched++
	n := s.watched
	s.watchers[n] = watcher{rebound, connected}
	if !s.down {
		connected(true)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	delete(s.watchers, n)
	s.mu.Unlock()
}

func (s *shared) Agree(ctx context.Context, proposal session.Key) (session.Key, error) {
	if _, err := s.enter(ctx, "agree"); err != nil {
		return session.Key{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		s.key = &proposal
	}
	return *s.key, nil
}

// set changes how the store does.
func (s *shared) set(down bool, slow time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.slow = down, slow
	for _, w := range s.watchers {
		w.connected(!down)
	}
}

// lose empties it, as a restart without its data does.
func (s *shared) lose() {
	s.mu.Lock()
	s.memory = session.NewMemory(1<<16, nil)
	s.key = nil
	s.mu.Unlock()
	s.set(true, 0)
	s.set(false, 0)
}

func (s *shared) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[op]
}

var _ session.Shared = (*shared)(nil)

// What stands for Redis here does as a store must.
func TestSharedIsAStore(t *testing.T) {
	s, ticket := newShared(), session.Ticket{Created: session.StampOf(time.Now())}
	l := session.Lifetime{Idle: time.Hour, Absolute: time.Hour}
	if got, err := s.Bind(t.Context(), "p", &ticket, 7, l); got != 7 || err != nil {
		t.Fatal(got, err)
	}
	if got, err := s.Find(t.Context(), "p", &ticket, l); got != 7 || err != nil {
		t.Fatal(got, err)
	}
	s.set(true, 0)
	if _, err := s.Find(t.Context(), "p", &ticket, l); err == nil {
		t.Fatal("a store that is down answers")
	}
}
