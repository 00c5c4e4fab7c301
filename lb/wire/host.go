package wire

import "bytes"

// withoutPort cuts off the port that an absolute target's scheme implies.
func (r *Request) withoutPort(host []byte) []byte {
	return bytes.TrimSuffix(host, []byte(r.defaultPort))
}

// ValidHost reports whether b is a host with an optional port: a name, an IPv4
// address or a bracketed IPv6 one (RFC 3986 section 3.2.2, without user
// information, percent-encoding, sub-delimiters and zones, which no host in use
// has). A name has no empty labels but for the one behind its last dot.
func ValidHost(b []byte) bool {
	n := 0
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !validIPv6(b[1:end]) {
			return false
		}
		n = end + 1
	} else {
		n = span(b, isHost, len(b))
		if n == 0 || b[0] == '.' || bytes.Contains(b[:n], []byte("..")) {
			return false
		}
	}
	return n == len(b) || b[n] == ':' && validPort(b[n+1:])
}

// validPort reports whether b is a port of TCP, or empty.
func validPort(b []byte) bool {
	if len(b) > 5 {
		return false
	}
	number := 0
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
		number = number*10 + int(c-'0')
	}
	return number <= 65535
}

// validIPv6 reports whether b is an IPv6 address (RFC 3986 section 3.2.2).
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if bytes.HasPrefix(b, []byte("::")) {
		if gap, b = true, b[2:]; len(b) == 0 {
			return true
		}
	}
	for {
		n := span(b, isHex, 4)
		if n > 0 && n < len(b) && b[n] == '.' {
			if !validIPv4(b) {
				return false
			}
			groups += 2
			break
		}
		if n == 0 {
			return false
		}
		groups++
		if b = b[n:]; len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		if b = b[1:]; b[0] == ':' {
			if gap {
				return false
			}
			if gap, b = true, b[1:]; len(b) == 0 {
				break
			}
		}
	}
	return groups == 8 && !gap || groups < 8 && gap
}

// validIPv4 reports whether b is four decimal numbers up to 255, without leading
// zeros, which some readers take for octal.
func validIPv4(b []byte) bool {
	for i := range 4 {
		if i > 0 {
			if len(b) == 0 || b[0] != '.' {
				return false
			}
			b = b[1:]
		}
		n, number := 0, 0
		for n < len(b) && n < 3 && isDigit(b[n]) {
			number = number*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || number > 255 || n > 1 && b[0] == '0' {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}
