package sessiontest

import (
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

func idleExpiry(t *testing.T, s Subject) {
	early, late, old := s.arrive(t), s.arrive(t), s.arrive(t)
	early.bind(7)
	late.bind(8)
	old.bind(9)
	s.Advance(usual.Idle*7/8 - 2*time.Second) // a ticket has whole seconds
	early.isAt(7)
	s.Advance(usual.Idle/8 + 2*time.Second)
	late.isAt(session.None)
	if old.touch() {
		t.Error("a session that has expired can be touched")
	}
	old.is(old.bind(10), 10)
	old.isAt(10)
}

func touch(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.bind(7)
	for range 6 {
		s.Advance(usual.Idle * 3 / 4)
		if !c.touch() {
			t.Fatal("a session that is bound and was used cannot be touched")
		}
	}
	s.Advance(usual.Idle * 3 / 4)
	c.isAt(7)
	s.Advance(usual.Idle)
	c.isAt(session.None)
	if c.touch() {
		t.Error("a session that has expired can be touched")
	}
}

func rebindIsUse(t *testing.T, s Subject) {
	c := s.arrive(t)
	c.bind(7)
	s.Advance(usual.Idle * 3 / 4)
	c.is(c.rebind(7, 8), 8)
	s.Advance(usual.Idle * 3 / 4)
	c.isAt(8)
	s.Advance(usual.Idle)
	c.isAt(session.None)
}

func absoluteExpiry(t *testing.T, s Subject) {
	for _, use := range []struct {
		name string
		of   func(c *client)
	}{
		{"bind", func(c *client) { c.bind(7) }},
		{"touch", func(c *client) { c.touch() }},
		{"rebind", func(c *client) { c.rebind(7, 7) }},
		{"find", func(c *client) { c.find() }},
	} {
		c := s.arrive(t)
		c.life = session.Lifetime{Idle: 80 * time.Second, Absolute: 200 * time.Second}
		c.bind(7)
		for range 3 {
			s.Advance(60 * time.Second)
			c.is(c.bind(7), 7)
			c.touch()
			use.of(c)
		}
		c.isAt(7)
		s.Advance(20 * time.Second)
		c.isAt(session.None)
		if c.touch() {
			t.Errorf("a session used by %s outlives its time", use.name)
		}
	}
}

// over has a client come with a session that is over. What it is told is its own
// affair, but nothing is kept of it.
func over(t *testing.T, s Subject) {
	c := s.arrive(t)
	s.Advance(c.life.Absolute)
	c.bind(7)
	c.isAt(session.None)
	c.rebind(7, 8)
	c.isAt(session.None)
	if c.touch() {
		t.Error("a session that is over can be touched")
	}
}
