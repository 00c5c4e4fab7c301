package wire

import (
	"bytes"
	"slices"
)

// Limits bounds what a head may cost. Zero fields take [DefaultLimits]'s.
type Limits struct {
	HeadBytes   int // start line and fields together
	TargetBytes int // request target
	Fields      int // number of fields
}

// DefaultLimits are the limits of a zero [Limits].
var DefaultLimits = Limits{HeadBytes: 32 << 10, TargetBytes: 8 << 10, Fields: 100}

func (l Limits) orDefault() Limits {
	if l.HeadBytes == 0 {
		l.HeadBytes = DefaultLimits.HeadBytes
	}
	if l.TargetBytes == 0 {
		l.TargetBytes = DefaultLimits.TargetBytes
	}
	if l.Fields == 0 {
		l.Fields = DefaultLimits.Fields
	}
	return l
}

// Framing says how a message's body is delimited (RFC 9112 section 6.3).
type Framing uint8

const (
	NoBody     Framing = iota
	Sized              // by Content-Length
	Chunked            // by the chunked coding
	UntilClose         // by the end of the connection; responses only
)

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

	nominated [maxNominated][]byte // field names the Connection field nominates
	nominees  int
}

// maxNominated bounds the field names of a Connection field that are not
// hop-by-hop by themselves; more is refused.
const maxNominated = 8

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

// endlessTarget reports whether a request line that has not ended yet has a
// target that is too long already.
func endlessTarget(b []byte, lim Limits) bool {
	if len(b) <= lim.TargetBytes {
		return false
	}
	_, rest, _ := bytes.Cut(b, []byte{' '})
	target, _, _ := bytes.Cut(rest, []byte{' '})
	return len(target) > lim.TargetBytes
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseTarget splits the target by its form (RFC 9112 section 3.2).
func (r *Request) parseTarget() error {
	t := r.Target
	if !all(t, isTarget) {
		return errTarget
	}
	if string(r.Method) == "CONNECT" {
		return errConnect
	}
	switch {
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*':
		if string(r.Method) != "OPTIONS" {
			return errTarget
		}
		r.Path = t
		return nil
	default: // absolute-form
		i := bytes.Index(t, []byte("://"))
		if i < 0 || !(EqualFold(t[:i], "http") || EqualFold(t[:i], "https")) {
			return errTarget
		}
		t = t[i+3:]
		end := bytes.IndexAny(t, "/?")
		if end < 0 {
			end = len(t)
		}
		r.Authority = t[:end]
		if !ValidHost(r.Authority) {
			return errTarget
		}
		if t = t[end:]; len(t) == 0 || t[0] == '?' {
			r.Path = []byte("/")
			if len(t) > 0 {
				r.Query = t[1:]
			}
			return nil
		}
	}
	r.Path, r.Query = t, nil
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query = t[:i], t[i+1:]
	}
	return nil
}

// ValidHost reports whether b is a host with an optional port: a name, an IPv4
// address or a bracketed IPv6 one (RFC 3986 section 3.2.2, without user
// information, percent-encoding and sub-delimiters, which no host in use has).
func ValidHost(b []byte) bool {
	if len(b) == 0 || !all(b, isHost) {
		return false
	}
	host, port := b, []byte(nil)
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 3 || !all6(b[1:end]) {
			return false
		}
		host, port = nil, b[end+1:]
		if len(port) > 0 {
			if port[0] != ':' {
				return false
			}
			port = port[1:]
		}
	} else if i := bytes.IndexByte(b, ':'); i >= 0 {
		host, port = b[:i], b[i+1:]
		if len(host) == 0 {
			return false
		}
	}
	if bytes.ContainsAny(host, "[]") || len(port) > 5 {
		return false
	}
	number := 0
	for _, c := range port {
		if !isDigit(c) {
			return false
		}
		number = number*10 + int(c-'0')
	}
	return number <= 65535
}

// all6 reports whether b has only the characters of an IPv6 address.
func all6(b []byte) bool {
	for _, c := range b {
		if !(isDigit(c) || 'a' <= lower(c) && lower(c) <= 'f' || c == ':' || c == '.') {
			return false
		}
	}
	return true
}

