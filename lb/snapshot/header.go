package snapshot

import (
	"bytes"
	"strings"

	"go-loadbalancer/lb/policy"
)

// HeaderModifier changes the fields of a head: those it drops are left out as
// the head is copied, and Lines is appended.
type HeaderModifier struct {
	Remove []Field // without values
	Set    []Field // replace all fields of the name
	Add    []Field // added to those there are
	Lines  []byte  // Set and Add as they are on the wire, each ended by CRLF
}

// Field is a header field.
type Field struct {
	Name  []byte // as written
	Lower []byte // the name in lower case
	Value []byte
}

func newHeaderModifier(m *policy.HeaderModifier) *HeaderModifier {
	if m == nil {
		return nil
	}
	out := &HeaderModifier{Set: fields(m.Set), Add: fields(m.Add)}
	for _, name := range m.Remove {
		out.Remove = append(out.Remove, field(name, ""))
	}
	for _, list := range [][]Field{out.Set, out.Add} {
		for _, f := range list {
			out.Lines = append(out.Lines, f.Name...)
			out.Lines = append(out.Lines, ": "...)
			out.Lines = append(out.Lines, f.Value...)
			out.Lines = append(out.Lines, "\r\n"...)
		}
	}
	return out
}

func fields(values []policy.HeaderValue) (out []Field) {
	for _, v := range values {
		out = append(out, field(v.Name, v.Value))
	}
	return out
}

func field(name, value string) Field {
	return Field{Name: []byte(name), Lower: []byte(strings.ToLower(name)), Value: []byte(value)}
}

// Drops says whether a field of the given name, in any case, is removed or
// replaced. A nil modifier drops none.
func (m *HeaderModifier) Drops(name []byte) bool {
	return m != nil && (named(m.Remove, name) || named(m.Set, name))
}

func named(list []Field, name []byte) bool {
	for i := range list {
		if len(list[i].Lower) == len(name) && bytes.EqualFold(list[i].Lower, name) {
			return true
		}
	}
	return false
}
