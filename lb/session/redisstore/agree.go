package redisstore

import (
	"context"
	"encoding/hex"
	"fmt"

	"go-loadbalancer/lb/session"
)

// Agree returns the key in Redis; if there is none, the proposal is put there, for
// good.
func (s *Store) Agree(ctx context.Context, proposal session.Key) (session.Key, error) {
	return call(ctx, s, func(ctx context.Context) (session.Key, error) {
		first, err := s.redis.SetNX(ctx, s.names.key, hex.EncodeToString(proposal[:]), 0).Result()
		if err != nil {
			return session.Key{}, err
		}
		if first {
			return proposal, nil
		}
		text, err := s.redis.Get(ctx, s.names.key).Result()
		if err != nil {
			return session.Key{}, err
		}
		key, err := keyOf(text)
		if err != nil {
			return key, fmt.Errorf("%q is to hold the key that the replicas agree on, but %w; delete it, and they agree on a new one, with which no session that clients carry now can be read", s.names.key, err)
		}
		return key, nil
	})
}
