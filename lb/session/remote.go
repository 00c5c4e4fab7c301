package session

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
)

// What protects requests from the shared store, and the store from them.
const (
	// mostAsking and mostTelling bound the operations under way that a request waits
	// for, and those that none does. What is more is left out: the session goes on by
	// what is known, and it is tried again with its next request. So when a store
	// comes back it is not overrun.
	mostAsking, mostTelling = 128, 32
	// operationTimeout ends an operation that no request waits for any longer: what
	// comes of it is still worth knowing.
	operationTimeout = time.Second
	// revalidateAfter is for how long what the store said is believed while changes
	// are not heard of.
	revalidateAfter = time.Second
)

var storeBreaker = breaker.Settings{
	ConsecutiveFailures: 5, FailurePercent: 50, MinRequests: 20, Interval: 5 * time.Second,
	OpenDuration: 500 * time.Millisecond, MaxOpenDuration: 5 * time.Second, HalfOpenRequests: 2,
}

var (
	errNone = errors.New("no session store was given: see --redis (LB_REDIS_URL)")
	errAway = errors.New("the session store is away")
	errBusy = errors.New("as many operations of the session store are under way as may be")
	errLate = errors.New("the session store did not answer in time")
)

// remote is the way to the shared store.
type remote struct {
	breaker         *breaker.Breaker
	asking, telling chan struct{} // places
	heardSince      atomic.Int64  // since when all changes are heard of; 0: they are not
	lastChange      atomic.Int64  // when the last one was heard of
	patience        atomic.Int64  // how long the last request that asked would wait
	latencies       latencies
}

// recall returns the session's home by what this replica knows, or else by the
// store. The error is nil if that was asked and has none.
func (s *Sessions) recall(v *Visit, p *Persistence) (Home, error) {
	now := s.since(v.at)
	at := place{p.Pool, v.ticket.ID}
	b, known := s.use(v, at, p, now)
	// A ticket that tells of another home may be newer than what was heard.
	other := v.ticket.Pool == p.Tag && v.ticket.Home != b.home && v.ticket.Home != b.against
	if known && !(other && !b.provisional) && s.believes(&b, now) {
		s.hits.Add(1)
		s.renew(at, v, p, &b, now)
		return b.home, nil
	}
	s.misses.Add(1)
	t := v.ticket
	home, err := s.ask(v, p, event.SessionFind, func(ctx context.Context) (Home, error) {
		home, err := s.shared.Find(ctx, p.Pool, &t, p.Lifetime)
		if err == nil && home != None {
			s.learn(at, p, home, now, false)
			s.beliefs.change(at, nil, func(known bool, b *belief) bool {
				b.against = t.Home
				return known
			})
		}
		return home, err
	})
	switch {
	case known && home == None && !errors.Is(err, ErrUnreadable):
		// It was lost there, or cannot be asked.
		if err == nil {
			s.doubt(at)
			b.provisional = true
			s.renew(at, v, p, &b, now)
		}
		return b.home, nil
	case home != None:
		b, _ = s.beliefs.get(at)
		s.renew(at, v, p, &b, now)
	}
	return home, err
}

// use returns what is known of a session that is used now. It is forgotten if it was
// not for its idle timeout: what counts is its use, since a store that is away is not
// told of that.
func (s *Sessions) use(v *Visit, at place, p *Persistence, now time.Duration) (b belief, known bool) {
	hint := v.opened.belief.Load()
	is := s.beliefs.change(at, hint, func(is bool, was *belief) bool {
		if known = is && now-was.used <= p.Lifetime.Idle; known {
			was.used = max(was.used, now)
			b = *was
		}
		return known
	})
	if is != hint {
		v.opened.belief.Store(is)
	}
	return b, known
}

// believes says whether b is good enough to be gone by without asking.
func (s *Sessions) believes(b *belief, now time.Duration) bool {
	heard := time.Duration(s.heardSince.Load())
	return b.provisional || b.checked > b.spoiled && (heard > 0 && b.checked >= heard || now-b.checked < revalidateAfter)
}

