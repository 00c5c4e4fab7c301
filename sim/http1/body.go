package http1

import (
	"bytes"
	"io"
	"math"
	"strconv"
)

// Body reads a body and shows each piece of it, good until see returns, to see, if that
// is not nil. A body that breaks off is [io.ErrUnexpectedEOF], or the connection's error.
func (in *Reader) Body(f Framing, see func([]byte)) error {
	switch {
	case f.Chunked:
		return in.chunks(see)
	case f.ToEnd:
		for {
			if _, err := in.take(math.MaxInt64, see); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return in.exactly(f.Length, see)
}

func (in *Reader) exactly(n int64, see func([]byte)) error {
	for n > 0 {
		m, err := in.take(n, see)
		if err != nil {
			return inside(err, true)
		}
		n -= m
	}
	return nil
}

func (in *Reader) chunks(see func([]byte)) error {
	for {
		line, err := in.line()
		if err != nil {
			return err
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseInt(string(bytes.TrimSpace(digits)), 16, 63)
		if err != nil || size < 0 {
			return ErrMalformed
		}
		if size == 0 {
			break
		}
		if err := in.exactly(size, see); err != nil {
			return err
		}
		if line, err := in.line(); err != nil {
			return err
		} else if len(line) > 0 {
			return ErrMalformed
		}
	}
	for { // trailers
		if line, err := in.line(); err != nil || len(line) == 0 {
			return err
		}
	}
}
