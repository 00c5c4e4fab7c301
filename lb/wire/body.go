package wire

import (
	"errors"
	"io"
	"os"
)

// Body is a message's content, read piece by piece out of the connection it
// comes by. Its zero value is an empty body.
type Body struct {
	conn    *Conn
	framing Framing
	left    int64
	chunks  chunkedDecoder
	err     error // sticky
	read    int64
	started bool
	pace    pace // see rate.go
}

// Reset makes b the content that follows the head just consumed from conn.
func (b *Body) Reset(conn *Conn, framing Framing, length int64) {
	trailers := b.chunks.trailers[:0]
	*b = Body{conn: conn, framing: framing, left: length}
	b.chunks.trailers = trailers
	if framing == NoBody || framing == Sized && length == 0 {
		b.err = io.EOF
	}
}

// Next returns the next piece of content, never an empty one without an error.
// It is valid until the next call. The end is [io.EOF]; a connection that ends
// too early is [io.ErrUnexpectedEOF]; what is not HTTP is an [*Error]; else it
// is the connection's error. After a timeout Next may be called again.
func (b *Body) Next() ([]byte, error) {
	b.started = true
	if b.err != nil {
		return nil, b.err
	}
	for {
		data, err := b.take()
		if err != nil {
			b.err = err
			return nil, err
		}
		if len(data) > 0 {
			b.read += int64(len(data))
			return data, nil
		}
		if b.framing == Sized && b.left > growAt {
			b.conn.Grow()
		}
		if err := b.fill(nil); err != nil {
			return nil, b.failed(err)
		}
	}
}

// failed says what it means to the body that its connection failed.
func (b *Body) failed(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err // the body may be asked again
	}
	if err == io.EOF && b.framing != UntilClose {
		err = io.ErrUnexpectedEOF
	}
	b.err = err
	return err
}

// growAt is the rest of a body from which on a larger buffer pays.
const growAt = 64 << 10

// take consumes a piece of what is buffered.
func (b *Body) take() ([]byte, error) {
	if b.framing == NoBody || b.framing == Sized && b.left == 0 {
		return nil, io.EOF
	}
	buffered := b.conn.Buffered()
	switch b.framing {
	case Sized:
		n := min(int64(len(buffered)), b.left)
		b.left -= n
		b.conn.Discard(int(n))
		return buffered[:n], nil
	case Chunked:
		data, used, err := b.chunks.next(buffered)
		if err != nil {
			return nil, err
		}
		b.conn.Discard(used)
		if b.chunks.state == chunkDone {
			// The trailers point into the buffer: they stay until it is filled again.
			return nil, io.EOF
		}
		return data, nil
	default:
		b.conn.Discard(len(buffered))
		return buffered, nil
	}
}

// Buffered reports whether Next would return without reading from the
// connection.
func (b *Body) Buffered() bool {
	if b.Done() || b.err != nil {
		return true
	}
	buffered := b.conn.Buffered()
	if len(buffered) == 0 || b.framing != Chunked {
		return len(buffered) > 0
	}
	// What is buffered may be a chunk's framing alone, and the data behind it a
	// long time coming. The decoder is tried out on a copy.
	ahead := b.chunks
	ahead.trailers = nil
	data, _, err := ahead.next(buffered)
	return len(data) > 0 || err != nil || ahead.state == chunkDone
}

// Whole returns the content if all of it is buffered, without consuming it: a
// Sized body's alone. Empty bodies are whole.
func (b *Body) Whole() ([]byte, bool) {
	if b.started {
		return nil, false
	}
	if b.Done() {
		return nil, true
	}
	if b.framing == Sized && int64(len(b.conn.Buffered())) >= b.left {
		return b.conn.Buffered()[:b.left], true
	}
	return nil, false
}

// Done reports whether the content was read to its end.
func (b *Body) Done() bool {
	return b.err == io.EOF || b.err == nil && (b.framing == NoBody || b.framing == Sized && b.left == 0)
}

// Started reports whether Next was called.
func (b *Body) Started() bool { return b.started }

// Framing is how the body is delimited.
func (b *Body) Framing() Framing { return b.framing }

// Length is what is left of a Sized body, in bytes.
func (b *Body) Length() int64 { return b.left }

// BytesRead is the number of content bytes returned so far.
func (b *Body) BytesRead() int64 { return b.read }

// Trailers are the trailer fields, once Next has returned [io.EOF]. They are
// valid until the connection is read again.
func (b *Body) Trailers() Fields {
	if b.framing != Chunked || b.chunks.state != chunkDone {
		return nil
	}
	return b.chunks.trailers
}
