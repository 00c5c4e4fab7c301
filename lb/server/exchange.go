package server

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/wire"
)

// exchange is one request on an HTTP/1.1 connection, and its response.
type exchange struct {
	conn *conn
	req  wire.Request
	body requestBody

	state
}

// state is how far an exchange has come.
type state struct {
	toHead     bool
	chunked    bool // the response is sent in chunks
	untilClose bool // its end is the connection's
	bodiless   bool // it has no content, whatever is written
	close      bool // the connection ends with it
	aged       bool // for no other reason than its age
	ended      bool
	tunneled   bool
	halfClosed bool // the client has ended its side, and waits
	watched    bool // the time in which its end would have meant that is over
	aborted    bool
	splice     bool // the listener's policy lets content be spliced
	stalled    bool // the client did not take its due of the response
}

// serve reads a head, has the request answered, and says why the connection
// cannot go on; "" if it can.
func (x *exchange) serve(c *conn, set *Settings) event.CloseReason {
	x.conn = c
	if reason := x.readHead(set); reason != "" {
		return reason
	}
	c.life.asked = c.io.AgeAtRead()
	c.client.Proto = "1.1"
	if x.req.Minor == 0 {
		c.client.Proto = "1.0"
	}
	x.toHead = string(x.req.Method) == "HEAD"
	x.splice, x.body.splice = set.Splice, set.Splice
	x.body.Reset(c.io, x.req.Framing, x.req.Length)
	_, x.body.whole = x.body.Whole()
	c.io.Hold()
	x.body.SetPace(set.RequestBody, set.RequestBodyRate, x.req.ExpectContinue)
	c.server.handler.Serve(x)
	return x.finish()
}

// readHead reads until a whole head is buffered. One that is malformed is
// answered.
func (x *exchange) readHead(set *Settings) event.CloseReason {
	wc := x.conn.io
	limits := wire.Limits{HeadBytes: set.HeaderBytes, TargetBytes: min(set.HeaderBytes, wire.DefaultLimits.TargetBytes), Fields: set.HeaderFields}
	var by time.Time
	for seen := 0; ; {
		var (
			n   int
			err error
		)
		// A head that drips in is parsed once a line and not once a byte.
		if b := wc.Buffered(); bytes.IndexByte(b[seen:], '\n') >= 0 || len(b) >= limits.HeadBytes {
			n, err = x.req.Parse(b, limits)
		}
		seen = len(wc.Buffered())
		if n > 0 {
			wc.Discard(n)
			return ""
		}
		if err == nil {
			if by.IsZero() {
				by = time.Now().Add(set.RequestHeader)
			}
			left := max(time.Until(by), time.Nanosecond)
			wc.SetReadWindow(left, left)
			err = wc.Fill()
		}
		if err == nil {
			continue
		}
		// What was parsed of the head lies in the buffer, which may be another one
		// since: what is told of the request must not be somebody else's.
		x.req.Parse(wc.Buffered(), limits)
		switch {
		case err == io.EOF:
			return event.ClosedBroken
		case errors.Is(err, os.ErrDeadlineExceeded):
			x.refuse(errSlowHead)
			return event.ClosedSlowHead
		case err == wire.ErrBufferFull:
			x.refuse(errHugeHead)
			return event.ClosedBadRequest
		}
		var malformed *wire.Error
		if errors.As(err, &malformed) {
			x.refuse(malformed)
			return event.ClosedBadRequest
		}
		return event.ClosedBroken
	}
}

var (
	errSlowHead = &wire.Error{Status: 408, Reason: "the request head did not come in time"}
	errHugeHead = &wire.Error{Status: 431, Reason: "the head is too large", Source: "RFC 6585 section 5"}
)

// refuse has a head that could not be parsed answered. Nothing behind it can be
// understood, so the connection ends.
func (x *exchange) refuse(cause *wire.Error) {
	x.req.KeepAlive = false
	x.toHead = string(x.req.Method) == "HEAD"
	if x.req.Authority == nil && x.req.Target == nil {
		x.req.Minor = 1
	}
	x.conn.server.handler.Refuse(x, cause)
	x.conn.linger()
}

