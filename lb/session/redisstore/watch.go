package redisstore

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"go-loadbalancer/lb/session"
)

const (
	// quiet is how long nothing may be heard before Redis is asked whether it is there,
	// and how long it may then take to answer.
	quiet = time.Second
	// The pause before a new attempt doubles from minPause to maxPause, and is half as
	// long or up to as long as that.
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// Watch subscribes to the changes, again and again if need be. That the connection is
// gone is noticed within about two seconds even if nothing arrives to say so. It
// returns when ctx ends or the store is closed, if Redis does not answer within a
// second of that.
func (s *Store) Watch(ctx context.Context, rebound func(pool string, id session.ID), connected func(bool)) {
	if !s.begin() {
		return
	}
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	failing := false // and the log says so
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		subscribed := false
		err := s.subscribe(ctx, rebound, func() {
			if failing {
				s.logger.Info("sessions are watched in Redis again")
			}
			subscribed, failing = true, false
			connected(true)
		})
		if subscribed {
			pause = minPause
			connected(false)
		}
		if ctx.Err() != nil {
			return
		}
		if !failing {
			s.logger.Warn("sessions cannot be watched in Redis", "error", err)
			failing = true
		}
		select {
		case <-time.After(pause/2 + time.Duration(s.rand()%uint64(pause/2))):
		case <-ctx.Done():
			return
		}
	}
}

// subscribe watches until something fails.
func (s *Store) subscribe(ctx context.Context, rebound func(pool string, id session.ID), confirmed func()) error {
	sub := s.redis.Subscribe(ctx)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		sub.Close() // a read does not end with ctx by itself
	})
	defer func() {
		if !stop() {
			<-closed
		}
		sub.Close()
	}()
	if err := sub.Subscribe(ctx, s.names.channel); err != nil {
		return err
	}
	asked := false
	for {
		message, err := sub.ReceiveTimeout(ctx, quiet)
		var late net.Error
		switch {
		case err == nil:
			asked = false
		case errors.As(err, &late) && late.Timeout() && !asked:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			asked = true
			continue
		default:
			return err
		}
		switch message := message.(type) {
		case *redis.Subscription:
			confirmed()
		case *redis.Message:
			if pool, id, ok := memberOf(message.Payload); ok {
				rebound(pool, id)
			}
		}
	}
}
