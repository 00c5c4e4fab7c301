package upstream

import (
	"errors"
	"io"
	"os"
	"syscall"

	"go-loadbalancer/lb/wire"
)

// Kind says what an endpoint did wrong.
type Kind uint8

const (
	// Connect: no connection came about.
	Connect Kind = iota + 1
	// Timeout: nothing came in time.
	Timeout
	// Reset: the connection ended before a whole response head had come.
	Reset
	// Truncated: the connection ended inside the body.
	Truncated
	// Protocol: what came was not HTTP/1.1, or too much of it.
	Protocol
	// Stale: a connection that had served before was gone before any byte of an
	// answer came, and the endpoint got nothing of the request, or it is idempotent
	// ([Stream.Delivery] says which). The endpoint may be well: the request can be sent
	// again on a new connection, if all of it is still at hand (RFC 9110 section 9.2.2).
	Stale
	// Exhausted: the balancer itself had no descriptor or memory for a connection.
	// That says nothing about the endpoint.
	Exhausted
	// Overflow: the [Gate] had no place for another connection: as many are in use
	// as there may be. That is the balancer's own limit, and no fault of the
	// endpoint's.
	Overflow
	// Aborted: the transport was aborted. That says nothing about the endpoint: who
	// did that broke it off.
	Aborted
)

var kinds = [...]string{"", "connect", "timeout", "reset", "truncated", "protocol", "stale", "exhausted", "overflow", "aborted"}

func (k Kind) String() string { return kinds[k] }

// Delivery says how far a request came on a connection that turned out [Stale].
type Delivery uint8

const (
	// Unanswered: it was sent, and the endpoint may have acted on it.
	Unanswered Delivery = iota
	// Unsent: nothing of it was sent.
	Unsent
	// Unread: it was sent, and the endpoint has certainly read nothing of it.
	Unread
)

// Error is a failed use of an endpoint.
type Error struct {
	Kind    Kind
	Address string
	Err     error
}

func (e *Error) Error() string { return e.Address + ": " + e.Kind.String() + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// dialKind is the kind of an error from dialing.
func dialKind(err error) Kind {
	if IsExhaustion(err) {
		return Exhausted
	}
	return Connect
}

// IsExhaustion says whether an error from dialing is for want of descriptors or
// memory here, and so tells nothing about who was dialed. EADDRNOTAVAIL is not
// among our own troubles: it may mean that no port is left, but also that the
// address cannot be reached from here at all.
func IsExhaustion(err error) bool {
	for _, own := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// classify is the kind of an error from reading.
func classify(err error, head bool) Kind {
	var malformed *wire.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.As(err, &malformed), err == wire.ErrBufferFull:
		return Protocol
	case head:
		return Reset
	case err == io.EOF:
		return 0
	}
	return Truncated
}
