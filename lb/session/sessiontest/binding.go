package sessiontest

import (
	"math"
	"sync"
	"testing"

	"go-loadbalancer/lb/session"
)

func nothingKnown(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.isAt(session.None)
	if c.touch() {
		t.Error("a session that was never bound can be touched")
	}
	c.isAt(session.None)
}

func firstBindWins(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.is(c.bind(7), 7)
	c.isAt(7)
	for range len(s.Stores) {
		c.is(c.bind(9), 7)
		c.isAt(7)
	}
	c.is(c.bind(7), 7)
}

func homesOfAllSizes(t *testing.T, s Subject) {
	for _, home := range []session.Home{1, 1 << 31, 1<<53 + 1, 1 << 63, math.MaxUint64} {
		c := s.arrive(t)
		c.is(c.bind(home), home)
		c.isAt(home)
		c.is(c.rebind(home, home-1|2), home-1|2)
		c.is(c.rebind(home-1|2, home), home)
		c.isAt(home)
	}
}

func rebind(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.is(c.rebind(7, 8), 8) // it has none
	c.isAt(8)
	c.is(c.rebind(8, 9), 9)
	c.isAt(9)
	c.is(c.rebind(8, 10), 9) // somebody was faster
	c.isAt(9)
	c.is(c.rebind(9, 9), 9)
	c.isAt(9)
	c.is(c.bind(11), 9)
	c.is(s.arrive(t).rebind(session.None, 12), 12)
}

// race has as many clients as told call at once, all with the same session and each
// with a ticket of its own, and returns what each was told.
func race(c *client, clients int, call func(c *client, i int) session.Home) []session.Home {
	told := make([]session.Home, clients)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range clients {
		racer := c.in(c.pool)
		racer.calls = i
		all.Go(func() {
			<-start
			told[i] = call(racer, i)
		})
	}
	close(start)
	all.Wait()
	return told
}

// agree fails the test unless all were told the same, which is one of those from
// 100 on that the racers wanted, and which holds.
func agree(t *testing.T, c *client, told []session.Home) {
	t.Helper()
	for _, home := range told {
		if home != told[0] || home < 100 || home >= session.Home(100+len(told)) {
			t.Fatalf("no agreement: %d", told)
		}
	}
	for range c.subject.Stores {
		c.isAt(told[0])
	}
}

func racingBinds(t *testing.T, s Subject) {
	for range 20 {
		c := s.arrive(t)
		agree(t, c, race(c, 8, func(c *client, i int) session.Home { return c.bind(session.Home(100 + i)) }))
	}
}

func racingRebinds(t *testing.T, s Subject) {
	for range 20 {
		c := s.arrive(t)
		c.bind(7)
		agree(t, c, race(c, 8, func(c *client, i int) session.Home { return c.rebind(7, session.Home(100+i)) }))
	}
}

func poolsSeparate(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.is(c.bind(7), 7)
	for _, pool := range []string{"car", "cart2", "Cart", "cart:", "{cart}", "a/b c\n\x00é", ""} {
		other := c.in(pool)
		other.isAt(session.None)
		if other.touch() {
			t.Errorf("a session bound in pool %q can be touched in pool %q", c.pool, pool)
		}
		other.is(other.bind(9), 9)
		other.isAt(9)
	}
	c.isAt(7)
}

func twoPools(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.is(c.bind(7), 7)
	c.pool = "search"
	c.is(c.bind(9), 9)
	c.is(c.rebind(9, 10), 10)
	c.isAt(10)
	c.pool = "cart"
	c.isAt(7)
}

func sessionsSeparate(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.is(c.bind(7), 7)
	for i := range c.ticket.ID {
		other := s.arrive(t)
		other.ticket.ID = c.ticket.ID
		other.ticket.ID[i] ^= 1
		other.isAt(session.None)
		other.is(other.bind(9), 9)
		other.isAt(9)
	}
	c.isAt(7)
}
