package session_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

var errScripted = errors.New("as the script has it")

// script is how a kind of operation of a [scripted] store goes.
type script struct {
	hold  chan struct{} // it waits before it does anything, until this is closed
	keep  chan struct{} // it is done, and its answer waits
	slow  time.Duration // it takes that long
	err   error         // it fails
	lost  bool          // it is done, and its answer is lost
	hangs bool          // it returns when its context ends, and not before
}

// scripted is a store that replicas share, in memory, which does as it is told.
type scripted struct {
	mu       sync.Mutex
	memory   *session.Memory
	key      *session.Key
	scripts  map[event.SessionOperation]script
	garbage  map[session.ID]bool
	asked    map[event.SessionOperation]int
	underWay int
	most     int // under way at once, ever
	watchers map[int]watching
	watched  int
	cut      bool // nobody hears anything
}

type watching struct {
	rebound   func(string, session.ID)
	connected func(bool)
}

func newScripted() *scripted {
	return &scripted{
		memory: session.NewMemory(1<<17, nil), scripts: map[event.SessionOperation]script{}, garbage: map[session.ID]bool{},
		asked: map[event.SessionOperation]int{}, watchers: map[int]watching{},
	}
}

var operations = []event.SessionOperation{event.SessionFind, event.SessionBind, event.SessionRebind, event.SessionTouch}

// set has operations go by a script from now on, those that are left out all of them.
func (s *scripted) set(how script, ops ...event.SessionOperation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ops) == 0 {
		ops = event.SessionOperations
	}
	for _, op := range ops {
		s.scripts[op] = how
	}
}

// lose empties it. Nobody is told.
func (s *scripted) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory, s.key = session.NewMemory(1<<17, nil), nil
}

// hear has the watchers hear of changes, or not.
func (s *scripted) hear(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = !on
	for _, w := range s.watchers {
		w.connected(on)
	}
}

func (s *scripted) count(ops ...event.SessionOperation) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ops) == 0 {
		ops = operations
	}
	for _, op := range ops {
		n += s.asked[op]
	}
	return n
}

func (s *scripted) counts() map[event.SessionOperation]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)
}

// home is what it holds.
func (s *scripted) home(pool string, t *session.Ticket, l session.Lifetime) session.Home {
	s.mu.Lock()
	defer s.mu.Unlock()
	home, _ := s.memory.Find(context.Background(), pool, t, l)
	return home
}

