package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// common is a store that others share, which always answers and never changes by
// itself.
type common struct {
	*session.Memory
	watched chan struct{} // closed once changes are heard of
}

func (c common) Watch(ctx context.Context, _ func(string, session.ID), connected func(bool)) {
	connected(true)
	close(c.watched)
	<-ctx.Done()
}

func (c common) Agree(_ context.Context, proposal session.Key) (session.Key, error) {
	return proposal, nil
}

// known are sessions that clients have and this replica has seen: a request of one is
// what nearly every request of a site with sessions is.
type known struct {
	*session.Sessions
	visit session.Visit
	pool  session.Persistence
	texts [][]byte
}

const knownHome session.Home = 7

var kinds = map[string]session.Kind{"redis": session.InRedis, "cookie": session.InCookie, "memory": session.InMemory}

func newKnown(t testing.TB, kind session.Kind, sessions int) *known {
	c := common{session.NewMemory(0, nil), make(chan struct{})}
	told := make(chan struct{}, 1)
	k := &known{
		Sessions: session.New(session.Options{Shared: c, Keys: []session.Key{key(1)}, Events: &event.Listener{
			SessionStoreAsked: func(event.SessionAsked) { told <- struct{}{} },
		}}),
		pool: session.Persistence{
			Pool: "cart", Tag: session.PoolTag("cart"), Kind: kind,
			Lifetime: session.Lifetime{Idle: time.Hour, Absolute: 24 * time.Hour}, Timeout: 10 * time.Second,
		},
	}
	t.Cleanup(k.Close)
	k.Start(context.Background())
	<-c.watched
	for range sessions {
		k.Open(&k.visit, realm, nil)
		if !k.Settle(&k.visit, &k.pool, knownHome, false) {
			t.Fatal("a new session is given no ticket")
		}
		k.texts = append(k.texts, k.Seal(nil, realm, &k.visit))
	}
	for _, text := range k.texts { // its client comes back with it
		k.visitBy(text)
		if kind == session.InRedis {
			<-told // it was asked
			<-told // and told
		}
	}
	for range 1000 {
		if home, renew := k.request(); home != knownHome || renew {
			t.Fatalf("at home at %d, a new ticket: %v; want %d, and none", home, renew, knownHome)
		}
	}
	return k
}

// request is what a request of any of the sessions does with it.
func (k *known) request() (session.Home, bool) {
	return k.visitBy(k.texts[rand.IntN(len(k.texts))])
}

func (k *known) visitBy(text []byte) (session.Home, bool) {
	k.Open(&k.visit, realm, text)
	home := k.Home(&k.visit, &k.pool, time.Now())
	return home, k.Settle(&k.visit, &k.pool, home, false)
}

// The shared store is not asked of a known session, and nothing allocates, so that
// sessions cost the same whatever the garbage collector does.
func TestAllocationsOfKnownSession(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			k := newKnown(t, kind, 100)
			misses := k.Status().Misses
			if n := testing.AllocsPerRun(1000, func() { k.request() }); n > 0 {
				t.Errorf("%v allocations", n)
			}
			if n := k.Status().Misses - misses; n > 0 {
				t.Errorf("the store was asked of it %d times", n)
			}
		})
	}
}

func BenchmarkKnownSession(b *testing.B) {
	for name, kind := range kinds {
		for _, sessions := range []int{1, 20_000} { // all in the processor's cache, or few
			b.Run(fmt.Sprintf("%s/%d", name, sessions), func(b *testing.B) {
				k := newKnown(b, kind, sessions)
				b.ReportAllocs()
				for b.Loop() {
					k.request()
				}
			})
		}
	}
}

// What a replica remembers is bounded. A session that is used is not forgotten, however
// many others come; one that is not used makes room for them.
func TestUsedSessionIsRemembered(t *testing.T) {
	s := session.New(session.Options{Keys: []session.Key{key(1)}})
	defer s.Close()
	pool := session.Persistence{
		Pool: "cart", Tag: session.PoolTag("cart"), Kind: session.InRedis, // of which there is none to ask
		Lifetime: session.Lifetime{Idle: time.Hour, Absolute: 24 * time.Hour}, Timeout: time.Second,
	}
	begin := func() []byte {
		var v session.Visit
		s.Open(&v, realm, nil)
		s.Settle(&v, &pool, knownHome, false)
		return s.Seal(nil, realm, &v)
	}
	misses := func(text []byte) uint64 {
		before := s.Status().Misses
		var v session.Visit
		s.Open(&v, realm, text)
		s.Home(&v, &pool, time.Now())
		return s.Status().Misses - before
	}
	used, unused := begin(), begin()
	misses(used) // its client has come back: it is remembered from then on
	misses(unused)
	for n := range 400_000 {
		misses(begin())
		if n%1000 == 0 && misses(used) > 0 {
			t.Fatalf("forgotten after %d others, though it was used", n)
		}
	}
	if misses(unused) == 0 {
		t.Error("400,000 others came since it was used, and it is remembered")
	}
}
