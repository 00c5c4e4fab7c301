package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"

	"go-loadbalancer/lb/session"
)

// rebind replaces a home by another if it is the one expected or if there is none,
// and tells whoever watches of a change. Being one script, it is one step to
// everybody else. What else it finds it leaves alone and returns.
var rebind = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  return held
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if held ~= ARGV[2] then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return ARGV[2]
`)

// Rebind gives the session another home: one command; two the first time after Redis
// was started, as it does not know the script. A session that is over is told the home
// it asked for, and nothing is kept.
func (s *Store) Rebind(ctx context.Context, pool string, t *session.Ticket, from, to session.Home, l session.Lifetime) (session.Home, error) {
	ttl, live := s.ttl(t, l)
	if !live {
		return to, ctx.Err()
	}
	key := s.names.home(pool, t.ID)
	if from == session.None {
		from = to // what is held there can only be a home
	}
	return call(ctx, s, func(ctx context.Context) (session.Home, error) {
		return readable(rebind.Run(ctx, s.redis, []string{key},
			homeText(from), homeText(to), ttl.Milliseconds(), s.names.channel, member(pool, t.ID)).Text())
	})
}
