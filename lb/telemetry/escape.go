package telemetry

import "unicode/utf8"

// appendString appends s as a JSON string (RFC 8259 section 7) of printable
// ASCII only, whatever s holds: control bytes, quotes, terminal sequences,
// bidirectional overrides and markup all come out as \uXXXX, and bytes that are
// not UTF-8 as \ufffd. Beyond limit bytes s is cut, and an ellipsis (\u2026)
// says so.
func appendString[S string | []byte](b []byte, s S, limit int) []byte {
	if len(s) <= limit && plain(s) == len(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	b = append(b, '"')
	b = appendEscaped(b, s)
	if cut {
		b = append(b, `\u2026`...)
	}
	return append(b, '"')
}

func appendEscaped[S string | []byte](b []byte, s S) []byte {
	for {
		n := plain(s)
		b = append(b, s[:n]...)
		s = s[n:]
		if len(s) == 0 {
			return b
		}
		switch c := s[0]; {
		case c == '"' || c == '\\':
			b, s = append(b, '\\', c), s[1:]
		case c == '\n':
			b, s = append(b, `\n`...), s[1:]
		case c == '\r':
			b, s = append(b, `\r`...), s[1:]
		case c == '\t':
			b, s = append(b, `\t`...), s[1:]
		case c < utf8.RuneSelf:
			b, s = appendUnicode(b, uint16(c)), s[1:]
		default:
			var r rune
			var size int
			r, size = decodeRune(s)
			if r >= 0x10000 { // as a surrogate pair
				r -= 0x10000
				b = appendUnicode(b, uint16(0xd800+r>>10))
				b = appendUnicode(b, uint16(0xdc00+r&0x3ff))
			} else {
				b = appendUnicode(b, uint16(r))
			}
			s = s[size:]
		}
	}
}

func decodeRune[S string | []byte](s S) (rune, int) {
	var p [utf8.UTFMax]byte
	return utf8.DecodeRune(p[:copy(p[:], s)])
}

func appendUnicode(b []byte, u uint16) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}

// plain returns how many bytes at the start of s stand for themselves. It looks
// at eight at a time, the last ones too: this is most of what writing a line costs, and
// the table is in no processor's cache.
func plain[S string | []byte](s S) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if special(eight(s, i)) {
			return i + plainBytes(s[i:])
		}
	}
	rest := uint64('0') // any one that is plain
	if len(s) >= 8 {
		rest = eight(s, len(s)-8)
	} else {
		for j := range len(s) {
			rest = rest<<8 | uint64(s[j])
		}
		for range 7 - len(s) {
			rest = rest<<8 | '0'
		}
	}
	if special(rest) {
		return i + plainBytes(s[i:])
	}
	return len(s)
}

// eight are the bytes of s from i on.
func eight[S string | []byte](s S, i int) uint64 {
	return uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
}

// plainBytes is plain, one byte after the other.
func plainBytes[S string | []byte](s S) int {
	for i := range len(s) {
		if escaped[s[i]] {
			return i
		}
	}
	return len(s)
}

// special says whether any of eight bytes needs escaping; it may say so of
// eight that need none, never the other way round.
func special(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, angle, slash, del := w|4*ones^'&'*ones, w|2*ones^'>'*ones, w^'\\'*ones, w^0x7f*ones
	return (w| // above ASCII
		(w-' '*ones)| // below a space
		// Of a word with a byte of 0, x-ones has that byte's top bit and x has not.
		(quote-ones)&^quote| // " and &, which differ in one bit
		(angle-ones)&^angle| // < and >
		(slash-ones)&^slash|
		(del-ones)&^del)&tops != 0
}

// escaped says which bytes do not stand for themselves.
var escaped = func() (t [256]bool) {
	for c := range t {
		t[c] = c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&'
	}
	return t
}()
