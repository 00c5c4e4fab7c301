package upstream

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/wire"
)

// http1 is a Stream over an HTTP/1.1 connection, and that connection: it is
// lent, given back and lent again.
type http1 struct {
	t         *Transport
	conn      *wire.Conn
	idleSince time.Time

	reused   bool
	asked    bool  // the request was written, or its head
	unsent   bool  // nothing of it was, for certain
	before   int64 // bytes written to the connection before it
	delivery Delivery
	again    bool // it is idempotent
	toHead   bool
	chunked  bool
	left     int64 // of a sized body, to be written
	tunnel   bool
	sent     atomic.Bool // the request was written to its end
	canceled atomic.Bool
	heard    bool          // a byte of an answer has come
	within   time.Duration // in which a head that has begun must be whole; 0: no bound, or it is in force
	finished bool          // the final head has come
	bodied   bool          // its content was asked for
	failed   atomic.Bool

	resp wire.Response
	body http1Body
}

// limits of response heads; what is larger is no answer to pass on.
var headLimits = wire.Limits{HeadBytes: 32 << 10, TargetBytes: 1, Fields: 200}

func newHTTP1(t *Transport, nc net.Conn) *http1 {
	s := &http1{t: t, conn: wire.NewConn(nc)}
	s.body.s = s
	return s
}

// begin prepares the connection for a request.
func (s *http1) begin(reused bool) {
	s.reused = reused
	s.asked, s.unsent, s.heard, s.finished, s.bodied, s.tunnel = false, false, false, false, false, false
	s.before, s.delivery = s.conn.Written(), Unanswered
	s.sent.Store(false)
	s.failed.Store(false)
	s.conn.SetReadWindow(0, 0)
	s.conn.SetWriteTimeout(writeTimeout)
}

// writeTimeout bounds how long an endpoint may take nothing of a request.
const writeTimeout = 30 * time.Second

func (s *http1) Reused() bool { return s.reused }

func (s *http1) Delivery() Delivery { return s.delivery }

func (s *http1) Send(head *wire.Request) {
	s.conn.SetPending(wire.AppendRequest(s.conn.Pending(), head))
	s.toHead = string(head.Method) == "HEAD"
	s.again = idempotent(head.Method)
	s.chunked = head.Framing == wire.Chunked
	s.left = 0
	if head.Framing == wire.Sized {
		s.left = head.Length
	}
	if !s.chunked && s.left == 0 {
		s.sent.Store(true)
	}
}

// idempotent reports whether a request may be sent again though it may have
// been acted on already (RFC 9110 section 9.2.2).
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// chunkFraming is the most that goes around a chunk's data.
const chunkFraming = 16 + 2 + 2

var errTooMuch = errors.New("more of a body than its Content-Length: nothing of the excess was sent")

func (s *http1) Write(p []byte) error {
	if len(p) == 0 {
		return nil // an empty chunk would be the last
	}
	if !s.asked && len(s.conn.Pending())+len(p)+chunkFraming > wire.GatherLimit {
		// Too much to be gathered and sent by Await: the connection must be known
		// to be good before the first byte goes.
		if err := s.Start(); err != nil {
			return err
		}
	}
	if !s.chunked {
		if s.left -= int64(len(p)); s.left < 0 {
			return s.sendFailed(errTooMuch)
		}
		return s.sendFailed(s.conn.Write(p))
	}
	s.conn.SetPending(wire.AppendChunkHeader(s.conn.Pending(), len(p)))
	if err := s.conn.Write(p); err != nil {
		return s.sendFailed(err)
	}
	s.conn.SetPending(append(s.conn.Pending(), '\r', '\n'))
	return nil
}

func (s *http1) Splices() bool { return !s.chunked && s.conn.IsSocket() }

func (s *http1) WritePipe(p *wire.Pipe) error {
	if s.left -= int64(p.Len()); s.left < 0 {
		return s.sendFailed(errTooMuch)
	}
	return s.sendFailed(s.conn.WritePipe(p))
}

func (s *http1) Flush() error {
	if !s.asked {
		return s.Start()
	}
	return s.sendFailed(s.conn.Flush())
}

// sendFailed makes an error of writing one of the stream's. It is kept apart
// from fail because the writer may be another goroutine than the reader.
func (s *http1) sendFailed(err error) error {
	if err == nil {
		return nil
	}
	s.failed.Store(true)
	kind := Reset
	switch {
	case s.t.life.Err() != nil:
		kind = Aborted
	case err == wire.ErrStalled:
		kind = Timeout
	}
	return &Error{kind, s.t.address, err}
}

func (s *http1) Start() error {
	s.asked = true
	if err := s.conn.Probe(); err != nil {
		s.unsent = true
		return s.fail(err, true)
	}
	err := s.conn.Flush()
	if err == wire.ErrStalled {
		return s.sendFailed(err)
	}
	return s.fail(err, true)
}

