package sessiontest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

// patience is for how long a call may keep a test waiting before it hangs.
const patience = 20 * time.Second

// usual is the lifetime that properties of something else use.
var usual = session.Lifetime{Idle: 80 * time.Second, Absolute: time.Hour}

// client carries a ticket from one call to the next.
type client struct {
	t       *testing.T
	subject Subject
	ticket  session.Ticket
	life    session.Lifetime
	pool    string
	calls   int
}

// arrive returns a client with a new session.
func (s Subject) arrive(t *testing.T) *client {
	now := session.StampOf(s.Now())
	c := &client{t: t, subject: s, life: usual, pool: "cart", ticket: session.Ticket{Created: now, Seen: now}}
	rand.Read(c.ticket.ID[:])
	return c
}

// in returns the same client, with a ticket of its own, in another pool.
func (c *client) in(pool string) *client {
	other := *c
	other.pool = pool
	return &other
}

// call asks the next store, and has the client carry on what became of its ticket.
func (c *client) call(ask func(ctx context.Context, store session.Store, ticket *session.Ticket) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	store := c.subject.Stores[c.calls%len(c.subject.Stores)]
	c.calls++
	ticket := c.ticket
	if err := ask(ctx, store, &ticket); err != nil {
		c.t.Error(err) // not Fatal: racers have goroutines of their own
	}
	if !c.subject.Stateless && ticket != c.ticket {
		c.t.Errorf("the store changed the ticket from %+v to %+v", c.ticket, ticket)
	}
	if ticket.ID != c.ticket.ID || ticket.Created != c.ticket.Created {
		c.t.Errorf("the store made another session of %+v: %+v", c.ticket, ticket)
	}
	c.ticket = ticket
}

func (c *client) find() (home session.Home) {
	c.t.Helper()
	c.call(func(ctx context.Context, store session.Store, ticket *session.Ticket) (err error) {
		home, err = store.Find(ctx, c.pool, ticket, c.life)
		return err
	})
	return home
}

func (c *client) bind(to session.Home) (home session.Home) {
	c.t.Helper()
	c.call(func(ctx context.Context, store session.Store, ticket *session.Ticket) (err error) {
		home, err = store.Bind(ctx, c.pool, ticket, to, c.life)
		return err
	})
	return home
}

func (c *client) rebind(from, to session.Home) (home session.Home) {
	c.t.Helper()
	c.call(func(ctx context.Context, store session.Store, ticket *session.Ticket) (err error) {
		home, err = store.Rebind(ctx, c.pool, ticket, from, to, c.life)
		return err
	})
	return home
}

func (c *client) touch() (known bool) {
	c.t.Helper()
	c.call(func(ctx context.Context, store session.Store, ticket *session.Ticket) (err error) {
		known, err = store.Touch(ctx, c.pool, ticket, c.life)
		return err
	})
	return known
}

// isAt fails the test unless the client's home is the one.
func (c *client) isAt(want session.Home) {
	c.t.Helper()
	if got := c.find(); got != want {
		c.t.Fatalf("the session's home in pool %q is %x, want %x", c.pool, got, want)
	}
}

// is fails the test unless the store said that home holds.
func (c *client) is(got, want session.Home) {
	c.t.Helper()
	if got != want {
		c.t.Fatalf("the store says that %x holds, want %x", got, want)
	}
}
