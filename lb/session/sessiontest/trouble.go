package sessiontest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

// calls are the methods of a store, in a form that only shows whether they fail.
var calls = map[string]func(ctx context.Context, store session.Store, c *client) error{
	"Find": func(ctx context.Context, store session.Store, c *client) error {
		ticket := c.ticket
		_, err := store.Find(ctx, c.pool, &ticket, c.life)
		return err
	},
	"Bind": func(ctx context.Context, store session.Store, c *client) error {
		ticket := c.ticket
		_, err := store.Bind(ctx, c.pool, &ticket, 7, c.life)
		return err
	},
	"Rebind": func(ctx context.Context, store session.Store, c *client) error {
		ticket := c.ticket
		_, err := store.Rebind(ctx, c.pool, &ticket, 7, 8, c.life)
		return err
	},
	"Touch": func(ctx context.Context, store session.Store, c *client) error {
		ticket := c.ticket
		_, err := store.Touch(ctx, c.pool, &ticket, c.life)
		return err
	},
}

// ended calls with a context that has ended. A store that others can be waited for
// in returns its error; one that needs to wait for nothing may answer all the same.
func ended(t *testing.T, s Subject) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, shared := s.Stores[0].(session.Shared)
	for name, call := range calls {
		for _, ctx := range []context.Context{cancelled, late} {
			returned := make(chan error, 1)
			c := s.arrive(t)
			go func() { returned <- call(ctx, s.Stores[0], c) }()
			select {
			case err := <-returned:
				if err == nil && shared || err != nil && !errors.Is(err, ctx.Err()) {
					t.Errorf("%s returned %v, want %v", name, err, ctx.Err())
				}
			case <-time.After(patience):
				t.Fatalf("%s hangs though its context has ended", name)
			}
		}
	}
}

func unreadable(t *testing.T, s Subject) {
	if s.Plant == nil {
		t.Skip("the store keeps nothing that could be unreadable")
	}
	c := s.arrive(t)
	s.Plant(t, c.pool, c.ticket.ID)
	for range 2 { // the first calls must not have made it readable
		for _, name := range []string{"Find", "Bind", "Rebind"} {
			for _, store := range s.Stores {
				if err := calls[name](t.Context(), store, c); !errors.Is(err, session.ErrUnreadable) {
					t.Errorf("%s returned %v, want %v", name, err, session.ErrUnreadable)
				}
			}
		}
	}
	c.in("search").isAt(session.None)
	s.arrive(t).isAt(session.None)
}
