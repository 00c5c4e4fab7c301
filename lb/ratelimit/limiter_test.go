package ratelimit_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/ratelimit"
)

// taken is how many of n requests at once are let through.
func taken(l *ratelimit.Limiter, k ratelimit.Key, n int) (ok int) {
	for range n {
		if l.Take(k) == 0 {
			ok++
		}
	}
	return ok
}

// A client that asks all the time gets the burst and then the rate, to the
// request, over any time.
func TestRate(t *testing.T) {
	for _, c := range []struct {
		requests int
		per      time.Duration
		burst    int
	}{
		{100, time.Second, 50},
		{100, time.Second, 1},
		{3, time.Second, 3}, // the time of a token is no whole number of nanoseconds
		{7, time.Minute, 20},
		{1, 24 * time.Hour, 1},
		{100_000, time.Second, 100},
		{1, time.Millisecond, 1},
	} {
		t.Run(fmt.Sprintf("%d per %v, burst %d", c.requests, c.per, c.burst), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := ratelimit.New(c.requests, c.per, c.burst)
				k := l.Value([]byte("key"))
				if n := taken(l, k, c.burst+10); n != c.burst {
					t.Fatalf("%d at once, want %d", n, c.burst)
				}
				// Five periods, each looked at in steps that are shorter than a token's time
				// or, for a high rate, let through no more than a burst.
				const steps = 1000
				sum := 0
				for period := 1; period <= 5; period++ {
					for range steps {
						time.Sleep(c.per / steps)
						sum += taken(l, k, c.burst+1)
					}
					if want := period * c.requests; sum < want-1 || sum > want {
						t.Fatalf("%d in %d periods, want %d", sum, period, want)
					}
				}
				time.Sleep(1000 * c.per)
				time.Sleep(time.Duration(c.burst) * c.per)
				if n := taken(l, k, c.burst+10); n != c.burst {
					t.Errorf("%d at once after a long pause, want %d", n, c.burst)
				}
			})
		})
	}
}

// Whoever waits as long as was said gets a token, and not sooner.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, requests := range []int{1, 3, 7, 100, 999_999} {
			l := ratelimit.New(requests, time.Minute, 2)
			k := l.Value(nil)
			taken(l, k, 2)
			for range 20 {
				wait := l.Take(k)
				if wait <= 0 || wait > time.Minute/time.Duration(requests)+1 {
					t.Fatalf("%d a minute: wait %v", requests, wait)
				}
				if again := l.Take(k); again != wait {
					t.Fatalf("a request that was refused changed the wait from %v to %v", wait, again)
				}
				time.Sleep(wait - wait/10 - 1)
				left := wait/10 + 1
				switch again := l.Take(k); {
				case again == 0:
					t.Fatalf("%d a minute: a token came before its time", requests)
				case again < left-2 || again > left+2: // it is rounded
					t.Fatalf("%d a minute: wait %v, but %v are left of %v", requests, again, left, wait)
				}
				time.Sleep(wait/10 + 2)
				if again := l.Take(k); again != 0 {
					t.Fatalf("%d a minute: waited %v, and should wait %v more", requests, wait, again)
				}
			}
		}
	})
}

func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			a, b   string
			shared bool
		}{
			{"10.0.0.1", "10.0.0.2", false},
			{"10.0.0.1", "::ffff:10.0.0.1", true},
			{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
			{"2001:db8::1", "2001:db8:0:1::1", false},
			{"fe80::1%eth0", "fe80::2%eth1", true},
			{"::1", "0.0.0.0", false},
		} {
			l := ratelimit.New(1, time.Second, 1)
			l.Take(l.Address(netip.MustParseAddr(c.a)))
			if shared := l.Take(l.Address(netip.MustParseAddr(c.b))) > 0; shared != c.shared {
				t.Errorf("%s and %s share a bucket: %t", c.a, c.b, shared)
			}
		}
		l := ratelimit.New(1, time.Second, 1)
		if l.Take(l.Value([]byte("a"))) > 0 || l.Take(l.Value([]byte("b"))) > 0 || l.Take(l.Value(nil)) > 0 {
			t.Error("values share a bucket")
		}
		if l.Take(l.Value([]byte("a"))) == 0 {
			t.Error("a value has two buckets")
		}
		if l.Value([]byte("a")) == ratelimit.New(1, time.Second, 1).Value([]byte("a")) {
			t.Error("a key can be foretold")
		}
		if l.Take(l.Address(netip.Addr{})) > 0 || l.Take(l.Address(netip.Addr{})) == 0 {
			t.Error("clients of unknown address do not share one bucket")
		}
	})
}

