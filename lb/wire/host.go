package wire

import "bytes"

// withoutPort cuts off the port that an absolute target's scheme implies.
func (r *Request) withoutPort(host []byte) []byte {
	return bytes.TrimSuffix(host, []byte(r.defaultPort))
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
