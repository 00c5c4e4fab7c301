package health_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/policy"
)

// TestRhythm: the first check comes within an interval, the others an interval
// after the one before, give or take a tenth, and not all at the same distance.
func TestRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, answer := range map[string]func(context.Context, string, int) error{
			"at once": scripted("P"),
			"slowly":  hang, // a second: the distance is from beginning to beginning
		} {
			w := newWorld(t, answer)
			begin := time.Now()
			w.serve(&usual, "a")
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			w.checker.Stop()
			last, distances := begin, map[time.Duration]bool{}
			for i, d := range w.dials {
				gap := d.at.Sub(last)
				if i == 0 && gap > 2*time.Second || i > 0 && (gap < 1800*time.Millisecond || gap > 2200*time.Millisecond) {
					t.Errorf("%s: check %d came %v after the one before", name, i, gap)
				}
				last, distances[gap] = d.at, true
			}
			if n := len(w.dials); n < 270 || n > 330 || len(distances) < 100 {
				t.Errorf("%s: %d checks at %d distances", name, n, len(distances))
			}
		}
	})
}

// TestSpread: the checks of 10,000 endpoints never come in a crowd, not at the
// beginning and not later.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("F"))
		w.serve(&usual, manyAddresses(10_000)...)
		w.spread(20 * time.Second)
	})
}

// TestSpreadAfterAStandstill: 10,000 endpoints that nobody could reach for half a
// minute, so that each check took all of its time and all were late, answer again.
// Their checks do not stay the crowd that they were just then.
func TestSpreadAfterAStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reachable atomic.Bool
		w := newWorld(t, func(ctx context.Context, address string, n int) error {
			if reachable.Load() {
				return nil
			}
			return hang(ctx, address, n)
		})
		w.serve(&usual, manyAddresses(10_000)...)
		time.Sleep(30 * time.Second)
		reachable.Store(true)
		time.Sleep(2 * usual.Interval)
		w.spread(20 * time.Second)
	})
}

// spread lets the usual checks of 10,000 endpoints go on for so long, and fails the
// test if they do not come evenly.
func (w *world) spread(long time.Duration) {
	w.t.Helper()
	const slot = 100 * time.Millisecond
	begin := time.Now()
	time.Sleep(long)
	synctest.Wait()
	w.checker.Stop()
	slots := make([]int, long/slot)
	for _, d := range w.dials {
		if at := d.at.Sub(begin); at >= 0 && at < long {
			slots[at/slot]++
		}
	}
	share := 10_000 * int(slot) / int(usual.Interval)
	for i, n := range slots {
		if n > 2*share || n < share/2 {
			w.t.Errorf("%d checks in slot %d, want about %d", n, i, share)
		}
	}
}

// crowd counts who is being checked at the same time.
type crowd struct {
	now, most int
	same      bool // an endpoint twice
	who       map[string]bool
}

// TestBoundedAtOnce: many dead endpoints of a pool take no more than so many
// connections at once, half of what all may, none of them two, and each has its turn.
func TestBoundedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const endpoints = 2500
		var c crowd
		c.who = map[string]bool{}
		var w *world
		w = newWorld(t, func(ctx context.Context, address string, n int) error {
			w.note(func() {
				c.now++
				c.most = max(c.most, c.now)
				c.same = c.same || c.who[address]
				c.who[address] = true
			})
			defer w.note(func() { c.now--; delete(c.who, address) })
			return hang(ctx, address, n)
		})
		w.serve(with(func(a *policy.ActiveCheck) { a.Timeout = a.Interval }), manyAddresses(endpoints)...)
		time.Sleep(time.Minute)
		synctest.Wait()
		w.checker.Stop()
		if c.most != 512 || c.same || c.now != 0 {
			t.Errorf("%d at once, the same twice: %t, left: %d", c.most, c.same, c.now)
		}
		least, most := endpoints, 0
		for _, a := range manyAddresses(endpoints) {
			least, most = min(least, w.count[a]), max(most, w.count[a])
		}
		// 512 places, two seconds a check: five or six checks a minute for each.
		if least < 5 || most > 8 {
			t.Errorf("%d to %d checks", least, most)
		}
	})
}

// TestPoolsShare: pools whose endpoints are silent for an hour leave places for the
// checks of others, which keep their rhythm, and all together hold no more than
// they may.
func TestPoolsShare(t *testing.T) {
	for _, silent := range []int{1, 2, 20} {
		synctest.Test(t, func(t *testing.T) {
			var now, most int
			var w *world
			w = newWorld(t, func(ctx context.Context, address string, n int) error {
				if strings.HasPrefix(address, "good") {
					return nil
				}
				w.note(func() { now++; most = max(most, now) })
				defer w.note(func() { now-- })
				return hang(ctx, address, n)
			})
			patient := with(func(a *policy.ActiveCheck) { a.Interval, a.Timeout = time.Hour, time.Hour })
			var pools []policy.Pool
			for i := range silent {
				pools = append(pools, poolOf(fmt.Sprint("silent", i), patient, manyAddresses(3000)...))
			}
			w.servePools(pools...)
			time.Sleep(3 * time.Hour)
			synctest.Wait()
			free := 1024 / (silent + 1)
			w.note(func() {
				if now < 1024-free-silent || now > 1024-free+silent || most > 1024 {
					t.Errorf("%d silent pools: %d checks under way, up to %d", silent, now, most)
				}
			})
			w.servePools(append(pools, poolOf("good", &usual, "good1", "good2"))...)
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, a := range []string{"good1", "good2"} {
				if n := w.checks(a); n < 27 || n > 33 {
					t.Errorf("%d silent pools: %d checks of %s in a minute", silent, n, a)
				}
			}
		})
	}
}
