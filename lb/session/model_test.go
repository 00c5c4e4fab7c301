package session_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// Two replicas, a store in all troubles, and sessions that are visited and moved at
// random. While the store does well both serve a session where it was last moved to; and
// once it does well again they come to agree with it, at a home that the session was
// given, and move no session twice on the way.
func TestTwoReplicasAtRandom(t *testing.T) {
	for range 60 {
		seed := rand.Uint64()
		in(t, fmt.Sprintf("seed %#x", seed), func(t *testing.T) { playModel(t, seed) })
	}
}

func playModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if t.Failed() {
			t.Logf("seed %#x", seed)
		}
	}()
	store := newScripted()
	replicas := []*replica{join(t, store), join(t, store)}
	defer replicas[0].Close()
	defer replicas[1].Close()
	p := keeping("cart", session.InRedis)
	type client struct {
		*browser
		given map[session.Home]bool // where it was served first, or moved to
		home  session.Home          // the last of them, while the store does well
	}
	var clients []*client
	next := session.Home(0)
	for range 12 {
		next++
		clients = append(clients, &client{arrive(t, replicas[rnd.IntN(2)], p, next), map[session.Home]bool{next: true}, next})
	}
	well := true
	for range 600 {
		c, r := clients[rnd.IntN(len(clients))], replicas[rnd.IntN(2)]
		switch k := rnd.IntN(20); {
		case k < 13:
			home := c.at(r, p, c.home)
			synctest.Wait()
			if well && home != c.home {
				t.Fatalf("served at %d, its home is %d", home, c.home)
			}
			if !c.given[home] {
				t.Fatalf("served at %d, which is not of %v", home, c.given)
			}
			if !c.visit.Known() {
				t.Fatal("it lost its session")
			}
		case k < 15:
			c.at(r, p, c.home)
			next++
			c.given[next] = true
			if got := r.Move(&c.visit, p, next, event.MovedGone); got == next {
				c.home = next
			} else if well {
				t.Fatalf("moved to %d, not %d", got, next)
			}
			c.leave(r, p, next)
			synctest.Wait()
		case k < 16 && well:
			well = false
			how := []script{
				{err: errScripted}, {hangs: true}, {lost: true}, {slow: 4 * time.Millisecond}, {slow: 30 * time.Millisecond}, {slow: 900 * time.Millisecond},
			}[rnd.IntN(6)]
			store.set(how)
			if rnd.IntN(2) == 0 {
				store.hear(false)
			}
		case k < 17 && !well:
			if rnd.IntN(4) == 0 {
				store.hear(false)
				store.lose()
			}
			// It does well again.
			store.set(script{})
			time.Sleep(8 * time.Second) // both breakers let somebody through
			store.hear(true)
			time.Sleep(2 * time.Second)
			last := make([][2]session.Home, len(clients))
			moves := make([][2]int, len(clients))
			for range 12 {
				for i, c := range clients {
					for j, r := range replicas {
						home := c.at(r, p, c.home)
						synctest.Wait()
						if was := last[i][j]; was != session.None && was != home {
							moves[i][j]++
						}
						last[i][j] = home
					}
				}
				time.Sleep(time.Second)
			}
			well = true
			for i, c := range clients {
				ticket, _ := open(t, store, c.browser)
				held := store.home("cart", &ticket, p.Lifetime)
				if last[i][0] != held || last[i][1] != held || !c.given[held] {
					t.Fatalf("at home at %d and %d, and the store says %d; it was given %v", last[i][0], last[i][1], held, c.given)
				}
				if moves[i][0] > 1 || moves[i][1] > 1 {
					t.Fatalf("it moved %v times", moves[i])
				}
				c.home = held
			}
		}
		time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
	}
}
