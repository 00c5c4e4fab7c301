package upstream

import (
	"time"

	"go-loadbalancer/lb/wire"
)

// Stream is one request and its response, whatever the protocol that carries
// them.
type Stream interface {
	// Delivery says, after an error of kind Stale, how far the request came.
	Delivery() Delivery
	// Reused reports whether the connection had served before.
	Reused() bool
	// Send gathers the request's head. Its fields must be end-to-end ones.
	Send(head *wire.Request)
	// Write sends a piece of the body, which may be gathered; Flush sends what is
	// gathered; End ends a body, with trailers if it is chunked, and sends the rest
	// of it, unless head and body are small enough for Await to send them together.
	Write(p []byte) error
	Flush() error
	End(trailers wire.Fields) error
	// SetTimeout bounds every wait for the endpoint from now on: one fails with
	// kind Timeout after least at the earliest and most at the latest, and may then
	// be called again to go on waiting. 0 waits for ever.
	SetTimeout(least, most time.Duration)
	// SetAwaitEnd has a head that the next Await finds begun be whole within that time of
	// the Await, or it fails with kind Timeout: SetTimeout bounds the wait for each piece of
	// a head, which never ends if a byte comes now and then. 0 is no such bound, and must be
	// said before the body is read or the stream is released for another request.
	SetAwaitEnd(within time.Duration)
	// Await sends what is gathered and returns the next response head: interim
	// ones (1xx) each by itself, then the final one. The head is valid until the
	// next Await or Body's first Next.
	Await() (*wire.Response, error)
	// Start sends the head by itself. Then another goroutine may send the body by
	// Write, Flush and End, while this one is in Await, which then sends nothing.
	Start() error
	// Body is the final response's content. It must be asked for, and read to its
	// end, for the connection to be used again.
	Body() Body
	// Tunnel is the connection after a 101 (Switching Protocols).
	Tunnel() *wire.Conn
	// Cancel makes everything that waits on the stream fail now. Any goroutine may
	// call it.
	Cancel()
	// Release gives the stream back. It must be called exactly once, when no
	// goroutine uses the stream.
	Release()
}

// Body is a message's content.
type Body interface {
	// Next returns the next piece, valid until the next call, or [io.EOF].
	Next() ([]byte, error)
	// Buffered reports whether Next would not have to wait.
	Buffered() bool
	// Trailers are the trailer fields, once Next returned [io.EOF].
	Trailers() wire.Fields
}
