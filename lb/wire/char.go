package wire

// Character classes of RFC 9110 section 5.6.2 and RFC 9112, one bit each.
const (
	isToken  = 1 << iota // tchar
	isName               // letters, digits and "-": what the names of fields consist of
	isValue              // field-vchar, SP and HTAB
	isTarget             // what a request-target may hold: visible ASCII but no fragment
	isHost               // what RFC 3986 calls unreserved: what names of hosts consist of
	isHex                // hexadecimal digits
)

var class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] |= isToken | isName | isHost | isHex
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isToken | isName | isHost
		t[c-'a'+'A'] |= isToken | isName | isHost
	}
	for c := 'a'; c <= 'f'; c++ {
		t[c] |= isHex
		t[c-'a'+'A'] |= isHex
	}
	t['-'] |= isName
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	for _, c := range "-._~" {
		t[c] |= isHost
	}
	for c := 0x21; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= isValue
		}
	}
	t[' '] |= isValue
	t['\t'] |= isValue
	for c := 0x21; c < 0x7f; c++ {
		t[c] |= isTarget
	}
	// RFC 3986 allows none of these in a URI; '#' begins a fragment, which has
	// no place in a request-target (RFC 9112 section 3.2). Quotes, braces, the
	// bar, the caret and the backtick are sent by real clients and are passed.
	for _, c := range "#<>\\" {
		t[c] &^= isTarget
	}
	return t
}()

// all reports whether every byte of b is of the class.
func all(b []byte, of uint8) bool {
	for _, c := range b {
		if class[c]&of == 0 {
			return false
		}
	}
	return true
}

// ValidToken reports whether b is a token (RFC 9110 section 5.6.2).
func ValidToken(b []byte) bool { return len(b) > 0 && all(b, isToken) }

// lower is the ASCII lower case of c.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// EqualFold reports whether b is s but for ASCII case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if b[i] != s[i] && lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// hasPrefixFold reports whether b begins with s but for ASCII case.
func hasPrefixFold(b []byte, s string) bool {
	return len(b) >= len(s) && EqualFold(b[:len(s)], s)
}

// span is how many bytes at the start of b are of the class, at most max.
func span(b []byte, of uint8, max int) int {
	n := 0
	for n < len(b) && n < max && class[b[n]]&of != 0 {
		n++
	}
	return n
}

// trimLeft cuts optional white space (SP and HTAB) off the start.
func trimLeft(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// trim cuts optional white space (SP and HTAB) off both ends.
func trim(b []byte) []byte {
	b = trimLeft(b)
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
