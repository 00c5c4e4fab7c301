package affinitytest

import (
	"testing"
	"time"

	"go-loadbalancer/lb/session/redistest"
)

// trouble is something that happens to Redis.
type trouble struct {
	urls   []string // of Redis, one for each replica
	spares int      // how many of the replicas, the last ones, notice nothing
	strike func()
	heal   func() // nil: it heals by itself
	lasts  time.Duration
}

// Whatever happens to Redis, every request is answered, none waits for it to speak of,
// and no session moves but, once, those that Redis was told of and lost.
func TestTroubleWithRedis(t *testing.T) {
	t.Parallel()
	const lasts = 2500 * time.Millisecond
	for name, begin := range map[string]func(t *testing.T) trouble{
		"it stops for a while": func(t *testing.T) trouble {
			s := startRedis(t)
			return trouble{both(s), 0, func() { ok(t, s.Pause()) }, func() { ok(t, s.Resume()) }, lasts}
		},
		"it is killed and restarted empty": func(t *testing.T) trouble {
			s := startRedis(t)
			return trouble{both(s), 0, s.Kill, func() { ok(t, s.Restart(false)) }, lasts}
		},
		"it forgets everything": func(t *testing.T) trouble {
			s := startRedis(t)
			return trouble{both(s), 2, func() { do(t, s, "FLUSHALL") }, func() { hasKey(t, s) }, 0}
		},
		"it pauses its clients": func(t *testing.T) trouble {
			s := startRedis(t)
			return trouble{both(s), 0, func() { do(t, s, "CLIENT", "PAUSE", "2500", "ALL") }, nil, lasts}
		},
		"it is read-only": func(t *testing.T) trouble {
			s := startRedis(t)
			return trouble{both(s), 0, func() { do(t, s, "REPLICAOF", "127.0.0.1", "1") }, func() { do(t, s, "REPLICAOF", "NO", "ONE") }, lasts}
		},
		"it has no memory left": func(t *testing.T) trouble {
			s := startRedis(t)
			return trouble{both(s), 0, func() { do(t, s, "CONFIG", "SET", "maxmemory", "1") }, func() { do(t, s, "CONFIG", "SET", "maxmemory", "0") }, lasts}
		},
		"a replica fails over and what it held last is lost": func(t *testing.T) trouble {
			s, err := redistest.StartSentinel(t.TempDir(), 3, redistest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			primary, replica := s.Servers[0], s.Servers[1]
			return trouble{[]string{s.URL(), s.URL()}, 0, func() {
				ok(t, replica.Pause())
				do(t, primary, "CLIENT", "KILL", "TYPE", "replica") // or its kernel would still receive
				time.Sleep(300 * time.Millisecond)                  // less than makes the sentinels lose trust in it
				primary.Kill()
				ok(t, replica.Resume())
				ok(t, s.AwaitPrimaryOtherThan(primary))
			}, nil, 0}
		},
		"one of three nodes is lost and comes back empty": func(t *testing.T) trouble {
			c, err := redistest.StartCluster(t.TempDir(), redistest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Stop)
			lost, err := c.Owner(ticketKey)
			ok(t, err)
			return trouble{[]string{c.URL(), c.URL()}, 0, lost.Kill, func() {
				ok(t, lost.Restart(false))
				hasKey(t, lost)
			}, lasts}
		},
		"one of two replicas is cut off": func(t *testing.T) trouble {
			s := startRedis(t)
			g := newGate(t, s.URL())
			return trouble{[]string{g.url, s.URL()}, 1, g.cut, g.heal, lasts}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endure(t, begin(t))
		})
	}
}

// ticketKey is what the key is called by which tickets are sealed.
const ticketKey = "lb:v1:affinity:key"

// hasKey waits until a server has it that has lost it.
func hasKey(t testing.TB, s *redistest.Server) {
	t.Helper()
	eventually(t, "the key is back", func() bool {
		n, err := s.Do("EXISTS", ticketKey)
		return err == nil && n == int64(1)
	})
}

func both(s *redistest.Server) []string { return []string{s.URL(), s.URL()} }

func do(t testing.TB, s *redistest.Server, args ...string) any {
	t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// endure has sessions, new ones all the time, go through trouble.
func endure(t *testing.T, tr trouble) {
	w := newWorld(t, 3, tr.urls...)
	// The default would do for Redis, but not for a machine on which four of these run.
	w.begin(policy{endpoints: w.backends, timeout: pace(50 * time.Millisecond)})
	c := newCrowd(w, scaled(1200))
	usual := load{pause: pace(20 * time.Millisecond), newcomers: 10, most: 4000}
	v := c.visit(usual)
	v.rounds(2)
	calm := v.stop()
	c.stays(t)

	before := make([]map[operation]int, len(w.replicas))
	for i, r := range w.replicas {
		before[i] = r.operations()
	}
	v = c.visit(usual)
	begun := time.Now()
	tr.strike()
	time.Sleep(tr.lasts)
	feels := func(i int) bool {
		return i >= len(w.replicas)-tr.spares || failed(before[i], w.replicas[i].operations()) > 0
	}
	if tr.heal != nil {
		// On a busy machine somebody may not have asked yet. Some feel it by what heals it only.
		for i := range w.replicas {
			for end := time.Now().Add(3 * time.Second); !feels(i) && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
		}
		tr.heal()
	}
	for i, r := range w.replicas {
		eventually(t, r.name+" feels it", func() bool { return feels(i) })
	}
	w.allWell()
	over := time.Now()
	v.rounds(1)
	// What Redis holds now, the key of the tickets in the first place, is good for one that
	// knows nothing else.
	last := w.replicas[len(w.replicas)-1]
	last.kill()
	last.run()
	v.rounds(2)
	took := v.stop()

	for i, r := range w.replicas {
		if s := r.status().Sessions; len(s.Refused) > 0 {
			t.Errorf("%s refused tickets: %v", r.name, s.Refused)
		}
		in := r.operations()
		t.Logf("%s: %+v; operations: %v", r.name, r.status().Sessions, in)
		waited := 0
		for _, o := range []operation{{"find", "error"}, {"find", "timeout"}, {"rebind", "error"}, {"rebind", "timeout"}} {
			waited += in[o] - before[i][o]
		}
		if waited > 100+len(took)/20 { // the others are not asked at all
			t.Errorf("%s: %d times a request waited for Redis in vain", r.name, waited)
		}
	}
	t.Logf("trouble for %v; %d sessions, %d requests, %d moved; p50, p99 and longest: %v, %v, %v; without trouble %v, %v, %v",
		over.Sub(begun).Round(time.Millisecond), c.len(), len(took), c.moved(), took[len(took)/2], p99(took), took[len(took)-1],
		calm[len(calm)/2], p99(calm), calm[len(calm)-1])
	if took[len(took)/2] > time.Second {
		t.Error("requests wait for Redis")
	}
	fresh := 0
	c.check(t, func(one *client) string {
		lost := one.first.After(begun) && one.first.Before(over)
		if lost {
			fresh++
		}
		switch {
		case len(one.moves) == 0:
		case !lost:
			return "moved"
		case len(one.moves) > 1:
			return "moved more than once"
		case one.moves[0].at.After(over):
			return "moved when all was well again"
		}
		return ""
	})
	if fresh == 0 && tr.lasts > 0 {
		t.Error("no session was new in time of trouble")
	}
}

// failed is how many operations did not go well since then.
func failed(then, now map[operation]int) (n int) {
	for o, count := range now {
		if o.result != "ok" {
			n += count - then[o]
		}
	}
	return n
}
