package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/session"
)

// Why the store is away is what it does now, not what it did before.
func TestWhyTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		s := begin(t, store)
		find := func() {
			var v session.Visit
			s.Open(&v, realm, nil)
			s.Open(&v, realm, s.Seal(nil, realm, &v))
			s.Home(&v, cart, time.Now())
			synctest.Wait()
		}
		for _, trouble := range []struct {
			err  error
			slow time.Duration
			want string
		}{
			{errors.New("refused"), 0, "refused"},
			{nil, 50 * time.Millisecond, "the session store did not answer in time"},
		} {
			store.do(trouble.err, trouble.slow)
			for range 10 {
				find()
			}
			if s := s.Status(); !s.Away || s.Reason != trouble.want {
				t.Errorf("away %v, as %q; want %q", s.Away, s.Reason, trouble.want)
			}
			store.do(nil, 0)
			for s.Status().Away {
				time.Sleep(time.Second)
				find()
			}
		}
	})
}
