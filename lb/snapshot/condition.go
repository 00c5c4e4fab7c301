package snapshot

import (
	"bytes"
	"regexp"

	"go-loadbalancer/lb/policy"
)

// condition is a value that a header or query parameter must have.
type condition struct {
	name    string
	value   string
	pattern *regexp.Regexp // nil: the value is compared
}

func newCondition(m *policy.ValueMatch) condition {
	return condition{m.Name, m.Value, m.Regex}
}

// holdsInHead says whether any field line of the name has the value. Lines are
// not joined: a list in one line is one value.
func (c *condition) holdsInHead(head Head) bool {
	if head == nil {
		return false
	}
	for v := range head.Values(c.name) {
		if c.pattern != nil && c.pattern.Match(v) || c.pattern == nil && string(v) == c.value {
			return true
		}
	}
	return false
}

// holdsInQuery says whether the first parameter of the name has the value. Names
// and values are decoded as forms are ("+" is a space); a "%" that begins no
// escape stands for itself.
func (c *condition) holdsInQuery(query []byte) bool {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		if !decodesTo(name, c.name) {
			continue
		}
		if c.pattern == nil {
			return decodesTo(value, c.value)
		}
		return c.pattern.Match(decode(value))
	}
	return false
}

// decodesTo says whether s is want once decoded.
func decodesTo(s []byte, want string) bool {
	i := 0
	for len(s) > 0 {
		var b byte
		b, s = decodeOne(s)
		if i == len(want) || want[i] != b {
			return false
		}
		i++
	}
	return i == len(want)
}

// decode returns s decoded: s itself if there is nothing to decode.
func decode(s []byte) []byte {
	if !bytes.ContainsAny(s, "+%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		var b byte
		b, s = decodeOne(s)
		out = append(out, b)
	}
	return out
}

// decodeOne decodes the first byte of s, which is not empty.
func decodeOne(s []byte) (b byte, rest []byte) {
	switch {
	case s[0] == '+':
		return ' ', s[1:]
	case s[0] == '%' && len(s) >= 3:
		high, ok1 := hex(s[1])
		low, ok2 := hex(s[2])
		if ok1 && ok2 {
			return high<<4 | low, s[3:]
		}
	}
	return s[0], s[1:]
}

func hex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
