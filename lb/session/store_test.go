package session_test

import (
	"testing"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/sessiontest"
)

func TestStores(t *testing.T) {
	for _, s := range []struct {
		name      string
		stateless bool
		open      func(*sessiontest.Clock) session.Store
	}{
		{"memory", false, func(c *sessiontest.Clock) session.Store { return session.NewMemory(0, c.Now) }},
		{"small memory", false, func(c *sessiontest.Clock) session.Store { return session.NewMemory(64, c.Now) }},
		{"cookie", true, func(c *sessiontest.Clock) session.Store { return session.CookieStore{Wall: c.Now} }},
	} {
		t.Run(s.name, func(t *testing.T) {
			sessiontest.Run(t, func(*testing.T) sessiontest.Subject {
				clock := sessiontest.NewClock()
				return sessiontest.Subject{
					Stores:    []session.Store{s.open(clock)},
					Stateless: s.stateless,
					Now:       clock.Now,
					Advance:   clock.Advance,
				}
			})
		})
	}
}
