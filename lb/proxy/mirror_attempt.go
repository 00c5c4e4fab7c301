package proxy

import (
	"io"
	"runtime/debug"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

// run sends the copy, reads what comes of it, and tells. The endpoint counts it
// until all is told.
func (m *mirror) run(e *pool.Endpoint, probe bool, done func(error)) {
	ms := &m.p.mirrors
	defer ms.running.Done()
	at := event.Attempt{
		Route: m.route, Pool: m.pool.ID, Endpoint: e.ID, Number: 1, Start: time.Now(), Probe: probe, Mirror: true,
		Span: m.span,
	}
	if at.Span.Sampled {
		at.PoolName, at.Upstream, at.Method, at.Target = m.pool.Name, e.Address, m.head.Method, m.head.Target
	}
	ms.running.Add(1)
	timer := time.AfterFunc(m.limit, func() {
		defer ms.running.Done()
		ms.cut(m, event.TimedOut)
	})
	wait := e.Wait(true)
	at.Result = m.attempt(e, &at, &wait)
	mine := timer.Stop()
	if mine {
		ms.running.Done()
	}
	judged := m.pool.Judge(at.Result)
	at.Verdict = told(judged)
	done(verdict(judged))
	switch at.Result {
	case event.OK:
	case event.ClientCanceled:
		wait.Abandoned()
	case event.Exhausted, event.Overflowed, event.Aborted:
		wait.Excluded()
	default:
		wait.Failed()
	}
	at.Duration = time.Since(at.Start)
	if f := m.p.events.AttemptEnded; f != nil {
		f(&at)
	}
	ms.leave(m)
	result := event.MirrorFailed
	if at.Result == event.OK || at.Result == event.Failed {
		result = event.MirrorSent
	}
	if !mine {
		// The timer's call may be under way still: it must not meet the next request.
		m = m.apart()
	}
	m.over(result)
	e.End()
}

// attempt sends the copy and reads the response. It holds no stream afterwards.
func (m *mirror) attempt(e *pool.Endpoint, at *event.Attempt, wait *pool.Wait) (result event.Result) {
	ms := &m.p.mirrors
	defer ms.giveBack(m)
	defer func() {
		if p := recover(); p != nil { // no request is the worse for it
			ms.logger.Error("a mirrored request panicked: this is a bug of the balancer", "panic", p, "stack", string(debug.Stack()))
			ms.cut(m, event.ClientCanceled)
			result = event.ClientCanceled
		}
	}()
	if len(m.head.Authority) == 0 {
		m.head.Authority = append(m.head.Authority, e.Address...)
	}
	err := m.exchange(e.Transport.Open, at, wait)
	if kindOf(err) == upstream.Stale {
		why := resendOf(m.lent.stream) // nobody else sets it
		ms.giveBack(m)
		err = m.exchange(func() (upstream.Stream, error) {
			s, err := e.Transport.OpenNew(0)
			if err == nil {
				at.Resend = why
			}
			return s, err
		}, at, wait)
	}
	if err != nil {
		if why := ms.wasCut(m); why != "" {
			return why
		}
		result, _ := failure(err)
		return result
	}
	if m.pool.Failures.Has(at.Status) {
		return event.Failed
	}
	return event.OK
}

// exchange sends the copy on a stream and reads the response. The endpoint is
// judged by the head of that: its body may be as long as it likes, as an event
// stream is, and only we end it. But one that the endpoint breaks off is a failure,
// as it is to requests.
func (m *mirror) exchange(open func() (upstream.Stream, error), at *event.Attempt, wait *pool.Wait) error {
	s, err := open()
	if err != nil {
		return err
	}
	if !m.p.mirrors.take(m, s) {
		return errMirrorCut
	}
	at.Reused = s.Reused()
	resp, err := m.ask(s)
	if err != nil {
		return err
	}
	at.Status = resp.Status
	if m.pool.Failures.Has(at.Status) {
		wait.Failed()
		*wait = pool.Wait{}
	} else {
		wait.Answered(0)
	}
	body := s.Body()
	for left := mirrorResponse; left > 0; {
		piece, err := body.Next()
		if err == io.EOF || err != nil && m.p.mirrors.wasCut(m) != "" {
			return nil
		}
		if err != nil {
			return err
		}
		left -= len(piece)
	}
	return nil // its rest is of no interest
}

// ask sends the copy and waits for the head of the final response.
func (m *mirror) ask(s upstream.Stream) (*wire.Response, error) {
	s.Send(&m.head)
	if err := s.Write(m.body); err != nil {
		return nil, err
	}
	if err := s.End(m.trailers); err != nil {
		return nil, err
	}
	for range maxInterim {
		resp, err := s.Await()
		switch {
		case err != nil:
			return nil, err
		case resp.Status == 101:
			return nil, errUnasked101
		case resp.Status >= 200:
			return resp, nil
		}
	}
	return nil, errEndlessInterim
}

// errMirrorCut stands for the reason that mirrors.wasCut gives.
var errMirrorCut = &upstream.Error{Kind: upstream.Reset, Err: io.ErrClosedPipe}

// apart returns a mirror that shares nothing with m but what there is to tell.
func (m *mirror) apart() *mirror {
	return &mirror{p: m.p, route: m.route, pool: m.pool, bytes: m.bytes}
}
