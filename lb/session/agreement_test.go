package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// open reads a client's ticket with the key that the replicas agreed on.
func open(t *testing.T, store *scripted, b *browser) (session.Ticket, bool) {
	t.Helper()
	store.mu.Lock()
	key := *store.key
	store.mu.Unlock()
	ticket, stale, why := session.NewKeyring(key).Open(realm, b.ticket)
	if why != session.Opened {
		t.Fatalf("not sealed by the agreed key: %v", why)
	}
	return ticket, stale
}

// The replicas agree on the key that was proposed first.
func TestAgreement(t *testing.T) {
	in(t, "at once", func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		a, b := arrive(t, one, p, 7), arrive(t, two, p, 8)
		a.is(two, p, 1, 7)
		b.is(one, p, 1, 8)
		if a.given != 1 || b.given != 1 || len(one.refused)+len(two.refused) != 0 {
			t.Error(a.given, b.given, one.refused, two.refused)
		}
	})
	in(t, "later", func(t *testing.T) {
		store := newScripted()
		store.set(script{hangs: true}, event.SessionAgree)
		start := time.Now()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("two starts took %v", took)
		}
		p := keeping("cart", session.InRedis)
		a, b := arrive(t, one, p, 7), arrive(t, two, p, 8)
		a.is(two, p, 9, 9) // it cannot know it
		if two.refusedFor("key") != 1 {
			t.Error(two.refused)
		}
		a = arrive(t, one, p, 7)
		store.set(script{}, event.SessionAgree)
		time.Sleep(5 * time.Second)
		// Tickets of before are opened where they are from, and renewed.
		for _, x := range []struct {
			b    *browser
			r    *replica
			home session.Home
		}{{a, one, 7}, {b, two, 8}} {
			x.b.is(x.r, p, 1, x.home)
			if _, stale := open(t, store, x.b); stale {
				t.Error("not renewed")
			}
		}
		if a.given+b.given != 3 {
			t.Errorf("given %d and %d tickets: one of the two keys was agreed on", a.given, b.given)
		}
		a.is(two, p, 1, 7)
		b.is(one, p, 1, 8)
	})
	in(t, "after the store was lost", func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		store.hear(false)
		store.lose()
		before := store.count(event.SessionAgree)
		store.hear(true)
		synctest.Wait()
		if n := store.count(event.SessionAgree) - before; n != 2 {
			t.Errorf("asked %d times", n)
		}
		b.is(two, p, 1, 7)
		if _, stale := open(t, store, b); stale || b.given != 1 {
			t.Error("they agreed on another key")
		}
	})
	in(t, "not where keys are given", func(t *testing.T) {
		store := newScripted()
		key := session.NewKey()
		given := func(o *session.Options) { o.Keys = []session.Key{key} }
		one, two := join(t, store, given), join(t, store, given)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		arrive(t, one, p, 7).is(two, p, 1, 7)
		store.hear(false)
		store.hear(true)
		synctest.Wait()
		if store.count(event.SessionAgree) != 0 {
			t.Error("asked")
		}
	})
	in(t, "without a store", func(t *testing.T) {
		r := join(t, nil)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, r, p, 7)
		b.is(r, p, 1, 7)
		if s := r.Status(); s.Shared || !s.Away || s.Reason == "" || r.Available(p) {
			t.Errorf("%+v", s)
		}
		if got := r.Move(&b.visit, p, 8, event.MovedGone); got != session.None {
			t.Errorf("moved to %d", got)
		}
		b.is(r, p, 1, 7)
		if len(r.changes) != 1 || r.changes[0].Err == nil {
			t.Error(r.changes)
		}
	})
}

// Keys that are replaced open nothing from then on, tickets that were opened before
// included.
func TestSetKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := session.NewKey(), session.NewKey()
		r := join(t, nil, func(o *session.Options) { o.Keys = []session.Key{old} })
		defer r.Close()
		p := keeping("cart", session.InCookie)
		b := arrive(t, r, p, 7)
		b.is(r, p, 1, 7)
		kept := &browser{t: t, ticket: b.ticket}
		r.SetKeys([]session.Key{next, old})
		b.is(r, p, 1, 7)
		if b.given != 2 {
			t.Error("not renewed")
		}
		r.SetKeys([]session.Key{next})
		b.is(r, p, 1, 7)
		kept.is(r, p, 8, 8)
		if r.refusedFor("key") != 1 {
			t.Error(r.refused)
		}
	})
}

// A ticket that is being opened while its key goes is not remembered.
func TestSetKeysWhileTicketsAreOpened(t *testing.T) {
	old, next := session.NewKey(), session.NewKey()
	s := session.New(session.Options{Keys: []session.Key{old}})
	defer s.Close()
	ticket := session.NewKeyring(old).Seal(nil, realm, &session.Ticket{ID: session.ID{1}, Created: session.StampOf(time.Now()), Seen: session.StampOf(time.Now())})
	for range 5000 {
		s.SetKeys([]session.Key{old})
		ctx, end := context.WithCancel(t.Context())
		first, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			var v session.Visit
			close(first)
			for ctx.Err() == nil {
				s.Open(&v, realm, ticket)
			}
		}()
		<-first
		s.SetKeys([]session.Key{next})
		end()
		<-done
		var v session.Visit
		if s.Open(&v, realm, ticket); v.Known() {
			t.Fatal("a ticket by a key that is gone is opened")
		}
	}
}
