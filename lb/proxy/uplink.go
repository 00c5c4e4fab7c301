package proxy

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

// uplink is the second goroutine of a call: it sends a body that streams, and
// then, or for want of one, watches for the client's departure. It runs at most
// once at a time, and join ends it.
type uplink struct {
	done    chan struct{} // one value when the goroutine is through
	running bool
	sending bool        // it has a body to send
	ending  atomic.Bool // join was called: what fails from now on is its doing

	sentAt atomic.Int64 // when sending ended, well or not, in ns since the call's start; 0: not yet
	readAt atomic.Int64 // when the client's body had come to its end
	bytes  int64        // of body sent
	err    error        // why the client's body could not be read
	gone   bool         // the client left

	panicked error
}

// reset makes the uplink ready for another call.
func (u *uplink) reset() {
	u.running, u.sending, u.bytes, u.err, u.gone = false, false, 0, nil, false
	u.sentAt.Store(0)
	u.readAt.Store(0)
	u.ending.Store(false)
}

// again makes the uplink ready for another try of its call.
func (u *uplink) again() {
	u.sending = false
	u.sentAt.Store(0)
}

// send starts the uplink to send the body.
func (c *call) send(s upstream.Stream) {
	u := &c.uplink
	u.running, u.sending = true, true
	x := c.x
	go func() {
		defer u.through(s.Cancel)
		if u.copy(c, s) {
			u.watch(x, s.Cancel)
		}
	}()
}

// watch has the uplink look out for the client's departure, which cancels the
// upstream request, if it does not run already.
func (c *call) watch() {
	if !c.uplink.running {
		c.lookOut(c.stream.Cancel)
	}
}

// lookOut has the uplink look out for the client's departure, and call cancel then.
func (c *call) lookOut(cancel func()) {
	u := &c.uplink
	u.running = true
	x := c.x
	go func() {
		defer u.through(cancel)
		u.watch(x, cancel)
	}()
}

// through ends the uplink's goroutine. A panic is handed to the call's, where it
// ends one connection and not the process.
func (u *uplink) through(cancel func()) {
	if p := recover(); p != nil {
		u.panicked = fmt.Errorf("%v, while a body was sent or a client watched\n%s", p, debug.Stack())
		cancel()
	}
	u.done <- struct{}{}
}

// copy sends the body, and reports whether the client could send it. That the
// endpoint does not take it need not be the end: it may have answered already.
func (u *uplink) copy(c *call, s upstream.Stream) bool {
	body := c.x.Body()
	err := u.pieces(c, body, s)
	if err == nil {
		c.sendMirror(body.Trailers())
		err = s.End(c.req.EndToEnd(body.Trailers()))
	}
	if err == errBody {
		s.Cancel()
		return false
	}
	u.sentAt.Store(int64(max(time.Since(c.start), 1)))
	return true
}

// errBody means that the client's body could not be read.
var errBody = errors.New("the request body could not be read")

// pieces sends the body piece by piece.
func (u *uplink) pieces(c *call, body Body, s upstream.Stream) error {
	if k := &c.kept; len(k.body) > 0 { // of an earlier try
		if err := s.Write(k.body); err != nil {
			return err
		}
		if !k.ended.Load() && !body.Buffered() {
			if err := s.Flush(); err != nil {
				return err
			}
		}
	}
	if c.kept.ended.Load() {
		return nil
	}
	content := carrier{pipes: &c.p.pipes}
	if c.mirror != nil || c.kept.on {
		content.pipes = nil
	}
	defer content.end()
	for {
		n, err := content.take(body, s)
		if err == io.EOF {
			if len(body.Trailers()) > 0 {
				c.kept.lost = true // they are at hand only now
			}
			c.kept.ended.Store(true)
			u.readAt.Store(int64(max(time.Since(c.start), 1)))
			return nil
		}
		if err != nil {
			if !u.ending.Load() {
				u.err = err
			}
			return errBody
		}
		u.bytes += int64(n)
		c.kept.add(content.piece)
		if c.req.Framing == wire.Sized && u.bytes == c.req.Length {
			c.kept.ended.Store(true) // before the endpoint can answer it
		}
		if c.mirror != nil && !c.mirror.add(content.piece) {
			c.mirror = nil
		}
		if err := content.give(s); err != nil {
			return err
		}
		if !body.Buffered() {
			if err := s.Flush(); err != nil {
				return err
			}
		}
	}
}

func (u *uplink) watch(x Exchange, cancel func()) {
	if x.AwaitGone() && !u.ending.Load() {
		u.gone = true
		cancel()
	}
}

// bodySent reports whether the request's body was sent to its end. An endpoint that
// answers the last piece may be quicker than the uplink remarks that it was the
// last, so one that has read it all has a moment.
func (c *call) bodySent() bool {
	u := &c.uplink
	for range 50 {
		if !u.sending || u.sentAt.Load() != 0 {
			return true
		}
		if !c.kept.ended.Load() {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// join ends the uplink if it runs. A body that was not sent to its end never
// will be.
func (c *call) join() {
	c.still()
	if p := c.uplink.panicked; p != nil {
		c.uplink.panicked = nil
		panic(p)
	}
}

// still is join without regard to a panic of the uplink's.
func (c *call) still() {
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
