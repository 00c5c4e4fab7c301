package load

import (
	"bytes"
	"errors"
	"fmt"
)

// maxHead bounds a message head, in bytes. What the benchmark sends and what
// a proxy adds to it is far below.
const maxHead = 16 << 10

var (
	errHeadTooLong = errors.New("message head longer than 16 KiB")
	errBadHead     = errors.New("malformed message head")
	errBadChunk    = errors.New("malformed chunk")
	errBadBody     = errors.New("body differs from what was sent")
	errNoFraming   = errors.New("response with neither Content-Length nor chunked")
)

type framerState uint8

const (
	inHead framerState = iota
	inBody
	inChunkSize
	inChunkExtension
	inChunkData
	inChunkEnd
	inTrailer
)

// framer finds where HTTP/1.1 messages begin and end in a byte stream. It is
// as cheap as it can be while still noticing a proxy that changes a body, and
// trusts nothing else about its peer.
//
// The zero value is ready for the first request; response selects the framing
// rule of responses.
type framer struct {
	response bool
	payload  []byte // if set, bodies must be a prefix of it

	// What the last complete head said.
	status int    // of a response
	target []byte // of a request; valid until the next feed
	close  bool   // Connection: close
	cookie bool   // of a response: Set-Cookie

	body  int64 // bytes of body so far
	state framerState
	left  int64  // of a body by length, or of the current chunk
	blank bool   // nothing on the current trailer line yet
	part  []byte // of a head that came in pieces
}

// reset makes f ready for a new stream, keeping its buffer.
func (f *framer) reset() {
	*f = framer{response: f.response, part: f.part[:0]}
}

// feed takes bytes of the stream and stops at the end of a message. It returns
// how many it took and whether the message is complete.
func (f *framer) feed(p []byte) (n int, done bool, err error) {
	if f.state == inHead {
		n, done, err = f.feedHead(p)
		if done || err != nil || f.state == inHead {
			return n, done, err
		}
	}
	for n < len(p) {
		switch f.state {
		case inBody, inChunkData:
			k := min(f.left, int64(len(p)-n))
			if err := f.take(p[n : n+int(k)]); err != nil {
				return n, false, err
			}
			n += int(k)
			if f.left -= k; f.left > 0 {
				return n, false, nil
			}
			if f.state == inBody {
				f.state = inHead
				return n, true, nil
			}
			f.state, f.left = inChunkEnd, 2
		case inChunkSize, inChunkExtension:
			if err := f.chunkSize(p[n]); err != nil {
				return n, false, err
			}
			n++
		case inChunkEnd:
			if p[n] != "\n\r"[f.left-1] {
				return n, false, errBadChunk
			}
			n++
			if f.left--; f.left == 0 {
				f.state = inChunkSize
			}
		case inTrailer:
			c := p[n]
			n++
			if c == '\n' {
				if f.blank {
					f.state = inHead
					return n, true, nil
				}
				f.blank = true
			} else if c != '\r' {
				f.blank = false
			}
		}
	}
	return n, false, nil
}

// chunkSize takes one byte of a chunk's size line.
func (f *framer) chunkSize(c byte) error {
	switch {
	case c == '\n':
		if f.left == 0 {
			f.state, f.blank = inTrailer, true
		} else {
			f.state = inChunkData
		}
		return nil
	case f.state == inChunkExtension || c == '\r':
		return nil
	case c == ';':
		f.state = inChunkExtension
		return nil
	}
	digit := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
	if c >= '0' && c <= '9' {
		digit = int(c - '0')
	}
	if digit < 0 || f.left > 1<<40 {
		return errBadChunk
	}
	f.left = f.left<<4 | int64(digit)
	return nil
}

// take counts body bytes and, if asked to, compares them.
func (f *framer) take(p []byte) error {
	at := f.body
	f.body += int64(len(p))
	if f.payload == nil {
		return nil
	}
	if f.body > int64(len(f.payload)) || !bytes.Equal(p, f.payload[at:f.body]) {
		return errBadBody
	}
	return nil
}

func (f *framer) feedHead(p []byte) (n int, done bool, err error) {
	head := p
	if len(f.part) > 0 {
		head = append(f.part, p...)
	}
	end := bytes.Index(head, []byte("\r\n\r\n"))
	if end < 0 {
		if len(head) > maxHead {
			return 0, false, errHeadTooLong
		}
		f.part = append(f.part[:0], head...)
		return len(p), false, nil
	}
	n = end + 4 - len(f.part)
	f.part = f.part[:0]
	done, err = f.parse(head[:end+2])
	return n, done, err
}

// parse reads a head, each of whose lines ends in CRLF, and decides the body's
// framing (RFC 9112 section 6.3). It reports whether there is no body.
func (f *framer) parse(head []byte) (done bool, err error) {
	i := bytes.IndexByte(head, '\n')
	start := head[:i+1]
	f.close, f.cookie, f.body, f.left = false, false, 0, 0
	if f.response {
		if len(start) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(start, []byte("HTTP/1.")) {
			return false, fmt.Errorf("%w: %q", errBadHead, start)
		}
		f.status = int(start[9]-'0')*100 + int(start[10]-'0')*10 + int(start[11]-'0')
	} else {
		from := bytes.IndexByte(start, ' ')
		to := bytes.LastIndexByte(start, ' ')
		if from < 0 || to <= from {
			return false, fmt.Errorf("%w: %q", errBadHead, start)
		}
		f.target = start[from+1 : to]
	}
	length, chunked := int64(-1), false
	for rest := head[i+1:]; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		line := rest[:i+1]
		rest = rest[i+1:]
		switch line[0] | 0x20 {
		case 'c':
			if v, ok := value(line, "content-length:"); ok {
				length = 0
				for _, c := range v {
					if c < '0' || c > '9' || length > 1<<40 {
						return false, fmt.Errorf("%w: %q", errBadHead, line)
					}
					length = length*10 + int64(c-'0')
				}
			} else if v, ok := value(line, "connection:"); ok {
				f.close = bytes.EqualFold(v, []byte("close"))
			}
		case 's':
			if _, ok := value(line, "set-cookie:"); ok {
				f.cookie = true
			}
		case 't':
			if v, ok := value(line, "transfer-encoding:"); ok {
				chunked = bytes.EqualFold(v, []byte("chunked"))
			}
		}
	}
	switch {
	case chunked:
		f.state = inChunkSize
	case length > 0:
		f.state, f.left = inBody, length
	case length == 0 || !f.response:
		return true, nil
	default:
		return false, errNoFraming
	}
	return false, nil
}

// value returns a field line's value if its lower-case name, colon included,
// is the one given.
func value(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) {
		return nil, false
	}
	for i := range len(name) {
		c := line[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return nil, false
		}
	}
	return bytes.TrimSpace(line[len(name):]), true
}
