package http1

import (
	"bytes"
	"errors"
	"io"
)

const (
	// firstBuffer is what a reader begins with.
	firstBuffer = 1 << 10
	// maxHead bounds a head, and a line of a chunked body.
	maxHead = 64 << 10
)

// ErrTooLarge is of a head that is larger than anybody needs.
var ErrTooLarge = errors.New("http1: the head is larger than 64 KiB")

// Reader reads messages from a connection. It is of one goroutine.
type Reader struct {
	from io.Reader
	buf  []byte
	r, w int // buffered: buf[r:w]
	head Head
}

// NewReader returns a reader.
func NewReader(from io.Reader) *Reader { return &Reader{from: from, buf: make([]byte, firstBuffer)} }

// Buffered is how many bytes have been read and not been used.
func (in *Reader) Buffered() int { return in.w - in.r }

// fill reads once, behind what is buffered.
func (in *Reader) fill() error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w == len(in.buf) {
		if in.r > 0 {
			in.w = copy(in.buf, in.buf[in.r:in.w])
			in.r = 0
		} else if len(in.buf) >= maxHead {
			return ErrTooLarge
		} else {
			in.buf = append(in.buf, make([]byte, len(in.buf))...)
		}
	}
	n, err := in.from.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Head reads the next head. It is good until the next call of one of the reader's
// methods. The connection's end before the first byte is [io.EOF], a later one
// [io.ErrUnexpectedEOF].
func (in *Reader) Head() (*Head, error) {
	for seen := 0; ; {
		text := in.buf[in.r:in.w]
		if i := bytes.Index(text[seen:], []byte("\r\n\r\n")); i >= 0 {
			in.r += seen + i + 4
			if err := in.head.parse(text[:seen+i]); err != nil {
				return nil, err
			}
			return &in.head, nil
		}
		seen = max(0, len(text)-3)
		if err := in.fill(); err != nil {
			return nil, inside(err, len(text) > 0)
		}
	}
}

func inside(err error, something bool) error {
	if err == io.EOF && something {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take hands on at most n bytes of what is buffered, or else of what comes.
func (in *Reader) take(n int64, see func([]byte)) (int64, error) {
	if in.r == in.w {
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	piece := in.buf[in.r:in.w]
	if int64(len(piece)) > n {
		piece = piece[:n]
	}
	in.r += len(piece)
	if see != nil {
		see(piece)
	}
	return int64(len(piece)), nil
}

// line reads a line of a chunked body.
func (in *Reader) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(in.buf[in.r:in.w], '\n'); i >= 0 {
			line := in.buf[in.r : in.r+i]
			in.r += i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if err := in.fill(); err != nil {
			return nil, inside(err, true)
		}
	}
}
