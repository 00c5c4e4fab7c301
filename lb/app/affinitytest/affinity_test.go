package affinitytest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go-loadbalancer/lb/session/redistest"
)

func startRedis(t testing.TB, args ...string) *redistest.Server {
	t.Helper()
	s, err := redistest.Start(t.TempDir(), redistest.Options{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Ten thousand clients of two replicas stay where they were first, whatever happens to
// policies and replicas, and move once where their endpoint leaves.
func TestNobodyMovesWithoutNeed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	redis := startRedis(t)
	w := newWorld(t, 6, redis.URL(), redis.URL())
	three := policy{endpoints: w.backends[:3], drain: time.Second}
	w.begin(three)
	c := newCrowd(w, scaled(10_000))
	phase := func(name string, l load, during func(v *visits)) {
		t.Helper()
		begin := time.Now()
		l.pause = pace(0)
		v := c.visit(l)
		during(v)
		took := v.stop()
		t.Logf("%s: %d sessions, %d requests in %v, %d moved, p99 %v", name, c.len(), len(took), time.Since(begin).Round(time.Millisecond), c.moved(), p99(took))
		if t.Failed() {
			t.FailNow()
		}
	}

	phase("steady", load{}, func(v *visits) { v.rounds(2) })
	c.stays(t)

	phase("reloads", load{newcomers: 50, most: scaled(11_000)}, func(v *visits) {
		for n := range scaled(50) {
			p := three
			p.comment = fmt.Sprintf("change %d", n)
			switch n % 4 { // 0 is harmless
			case 1:
				p.failures = 3 + random.IntN(10)
			case 2:
				p.routes = fmt.Sprintf("    - {name: more, matches: [{path: {type: PathPrefix, value: /%d}}], backendRefs: [{pool: main}]}\n", n)
			case 3:
				a, b := random.IntN(3), random.IntN(3)
				p.endpoints = append([]*backend(nil), p.endpoints...)
				p.endpoints[a], p.endpoints[b] = p.endpoints[b], p.endpoints[a]
			}
			w.change(p)
		}
		w.change(three)
		v.rounds(1)
	})
	c.stays(t)

	phase("a replica is killed", load{}, func(v *visits) {
		for _, r := range w.replicas {
			r.kill()
			v.rounds(1)
			r.run()
			r.awaitVersion(w.version)
			v.rounds(1)
		}
	})
	c.stays(t)

	six := policy{endpoints: w.backends, drain: time.Second}
	// Who is new in between may have a home that one of the replicas does not know yet: it
	// is served elsewhere there, and back home as soon as that does.
	var known, back time.Time
	begun := time.Now()
	phase("from 3 to 6", load{newcomers: 5, most: scaled(13_000)}, func(v *visits) {
		w.change(six)
		known = time.Now()
		v.rounds(1)
		back = time.Now()
		v.rounds(2)
	})
	old := homes(c)
	c.check(t, func(one *client) string {
		switch {
		case len(one.moves) == 0:
		case one.first.After(known), one.first.Before(begun):
			return "moved"
		case one.moves[len(one.moves)-1].at.After(back):
			return "moves on and on"
		case one.moves[0].from != one.home:
			return "moved for good"
		}
		return ""
	})
	for _, b := range w.backends[3:] {
		if old[b.name] == 0 {
			t.Errorf("nobody is at home at %s, which is new", b.name)
		}
	}
	c.forget()

	stay := map[string]bool{}
	for _, b := range w.backends[:3] {
		stay[b.name] = true
	}
	phase("from 6 to 3", load{}, func(v *visits) {
		w.change(three)
		eventually(t, "the drains are over", func() bool {
			for _, r := range w.replicas {
				if r.draining() {
					return false
				}
			}
			return true
		})
		v.rounds(3)
	})
	c.check(t, func(one *client) string {
		switch {
		case !stay[one.home]:
			return "is still at " + one.home
		case len(one.moves) > 0 && stay[one.moves[0].from]:
			return "moved from where it could stay"
		case len(one.moves) > 1:
			return "moved more than once"
		}
		return ""
	})
	if moved, want := c.moved(), old["b4"]+old["b5"]+old["b6"]; moved != want {
		t.Errorf("%d sessions moved, want the %d that were at home at what left", moved, want)
	}
	c.forget()

	phase("steady again", load{}, func(v *visits) { v.rounds(2) })
	c.stays(t)
}

// A replica may have its policy long before the other one. Where an endpoint is removed
// by it, sessions leave that once all the same: when it has drained at the first. And the
// requests that were sent there until then are answered.
func TestAnEndpointIsRemovedByOneReplicaFirst(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	w := newWorld(t, 4, redis.URL(), redis.URL())
	w.begin(policy{endpoints: w.backends, drain: 500 * time.Millisecond, timeout: time.Second})
	for _, b := range w.backends {
		b.takes.Store(int64(50 * time.Millisecond))
	}
	c := newCrowd(w, 200)
	v := c.visit(load{pause: pace(time.Millisecond)})
	v.rounds(3)
	text := w.text(policy{endpoints: w.backends[:3], drain: 500 * time.Millisecond, timeout: time.Second})
	for _, r := range w.replicas {
		r.put(text)
		r.awaitVersion(w.version)
		eventually(t, "the drain is over", func() bool { return !r.draining() })
		v.rounds(3)
	}
	v.stop()
	c.check(t, func(one *client) string {
		switch {
		case one.home == w.backends[3].name:
			return "is still there"
		case len(one.moves) > 1:
			return "moved more than once"
		case len(one.moves) == 1 && one.moves[0].from != w.backends[3].name:
			return "moved from where it could stay"
		}
		return ""
	})
	if c.moved() == 0 {
		t.Error("nobody was at home at what left")
	}
}

// homes is how many sessions are at home where.
func homes(c *crowd) map[string]int {
	m := map[string]int{}
	for one := range c.all {
		m[one.home]++
	}
	return m
}
