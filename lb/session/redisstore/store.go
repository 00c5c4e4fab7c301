package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"go-loadbalancer/lb/session"
)

// Store is a [session.Shared] in Redis. All methods may be called by any number of
// goroutines.
type Store struct {
	names  names
	redis  redis.UniversalClient
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	wall   func() time.Time
	rand   func() uint64
	logger *slog.Logger

	open    context.Context // ends when the store is closed
	close   context.CancelFunc
	slots   chan struct{} // taken by calls
	mu      sync.Mutex    // orders running.Add and close
	running sync.WaitGroup
}

var _ session.Shared = (*Store)(nil)

// New returns a store. It opens no connection, so it does not fail because Redis
// is away; it does because of a wrong URL, or because of a file that the URL names.
// But for the names of files no error repeats what the URL says. Whoever calls it
// closes the store.
func New(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Namespace == "" {
		return nil, errors.New("the namespace of the session store is empty")
	}
	p, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of Redis is wrong: %w", err)
	}
	s := &Store{
		names:  namesOf(o.Namespace),
		dial:   o.Dial,
		wall:   o.Wall,
		rand:   o.Rand,
		logger: o.Logger,
		slots:  make(chan struct{}, connections),
	}
	s.open, s.close = context.WithCancel(context.Background())
	s.redis = s.client(p)
	return s, nil
}

// ttl is how long the session's binding is to be kept, in the whole milliseconds of
// Redis; false: not at all.
func (s *Store) ttl(t *session.Ticket, l session.Lifetime) (time.Duration, bool) {
	ttl := l.TTL(t.Created, s.wall()).Truncate(time.Millisecond)
	return ttl, ttl > 0
}

// Find returns the session's home: one command.
func (s *Store) Find(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (session.Home, error) {
	if _, live := s.ttl(t, l); !live {
		return session.None, ctx.Err()
	}
	key := s.names.home(pool, t.ID)
	return call(ctx, s, func(ctx context.Context) (session.Home, error) { return s.find(ctx, key) })
}

func (s *Store) find(ctx context.Context, key string) (session.Home, error) {
	text, err := s.redis.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return session.None, nil
	}
	return readable(text, err)
}

// readable is the home that an answer tells.
func readable(text string, err error) (session.Home, error) {
	if err != nil {
		if strings.Contains(err.Error(), "WRONGTYPE") { // a list, or so; in a script amid other words
			return session.None, session.ErrUnreadable
		}
		return session.None, err
	}
	return homeOf(text)
}

// Bind gives the session a home: one command if it had none, two if it had. A session
// that is over is told the home it asked for, and nothing is kept.
func (s *Store) Bind(ctx context.Context, pool string, t *session.Ticket, home session.Home, l session.Lifetime) (session.Home, error) {
	ttl, live := s.ttl(t, l)
	if !live {
		return home, ctx.Err()
	}
	key := s.names.home(pool, t.ID)
	return call(ctx, s, func(ctx context.Context) (session.Home, error) {
		for range 2 {
			if first, err := s.redis.SetNX(ctx, key, homeText(home), ttl).Result(); err != nil || first {
				return home, err
			}
			if held, err := s.find(ctx, key); err != nil || held != session.None {
				return held, err
			}
			// It expired in between.
		}
		return session.None, errors.New("the session's home comes and goes")
	})
}

// Touch has the session last: one command.
func (s *Store) Touch(ctx context.Context, pool string, t *session.Ticket, l session.Lifetime) (bool, error) {
	ttl, live := s.ttl(t, l)
	if !live {
		return false, ctx.Err()
	}
	key := s.names.home(pool, t.ID)
	return call(ctx, s, func(ctx context.Context) (bool, error) { return s.redis.PExpire(ctx, key, ttl).Result() })
}
