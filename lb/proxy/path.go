package proxy

import "bytes"

// cleanPath returns the path without "." and ".." segments (RFC 3986 section
// 5.2.4), their percent-encoded spellings included, so that a route cannot be
// slipped past by /public/../admin. Everything else is left as received: an
// encoded slash is not a slash, and an empty segment stays. A path that has no
// such segment, which is nearly every one, is returned as it is.
func cleanPath(path []byte) []byte {
	if !hasDotSegment(path) {
		return path
	}
	out := make([]byte, 0, len(path))
	rest := path
	for len(rest) > 0 {
		// rest begins with "/".
		end := bytes.IndexByte(rest[1:], '/') + 1
		if end == 0 {
			end = len(rest)
		}
		segment, last := rest[1:end], end == len(rest)
		rest = rest[end:]
		switch dots(segment) {
		case 0:
			out = append(append(out, '/'), segment...)
			continue
		case 2:
			out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
		}
		if last {
			out = append(out, '/')
		}
	}
	return out
}

// hasDotSegment is quick about paths that have neither "/." nor "/%2e".
func hasDotSegment(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	for i := 0; i < len(path)-1; i++ {
		if path[i] != '/' || path[i+1] != '.' && path[i+1] != '%' {
			continue
		}
		segment, _, _ := bytes.Cut(path[i+1:], []byte{'/'})
		if dots(segment) > 0 {
			return true
		}
	}
	return false
}

// dots is 1 for a "." segment, 2 for "..", else 0.
func dots(segment []byte) int {
	n := 0
	for len(segment) > 0 {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && segment[0] == '%' && segment[1] == '2' && segment[2]|0x20 == 'e':
			segment = segment[3:]
		default:
			return 0
		}
		if n++; n > 2 {
			return 0
		}
	}
	return n
}
