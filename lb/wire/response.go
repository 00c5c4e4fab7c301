package wire

import "bytes"

// Response is a response head.
type Response struct {
	Status int
	Reason []byte // may be empty
	Minor  uint8
	Fields Fields

	Framing Framing
	// Length is a Sized body's, or for a response without a body (to HEAD, or a
	// 304) the Content-Length it announces, -1 if none.
	Length int64

	// KeepAlive: the connection may be used again once the body was read.
	KeepAlive bool
	// Upgrade is the protocol a 101 switches to; nil if it does not say so as it
	// must (RFC 9110 section 7.8).
	Upgrade []byte

	control
}

// Parse parses the response head at the start of b, which answers a request of
// the given method, and returns the bytes it takes. 0 without an error means
// that more are needed. Errors are [*Error].
func (r *Response) Parse(b []byte, toHead bool, lim Limits) (int, error) {
	lim = lim.orDefault()
	fields := r.Fields[:0]
	*r = Response{Fields: fields}
	// A first byte that cannot begin a status line need not be waited out.
	if !bytes.HasPrefix(b, []byte("HTTP/1.")[:min(len(b), 7)]) {
		return 0, errStatusLine
	}
	line, n, err := cutLine(b)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		if len(b) >= lim.HeadBytes {
			return 0, errHeadTooLarge
		}
		return 0, nil
	}
	if err := r.parseLine(line); err != nil {
		return 0, err
	}
	fields, used, err := parseFields(fields, b[n:], lim.Fields)
	r.Fields = fields
	if err != nil {
		return 0, err
	}
	if used == 0 {
		if len(b) >= lim.HeadBytes {
			return 0, errHeadTooLarge
		}
		return 0, nil
	}
	if n += used; n > lim.HeadBytes {
		return 0, errHeadTooLarge
	}
	if err := r.understand(toHead); err != nil {
		return 0, err
	}
	return n, nil
}

// parseLine parses the status line (RFC 9112 section 4). The space before an
// empty reason may be missing, as many servers leave it out.
func (r *Response) parseLine(line []byte) error {
	// It begins with "HTTP/1.", as Parse has seen.
	if len(line) < 12 || !isDigit(line[7]) || line[8] != ' ' {
		return errStatusLine
	}
	if line[7] != '0' {
		r.Minor = 1
	}
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return errStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return errStatusLine
	}
	if len(line) > 12 {
		if line[12] != ' ' || !all(line[13:], isValue) {
			return errStatusLine
		}
		r.Reason = line[13:]
	}
	return nil
}

// understand draws from the fields what the connection and the framing depend
// on (RFC 9112 sections 6 and 9).
func (r *Response) understand(toHead bool) error {
	r.control.length = -1
	for i := range r.Fields {
		switch f := &r.Fields[i]; f.ID {
		case ContentLength, TransferEncoding, Connection, Upgrade:
			if err := r.note(f, r.Minor); err != nil {
				return err
			}
		}
	}
	switch {
	case r.strange:
		return errCodingLast
	case r.chunked && r.length >= 0:
		return errLengthAndTE
	case r.chunked && !mayAnnounce(r.Fields):
		return errAnnounced
	}
	r.Length = r.length
	r.KeepAlive = r.persists(r.Minor)
	switch {
	case r.Status == 101:
		if r.asksUpgrade && r.Minor == 1 && r.upgrades == 1 && ValidUpgrade(r.upgrade) {
			r.Upgrade = r.upgrade
		}
		fallthrough
	case r.Status < 200 || r.Status == 204:
		if r.chunked || r.Length > 0 {
			// Neither may be sent; a server that does is not to be trusted about what
			// follows.
			return errNoContent
		}
		r.Length = -1
	case r.Status == 304 || toHead:
	case r.chunked:
		r.Framing = Chunked
	case r.length >= 0:
		r.Framing = Sized
	default:
		r.Framing = UntilClose
		r.KeepAlive = false
	}
	return nil
}

// HopByHop is [Request.HopByHop] for a response.
func (r *Response) HopByHop(f *Field) bool {
	switch f.ID {
	case Connection, ContentLength, TransferEncoding, Upgrade, KeepAlive, ProxyConnection, ProxyAuthenticate, Disguised:
		return true
	case Trailer:
		return r.Framing != Chunked
	}
	return r.Nominates() && r.nominates(f.Name)
}
