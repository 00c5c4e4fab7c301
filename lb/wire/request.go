package wire

import "bytes"

// Request is a request head.
type Request struct {
	Method    []byte
	Target    []byte // as received
	Path      []byte // the target's path, as received; "*" for OPTIONS *
	Query     []byte // what follows the '?', which it lacks; nil: no '?'
	Authority []byte // host and optional port: the target's if absolute, else the Host field's
	Minor     uint8  // of HTTP/1.Minor: 0 or 1
	Fields    Fields // all of them, hop-by-hop ones included

	Framing Framing
	Length  int64 // of a Sized body, else 0

	// KeepAlive: the client may send another request on this connection.
	KeepAlive bool
	// Upgrade is the protocol asked for; nil: none.
	Upgrade []byte
	// ExpectContinue: the client waits for a 100 before it sends the body.
	ExpectContinue bool
	// Trailers: the client understands trailers (TE: trailers).
	Trailers bool

	defaultPort string // of an absolute target's scheme, such as ":80"
	control
}

// Parse parses the request head at the start of b and returns the bytes it
// takes. 0 without an error means that more bytes are needed. Errors are
// [*Error]; a connection on which one occurred cannot be used further. Everything
// a previous Parse set is replaced; Fields' array is used again.
func (r *Request) Parse(b []byte, lim Limits) (int, error) {
	fields := r.Fields[:0]
	*r = Request{Fields: fields}
	start := 0
	// One empty line before a request is tolerated (RFC 9112 section 2.2).
	if len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		start = 2
	}
	lim = lim.orDefault()
	line, n, err := cutLine(b[start:])
	if err != nil {
		return 0, err
	}
	if n == 0 {
		switch {
		case endlessTarget(b[start:], lim):
			return 0, errTargetTooLong
		case len(b) >= lim.HeadBytes:
			return 0, errHeadTooLarge
		}
		return 0, nil
	}
	if err := r.parseLine(line, lim); err != nil {
		return 0, err
	}
	n += start
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
	n += used
	if n > lim.HeadBytes {
		return 0, errHeadTooLarge
	}
	if err := r.understand(); err != nil {
		return 0, err
	}
	return n, nil
}

// parseLine parses the request line (RFC 9112 section 3).
func (r *Request) parseLine(line []byte, lim Limits) error {
	sp := bytes.IndexByte(line, ' ')
	if sp < 0 {
		return errRequestLine
	}
	r.Method = line[:sp]
	if !ValidToken(r.Method) {
		return errMethod
	}
	rest := line[sp+1:]
	sp = bytes.IndexByte(rest, ' ')
	if sp <= 0 {
		if len(rest) > lim.TargetBytes {
			return errTargetTooLong
		}
		return errRequestLine
	}
	r.Target = rest[:sp]
	if len(r.Target) > lim.TargetBytes {
		return errTargetTooLong
	}
	switch version := rest[sp+1:]; string(version) {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
		r.Minor = 0
	default:
		if len(version) == 8 && bytes.HasPrefix(version, []byte("HTTP/")) && version[6] == '.' &&
			isDigit(version[5]) && isDigit(version[7]) {
			if version[5] == '1' { // HTTP/1.2 and later minors are served as 1.1
				r.Minor = 1
				break
			}
			return errVersion
		}
		return errRequestLine
	}
	return r.parseTarget()
}

// understand draws from the fields what the connection and the framing depend
// on (RFC 9110 sections 7.2 and 7.6.1, RFC 9112 sections 6 and 9).
func (r *Request) understand() error {
	r.control.length = -1
	hosts := 0
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.ID {
		case Host:
			if hosts++; hosts > 1 {
				return errManyHosts
			}
			if len(f.Value) > 0 && !ValidHost(f.Value) {
				return errHost
			}
			if r.Authority == nil {
				r.Authority = f.Value
			} else if !bytes.EqualFold(r.withoutPort(r.Authority), r.withoutPort(f.Value)) {
				return errHostDiffers
			}
		case ContentLength, TransferEncoding, Connection, Upgrade:
			if err := r.note(f, r.Minor); err != nil {
				return err
			}
		case Expect:
			if r.Minor == 0 {
				break // RFC 9110 section 10.1.1: ignored in HTTP/1.0
			}
			if !EqualFold(f.Value, "100-continue") {
				return errExpect
			}
			r.ExpectContinue = true
		case TE:
			for member := range tokens(f.Value) {
				if EqualFold(member, "trailers") {
					r.Trailers = true
				}
			}
		}
	}
	if hosts == 0 && r.Minor == 1 {
		return errNoHost
	}
	switch {
	case r.strange:
		return errCodingLast
	case r.chunked && r.length >= 0:
		return errLengthAndTE
	case r.chunked && !mayAnnounce(r.Fields):
		return errAnnounced
	case r.chunked:
		r.Framing = Chunked
	case r.length >= 0:
		r.Framing, r.Length = Sized, r.length
	}
	if r.Framing == NoBody || r.Framing == Sized && r.Length == 0 {
		r.ExpectContinue = false // RFC 9110 section 10.1.1: it speaks of content
	}
	r.KeepAlive = r.persists(r.Minor)
	// h2c by Upgrade is obsolete (RFC 9113 section 3.1) and would smuggle a
	// second protocol past every rule: it is never passed on.
	if r.asksUpgrade && r.Minor == 1 && r.upgrades == 1 && ValidUpgrade(r.upgrade) {
		r.Upgrade = r.upgrade
	}
	return nil
}

// ValidUpgrade reports whether an Upgrade value names one protocol that may be
// passed on as a tunnel: anything but HTTP, its second version under any of its
// names, and TLS, in which another HTTP connection would hide.
func ValidUpgrade(v []byte) bool {
	name, version, versioned := bytes.Cut(v, []byte{'/'})
	if !ValidToken(name) || versioned && !ValidToken(version) {
		return false
	}
	return !hasPrefixFold(name, "h2") && !hasPrefixFold(name, "http") && !EqualFold(name, "tls")
}

// HopByHop reports whether the field belongs to this connection alone and must
// not be passed on (RFC 9110 section 7.6.1): the known ones and those the
// Connection field nominates. Framing fields are among them, since each
// connection frames for itself; and so is Trailer where nothing can trail,
// since the message may be sent on in another framing, in which it would mean
// something.
func (r *Request) HopByHop(f *Field) bool {
	switch f.ID {
	case Host, Connection, ContentLength, TransferEncoding, Upgrade, TE, KeepAlive, ProxyConnection, ProxyAuthorization, HTTP2Settings, Disguised:
		return true
	case Trailer:
		return r.Framing != Chunked
	}
	return r.Nominates() && r.nominates(f.Name)
}