func (s *scripted) do(ctx context.Context, op event.SessionOperation, id session.ID, act func(*session.Memory)) error {
	s.mu.Lock()
	how := s.scripts[op]
	s.asked[op]++
	s.underWay++
	s.most = max(s.most, s.underWay)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.underWay--
		s.mu.Unlock()
	}()
	await := func(ch <-chan struct{}) error {
		select {
		case <-ch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if how.hangs {
		return await(nil)
	}
	if how.hold != nil {
		if err := await(how.hold); err != nil {
			return err
		}
	}
	if how.slow > 0 {
		timer := time.NewTimer(how.slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if how.err != nil {
		return how.err
	}
	s.mu.Lock()
	garbage := s.garbage[id]
	if !garbage {
		act(s.memory)
	}
	s.mu.Unlock()
	if how.keep != nil {
		if err := await(how.keep); err != nil {
			return err
		}
	}
	if how.lost {
		return errScripted
	}
	if garbage {
		return session.ErrUnreadable
	}
	return ctx.Err()
}

func (s *scripted) Find(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (home session.Home, err error) {
	err = s.do(ctx, event.SessionFind, t.ID, func(m *session.Memory) { home, _ = m.Find(ctx, pool, t, l) })
	if err != nil {
		home = session.None
	}
	return home, err
}

func (s *scripted) Bind(ctx context.Context, pool string, t *session.Ticket, to session.Home, l session.Lifetime) (home session.Home, err error) {
	err = s.do(ctx, event.SessionBind, t.ID, func(m *session.Memory) { home, _ = m.Bind(ctx, pool, t, to, l) })
	if err != nil {
		home = session.None
	}
	return home, err
}

func (s *scripted) Rebind(ctx context.Context, pool string, t *session.Ticket, from, to session.Home, l session.Lifetime) (home session.Home, err error) {
	err = s.do(ctx, event.SessionRebind, t.ID, func(m *session.Memory) {
		had, _ := m.Find(ctx, pool, t, l)
		home, _ = m.Rebind(ctx, pool, t, from, to, l)
		if had != home {
			s.notice(pool, t.ID)
		}
	})
	if err != nil {
		home = session.None
	}
	return home, err
}

// notice tells all who watch of a change. The caller holds mu.
func (s *scripted) notice(pool string, id session.ID) {
	for _, w := range s.watchers {
		if !s.cut {
			w.rebound(pool, id)
		}
	}
}

func (s *scripted) Touch(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (known bool, err error) {
	err = s.do(ctx, event.SessionTouch, t.ID, func(m *session.Memory) { known, _ = m.Touch(ctx, pool, t, l) })
	return known && err == nil, err
}

func (s *scripted) Watch(ctx context.Context, rebound func(string, session.ID), connected func(bool)) {
	s.mu.Lock()
	s.watched++
	n := s.watched
	s.watchers[n] = watching{rebound, connected}
	if !s.cut {
		connected(true)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, n)
}

func (s *scripted) Agree(ctx context.Context, proposal session.Key) (key session.Key, err error) {
	err = s.do(ctx, event.SessionAgree, session.ID{}, func(*session.Memory) {
		if s.key == nil {
			s.key = &proposal
		}
		key = *s.key
	})
	return key, err
}

// replica is one of those that share a store.
type replica struct {
	*session.Sessions
	mu      sync.Mutex
	asked   map[event.SessionAsked]int // Took left out
	moves   map[event.MoveReason]int
	refused map[string]int
	changes []event.SessionStoreChange
}

// join starts a replica. It is a second after its beginning then.
func join(t *testing.T, store session.Shared, options ...func(*session.Options)) *replica {
	t.Helper()
	r := &replica{asked: map[event.SessionAsked]int{}, moves: map[event.MoveReason]int{}, refused: map[string]int{}}
	o := session.Options{Shared: store, Events: &event.Listener{
		SessionStoreAsked: func(a event.SessionAsked) {
			r.mu.Lock()
			defer r.mu.Unlock()
			a.Took = 0
			r.asked[a]++
		},
		SessionMoved:        func(m event.SessionMove) { r.mu.Lock(); defer r.mu.Unlock(); r.moves[m.Reason]++ },
		SessionRefused:      func(why string) { r.mu.Lock(); defer r.mu.Unlock(); r.refused[why]++ },
		SessionStoreChanged: func(c event.SessionStoreChange) { r.mu.Lock(); defer r.mu.Unlock(); r.changes = append(r.changes, c) },
	}}
	for _, f := range options {
		f(&o)
	}
	r.Sessions = session.New(o)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	r.Start(ctx)
	time.Sleep(time.Second)
	return r
}

func (r *replica) count(op event.SessionOperation, result event.SessionResult) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[event.SessionAsked{Operation: op, Result: result}]
}

func (r *replica) movedBy(why event.MoveReason) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moves[why]
}

func (r *replica) refusedFor(why string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[why]
}

// browser is a client that keeps what it is given.
type browser struct {
	t      *testing.T
	ticket []byte
	given  int
	visit  session.Visit // the last one
}

// at visits: the endpoint serves the request unless the session is at home somewhere.
// It returns who serves it.
func (b *browser) at(r *replica, p *session.Persistence, endpoint session.Home) session.Home {
	b.t.Helper()
	r.Open(&b.visit, realm, b.ticket)
	if home := r.Home(&b.visit, p, time.Now()); home != session.None {
		endpoint = home
	}
	b.leave(r, p, endpoint)
	return endpoint
}

// leave ends a visit that the endpoint served.
func (b *browser) leave(r *replica, p *session.Persistence, endpoint session.Home) {
	if r.Settle(&b.visit, p, endpoint, false) {
		b.ticket = r.Seal(nil, realm, &b.visit)
		b.given++
	}
}

// is fails the test unless that is who serves.
func (b *browser) is(r *replica, p *session.Persistence, endpoint, want session.Home) {
	b.t.Helper()
	if got := b.at(r, p, endpoint); got != want {
		b.t.Fatalf("served at %d, want %d", got, want)
	}
}

// arrive returns a browser that has its ticket from a replica, and is at home there.
func arrive(t *testing.T, r *replica, p *session.Persistence, home session.Home) *browser {
	t.Helper()
	b := &browser{t: t}
	b.is(r, p, home, home)
	if b.given != 1 {
		t.Fatalf("given %d tickets", b.given)
	}
	return b
}

// keeping is how a pool keeps sessions.
func keeping(pool string, kind session.Kind) *session.Persistence {
	return &session.Persistence{
		Pool: pool, Tag: session.PoolTag(pool), Kind: kind, Timeout: 5 * time.Millisecond,
		Lifetime: session.Lifetime{Idle: 80 * time.Minute, Absolute: 24 * time.Hour},
	}
}