// finish leaves the connection ready for the next request, or says why there
// will be none.
func (x *exchange) finish() event.CloseReason {
	c := x.conn
	switch {
	case x.tunneled:
		return event.ClosedAfterTunnel
	case x.stalled:
		return event.ClosedSlowReader
	case x.body.fault != "":
		if x.ended {
			c.linger()
		}
		return x.body.fault
	case x.aborted:
		return event.ClosedBroken
	case !x.ended:
		return event.ClosedBroken
	}
	if !x.bodyAtHand() {
		c.linger()
		return event.ClosedAfterReply
	}
	for !x.body.Done() {
		x.body.Next()
	}
	if x.close || x.halfClosed {
		if x.req.KeepAlive && !x.halfClosed || len(c.io.Buffered()) > 0 {
			c.linger() // the client may have sent more before it could know
		}
		switch {
		case c.server.draining.Load():
			return event.ClosedDrain
		case x.aged:
			return event.ClosedAged
		}
		return event.ClosedAfterReply
	}
	return ""
}

// forget empties the exchange for another request.
func (x *exchange) forget() {
	x.req = wire.Request{Fields: x.req.Fields[:0]}
	x.body.Reset(nil, wire.NoBody, 0)
	x.body.forget()
	x.conn = nil
	x.state = state{}
}

func (x *exchange) Request() *wire.Request { return &x.req }
func (x *exchange) Client() *proxy.Client  { return &x.conn.client }
func (x *exchange) Body() proxy.Body       { return &x.body }

func (x *exchange) Interim(r *wire.Response) error {
	if x.req.Minor == 0 {
		return nil
	}
	wc := x.conn.io
	wc.SetPending(wire.AppendResponse(wc.Pending(), r, 1))
	return x.wrote(wc.Flush())
}

func (x *exchange) Reply(r *wire.Response) error {
	framing := r.Framing
	x.bodiless = x.toHead || r.Status == 204 || r.Status == 304
	switch {
	case r.Status == 101:
	case x.bodiless:
		if r.Framing == wire.Sized && r.Status != 204 {
			// Announced, not sent (RFC 9110 section 8.6).
		} else if r.Framing != wire.NoBody {
			r.Length = -1
		}
		r.Framing = wire.NoBody
	case r.Framing == wire.NoBody:
		r.Framing, r.Length = wire.Sized, 0
	case r.Framing == wire.Sized:
	case x.req.Minor == 0:
		r.Framing = wire.UntilClose
		x.untilClose = true
	default:
		r.Framing = wire.Chunked
		x.chunked = true
	}
	x.close = x.untilClose || !x.req.KeepAlive || x.conn.server.draining.Load() || !x.bodyAtHand()
	if !x.close && x.conn.outlived() {
		x.close, x.aged = true, true
	}
	r.KeepAlive = !x.close
	wc := x.conn.io
	wc.SetPending(wire.AppendResponse(wc.Pending(), r, x.req.Minor))
	r.Framing = framing
	return nil
}

// bodyAtHand reports whether the rest of the request's body will not have to be
// waited for: else the connection cannot be used again.
func (x *exchange) bodyAtHand() bool {
	return x.body.whole || x.body.read.Load()
}

// requestBody is the content, which another goroutine than the replying one may
// read.
type requestBody struct {
	wire.Body
	whole  bool        // all of it was buffered with the head
	read   atomic.Bool // it was read to its end
	splice bool        // the listener's policy lets it be spliced

	interrupted atomic.Bool       // what times out now is not the client's fault
	fault       event.CloseReason // what is; "" if nothing
}

func (b *requestBody) forget() {
	b.whole, b.fault = false, ""
	b.read.Store(false)
	b.interrupted.Store(false)
}

func (b *requestBody) Next() ([]byte, error) {
	p, err := b.Body.Next()
	b.took(err)
	return p, err
}

