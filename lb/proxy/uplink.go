package proxy

import (
	"io"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/upstream"
)

// uplink is the second goroutine of a call: it sends a body that streams, and
// then, or for want of one, watches for the client's departure. It runs at most
// once at a time, and join ends it.
type uplink struct {
	done    chan struct{} // one value when the goroutine is through
	running bool
	sending bool        // it has a body to send
	ending  atomic.Bool // join was called: what fails from now on is its doing

	sentAt atomic.Int64 // when the body was sent to its end, in ns since the call's start; 0: not yet
	bytes  int64        // of body sent
	err    error        // why the client's body could not be read
	gone   bool         // the client left
}

// reset makes the uplink ready for another call.
func (u *uplink) reset() {
	u.running, u.sending, u.bytes, u.err, u.gone = false, false, 0, nil, false
	u.sentAt.Store(0)
	u.ending.Store(false)
}

// send starts the uplink to send the body.
func (c *call) send(s upstream.Stream) {
	u := &c.uplink
	u.running, u.sending = true, true
	x, start := c.x, c.start
	go func() {
		if u.copy(x.Body(), s, start) {
			u.watch(x, s)
		}
		u.done <- struct{}{}
	}()
}

// lookOut has the uplink look out for the client's departure, if it does not run
// already.
func (c *call) lookOut() {
	u := &c.uplink
	if u.running {
		return
	}
	u.running = true
	x, s := c.x, c.stream
	go func() {
		u.watch(x, s)
		u.done <- struct{}{}
	}()
}

// copy sends the body and reports whether all of it went.
func (u *uplink) copy(body Body, s upstream.Stream, start time.Time) bool {
	for {
		piece, err := body.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if !u.ending.Load() {
				u.err = err
			}
			s.Cancel()
			return false
		}
		u.bytes += int64(len(piece))
		if err := s.Write(piece); err != nil {
			return false // the endpoint may have answered nevertheless
		}
		if !body.Buffered() {
			if err := s.Flush(); err != nil {
				return false
			}
		}
	}
	if err := s.End(body.Trailers()); err != nil {
		return false
	}
	u.sentAt.Store(int64(max(time.Since(start), 1)))
	return true
}

func (u *uplink) watch(x Exchange, s upstream.Stream) {
	if x.AwaitGone() && !u.ending.Load() {
		u.gone = true
		s.Cancel()
	}
}

// join ends the uplink if it runs. A body that was not sent to its end never
// will be.
func (c *call) join() {
	u := &c.uplink
	if !u.running {
		return
	}
	u.ending.Store(true)
	if u.sending && u.sentAt.Load() == 0 {
		c.stream.Cancel()
	}
	c.x.Interrupt()
	<-u.done
	c.x.Rearm()
	u.running = false
	u.ending.Store(false) // another try may need it again
	if u.sending {
		c.ev.RequestBytes = u.bytes
	}
}
