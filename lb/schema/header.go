package schema

import (
	"slices"
	"strings"
)

// framing are the fields that belong to a connection or to a message's framing
// (RFC 9110 sections 7.6.1, 7.2 and 8.6). The proxy writes them itself.
var framing = []string{"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"}

// IsFraming reports whether a field belongs to a connection or to a message's framing.
func IsFraming(name string) bool {
	return slices.ContainsFunc(framing, func(f string) bool { return strings.EqualFold(f, name) })
}

// HeaderValue is one field with its value.
type HeaderValue struct{ Name, Value string }

// Headers is a mapping of header names to values, kept in file order. A name that
// complain says something about is refused.
func Headers(complain func(name string) string) Kind[[]HeaderValue] { return headers{complain} }

type headers struct{ complain func(name string) string }

func (headers) Fill(*[]HeaderValue)                 {}
func (headers) Clone(v []HeaderValue) []HeaderValue { return v }
func (headers) Plain(v []HeaderValue) any {
	members := make(Members, len(v))
	for i, field := range v {
		members[i] = Member{field.Name, field.Value}
	}
	return members
}

func (headers) Shape() *Shape {
	return &Shape{Text: "mapping of header names to values",
		Schema: Schema{Type: "object", Additional: Schema{Type: "string"}}}
}

func (k headers) Read(d *Decoder, n *Node, into *[]HeaderValue) {
	if d.PassedOver(n) {
		return
	}
	if n.Kind != MappingNode {
		d.Fail(n, CodeWrongType, "must be a mapping of header names to values, not %s: write {X-Env: prod}", Describe(n))
		return
	}
	value := Checked("header value", "", ComplainFieldValue)
	names := make(map[string]*Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, v := n.Content[i], n.Content[i+1]
		if d.PassedOver(name) {
			continue
		}
		d.Enter(name.Value)
		lower := strings.ToLower(name.Value)
		if c := k.complain(name.Value); c != "" {
			d.Fail(name, CodeBadValue, "%s", c)
		} else if first := names[lower]; first != nil {
			d.Fail(name, CodeDuplicateKey, "is given twice, as header names ignore case: it is also at line %d, column %d", first.Line, first.Column)
		} else {
			names[lower] = name
			field := HeaderValue{Name: name.Value}
			value.Read(d, v, &field.Value)
			*into = append(*into, field)
		}
		d.Leave()
	}
}