// renew tells the store of what it may not know: a binding that it has not confirmed,
// or that the session is used. Nobody waits for that.
func (s *Sessions) renew(at place, v *Visit, p *Persistence, b *belief, now time.Duration) {
	if b.asking || !b.provisional && now-b.touched <= p.renewAfter() {
		return
	}
	t, home := v.ticket, b.home
	now = s.now()
	if b.provisional {
		s.tell(at, event.SessionBind, func(ctx context.Context) error {
			got, err := s.shared.Bind(ctx, p.Pool, &t, home, p.Lifetime)
			if err == nil {
				s.learn(at, p, got, now, true)
			} else if errors.Is(err, ErrUnreadable) {
				s.forget(at) // it is asked for with the next request, and refused
			}
			return err
		})
		return
	}
	s.tell(at, event.SessionTouch, func(ctx context.Context) error {
		ok, err := s.shared.Touch(ctx, p.Pool, &t, p.Lifetime)
		if err == nil && !ok {
			s.doubt(at)
		} else if err == nil {
			s.learn(at, p, None, now, true)
		}
		return err
	})
}

// remember notes a home that the store has not confirmed, and tells it. If another
// one is known already, that holds.
func (s *Sessions) remember(v *Visit, p *Persistence, home Home) Home {
	now := s.now()
	at := place{p.Pool, v.ticket.ID}
	var b belief
	s.beliefs.change(at, nil, func(known bool, was *belief) bool {
		if !known {
			*was = belief{home: home, provisional: true, spoiled: s.heardLast(), touched: now, used: now}
		}
		b = *was
		return true
	})
	s.renew(at, v, p, &b, now)
	return b.home
}

// rebind is Move in the shared store.
func (s *Sessions) rebind(v *Visit, p *Persistence, from, to Home) (Home, error) {
	at := place{p.Pool, v.ticket.ID}
	t, now := v.ticket, s.now()
	return s.ask(v, p, event.SessionRebind, func(ctx context.Context) (Home, error) {
		got, err := s.shared.Rebind(ctx, p.Pool, &t, from, to, p.Lifetime)
		if err == nil {
			s.beliefs.change(at, nil, func(known bool, b *belief) bool {
				b.provisional = false           // a move that is no news of the store's
				b.checked = min(b.checked, now) // what was asked meanwhile may be of before it
				return known
			})
			s.learn(at, p, got, now, true)
		}
		return got, err
	})
}

// learn notes what the store said that was asked then; None: only that it knows the
// session. touched: it was told that the session is used.
//
// A change that was heard of meanwhile may be older or newer than that. So it is asked
// again. And what was asked before what is known is not news.
func (s *Sessions) learn(at place, p *Persistence, home Home, then time.Duration, touched bool) {
	other := false
	s.beliefs.change(at, nil, func(known bool, b *belief) bool {
		if !known {
			b.spoiled, b.used = s.heardLast(), then
		}
		if home != None && then >= b.checked {
			other = known && b.provisional && b.home != home
			b.home, b.provisional, b.checked = home, false, then
		}
		if touched {
			b.touched = then
		} else if !known {
			b.touched = then - p.renewAfter() - 1 // so that it will be told
		}
		return known || home != None
	})
	if other {
		s.moved(p, event.MovedByStore)
	}
}

// doubt notes that the store does not know a session.
func (s *Sessions) doubt(at place) {
	s.beliefs.change(at, nil, func(known bool, b *belief) bool {
		b.provisional = true
		return known
	})
}

func (s *Sessions) forget(at place) {
	s.beliefs.change(at, nil, func(bool, *belief) bool { return false })
}

// heardLast is when a change was last heard of, of whichever session. What is noted of
// a session anew is spoiled by that: it may have been its own.
func (s *Sessions) heardLast() time.Duration { return time.Duration(s.lastChange.Load()) }

// rebound is told of a session that somebody moved: perhaps this replica.
func (s *Sessions) rebound(pool string, id ID) {
	now := s.now()
	s.lastChange.Store(int64(now))
	s.beliefs.change(place{pool, id}, nil, func(known bool, b *belief) bool {
		b.spoiled = now
		return known
	})
}

