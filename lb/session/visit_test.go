package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// A home that is unknown here is waited for a while by one and the same policy. Requests
// by several routes are all by that policy.
func TestStrange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, nil)
		defer r.Close()
		p, next := keeping("cart", session.InMemory), keeping("cart", session.InMemory)
		b := arrive(t, r, p, 7)
		strange := func(p *session.Persistence) bool {
			b.is(r, p, 1, 7)
			return r.Strange(&b.visit, p)
		}
		other := arrive(t, r, p, 8)
		for range 14 {
			if strange(p) {
				t.Fatal("too early")
			}
			time.Sleep(time.Second)
		}
		if strange(next) {
			t.Fatal("another policy has just begun")
		}
		for range 15 {
			if strange(next) {
				t.Fatal("too early")
			}
			time.Sleep(time.Second)
		}
		if !strange(next) {
			t.Error("waited for ever")
		}
		other.is(r, next, 1, 8)
		if r.Strange(&other.visit, next) {
			t.Error("each session has its own time")
		}
		if got := r.Move(&b.visit, next, 9, event.MovedGone); got != 9 {
			t.Fatal(got)
		}
		b.is(r, next, 1, 9)
		if r.Strange(&b.visit, next) {
			t.Error("another home has its own time")
		}
	})
}

// Moves in the stores that are not shared.
func TestMoves(t *testing.T) {
	for kind, name := range map[session.Kind]string{session.InCookie: "cookie", session.InMemory: "memory", session.InRedis: "Redis"} {
		in(t, name, func(t *testing.T) {
			r := join(t, newScripted())
			defer r.Close()
			p := keeping("cart", kind)
			b := arrive(t, r, p, 7)
			b.is(r, p, 1, 7)
			synctest.Wait()
			for want := session.Home(8); want < 12; want++ {
				r.Open(&b.visit, realm, b.ticket)
				r.Home(&b.visit, p, time.Now())
				if got := r.Move(&b.visit, p, want, event.MovedUnavailable); got != want || b.visit.Home() != want {
					t.Fatal(got, b.visit.Home())
				}
				given := b.given
				b.leave(r, p, want)
				if b.given != given+1 {
					t.Error("its ticket does not say so")
				}
				b.is(r, p, 1, want)
			}
			if n := r.movedBy(event.MovedUnavailable); n != 4 {
				t.Errorf("counted %d moves", n)
			}
		})
	}
}

// One ticket serves several pools. It tells of one of them, and is not issued again and
// again; each pool's home is kept.
func TestSeveralPools(t *testing.T) {
	for kind, name := range map[session.Kind]string{session.InMemory: "memory", session.InRedis: "Redis"} {
		in(t, name, func(t *testing.T) {
			r := join(t, newScripted())
			defer r.Close()
			var pools []*session.Persistence
			for i := range 4 {
				pools = append(pools, keeping(fmt.Sprint("pool ", i), kind))
			}
			any1, any2 := keeping("any 1", session.InCookie), keeping("any 2", session.InCookie)
			any1.Homeless, any2.Homeless = true, true
			b := arrive(t, r, pools[0], 10)
			for range 20 {
				for i, p := range pools {
					b.is(r, p, session.Home(10+i), session.Home(10+i))
					synctest.Wait()
				}
				b.is(r, any1, 50, 50)
				b.is(r, any2, 51, 51)
				time.Sleep(time.Second)
			}
			if b.given != 1 {
				t.Errorf("given %d tickets", b.given)
			}
			if got := b.visit.From(); got != pools[0].Tag {
				t.Errorf("its ticket is of %x, want %x", got, pools[0].Tag)
			}
		})
	}
}

// A pool without homes gives tickets that keep a session in it, for as long as it is used.
func TestHomeless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InCookie)
		p.Homeless = true
		b := arrive(t, r, p, 7)
		number := b.visit.Number()
		for i := range 30 {
			home := session.Home(i + 1)
			b.is(r, p, home, home)
			if b.visit.Home() != session.None || b.visit.From() != p.Tag || b.visit.Number() != number {
				t.Fatal("it has a home, or is another one")
			}
			time.Sleep(p.Lifetime.Idle / 4)
		}
		if b.given < 15 {
			t.Errorf("renewed %d times", b.given)
		}
		time.Sleep(p.Lifetime.Idle)
		if b.at(r, p, 1); b.visit.Known() {
			t.Error("it ended late")
		}
		if store.count() != 0 {
			t.Error("the store was asked")
		}
		// Weights send it to a pool that keeps homes, and back: each counts as one move,
		// and is told the client.
		other := keeping("other", session.InRedis)
		b = arrive(t, r, p, 7)
		for _, p := range []*session.Persistence{other, p, other} {
			given := b.given
			r.Open(&b.visit, realm, b.ticket)
			r.Home(&b.visit, p, time.Now())
			if b.visit.From() == p.Tag {
				t.Error("it is from there")
			}
			if !r.Settle(&b.visit, p, 5, true) {
				t.Fatal("the client is not told")
			}
			b.ticket = r.Seal(nil, realm, &b.visit)
			b.is(r, p, 5, 5)
			if b.given != given || b.visit.From() != p.Tag {
				t.Error("told twice, or not")
			}
		}
	})
}
