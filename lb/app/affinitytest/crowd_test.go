package affinitytest

import (
	"fmt"
	"testing"
	"time"
)

// move is a session that was not served where it was before.
type move struct {
	session  int
	replica  string
	from, to string
	at       time.Time
}

func (m move) String() string {
	return fmt.Sprintf("session %d: from %s to %s, by %s, at %s", m.session, m.from, m.to, m.replica, m.at.Format("15:04:05.000"))
}

// client is one session: whoever it belongs to sends one request after the other.
type client struct {
	n      int
	ticket string
	first  time.Time // when it was given a home
	home   string    // who answered it last
	turn   int
	moves  []move
}

// served notes who answered.
func (c *client) served(r *replica, by string) {
	now := time.Now()
	switch c.home {
	case by:
		return
	case "":
		c.first = now
	default:
		c.moves = append(c.moves, move{c.n, r.name, c.home, by, now})
	}
	c.home = by
}

// crowd is the clients of a world, in as many shares as there are connections to each
// replica. Between visits it is looked at by the test.
type crowd struct {
	w      *world
	shares [connections][]*client
	next   int
}

// connections is how many there are to each replica, and so how many requests at once.
const connections = 24

func newCrowd(w *world, sessions int) *crowd {
	c := &crowd{w: w}
	for n := range sessions {
		c.shares[n%connections] = append(c.shares[n%connections], &client{n: n, turn: n / connections})
	}
	return c
}

func (c *crowd) all(yield func(*client) bool) {
	for _, share := range c.shares {
		for _, one := range share {
			if !yield(one) {
				return
			}
		}
	}
}

func (c *crowd) len() (n int) {
	for range c.all {
		n++
	}
	return n
}

// forget begins a new count of moves.
func (c *crowd) forget() {
	for one := range c.all {
		one.moves = nil
	}
}

// moved is how many sessions did.
func (c *crowd) moved() (n int) {
	for one := range c.all {
		if len(one.moves) > 0 {
			n++
		}
	}
	return n
}

// check reports each session of which wrong has something to say.
func (c *crowd) check(t testing.TB, wrong func(*client) string) {
	t.Helper()
	found := 0
	for one := range c.all {
		what := wrong(one)
		if what == "" {
			continue
		}
		if found++; found <= 10 {
			t.Errorf("session %d, first seen at %s: %s: %v", one.n, one.first.Format("15:04:05.000"), what, one.moves)
		}
	}
	if found > 10 {
		t.Errorf("%d sessions in all", found)
	}
}

// stays reports every session that moved.
func (c *crowd) stays(t testing.TB) {
	t.Helper()
	c.check(t, func(one *client) string {
		if len(one.moves) > 0 {
			return "moved"
		}
		return ""
	})
}