// heard is told whether changes are heard of from now on.
func (s *Sessions) heard(on bool) {
	if !on {
		s.heardSince.Store(0)
		return
	}
	s.heardSince.Store(int64(max(1, s.now())))
	select {
	case s.agreeNow <- struct{}{}: // it may have been restarted empty
	default:
	}
}

// ask has an operation done and waits for it, as long as the visit still may. The
// operation goes on if it takes longer: what it learns is noted all the same.
func (s *Sessions) ask(v *Visit, p *Persistence, op event.SessionOperation, do func(context.Context) (Home, error)) (Home, error) {
	left := p.Timeout - v.waited
	s.patience.Store(int64(p.Timeout))
	if s.shared == nil || left <= 0 {
		return None, errAway
	}
	select {
	case s.asking <- struct{}{}:
	default:
		return None, s.left(op, errBusy)
	}
	done, _, ok := s.breaker.Allow(breaker.Willing)
	if !ok {
		<-s.asking
		return None, errAway
	}
	type answer struct {
		home Home
		err  error
	}
	answered := make(chan answer, 1)
	var judged atomic.Bool
	judge := func(err error) {
		if judged.CompareAndSwap(false, true) {
			done(s.verdict(err))
		}
	}
	start := time.Now()
	if !s.run(func(ctx context.Context) {
		defer func() { <-s.asking }()
		home, err := do(ctx)
		judge(err)
		s.measured(op, err, time.Since(start))
		answered <- answer{home, err}
	}) {
		<-s.asking
		judge(context.Canceled)
		return None, errAway
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	defer func() { v.waited += time.Since(start) }()
	select {
	case a := <-answered:
		return a.home, a.err
	case <-timer.C:
		s.complain(errLate)
		judge(errLate)
		return None, errLate
	}
}

// tell has an operation done that nobody waits for, if there is a place for it. The
// session's binding says meanwhile that it is under way.
func (s *Sessions) tell(at place, op event.SessionOperation, do func(context.Context) error) {
	if s.shared == nil {
		return
	}
	select {
	case s.telling <- struct{}{}:
	default:
		s.left(op, errBusy)
		return
	}
	done, _, ok := s.breaker.Allow(breaker.Willing)
	if !ok {
		<-s.telling
		return
	}
	first := false
	s.beliefs.change(at, nil, func(known bool, b *belief) bool {
		first = known && !b.asking
		b.asking = true
		return known
	})
	start := time.Now()
	if !first || !s.run(func(ctx context.Context) {
		defer func() { <-s.telling }()
		err := do(ctx)
		s.beliefs.change(at, nil, func(known bool, b *belief) bool {
			b.asking = false
			return known
		})
		done(s.verdict(err))
		s.measured(op, err, time.Since(start))
	}) {
		<-s.telling
		done(breaker.Excluded)
	}
}

// run runs an operation in a goroutine of its own, which Close joins; false once that
// was called.
func (s *Sessions) run(do func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, operationTimeout)
		defer cancel()
		do(ctx)
	})
	return true
}

// verdict is what the breaker is told of an operation.
func (s *Sessions) verdict(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrUnreadable):
		return nil
	case s.life.Err() != nil:
		return breaker.Excluded
	}
	return breaker.Failed
}

// left counts an operation that was left out.
func (s *Sessions) left(op event.SessionOperation, err error) error {
	s.told(op, event.SessionBusy, 0)
	return err
}

func (s *Sessions) measured(op event.SessionOperation, err error, took time.Duration) {
	result := event.SessionOK
	switch {
	case errors.Is(err, ErrUnreadable):
		result = event.SessionUnreadable
	case errors.Is(err, context.DeadlineExceeded):
		result = event.SessionTimeout
	case err != nil:
		result = event.SessionError
		s.complain(err)
	}
	s.latencies.note(took)
	s.told(op, result, took)
}

func (s *Sessions) told(op event.SessionOperation, result event.SessionResult, took time.Duration) {
	if f := s.events.SessionStoreAsked; f != nil {
		f(event.SessionAsked{Operation: op, Result: result, Took: took})
	}
}