func (s *http1) End(trailers wire.Fields) error {
	if s.chunked {
		s.conn.SetPending(wire.AppendLastChunk(s.conn.Pending(), trailers))
	}
	if s.asked {
		if err := s.Flush(); err != nil {
			return err
		}
	}
	s.sent.Store(s.left == 0) // else the connection is not used again
	return nil
}

func (s *http1) SetTimeout(least, most time.Duration) { s.conn.SetReadWindow(least, most) }

func (s *http1) SetAwaitEnd(within time.Duration) {
	s.within = within
	if within == 0 {
		s.conn.SetReadEnd(0, 0)
	}
}

func (s *http1) Await() (*wire.Response, error) {
	if !s.asked {
		if err := s.conn.Ask(); err != nil {
			s.unsent = s.conn.HasPending()
			// The deadline may pass before anything was written, on a machine that has
			// more to do than it can: then the request is still to be sent.
			s.asked = !s.unsent
			return nil, s.fail(err, true)
		}
		s.asked = true
		return s.head(true)
	}
	return s.head(false)
}

// head reads the next response head. read says that this Await has read already.
func (s *http1) head(read bool) (*wire.Response, error) {
	for {
		if len(s.conn.Buffered()) > 0 {
			s.heard = true
			n, err := s.resp.Parse(s.conn.Buffered(), s.toHead, headLimits)
			if err != nil {
				return nil, s.fail(err, true)
			}
			if n > 0 {
				s.conn.Discard(n)
				s.finished = s.resp.Status >= 200 || s.resp.Status == 101
				return &s.resp, nil
			}
			if s.within > 0 {
				// Most heads come whole, and need no such bound, nor a look at the clock.
				age := s.conn.AgeAtRead()
				if !read {
					age = s.conn.Age()
				}
				s.conn.SetReadEnd(age+s.within, time.Nanosecond)
				s.within = 0
			}
		}
		if err := s.conn.Fill(); err != nil {
			return nil, s.fail(err, true)
		}
		read = true
	}
}

// fail makes an error of the connection's one of the stream's.
func (s *http1) fail(err error, head bool) error {
	if err == nil {
		return nil
	}
	kind := classify(err, head)
	if kind == 0 {
		return err
	}
	if kind != Timeout {
		s.failed.Store(true)
		if s.t.life.Err() != nil && !s.canceled.Load() {
			kind = Aborted
		} else if kind == Reset && s.reused && !s.heard && err != wire.ErrStalled && !s.canceled.Load() {
			if s.delivery = s.delivered(err); s.delivery != Unanswered || s.again {
				kind = Stale
			}
		}
	}
	return &Error{kind, s.t.address, err}
}

// unreadWait is how long the endpoint's system may take to say that nobody read a
// request: a round trip, and the time until it acknowledges what somebody did read.
const unreadWait = 100 * time.Millisecond

// delivered says how far the request came on a connection that err has ended. Of one whose
// body is still being sent nothing can be said: the goroutine that sends it may have been
// told of a reset, which is reported once, and then looks here like the end of the stream.
func (s *http1) delivered(err error) Delivery {
	switch {
	case s.unsent:
		return Unsent
	case err == io.EOF && s.sent.Load() && s.conn.Unread(s.conn.Written()-s.before, unreadWait):
		return Unread
	}
	return Unanswered
}

func (s *http1) Body() Body {
	s.bodied = true
	s.body.b.Reset(s.conn, s.resp.Framing, s.resp.Length)
	return &s.body
}

// http1Body is the response's content, with the stream's errors.
type http1Body struct {
	s *http1
	b wire.Body
}

func (b *http1Body) Next() ([]byte, error) {
	p, err := b.b.Next()
	if err != nil && err != io.EOF {
		return nil, b.s.fail(err, false)
	}
	return p, err
}

func (b *http1Body) Splice(p *wire.Pipe) (int, error) {
	n, err := b.b.Splice(p)
	if err != nil {
		return 0, b.s.fail(err, false)
	}
	return n, nil
}

func (b *http1Body) Spliceable() int64     { return b.b.Spliceable() }
func (b *http1Body) Buffered() bool        { return b.b.Buffered() }
func (b *http1Body) Trailers() wire.Fields { return b.b.Trailers() }

func (s *http1) Tunnel() *wire.Conn {
	s.tunnel = true
	return s.conn
}

func (s *http1) Cancel() {
	if s.canceled.CompareAndSwap(false, true) {
		s.conn.Net().Close()
	}
}

func (s *http1) Release() {
	reusable := s.finished && s.bodied && !s.failed.Load() && !s.tunnel && !s.canceled.Load() &&
		s.sent.Load() && s.resp.KeepAlive && s.resp.Status != 101 &&
		s.body.b.Done() && len(s.conn.Buffered()) == 0 && !s.conn.HasPending()
	if !reusable {
		s.t.drop(s)
		return
	}
	s.conn.Release()
	s.t.putIdle(s)
}
