package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// callTimeout is how long a call may take, whoever waits for it.
const callTimeout = time.Second

// errClosed is returned of a store that has been closed.
var errClosed = errors.New("the session store is closed")

// call asks Redis something and returns the answer, or the error of ctx as soon as
// that ends. The question is not given up then: a connection whose answer nobody
// reads could not be used again, so that a Redis which is a little too slow would
// get a new connection for every call and be slower still. It ends by callTimeout.
// So many questions as there are connections are asked at a time; those of more
// callers are not asked before an earlier one has ended.
func call[T any](ctx context.Context, s *Store, ask func(ctx context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-s.open.Done():
		return none, errClosed
	}
	if !s.begin() {
		<-s.slots
		return none, errClosed
	}
	answers := make(chan answer, 1)
	go func() {
		defer s.running.Done()
		defer func() { <-s.slots }()
		ctx, cancel := context.WithTimeout(s.open, callTimeout)
		defer cancel()
		value, err := ask(ctx)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return none, fmt.Errorf("asking Redis: %w", a.err)
		}
		return a.value, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// begin counts something that Close has to wait for; false: it is too late.
func (s *Store) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.Err() != nil {
		return false
	}
	s.running.Add(1)
	return true
}

// Close ends what is running, closes all connections, and returns when all calls and
// watches have. Calls fail from then on. It may be called again.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.open.Err() != nil
	s.close()
	s.mu.Unlock()
	defer s.running.Wait()
	if again {
		return nil
	}
	return s.redis.Close()
}
