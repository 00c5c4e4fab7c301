package session_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/session"
)

var life = session.Lifetime{Idle: 30 * time.Minute, Absolute: 24 * time.Hour}

// numbered returns the ticket of a session that begins now.
func numbered(n int) *session.Ticket {
	t := &session.Ticket{Created: session.StampOf(time.Now())}
	t.Seen = t.Created
	binary.BigEndian.PutUint64(t.ID[8:], uint64(n))
	return t
}

// asked calls a store that never fails.
func asked[T any](t testing.TB, answer T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func find(t testing.TB, s session.Store, pool string, k *session.Ticket) session.Home {
	t.Helper()
	home, err := s.Find(t.Context(), pool, k, life)
	return asked(t, home, err)
}

func bind(t testing.TB, s session.Store, pool string, k *session.Ticket, to session.Home) session.Home {
	t.Helper()
	home, err := s.Bind(t.Context(), pool, k, to, life)
	return asked(t, home, err)
}

func touch(t testing.TB, s session.Store, pool string, k *session.Ticket) bool {
	t.Helper()
	known, err := s.Touch(t.Context(), pool, k, life)
	return asked(t, known, err)
}

// A flood of sessions takes no more memory than there is room for, and does not
// touch one that is in use.
func TestMemoryIsBounded(t *testing.T) {
	for _, room := range []int{1, 2, 100, 16_383, 16_384, 50_000} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			m := session.NewMemory(room, nil)
			busy, rare := numbered(-1), numbered(-2)
			bind(t, m, "cart", rare, 7)
			bind(t, m, "cart", busy, 8)
			// In use for a shard of it means: within as many others as it has room for.
			every := max(1, room/32)
			for i := range 3*room + 3 {
				bind(t, m, "cart", numbered(i), 9)
				if n := m.Len(); n > room {
					t.Fatalf("%d bindings, room for %d", n, room)
				}
				if room > 1 && i%every == 0 && find(t, m, "cart", busy) != 8 {
					t.Fatalf("a session in use was forgotten after %d others", i+1)
				}
			}
			if n := m.Len(); n < room*15/16 {
				t.Errorf("%d bindings, room for %d", n, room)
			}
			if find(t, m, "cart", rare) != session.None {
				t.Error("a session that was long unused was not forgotten")
			}
		})
	}
}

// The one that was used longest ago goes first, whatever used it.
func TestMemoryForgetsTheLongestUnused(t *testing.T) {
	for name, use := range map[string]func(session.Store, *session.Ticket){
		"find":   func(s session.Store, k *session.Ticket) { find(t, s, "cart", k) },
		"bind":   func(s session.Store, k *session.Ticket) { bind(t, s, "cart", k, 5) },
		"touch":  func(s session.Store, k *session.Ticket) { touch(t, s, "cart", k) },
		"rebind": func(s session.Store, k *session.Ticket) { s.Rebind(t.Context(), "cart", k, 4, 5, life) },
	} {
		m := session.NewMemory(3, nil)
		for i := range 3 {
			bind(t, m, "cart", numbered(i), 1)
		}
		use(m, numbered(0))
		bind(t, m, "cart", numbered(3), 1)
		for i, want := range []session.Home{1, session.None, 1, 1} {
			if got := find(t, m, "cart", numbered(i)); got != want {
				t.Errorf("%s: home of session %d: %d, want %d", name, i, got, want)
			}
		}
	}
}

