package wire

import (
	"bytes"
	"iter"
)

// Field is one field line. Name keeps the case it was written in; Value has its
// outer white space cut off.
type Field struct {
	Name, Value []byte
	ID          FieldID // which of the fields the proxy has to know it is
}

// Fields is a field section, in the order received.
type Fields []Field

// Values yields the value of every field of that name, which is compared
// without regard to ASCII case.
func (f Fields) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range f {
			if EqualFold(f[i].Name, name) && !yield(f[i].Value) {
				return
			}
		}
	}
}

// Get returns the first value of the field of that name, which is compared
// without regard to ASCII case.
func (f Fields) Get(name string) ([]byte, bool) {
	for i := range f {
		if EqualFold(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return nil, false
}

// FieldID marks the fields a proxy must understand, so that their names are
// compared once, when parsed.
type FieldID uint8

const (
	Other FieldID = iota
	Host
	Connection
	ContentLength
	TransferEncoding
	Upgrade
	Expect
	TE
	Trailer
	KeepAlive
	ProxyConnection
	Date
	UserAgent
	Via
	Forwarded
	XForwarded // X-Forwarded-Anything, but for the three below
	XForwardedFor
	XForwardedHost
	XForwardedProto
	XRealIP
	XRequestID
	TraceParent
	TraceState
	ProxyAuthenticate
	ProxyAuthorization
	HTTP2Settings
	LBExplain
	// Disguised is one of the fields above spelt with "_", or another character
	// that is no letter or digit, for "-". CGI and its descendants make the same
	// variable of all of them, so that a field a proxy has no rule for would pass
	// for one it has: it is never passed on.
	Disguised
)

// identify finds the id of a field name.
func identify(name []byte) FieldID {
	switch len(name) {
	case 2:
		if EqualFold(name, "te") {
			return TE
		}
	case 3:
		if EqualFold(name, "via") {
			return Via
		}
	case 4:
		if EqualFold(name, "host") {
			return Host
		}
		if EqualFold(name, "date") {
			return Date
		}
	case 6:
		if EqualFold(name, "expect") {
			return Expect
		}
	case 7:
		if EqualFold(name, "upgrade") {
			return Upgrade
		}
		if EqualFold(name, "trailer") {
			return Trailer
		}
	case 9:
		if EqualFold(name, "forwarded") {
			return Forwarded
		}
		if EqualFold(name, "x-real-ip") {
			return XRealIP
		}
	case 10:
		if EqualFold(name, "connection") {
			return Connection
		}
		if EqualFold(name, "user-agent") {
			return UserAgent
		}
		if EqualFold(name, "keep-alive") {
			return KeepAlive
		}
		if EqualFold(name, "tracestate") {
			return TraceState
		}
	case 11:
		if EqualFold(name, "traceparent") {
			return TraceParent
		}
	case 12:
		if EqualFold(name, "x-request-id") {
			return XRequestID
		}
		if EqualFold(name, "x-lb-explain") {
			return LBExplain
		}
	case 14:
		if EqualFold(name, "content-length") {
			return ContentLength
		}
		if EqualFold(name, "http2-settings") {
			return HTTP2Settings
		}
	case 16:
		if EqualFold(name, "proxy-connection") {
			return ProxyConnection
		}
	case 17:
		if EqualFold(name, "transfer-encoding") {
			return TransferEncoding
		}
	case 18:
		if EqualFold(name, "proxy-authenticate") {
			return ProxyAuthenticate
		}
	case 19:
		if EqualFold(name, "proxy-authorization") {
			return ProxyAuthorization
		}
	}
	if len(name) > 12 && hasPrefixFold(name, "x-forwarded-") {
		switch rest := name[12:]; {
		case EqualFold(rest, "for"):
			return XForwardedFor
		case EqualFold(rest, "host"):
			return XForwardedHost
		case EqualFold(rest, "proto"):
			return XForwardedProto
		}
		return XForwarded
	}
	return Other
}

// disguised reports whether a name is a known one but for what stands for "-".
func disguised(name []byte) bool {
	var plain [32]byte // longer than any known name
	n := copy(plain[:], name)
	for i, c := range plain[:n] {
		if class[c]&isName == 0 {
			plain[i] = '-'
		}
	}
	return identify(plain[:n]) != Other
}

// parseFields parses field lines up to and including the empty line that ends
// the section. It returns the number of bytes used; 0 means that more are
// needed.
func parseFields(dst Fields, b []byte, most int) (Fields, int, error) {
	n := 0
	for {
		line, used, err := cutLine(b[n:])
		if err != nil || used == 0 {
			return dst, 0, err
		}
		n += used
		if len(line) == 0 {
			return dst, n, nil
		}
		if len(dst) >= most {
			return dst, 0, errTooManyFields
		}
		colon := bytes.IndexByte(line, ':')
		name, kind := line[:max(colon, 0)], uint8(isToken|isName)
		for _, c := range name {
			kind &= class[c]
		}
		if len(name) == 0 || kind&isToken == 0 {
			if line[0] == ' ' || line[0] == '\t' {
				return dst, 0, errFold
			}
			return dst, 0, errFieldName
		}
		value := trim(line[colon+1:])
		if !all(value, isValue) {
			return dst, 0, errFieldValue
		}
		id := identify(name)
		if id == Other && kind&isName == 0 && disguised(name) {
			id = Disguised
		}
		dst = append(dst, Field{Name: name, Value: value, ID: id})
	}
}

// cutLine returns the line at the start of b without its CRLF, and the bytes it
// takes with it; 0 if there is no whole line yet.
func cutLine(b []byte) (line []byte, used int, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, 0, nil
	}
	if i == 0 || b[i-1] != '\r' {
		return nil, 0, errLineEnd
	}
	return b[:i-1], i + 1, nil
}

// tokens yields the members of a comma-separated list of tokens, such as a
// Connection field's. Empty members are passed over (RFC 9110 section 5.6.1).
func tokens(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(list) > 0 {
			member, rest, _ := bytes.Cut(list, []byte{','})
			list = rest
			if member = trim(member); len(member) > 0 && !yield(member) {
				return
			}
		}
	}
}

// AppendField appends a field line.
func AppendField(b []byte, name, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