func (b *requestBody) Splice(p *wire.Pipe) (int, error) {
	n, err := b.Body.Splice(p)
	b.took(err)
	return n, err
}

// took remarks what came of reading. The last piece of a body is its end, before
// anybody has passed it on: the answer to it must not come sooner.
func (b *requestBody) took(err error) {
	switch {
	case err != nil:
		b.ends(err)
	case b.Done():
		b.read.Store(true)
	}
}

func (b *requestBody) Spliceable() int64 {
	if !b.splice {
		return 0
	}
	return b.Body.Spliceable()
}

// ends remarks how the body ended.
func (b *requestBody) ends(err error) {
	var malformed *wire.Error
	switch {
	case err == io.EOF:
		b.read.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded):
		if !b.interrupted.Load() {
			b.fault = event.ClosedSlowBody
		}
	case errors.As(err, &malformed):
		b.fault = event.ClosedBadRequest
	}
}

func (x *exchange) Write(p []byte) error {
	if x.bodiless || len(p) == 0 {
		return nil
	}
	wc := x.conn.io
	if !x.chunked {
		return x.wrote(wc.Write(p))
	}
	wc.SetPending(wire.AppendChunkHeader(wc.Pending(), len(p)))
	if err := wc.Write(p); err != nil {
		return x.wrote(err)
	}
	wc.SetPending(append(wc.Pending(), '\r', '\n'))
	return nil
}

func (x *exchange) Splices() bool {
	return x.splice && !x.chunked && !x.bodiless && x.conn.io.IsSocket()
}

func (x *exchange) WritePipe(p *wire.Pipe) error { return x.wrote(x.conn.io.WritePipe(p)) }

func (x *exchange) Flush() error { return x.wrote(x.conn.io.Flush()) }

// wrote remarks an error of writing that tells why the connection ends.
func (x *exchange) wrote(err error) error {
	if err == wire.ErrStalled {
		x.stalled = true
	}
	return err
}

func (x *exchange) End(trailers wire.Fields) error {
	wc := x.conn.io
	if x.chunked && !x.bodiless {
		wc.SetPending(wire.AppendLastChunk(wc.Pending(), trailers))
	}
	x.ended = true
	return x.wrote(wc.Flush())
}

func (x *exchange) Abort() {
	x.aborted = true
	if x.untilClose {
		// The client knows the content to be whole by the end of the connection: it
		// must see another end than that.
		x.conn.resetAtEnd()
	}
}

func (x *exchange) Tunnel() *wire.Conn {
	x.tunneled = true
	for x.body.whole && !x.body.Done() {
		x.body.Next() // it was sent as content: it is not the tunnel's
	}
	x.conn.io.SetLeastRate(0) // its talk has its own pace
	return x.conn.io
}

// gonePatience is the time within which a client's FIN is taken to mean that it
// has said all it wants to say, as `nc -N` does, and waits for the response. One
// that comes later means that it has left.
const gonePatience = 5 * time.Millisecond

func (x *exchange) AwaitGone() bool {
	wc := x.conn.io
	unread := 0
	if x.body.whole {
		unread = int(x.body.Length()) // it stays buffered, for another try
	}
	if len(wc.Buffered()) > unread {
		return false
	}
	if !x.watched {
		began := time.Now()
		wc.SetReadWindow(gonePatience, 2*gonePatience)
		err := wc.Fill()
		if err == io.EOF {
			x.halfClosed = true
			return false
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return left(err)
		}
		x.watched = time.Since(began) >= gonePatience // else it was interrupted
	}
	wc.SetReadWindow(0, 0)
	return left(wc.Fill())
}

// left reports whether what came of watching a client means that it has left,
// and not that it sends more, or that the watching was interrupted.
func left(err error) bool {
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && err != wire.ErrBufferFull
}

func (x *exchange) Interrupt() {
	x.body.interrupted.Store(true)
	x.conn.io.Interrupt()
}

func (x *exchange) Rearm() {
	x.conn.io.Rearm()
	x.body.interrupted.Store(false)
}