// A session ends at the nanosecond, and what is asked for after that takes no room.
func TestMemoryExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0, nil)
		k := numbered(1)
		bind(t, m, "cart", k, 7)
		time.Sleep(life.Idle - 1)
		if find(t, m, "cart", k) != 7 {
			t.Fatal("forgotten early")
		}
		if time.Sleep(time.Nanosecond); find(t, m, "cart", k) != session.None {
			t.Error("remembered for longer than its idle timeout: a look is no use")
		}
		if n := m.Len(); n != 0 {
			t.Errorf("%d bindings take up room", n)
		}

		k = numbered(2)
		bind(t, m, "cart", k, 7)
		for range 2 * 24 {
			time.Sleep(life.Idle - 1)
			if !touch(t, m, "cart", k) {
				t.Fatal("forgotten though it was used")
			}
		}
		time.Sleep(time.Until(k.Created.Time().Add(life.Absolute)) - 1)
		if find(t, m, "cart", k) != 7 {
			t.Fatal("forgotten early")
		}
		if time.Sleep(time.Nanosecond); find(t, m, "cart", k) != session.None || touch(t, m, "cart", k) || m.Len() != 0 {
			t.Error("remembered beyond its time")
		}
		if home := bind(t, m, "cart", k, 8); home != 8 || m.Len() != 0 {
			t.Errorf("a session that is over is bound to %d, and %d take up room", home, m.Len())
		}
	})
}

// A policy with a shorter absolute timeout acts on sessions that are there.
func TestMemoryShorterLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := session.NewMemory(0, nil)
		k := numbered(1)
		bind(t, m, "cart", k, 7)
		time.Sleep(10 * time.Minute)
		short := session.Lifetime{Idle: life.Idle, Absolute: 10 * time.Minute}
		if home, err := m.Find(t.Context(), "cart", k, short); home != session.None || err != nil {
			t.Errorf("home %d, %v", home, err)
		}
	})
}

// Any number of goroutines use, move and expire sessions in little room; a home that
// comes back is one that somebody gave to that session in that pool.
func TestMemoryInUse(t *testing.T) {
	clock := struct {
		sync.Mutex
		now time.Time
	}{now: time.Now()}
	now := func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		clock.now = clock.now.Add(time.Second)
		return clock.now
	}
	m := session.NewMemory(20, now)
	pools := []string{"cart", "search"}
	seed := rand.Uint64()
	var all sync.WaitGroup
	for worker := range uint64(4) {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, worker))
			for range 3000 {
				n, p := rnd.IntN(40), rnd.IntN(2)
				k, base := numbered(n), session.Home(1000*(n+1)+100*p)
				var home session.Home
				switch pick := session.Home(rnd.IntN(8)); rnd.IntN(4) {
				case 0:
					home = find(t, m, pools[p], k)
				case 1:
					home = bind(t, m, pools[p], k, base+pick)
				case 2:
					home, _ = m.Rebind(context.Background(), pools[p], k, base+pick, base+7, life)
				default:
					touch(t, m, pools[p], k)
				}
				if home != session.None && (home < base || home > base+7) || m.Len() > 20 {
					t.Errorf("seed %d: session %d in pool %s is at home at %d, of %d bindings", seed, n, pools[p], home, m.Len())
					return
				}
			}
		})
	}
	all.Wait()
}

func TestAllocationsOfMemory(t *testing.T) {
	m := session.NewMemory(0, nil)
	k := numbered(1)
	bind(t, m, "cart", k, 7)
	ctx := t.Context()
	for name, do := range map[string]func(){
		"find":        func() { m.Find(ctx, "cart", k, life) },
		"find, none":  func() { m.Find(ctx, "search", k, life) },
		"bind, bound": func() { m.Bind(ctx, "cart", k, 8, life) },
		"rebind":      func() { m.Rebind(ctx, "cart", k, 7, 7, life) },
		"touch":       func() { m.Touch(ctx, "cart", k, life) },
	} {
		if n := testing.AllocsPerRun(1000, do); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	m := session.NewMemory(0, nil)
	ctx := context.Background()
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	created := time.Now()
	known := func(n uint64) *session.Ticket {
		k := &session.Ticket{Created: session.StampOf(created)}
		binary.BigEndian.PutUint64(k.ID[:], n)
		return k
	}
	for n := range uint64(session.MaxBindings) {
		m.Bind(ctx, "cart", known(n), 7, life)
	}
	size := float64(heap()-before) / float64(m.Len())
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		k := *known(0)
		for n := rand.Uint64(); p.Next(); n += 7919 {
			binary.BigEndian.PutUint64(k.ID[:], n%session.MaxBindings)
			m.Find(ctx, "cart", &k, life)
		}
	})
	b.ReportMetric(size, "B/binding")
}