// A flood of keys takes no more memory than MaxKeys, and does not touch a key
// that is in use.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(1, time.Hour, 1)
		busy, rare := l.Value([]byte("busy")), l.Value([]byte("rare"))
		l.Take(busy)
		l.Take(rare)
		var b [8]byte
		for i := range 2 * ratelimit.MaxKeys {
			binary.BigEndian.PutUint64(b[:], uint64(i))
			l.Take(l.Value(b[:]))
			if i%1000 == 0 && l.Take(busy) == 0 {
				t.Fatalf("a key in use was forgotten after %d others", i)
			}
		}
		if n := l.Keys(); n != ratelimit.MaxKeys {
			t.Errorf("%d keys, want %d", n, ratelimit.MaxKeys)
		}
		if l.Take(rare) > 0 {
			t.Error("a key that was long unused was not forgotten")
		}
	})
}

// Another policy's numbers act at once, on what every key has left.
func TestAdopt(t *testing.T) {
	for _, c := range []struct {
		name            string
		requests, burst int
		at, later       int // let through at once after the reload, and a second later
	}{
		{"the same", 10, 10, 4, 10},
		{"a faster rate", 100, 10, 4, 10},
		{"a slower rate", 1, 10, 4, 1},
		{"a smaller burst", 10, 2, 2, 2},
		{"a larger burst", 10, 20, 4, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := ratelimit.New(10, time.Second, 10)
				k := old.Value([]byte("key"))
				taken(old, k, 6)
				l := ratelimit.New(c.requests, time.Second, c.burst)
				l.Adopt(old)
				if l.Value([]byte("key")) != k {
					t.Fatal("its key changed")
				}
				if n := taken(l, k, 30); n != c.at {
					t.Errorf("%d at once, want %d", n, c.at)
				}
				time.Sleep(time.Second)
				if n := taken(l, k, 30); n != c.later {
					t.Errorf("%d a second later, want %d", n, c.later)
				}
			})
		})
	}
}

// Requests at the same time take no token twice.
func TestTogether(t *testing.T) {
	l := ratelimit.New(1, 24*time.Hour, 100)
	var through atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				through.Add(int32(taken(l, l.Value([]byte("one")), 1)))
				l.Take(l.Value([]byte{byte(i)}))
			}
		})
	}
	wg.Wait()
	if n := through.Load(); n != 100 {
		t.Errorf("%d, want 100", n)
	}
}

func TestAllocations(t *testing.T) {
	l := ratelimit.New(1000, time.Second, 10)
	client, value := netip.MustParseAddr("2001:db8::1"), []byte("some token")
	for name, take := range map[string]func(){
		"address": func() { l.Take(l.Address(client)) },
		"value":   func() { l.Take(l.Value(value)) },
	} {
		if n := testing.AllocsPerRun(1000, take); n > 0 {
			t.Errorf("%s: %v allocations for a known key", name, n)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	l := ratelimit.New(1, time.Second, 1)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		var a [4]byte
		for i := uint32(0); p.Next(); i++ {
			binary.BigEndian.PutUint32(a[:], i%10_000)
			l.Take(l.Address(netip.AddrFrom4(a)))
		}
	})
}
