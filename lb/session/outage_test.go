package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// While the store is away for longer than the idle timeout, sessions in use stay at home
// in each of the pools that one ticket serves.
func TestSessionsThroughALongOutage(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		in(t, fmt.Sprint("confirmed ", confirmed), func(t *testing.T) {
			store := newScripted()
			r := join(t, store)
			defer r.Close()
			cart, search := keeping("cart", session.InRedis), keeping("search", session.InRedis)
			b := arrive(t, r, cart, 7)
			if !confirmed {
				store.set(script{err: errScripted})
			}
			for range 3 {
				b.is(r, cart, 1, 7)
				b.at(r, search, 8)
				synctest.Wait()
			}
			store.set(script{err: errScripted})
			for i := range 300 {
				time.Sleep(time.Minute)
				if home := b.at(r, cart, 100+session.Home(i)); home != 7 {
					t.Fatalf("after %d min: at %d, not at 7", i+1, home)
				}
				if home := b.at(r, search, 200+session.Home(i)); home != 8 {
					t.Fatalf("after %d min: at %d, not at 8", i+1, home)
				}
			}
			store.set(script{})
			for range 3 {
				time.Sleep(10 * time.Second)
				b.is(r, cart, 1, 7)
				b.is(r, search, 2, 8)
			}
			synctest.Wait()
			ticket, _ := open(t, store, b)
			if store.home("cart", &ticket, cart.Lifetime) != 7 || store.home("search", &ticket, cart.Lifetime) != 8 {
				t.Error("the store was not told afterwards")
			}
		})
	}
}

// What the store has lost it is told again, and no session moves for that.
func TestStoreThatForgets(t *testing.T) {
	in(t, "restarted empty", func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		for range 3 {
			b.is(one, p, 1, 7)
			b.is(two, p, 1, 7)
			synctest.Wait()
		}
		store.hear(false)
		store.lose()
		time.Sleep(time.Second)
		store.hear(true)
		before := store.count(event.SessionBind)
		for range 3 {
			b.is(two, p, 1, 7)
			synctest.Wait()
			b.is(one, p, 1, 7)
			synctest.Wait()
		}
		ticket, _ := open(t, store, b)
		if home := store.home("cart", &ticket, p.Lifetime); home != 7 {
			t.Errorf("it has %d", home)
		}
		if n := store.count(event.SessionBind) - before; n != 1 {
			t.Errorf("told %d times", n)
		}
		if one.movedBy(event.MovedByStore)+two.movedBy(event.MovedByStore) != 0 {
			t.Error("moved")
		}
	})
	in(t, "found out by a touch", func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, r, p, 7)
		b.is(r, p, 1, 7)
		synctest.Wait()
		store.lose()
		time.Sleep(p.Lifetime.Idle/8 + time.Second)
		b.is(r, p, 1, 7) // tells that it is used
		synctest.Wait()
		b.is(r, p, 1, 7) // tells where it is
		synctest.Wait()
		wantCounts(t, store, map[event.SessionOperation]int{event.SessionFind: 1, event.SessionBind: 2, event.SessionTouch: 1})
	})
	in(t, "with another home", func(t *testing.T) {
		store := newScripted()
		store.set(script{err: errScripted})
		one := join(t, store)
		defer one.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		b.is(one, p, 1, 7) // provisionally
		store.set(script{}, event.SessionAgree)
		time.Sleep(2 * time.Second)
		b.is(one, p, 1, 7)
		ticket, _ := open(t, store, b)
		store.set(script{})
		if got, err := store.Bind(t.Context(), "cart", &ticket, 9, p.Lifetime); got != 9 || err != nil {
			t.Fatal(got, err)
		}
		for range 10 {
			b.at(one, p, 1)
			time.Sleep(time.Second)
		}
		b.is(one, p, 1, 9)
		if n := one.movedBy(event.MovedByStore); n != 1 {
			t.Errorf("moved %d times", n)
		}
	})
}

// The store's breaker opens when it fails or is slow; then nobody waits; and it closes
// when a few succeed.
func TestStoreBreaker(t *testing.T) {
	for name, how := range map[string]script{
		"down": {err: errScripted}, "slow": {slow: 50 * time.Millisecond}, "hung": {hangs: true}, "answers lost": {lost: true},
	} {
		in(t, name, func(t *testing.T) {
			store := newScripted()
			r := join(t, store)
			defer r.Close()
			p := keeping("cart", session.InRedis)
			var all []*browser
			for i := range 200 {
				all = append(all, arrive(t, r, p, session.Home(i+1)))
			}
			store.set(how)
			var waited time.Duration
			for i, b := range all[:100] {
				start := time.Now()
				b.is(r, p, 1000, session.Home(i+1))
				if took := time.Since(start); took > p.Timeout {
					t.Fatalf("waited %v", took)
				} else {
					waited += took
				}
			}
			if waited > 10*p.Timeout {
				t.Errorf("waited %v in all", waited)
			}
			if s := r.Status(); !s.Away || s.Reason == "" || r.Available(p) {
				t.Errorf("%+v, available %v", s, r.Available(p))
			}
			synctest.Wait()
			if len(r.changes) != 1 || !r.changes[0].Away || r.changes[0].Err == nil {
				t.Errorf("told %+v", r.changes)
			}
			// Half-open, it takes two at a time, perhaps of its own, and opens again.
			time.Sleep(10 * time.Second)
			before := store.count(operations...)
			for i, b := range all[100:] {
				b.is(r, p, 1000, session.Home(100+i+1))
			}
			if n := store.count(operations...) - before; n > 2 {
				t.Errorf("%d operations while it was half-open", n)
			}
			synctest.Wait()
			if len(r.changes) != 1 {
				t.Errorf("told %+v", r.changes)
			}
			store.set(script{})
			for range 10 {
				time.Sleep(2 * time.Second)
				for i, b := range all {
					b.is(r, p, 1000, session.Home(i+1))
				}
				synctest.Wait()
			}
			if s := r.Status(); s.Away || !r.Available(p) {
				t.Errorf("afterwards %+v", s)
			}
			if len(r.changes) != 2 || r.changes[1].Away {
				t.Errorf("told %+v", r.changes)
			}
			if n := r.movedBy(event.MovedByStore); n != 0 {
				t.Errorf("%d moved", n)
			}
		})
	}
}

// With ten thousand sessions that come back at once when the store does, there are 32
// operations under way at the most, and all are told in the end.
func TestMassReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		defer r.Close()
		p := keeping("cart", session.InRedis)
		store.set(script{err: errScripted})
		const clients = 10_000
		all := make([]*browser, clients)
		for i := range all {
			all[i] = arrive(t, r, p, session.Home(i+1))
			all[i].is(r, p, 1, session.Home(i+1))
		}
		time.Sleep(30 * time.Second)
		store.set(script{slow: 2 * time.Millisecond})
		store.mu.Lock()
		store.most = 0
		store.mu.Unlock()
		told := func() int { return r.count(event.SessionBind, event.SessionOK) }
		for i, b := range all {
			b.is(r, p, 1, session.Home(i+1))
		}
		for next := 0; told() < clients; next += 64 {
			if next > 100*clients {
				t.Fatalf("%d of %d told", told(), clients)
			}
			for i := next; i < next+64; i++ {
				all[i%clients].is(r, p, 1, session.Home(i%clients+1))
			}
			time.Sleep(5 * time.Millisecond)
		}
		store.mu.Lock()
		defer store.mu.Unlock()
		if store.most > 32+1 { // what nobody waits for, and the key that is asked for every five seconds
			t.Errorf("%d under way at once", store.most)
		}
	})
}
