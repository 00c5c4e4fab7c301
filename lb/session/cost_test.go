package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/session"
)

// visitor is a client that keeps its ticket.
type visitor struct{ ticket []byte }

// visit returns where a replica has the client served: where it is at home, or at the
// endpoint.
func (c *visitor) visit(s *session.Sessions, endpoint session.Home) session.Home {
	var v session.Visit
	s.Open(&v, realm, c.ticket)
	if home := s.Home(&v, cart, time.Now()); home != session.None {
		endpoint = home
	}
	if s.Settle(&v, cart, endpoint, false) {
		c.ticket = s.Seal(nil, realm, &v)
	}
	return endpoint
}

// move is a visit of which the home is gone.
func (c *visitor) move(s *session.Sessions, to session.Home) session.Home {
	var v session.Visit
	s.Open(&v, realm, c.ticket)
	s.Home(&v, cart, time.Now())
	return s.Move(&v, cart, to, event.MovedDrained)
}

// What a session costs the store: one with a request a second for hours, of two
// replicas in turn.
func TestWhatASessionCostsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		replicas := []*session.Sessions{begin(t, store), begin(t, store)}
		operations := func() (n int) {
			store.mu.Lock()
			defer store.mu.Unlock()
			return store.asked["find"] + store.asked["bind"] + store.asked["touch"] + store.asked["rebind"]
		}
		var c visitor
		requests, before := 0, 0
		for range 4 * 3600 {
			if got := c.visit(replicas[requests%2], 7); got != 7 {
				t.Fatalf("request %d is served at %d", requests, got)
			}
			time.Sleep(time.Second)
			switch requests++; {
			case requests == 1 && operations() > 0:
				t.Error("a client that may never come back has cost something")
			case requests == 2 && operations() > 2:
				t.Errorf("%d operations for a new session, want 2 at the most", operations())
			case requests == 3:
				t.Logf("%d operations until both replicas know it", operations())
			}
			if requests%3600 == 0 {
				cost := operations() - before
				before = operations()
				t.Logf("hour %d: %d operations for 3600 requests", requests/3600, cost)
				if cost > 36 {
					t.Errorf("%d operations for 3600 requests, want one in a hundred at the most", cost)
				}
			}
		}
	})
}

// A session that one replica moves is moved to the other one too: at once, and within a
// second if that is not told.
func TestAMoveIsHeardOfElsewhere(t *testing.T) {
	for name, deaf := range map[string]bool{"told": false, "not told": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newShared()
				store.deaf = deaf
				one, two := begin(t, store), begin(t, store)
				var c visitor
				for range 2 {
					for _, s := range []*session.Sessions{one, two} {
						c.visit(s, 7)
						synctest.Wait()
					}
				}
				old := c // another window of the same client: it has the ticket of before
				if got := c.move(one, 8); got != 8 {
					t.Fatalf("moved to %d", got)
				}
				wait := time.Duration(0)
				if deaf {
					wait = time.Second
				}
				time.Sleep(wait)
				if got := old.visit(two, 9); got != 8 {
					t.Errorf("%v after the move it is served at %d", wait, got)
				}
			})
		})
	}
}

// A request never waits for the store for longer than its pool allows, though it asks
// more than once.
func TestNobodyWaitsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		store.do(nil, time.Hour)
		s := begin(t, store)
		for i := range 100 {
			var v session.Visit
			s.Open(&v, realm, nil)
			ticket := s.Seal(nil, realm, &v)
			start := time.Now()
			s.Open(&v, realm, ticket)
			for range 3 {
				s.Home(&v, cart, time.Now())
				s.Move(&v, cart, 8, event.MovedDrained)
			}
			if took := time.Since(start); took > cart.Timeout {
				t.Errorf("request %d waited %v", i, took)
			}
		}
	})
}
