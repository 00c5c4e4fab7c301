package wire

import "bytes"

const (
	maxChunkLine    = 256     // size and extensions; extensions are dropped
	maxTrailerBytes = 8 << 10 // trailer section
	maxTrailers     = 32
)

// chunkedDecoder decodes the chunked coding (RFC 9112 section 7.1) out of a
// buffer, in place.
type chunkedDecoder struct {
	state    chunkState
	left     int64 // of the chunk's data
	trailers Fields
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkData
	chunkEnd // the CRLF after a chunk's data
	chunkTrailers
	chunkDone
)

// next returns a piece of data found in b and how many bytes of b are used up
// with it. Neither means that more bytes are needed, b's own included.
func (d *chunkedDecoder) next(b []byte) (data []byte, used int, err error) {
	for {
		switch rest := b[used:]; d.state {
		case chunkSize:
			line, n, err := cutLine(rest)
			if err != nil {
				return nil, 0, errChunk
			}
			if n == 0 {
				if len(rest) > maxChunkLine {
					return nil, 0, errChunk
				}
				return nil, used, nil
			}
			size, ok := parseChunkSize(line)
			if !ok || n > maxChunkLine {
				return nil, 0, errChunk
			}
			used += n
			d.left = size
			d.state = chunkData
			if size == 0 {
				d.state = chunkTrailers
			}
		case chunkData:
			if len(rest) == 0 {
				return nil, used, nil
			}
			n := int(min(int64(len(rest)), d.left))
			if d.left -= int64(n); d.left == 0 {
				d.state = chunkEnd
			}
			return rest[:n], used + n, nil
		case chunkEnd:
			if len(rest) < 2 {
				if len(rest) == 1 && rest[0] != '\r' {
					return nil, 0, errChunk
				}
				return nil, used, nil
			}
			if rest[0] != '\r' || rest[1] != '\n' {
				return nil, 0, errChunk
			}
			used += 2
			d.state = chunkSize
		case chunkTrailers:
			fields, n, err := parseFields(d.trailers[:0], rest, maxTrailers)
			if err != nil || n > maxTrailerBytes || n == 0 && len(rest) > maxTrailerBytes {
				return nil, 0, errTrailer
			}
			if n == 0 {
				return nil, used, nil
			}
			for i := range fields {
				if f := &fields[i]; !mayTrail(f.ID, f.Name) {
					return nil, 0, errTrailer
				}
			}
			d.trailers = fields
			d.state = chunkDone
			return nil, used + n, nil
		case chunkDone:
			return nil, used, nil
		}
	}
}

// parseChunkSize parses a chunk's first line: hexadecimal digits, at most 15,
// and extensions.
func parseChunkSize(line []byte) (int64, bool) {
	digits, ext := line, []byte(nil)
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		digits, ext = line[:i], line[i:]
	}
	// White space before ';' is "bad" but allowed for old senders (RFC 9112
	// section 7.1.1); nobody needs it and it has been used to smuggle.
	if len(digits) == 0 || len(digits) > 15 || !validExtensions(ext) {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		switch {
		case isDigit(c):
			n = n<<4 | int64(c-'0')
		case 'a' <= lower(c) && lower(c) <= 'f':
			n = n<<4 | int64(lower(c)-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// validExtensions reports whether b is chunk extensions (RFC 9112 section 7.1.1).
// They are dropped, but a reader who knows quoted strings and one who does not
// would disagree on where the line of one ends that is not closed.
func validExtensions(b []byte) bool {
	for len(b) > 0 {
		if b[0] != ';' {
			return false
		}
		b = trimLeft(b[1:])
		n := span(b, isToken, len(b))
		if n == 0 {
			return false
		}
		rest := trimLeft(b[n:])
		if len(rest) == 0 || rest[0] != '=' {
			if len(rest) == 0 && n < len(b) {
				return false // white space at the end
			}
			b = rest
			continue
		}
		b = trimLeft(rest[1:])
		if n = span(b, isToken, len(b)); n == 0 {
			n = quoted(b)
		}
		if n == 0 {
			return false
		}
		if rest = trimLeft(b[n:]); len(rest) == 0 && n < len(b) {
			return false
		}
		b = rest
	}
	return true
}

// quoted is the length of the quoted string at the start of b (RFC 9110 section
// 5.6.4), 0 if there is none.
func quoted(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch {
		case class[b[i]]&isValue == 0:
			return 0
		case b[i] == '"':
			return i + 1
		case b[i] == '\\':
			if i++; i == len(b) || class[b[i]]&isValue == 0 {
				return 0
			}
		}
	}
	return 0
}

// AppendChunkHeader appends the line that begins a chunk of n > 0 bytes. After
// the data comes CRLF.
func AppendChunkHeader(b []byte, n int) []byte {
	const digits = "0123456789abcdef"
	var hex [16]byte
	i := len(hex)
	for v := uint64(n); v > 0; v >>= 4 {
		i--
		hex[i] = digits[v&15]
	}
	b = append(b, hex[i:]...)
	return append(b, "\r\n"...)
}

// AppendLastChunk appends the last chunk and the trailer section.
func AppendLastChunk(b []byte, trailers Fields) []byte {
	b = append(b, "0\r\n"...)
	for i := range trailers {
		b = AppendField(b, trailers[i].Name, trailers[i].Value)
	}
	return append(b, "\r\n"...)
}
