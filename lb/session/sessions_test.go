package session_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// in runs a test in virtual time.
func in(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func wantCounts(t *testing.T, s *scripted, want map[event.SessionOperation]int) {
	t.Helper()
	got := s.counts()
	delete(got, event.SessionAgree)
	if !maps.Equal(got, want) {
		t.Fatalf("the store was asked %v, want %v", got, want)
	}
}

// A new session costs the store nothing until the client has come back, and then two
// operations; a known one with a request a second, at two replicas in turn, no more than
// one in a hundred requests.
func TestCostOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		one, two := join(t, store), join(t, store)
		defer one.Close()
		defer two.Close()
		p := keeping("cart", session.InRedis)
		b := arrive(t, one, p, 7)
		wantCounts(t, store, map[event.SessionOperation]int{})
		b.is(one, p, 8, 7)
		synctest.Wait()
		wantCounts(t, store, map[event.SessionOperation]int{event.SessionFind: 1, event.SessionBind: 1})
		b.is(two, p, 8, 7)
		synctest.Wait()
		before := store.count()
		const requests = 36000
		for i := range requests {
			b.is([]*replica{one, two}[i%2], p, 8, 7)
			time.Sleep(time.Second)
		}
		if n := store.count() - before; n == 0 || n*100 > requests {
			t.Errorf("%d operations for %d requests of a known session", n, requests)
		}
		if b.given == 0 || b.given > requests/(80*60/8)+1 {
			t.Errorf("given %d tickets", b.given)
		}
	})
}

// A session ends when it was not used for its idle timeout, up to an eighth early and
// never late, and when its time is over, in every store, at whichever replica.
func TestSessionsEnd(t *testing.T) {
	for kind, name := range map[session.Kind]string{session.InRedis: "Redis", session.InCookie: "cookie", session.InMemory: "memory"} {
		for _, away := range []bool{false, true} {
			if away && kind != session.InRedis {
				continue
			}
			in(t, fmt.Sprint(name, " away ", away), func(t *testing.T) {
				store := newScripted()
				replicas := []*replica{join(t, store)}
				if kind != session.InMemory {
					replicas = append(replicas, join(t, store))
				}
				for _, r := range replicas {
					defer r.Close()
				}
				p := keeping("cart", kind)
				idle := p.Lifetime.Idle
				known := func(b *browser, i int) bool {
					b.at(replicas[i%len(replicas)], p, 9)
					synctest.Wait()
					return b.visit.Known()
				}
				for i := range 8 {
					b := arrive(t, replicas[0], p, 7)
					if away {
						store.set(script{err: errScripted})
					}
					for range 1 + i/2 {
						time.Sleep(idle * 7 / 8 * time.Duration(i+1) / 8)
						if !known(b, i) {
							t.Fatalf("%d: it ended early", i)
						}
					}
					time.Sleep(idle*7/8 - time.Second)
					if !known(b, i) {
						t.Fatalf("%d: it ended more than an eighth early", i)
					}
					time.Sleep(idle + time.Second)
					if known(b, i) {
						t.Fatalf("%d: it ended late", i)
					}
					store.set(script{})
					time.Sleep(10 * time.Second)
				}
				// In use all the time.
				b := arrive(t, replicas[0], p, 7)
				created := time.Now()
				for time.Since(created) < p.Lifetime.Absolute-time.Minute {
					if !known(b, b.given) {
						t.Fatalf("it ended after %v", time.Since(created))
					}
					time.Sleep(30 * time.Second)
				}
				time.Sleep(p.Lifetime.Absolute - time.Since(created))
				for i := range 2 {
					if other := (&browser{t: t, ticket: b.ticket}); known(other, i) {
						t.Fatal("it outlives its time")
					}
				}
				if replicas[0].refusedFor("expired") == 0 {
					t.Error("not counted")
				}
			})
		}
	}
}

// The wall clock may jump by an hour either way: no session is idle for that.
func TestWallClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		for kind, name := range map[session.Kind]string{session.InRedis: "Redis", session.InMemory: "memory", session.InCookie: "cookie"} {
			in(t, fmt.Sprint(name, jump), func(t *testing.T) {
				var off time.Duration
				store := newScripted()
				r := join(t, store, func(o *session.Options) {
					o.Wall = func() time.Time {
						return time.Now().Round(0).Add(off) // nothing but what it shows
					}
				})
				defer r.Close()
				p := keeping("cart", kind)
				p.Lifetime.Idle = 40 * time.Minute
				p.Lifetime.Absolute = 24 * time.Hour
				b := arrive(t, r, p, 7)
				for range 5 {
					b.is(r, p, 1, 7)
					time.Sleep(time.Minute)
				}
				off = jump
				for range 200 {
					b.is(r, p, 1, 7)
					if !b.visit.Known() {
						t.Fatal("it is another session")
					}
					time.Sleep(time.Minute)
				}
				off = 0
				for range 200 {
					b.is(r, p, 1, 7)
					time.Sleep(time.Minute)
				}
				if len(r.refused) != 0 {
					t.Error(r.refused)
				}
			})
		}
	}
}

// Close ends what is under way, and returns, whatever the store does.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		r := join(t, store)
		p := keeping("cart", session.InRedis)
		a, b := arrive(t, r, p, 7), arrive(t, r, p, 8)
		b.is(r, p, 1, 8)
		synctest.Wait()
		store.set(script{hangs: true})
		time.Sleep(p.Lifetime.Idle/8 + time.Second)
		b.is(r, p, 1, 8) // touches
		served := make(chan session.Home, 1)
		go func() { served <- a.at(r, p, 1) }()
		synctest.Wait()
		start := time.Now()
		r.Close()
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %v", took)
		}
		if home := <-served; home != 7 {
			t.Error(home)
		}
		// It may be used after that, and asks nobody.
		before := store.count()
		b.is(r, p, 1, 8)
		arrive(t, r, p, 9).is(r, p, 1, 9)
		synctest.Wait()
		r.Start(t.Context())
		r.Close()
		if store.count() != before {
			t.Error("it asked the store")
		}
	})
}

// While the replicas have yet to agree on a key, requests do not wait for that, and it
// ends with Close.
func TestStartKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newScripted()
		store.set(script{hangs: true}, event.SessionAgree)
		r := &replica{Sessions: session.New(session.Options{Shared: store})}
		started := make(chan struct{})
		go func() { r.Start(t.Context()); close(started) }()
		synctest.Wait()
		time.Sleep(time.Second)
		p := keeping("cart", session.InRedis)
		b := arrive(t, r, p, 7)
		start := time.Now()
		b.is(r, p, 1, 7)
		if took := time.Since(start); took > p.Timeout {
			t.Errorf("a request waited %v", took)
		}
		start = time.Now()
		r.Close()
		<-started
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
	})
}
