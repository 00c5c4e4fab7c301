package proxy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

const (
	// A response, or the next piece of one, is late after this time; only then is
	// the client's departure looked for. It is a window so that the deadline need
	// not be moved for every request.
	lateLeast, lateMost = 5 * time.Millisecond, 50 * time.Millisecond
	// maxInterim bounds the interim responses of one request.
	maxInterim = 16
)

// attempt sends the request to an endpoint and passes the response on. The error
// is the cause of any result but OK and ClientCanceled.
//
// A response that is to be tried again is not passed on: the plan says so then.
func (c *call) attempt(e *pool.Endpoint, body []byte, whole bool) (event.Result, error) {
	var err error
	stream := e.Transport.Reuse()
	if stream == nil {
		stream, err = e.Transport.OpenNew(c.patience())
	}
	for err == nil {
		c.stream = stream
		c.at.Reused = stream.Reused()
		var (
			resp   *wire.Response
			result event.Result
		)
		if resp, err = c.ask(e, body, whole); err == nil {
			if c.unwanted(resp) {
				c.at.Status = resp.Status
				result = event.OK
				c.answered()
				discard(stream.Body())
			} else {
				result, err = c.relay(resp)
			}
			c.join()
			stream.Release()
			c.stream = nil
			if err != nil {
				return c.blame(err)
			}
			return result, nil
		}
		c.join()
		var why event.Resend
		if kindOf(err) == upstream.Stale {
			why = resendOf(stream)
		}
		resend := why != "" && c.resends(why)
		stream.Release()
		c.stream = nil
		if !resend {
			break
		}
		c.uplink.again()
		if stream, err = e.Transport.OpenNew(c.patience()); err == nil {
			c.at.Resend = why
			c.flag(event.Resent)
		}
	}
	return c.blame(err)
}

// resends says whether a request that met a kept connection which was closed
// meanwhile goes out once more, on a new one. That says nothing about the endpoint if
// that got nothing of it. Otherwise it may be a way of failing, so it takes a retry out
// of the budget. A body must be at hand still.
func (c *call) resends(why event.Resend) bool {
	if c.uplink.sending && c.kept.lost {
		return false
	}
	return why != event.ResentUnanswered || c.pool.Retry()
}

// resendOf is why the request of a stream that was stale would be sent once more.
func resendOf(s upstream.Stream) event.Resend {
	switch s.Delivery() {
	case upstream.Unsent:
		return event.ResentUnsent
	case upstream.Unread:
		return event.ResentUnread
	}
	return event.ResentUnanswered
}

// ask sends the request and waits for the head of the final response. Interim
// ones are passed on.
func (c *call) ask(e *pool.Endpoint, body []byte, whole bool) (*wire.Response, error) {
	if c.hostless {
		c.out.Authority = append(c.out.Authority[:0:0], e.Address...)
	}
	s := c.stream
	s.Send(&c.out)
	if whole {
		if len(body) > 0 {
			c.ev.RequestBytes = int64(len(body))
			if err := s.Write(body); err != nil {
				return nil, err
			}
			if err := s.End(nil); err != nil {
				return nil, err
			}
		}
	} else {
		if err := s.Start(); err != nil {
			return nil, err
		}
		c.send(s)
	}
	for n := range maxInterim {
		resp, err := c.await(n == 0)
		if err != nil {
			return nil, err
		}
		switch {
		case resp.Status == 101:
			if c.out.Upgrade == nil || !bytes.EqualFold(resp.Upgrade, c.out.Upgrade) {
				return nil, errUnasked101
			}
			return resp, nil
		case resp.Status >= 200:
			return resp, nil
		case resp.Status == 100 && !c.req.ExpectContinue:
			// The client has sent its body already.
		default:
			c.buildReply(resp)
			c.interim = c.interim || resp.Status != 100
			if err := c.x.Interim(&c.reply); err != nil {
				return nil, lost(err)
			}
		}
	}
	return nil, errEndlessInterim
}

var (
	errUnasked101     = &upstream.Error{Kind: upstream.Protocol, Err: errors.New("101 for a protocol that was not asked for")}
	errEarly101       = &upstream.Error{Kind: upstream.Protocol, Err: errors.New("101 before the request's body was sent")}
	errEndlessInterim = &upstream.Error{Kind: upstream.Protocol, Err: errors.New("too many interim responses")}
	errCut            = &upstream.Error{Kind: upstream.Aborted, Err: errors.New("the balancer was stopped")}
	// The client cannot be written to any more.
	errClientGone = errors.New("the client is gone")
	errClientSlow = errors.New("the client does not read")
)

// lost says why the client cannot be written to.
func lost(err error) error {
	if errors.Is(err, wire.ErrStalled) {
		return errClientSlow
	}
	return errClientGone
}

// await waits for the next response head, as long as the route's timeouts let
// it, also if it comes in drips. Once it is late the client is watched. first says that
// it is the first one of the try.
func (c *call) await(first bool) (*wire.Response, error) {
	least, most := lateLeast, lateMost
	if limit := c.limit(); limit > 0 && limit < most {
		least, most = min(least, limit), limit
	}
	c.stream.SetAwaitEnd(c.awaitEnd(first))
	for {
		c.stream.SetTimeout(least, most)
		resp, err := c.stream.Await()
		if kindOf(err) != upstream.Timeout {
			c.stream.SetAwaitEnd(0)
			return resp, err
		}
		left, bounded := c.left()
		if bounded && left <= 0 {
			return nil, err
		}
		if l, pending := c.probeLeft(); pending && l <= 0 {
			c.overdue()
		} else if pending && (!bounded || l < left) {
			left = l
		}
		c.watch()
		least, most = left, left
		c.stream.SetAwaitEnd(left)
	}
}

