package affinitytest

import (
	"slices"
	"testing"
	"time"
)

// What one replica moves, the other has moved too soon after: because it is told, or
// because it asks again while it cannot be told. That this takes a second at the most
// is shown in virtual time, in package session.
func TestAReplicaFollowsTheOther(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"told": false, "not told": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := startRedis(t)
			g := newGate(t, redis.URL())
			w := newWorld(t, 3, redis.URL(), g.url)
			const timeout = 5 * time.Second // or a busy machine has a session served elsewhere and not moved
			w.begin(policy{endpoints: w.backends, timeout: timeout})
			one, two := w.replicas[0], w.replicas[1]
			c := newCrowd(w, 100)
			for range 2 {
				c.each(one)
				c.each(two)
			}
			c.stays(t)
			if deaf {
				g.deafen()
				two.says("sessions cannot be watched")
			}

			one.put(w.text(policy{endpoints: w.backends, drains: w.backends[2], timeout: timeout}))
			one.awaitVersion(w.version)
			left := 0
			var longest time.Duration
			visits := &worker{links: map[*replica]*link{}}
			defer visits.close()
			served := func(r *replica, c *client) string {
				who, err := visits.ask(r, 0, c)
				if err != nil {
					t.Fatalf("session %d at %s: %v", c.n, r.name, err)
				}
				return who
			}
			for n := range c.all {
				if n.home != w.backends[2].name {
					continue
				}
				left++
				old := *n // another window of the same client, which does not have the new ticket
				at := ""
				eventually(t, "the drain is over", func() bool {
					at = served(one, n)
					return at != old.home
				})
				moved := time.Now()
				eventually(t, "the other replica follows", func() bool {
					another := old
					who := served(two, &another)
					if !slices.Contains([]string{old.home, at}, who) {
						t.Fatalf("session %d: moved from %s to %s by one replica, and to %s by the other", n.n, old.home, at, who)
					}
					return who == at
				})
				longest = max(longest, time.Since(moved))
				if served(one, n) != at || served(two, n) != at {
					t.Errorf("session %d moved once more", n.n)
				}
			}
			if left == 0 {
				t.Fatal("nobody was at home at what left")
			}
			t.Logf("%d sessions moved; the other replica followed within %v", left, longest.Round(time.Millisecond))
			if longest > 5*time.Second { // one, and time for a busy machine
				t.Error("it took long")
			}
		})
	}
}