// understand draws from the fields what the connection and the framing depend
// on (RFC 9110 sections 7.2 and 7.6.1, RFC 9112 sections 6 and 9).
func (r *Request) understand() error {
	r.KeepAlive = r.Minor == 1
	var (
		hosts, lengths, codings, upgrades int
		upgrade                           []byte
		wantsUpgrade, closes              bool
	)
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
			} else if !bytes.EqualFold(r.Authority, f.Value) {
				return errHostDiffers
			}
		case ContentLength:
			if lengths++; lengths > 1 {
				return errManyLengths
			}
			n, ok := parseLength(f.Value)
			if !ok {
				return errLength
			}
			r.Framing, r.Length = Sized, n
		case TransferEncoding:
			if codings++; codings > 1 {
				return errCodingTwice
			}
			if r.Minor == 0 {
				return errCodingVersion
			}
			if !EqualFold(f.Value, "chunked") {
				if bytes.IndexByte(f.Value, ',') >= 0 {
					return errCodingTwice
				}
				return errCoding
			}
		case Connection:
			for member := range tokens(f.Value) {
				switch {
				case EqualFold(member, "close"):
					closes = true
				case EqualFold(member, "keep-alive"):
					if r.Minor == 0 {
						r.KeepAlive = true
					}
				case EqualFold(member, "upgrade"):
					wantsUpgrade = true
				case EqualFold(member, "te"):
				default:
					if !ValidToken(member) || r.nominees == maxNominated {
						return errConnection
					}
					r.nominated[r.nominees] = member
					r.nominees++
				}
			}
		case Upgrade:
			upgrade = f.Value
			upgrades++
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
	if codings > 0 {
		if lengths > 0 {
			return errLengthAndTE
		}
		r.Framing = Chunked
	}
	if closes { // whatever else is said (RFC 9112 section 9.3)
		r.KeepAlive = false
	}
	if r.Framing == NoBody || r.Framing == Sized && r.Length == 0 {
		r.ExpectContinue = false // RFC 9110 section 10.1.1: it speaks of content
	}
	if hosts == 0 && r.Minor == 1 {
		return errNoHost
	}
	// h2c by Upgrade is obsolete (RFC 9113 section 3.1) and would smuggle a
	// second protocol past every rule: it is never passed on.
	if wantsUpgrade && r.Minor == 1 && upgrades == 1 && ValidUpgrade(upgrade) {
		r.Upgrade = upgrade
	}
	return nil
}

// ValidUpgrade reports whether an Upgrade value names one protocol that may be
// passed on as a tunnel: anything but HTTP/2.
func ValidUpgrade(v []byte) bool {
	if len(v) == 0 || bytes.IndexByte(v, ',') >= 0 {
		return false
	}
	name, _, _ := bytes.Cut(v, []byte{'/'})
	return ValidToken(name) && !EqualFold(name, "h2c") && !EqualFold(name, "h2") && !EqualFold(name, "http") && !EqualFold(name, "tls")
}

// HopByHop reports whether the field belongs to this connection alone and must
// not be passed on (RFC 9110 section 7.6.1): the known ones and those the
// Connection field nominates. Framing fields are among them, since each
// connection frames for itself.
func (r *Request) HopByHop(f *Field) bool {
	switch f.ID {
	case Host, Connection, ContentLength, TransferEncoding, Upgrade, TE, KeepAlive, ProxyConnection, ProxyAuthorization:
		return true
	}
	return r.nominees > 0 && nominated(r.nominated[:r.nominees], f.Name)
}

// EndToEnd returns the trailer fields that may be passed on, in the array given:
// those the Connection field did not nominate (RFC 9110 section 7.6.1). What may
// never be a trailer was refused when it came.
func (r *Request) EndToEnd(trailers Fields) Fields {
	return endToEnd(trailers, r.nominated[:r.nominees])
}

func endToEnd(trailers Fields, names [][]byte) Fields {
	if len(names) == 0 {
		return trailers
	}
	return slices.DeleteFunc(trailers, func(f Field) bool { return nominated(names, f.Name) })
}

func nominated(names [][]byte, name []byte) bool {
	for _, n := range names {
		if bytes.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// parseLength parses a Content-Length: digits alone, at most 18 of them.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
