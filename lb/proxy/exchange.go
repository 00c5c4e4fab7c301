package proxy

import (
	"net/netip"

	"go-loadbalancer/lb/wire"
)

// Exchange is one request and its response on the client's side, whatever the
// protocol that carries them. Package server implements it over HTTP/1.1; its
// twin on the other side is upstream.Stream.
//
// One goroutine uses an exchange, but that a second one may read the body and
// AwaitGone while the first replies.
type Exchange interface {
	// Request is the head. It stays valid for the whole exchange.
	Request() *wire.Request
	// Client is how the request came.
	Client() *Client
	// Body is the request's content.
	Body() Body

	// Interim sends an interim response (1xx) at once. A client that cannot take
	// one is spared it.
	Interim(*wire.Response) error
	// Reply gathers the head of the response; its fields must be end-to-end ones.
	// Framing says how the content is known to end; the exchange frames it as the
	// client's protocol needs.
	Reply(*wire.Response) error
	// Write gathers or sends a piece of content; Flush sends what is gathered; End
	// sends the rest and ends the response.
	Write(p []byte) error
	Flush() error
	End(trailers wire.Fields) error
	// Abort ends a response so that the client sees that it is broken.
	Abort()

	// Tunnel is the connection after a 101 was replied; nil if the protocol cannot
	// become one.
	Tunnel() *wire.Conn
	// AwaitGone waits, once the body was read, until the client leaves (true), or
	// sends more, or Interrupt is called (false).
	AwaitGone() bool
	// Interrupt makes AwaitGone, and the body's Next, return now and until Rearm is
	// called, when no other goroutine is in either. Any goroutine may call it.
	Interrupt()
	Rearm()
}

// Body is a request's content.
type Body interface {
	// Next returns the next piece, valid until the next call, or [io.EOF]. What is
	// not HTTP is a [*wire.Error].
	Next() ([]byte, error)
	// Buffered reports whether Next would not have to wait.
	Buffered() bool
	// Trailers are the trailer fields, once Next returned [io.EOF].
	Trailers() wire.Fields
	// Whole returns all of the content if it is at hand, without consuming it. It
	// stays valid for the whole exchange.
	Whole() ([]byte, bool)
}

// Client is how a request came.
type Client struct {
	Listener string
	Scheme   string // http or https
	Proto    string // 1.0, 1.1 or 2
	Peer     netip.AddrPort
	PeerText []byte // Peer's address

	// AllowTrace: the listener passes TRACE requests on.
	AllowTrace bool
}
