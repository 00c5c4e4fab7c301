package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/session"
)

// Tickets that are out there have these tags.
func TestPoolTag(t *testing.T) {
	for pool, want := range map[string]uint32{
		"":              0x51d8e999,
		"cart":          0x7fd7c632,
		"cart-next":     0x9f5e30ab,
		"pool-apkuoyfc": 1, // its hash is 0, which stands for no pool
	} {
		if got := session.PoolTag(pool); got != want {
			t.Errorf("%q has tag %#x, want %#x", pool, got, want)
		}
	}
}

// Replicas that have nothing but the keys in common know what the ticket says, as it
// comes out of what the client carries.
func TestCookieStoresAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stores [2]session.CookieStore
		rings := [2]*session.Keyring{session.NewKeyring(key(1), key(2)), session.NewKeyring(key(2), key(1))}
		k := numbered(1)
		if home := bind(t, stores[0], "cart", k, 7); home != 7 {
			t.Fatalf("bound to %d", home)
		}
		for i := range 30 {
			time.Sleep(life.Idle/2 + time.Duration(i)*time.Millisecond)
			text := rings[i%2].Seal(nil, realm, k)
			got, _, why := rings[(i+1)%2].Open(realm, text)
			if why != session.Opened || got != *k {
				t.Fatalf("%+v, refused for %q; want %+v", got, why, k)
			}
			store := stores[(i+1)%2]
			if home := find(t, store, "cart", &got); home != 7 {
				t.Fatalf("home %d after %d requests", home, i)
			}
			if !touch(t, store, "cart", &got) || time.Since(got.Seen.Time()) >= time.Second {
				t.Fatalf("touched, it was seen %v ago", time.Since(got.Seen.Time()))
			}
			k = &got
		}
	})
}

func TestCookieStoreExpiry(t *testing.T) {
	// Neither a whole second after the one in the ticket nor before it.
	for _, part := range []time.Duration{0, 1, 500 * time.Millisecond, time.Second - 1} {
		synctest.Test(t, func(t *testing.T) {
			var s session.CookieStore
			time.Sleep(part)
			k := numbered(1)
			bind(t, s, "cart", k, 7)
			time.Sleep(life.Idle - part - 1)
			if find(t, s, "cart", k) != 7 {
				t.Error("forgotten more than a second early")
			}
			before := *k
			if time.Sleep(time.Nanosecond); find(t, s, "cart", k) != session.None || touch(t, s, "cart", k) {
				t.Error("remembered for longer than its idle timeout")
			}
			if *k != before {
				t.Errorf("a session that is over was renewed: %+v, and was %+v", k, before)
			}
			// What is over is no home any more that would stand against another.
			if home := bind(t, s, "cart", k, 8); home != 8 || find(t, s, "cart", k) != 8 {
				t.Errorf("bound to %d, and found %d", home, find(t, s, "cart", k))
			}
			time.Sleep(time.Until(k.Created.Time().Add(life.Absolute)))
			k.Seen = session.StampOf(time.Now())
			if find(t, s, "cart", k) != session.None {
				t.Error("remembered beyond its time")
			}
			before = *k
			if home := bind(t, s, "cart", k, 9); home != 9 || *k != before {
				t.Errorf("a session that is over is bound to %d: %+v, and was %+v", home, k, before)
			}
		})
	}
}

// A replica whose clock is behind does not refuse what another has just issued.
func TestCookieStoreClocks(t *testing.T) {
	now := time.Now()
	ahead := session.CookieStore{Wall: func() time.Time { return now.Add(time.Minute) }}
	behind := session.CookieStore{Wall: func() time.Time { return now }}
	k := numbered(1)
	k.Created = session.StampOf(now.Add(time.Minute))
	bind(t, ahead, "cart", k, 7)
	if home := find(t, behind, "cart", k); home != 7 {
		t.Errorf("home %d", home)
	}
}

// What a store without a memory cannot do, as it is documented: who relies on
// another behaviour should learn of it here.
func TestCookieStoreForgets(t *testing.T) {
	var s session.CookieStore
	k := numbered(1)
	bind(t, s, "cart", k, 7)
	old := *k
	if home, err := s.Rebind(t.Context(), "cart", k, 7, 8, life); home != 8 || err != nil {
		t.Fatal(home, err)
	}
	if find(t, s, "cart", &old) != 7 || find(t, s, "cart", k) != 8 {
		t.Error("an older ticket is not believed, or a new one is not")
	}
	if find(t, s, "search", k) != session.None || bind(t, s, "search", k, 9) != 9 || find(t, s, "cart", k) != session.None {
		t.Error("a ticket has room for two homes")
	}
	a, b := *numbered(2), *numbered(2)
	if bind(t, s, "cart", &a, 7) != 7 || bind(t, s, "cart", &b, 8) != 8 {
		t.Error("requests without a ticket agree")
	}
}

func TestAllocationsOfCookieStore(t *testing.T) {
	var s session.Store = session.CookieStore{}
	k := numbered(1)
	bind(t, s, "cart", k, 7)
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		s.Find(ctx, "cart", k, life)
		s.Rebind(ctx, "cart", k, 7, 7, life)
		s.Touch(ctx, "cart", k, life)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
