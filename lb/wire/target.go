package wire

import "bytes"

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
		if i < 0 {
			return errTarget
		}
		switch {
		case EqualFold(t[:i], "http"):
			r.defaultPort = ":80"
		case EqualFold(t[:i], "https"):
			r.defaultPort = ":443"
		default:
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
			if len(t) == 0 && string(r.Method) == "OPTIONS" {
				r.Path = []byte("*") // RFC 9112 section 3.2.4
			}
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
	if !validEscapes(r.Path) {
		return errTarget
	}
	return nil
}

// validEscapes reports whether every "%" of a path begins a percent-encoded byte
// (RFC 3986 section 2.1): readers differ on what others mean. Queries are passed
// as they are, since browsers send "%" there as it was typed.
func validEscapes(path []byte) bool {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return true
		}
		path = path[i+1:]
		if span(path, isHex, 2) < 2 {
			return false
		}
		path = path[2:]
	}
}