// awaitEnd is how long the next response head may take; 0: for ever. Most requests have
// all of their time left, and are spared a look at the clock.
func (c *call) awaitEnd(first bool) time.Duration {
	end := c.limit()
	if !first || !c.at.Reused || c.late {
		end = c.patience()
	}
	if left, pending := c.probeLeft(); pending && (end == 0 || left < end) {
		end = max(left, time.Nanosecond)
	}
	return end
}

// patience is what is left of the limit, as an upstream takes it; 0: it is for ever.
func (c *call) patience() time.Duration {
	left, bounded := c.left()
	if !bounded {
		return 0
	}
	return max(left, time.Nanosecond)
}

// limit is how long a response head may take; 0: for ever.
func (c *call) limit() time.Duration {
	t := c.route.Timeouts
	if t.BackendRequest > 0 && (t.Request == 0 || t.BackendRequest < t.Request) {
		return t.BackendRequest
	}
	return t.Request
}

// left is how much of the limit is left. It counts from the request's head or,
// for a body that streams, from its end: how long that takes is the client's
// affair, and bounded by the listener's timeouts.
func (c *call) left() (left time.Duration, bounded bool) {
	t := c.route.Timeouts
	now := time.Now()
	try := c.at.Start
	if c.uplink.sending {
		at := c.uplink.sentAt.Load()
		if at == 0 {
			return c.limit(), c.limit() > 0
		}
		try = c.start.Add(time.Duration(at))
	}
	left, bounded = c.requestLeft()
	if t.BackendRequest > 0 {
		if l := t.BackendRequest - now.Sub(try); !bounded || l < left {
			left, bounded = l, true
		}
	}
	return left, bounded
}

// discard reads what has come of a response that nobody wants: often that is all of
// it, and its connection can be used again.
func discard(b upstream.Body) {
	for b.Buffered() {
		if _, err := b.Next(); err != nil {
			return
		}
	}
}

// requestLeft is how much is left of the time of all tries.
func (c *call) requestLeft() (left time.Duration, bounded bool) {
	limit := c.route.Timeouts.Request
	if limit == 0 {
		return 0, false
	}
	from := c.uplink.readAt.Load()
	if from == 0 {
		from = c.uplink.sentAt.Load()
	}
	if from == 0 && c.streams {
		return limit, true // the client's time is not counted
	}
	return limit - time.Since(c.start) + time.Duration(from), true
}

// relay passes the final response on.
func (c *call) relay(resp *wire.Response) (event.Result, error) {
	c.at.Status = resp.Status
	c.ev.FirstByte = time.Since(c.start)
	c.answered()
	c.buildReply(resp)
	if resp.Status == 101 {
		return c.tunnel()
	}
	s := c.stream
	if c.trial != nil && c.pool.Failures.Has(resp.Status) {
		c.judge(event.Failed) // its end would tell no more
	}
	c.settle()
	c.replied = true
	c.ev.Status = resp.Status
	if err := c.x.Reply(&c.reply); err != nil {
		return "", lost(err)
	}
	body := s.Body()
	content := carrier{pipes: &c.p.pipes}
	defer content.end()
	if left, pending := c.probeLeft(); pending {
		defer c.trial.answered(min(left, c.probeLimit())).Stop()
	}
	s.SetTimeout(lateLeast, lateMost)
	for late := false; ; {
		if !body.Buffered() {
			if err := c.x.Flush(); err != nil {
				return "", lost(err)
			}
		}
		n, err := content.take(body, c.x)
		if err != nil {
			if err == io.EOF {
				break
			}
			if kindOf(err) == upstream.Timeout && !late {
				late = true
				c.watch()
				idle := c.route.Timeouts.StreamIdle
				s.SetTimeout(idle, idle)
				continue
			}
			c.x.Flush() // what has come of it is passed on all the same
			c.x.Abort()
			return "", err
		}
		c.ev.ResponseBytes += int64(n)
		if err := content.give(c.x); err != nil {
			return "", lost(err)
		}
	}
	if err := c.x.End(resp.EndToEnd(body.Trailers())); err != nil {
		return "", lost(err)
	}
	return event.OK, nil
}

// blame says what a failed attempt was, and whose fault, and remarks it.
func (c *call) blame(err error) (event.Result, error) {
	u := &c.uplink
	switch {
	case (u.gone || err == errClientGone) && c.p.isCut():
		c.flag(event.Draining) // the client did not leave: its connection was cut
		c.x.Abort()
		return event.Aborted, errCut
	case u.gone || err == errClientGone:
		c.flag(event.DownstreamGone)
		c.x.Abort()
		return event.ClientCanceled, err
	case err == errClientSlow:
		c.flag(event.DownstreamTimeout)
		c.x.Abort()
		return event.ClientCanceled, err
	case u.err != nil:
		// The client's body could not be read: that broke the upstream request.
		if c.replied {
			_, flag, _ := clientFault(u.err)
			c.flag(flag)
		}
		return event.ClientCanceled, u.err
	}
	result, flag := failure(err)
	c.flag(flag)
	return result, err
}

// kindOf is the kind of an upstream error, 0 of any other.
func kindOf(err error) upstream.Kind {
	if e, ok := err.(*upstream.Error); ok {
		return e.Kind
	}
	return 0
}

// clientFault is the answer to a body that could not be read.
func clientFault(err error) (status int, flag event.Flags, text string) {
	var malformed *wire.Error
	switch {
	case errors.As(err, &malformed):
		return malformed.Status, event.DownstreamProtocol, malformed.Reason
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 408, event.DownstreamTimeout, "the request body did not come in time"
	}
	return 0, event.DownstreamGone, ""
}
