package policy

import (
	"cmp"
	"slices"

	"gopkg.in/yaml.v3"
)

// A kind is a type of the policy language: how a V is read from YAML, and how
// the type is described to people and to editors.
type kind[V any] interface {
	// read sets *into, or reports why it cannot.
	read(d *decoder, n *yaml.Node, into *V)
	// fill sets the defaults of what lies inside V; a scalar has none.
	fill(into *V)
	// clone returns a default that its receiver may keep.
	clone(V) V
	// plain returns a V the way it is written, for printing defaults.
	plain(V) any
	shape() *shape
}

// shape describes a kind.
type shape struct {
	text   string // for docs/policy.md, such as "duration, 0s to 1h"
	schema schema
	rows   []row  // of a mapping with named fields, in order
	item   *shape // of a list
}

// row is a field as the documentation shows it.
type row struct {
	name, doc string
	status    status
	required  bool
	fallback  any  // nil: none
	inner     bool // left out, it has the defaults of its own fields
	shape     *shape
}

// status says what a field or a choice does in this release.
type status int

const (
	acts    status = iota
	refused        // decoded and validated; using it is an error, because traffic would rely on it
)

func (s status) String() string {
	return [...]string{"acts", "refused until it acts"}[s]
}

// use reports what using the thing at n means as long as its status is s.
// because replaces the general consequence.
func (s status) use(d *decoder, n *yaml.Node, subject, because string) {
	if s == acts {
		return
	}
	if because == "" {
		because = "it would promise a protection that is not there; remove it"
	}
	d.fail(n, CodeRefused, "%sis understood but refused until it acts: %s", subject, because)
}

// scalar is a kind written as one YAML scalar.
type scalar[V any] struct {
	text   string
	noun   string // for messages; none: the text with its article
	schema schema
	// parse reads the value of a scalar node. It returns a code and a message
	// if the node has none.
	parse func(n *yaml.Node) (V, *problem)
	print func(V) any
	// used, if set, is told each value read.
	used func(d *decoder, n *yaml.Node, v V)
}

// problem is why a value is refused: a diagnostic without its place.
type problem struct{ code, message string }

func (k *scalar[V]) read(d *decoder, n *yaml.Node, into *V) {
	if d.passedOver(n) {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.fail(n, CodeWrongType, "must be %s, not %s", cmp.Or(k.noun, article(k.text)), describe(n))
		return
	}
	v, p := k.parse(n)
	if p != nil {
		d.fail(n, p.code, "%s", p.message)
		return
	}
	*into = v
	if k.used != nil {
		k.used(d, n, v)
	}
}

func (k *scalar[V]) fill(*V)       {}
func (k *scalar[V]) clone(v V) V   { return v }
func (k *scalar[V]) plain(v V) any { return k.print(v) }
func (k *scalar[V]) shape() *shape { return &shape{text: k.text, schema: k.schema} }

// list is a YAML list of one kind.
type list[V any] struct {
	of  kind[V]
	min int // items at least
}

func listOf[V any](of kind[V]) *list[V] { return &list[V]{of: of} }
func someOf[V any](of kind[V]) *list[V] { return &list[V]{of: of, min: 1} }
func (k *list[V]) fill(*[]V)            {}
func (k *list[V]) clone(v []V) []V      { return slices.Clone(v) }

func (k *list[V]) read(d *decoder, n *yaml.Node, into *[]V) {
	switch {
	case d.passedOver(n):
		return
	case n.Kind != yaml.SequenceNode:
		d.fail(n, CodeWrongType, "must be a list, not %s: write [a, b] or one \"- a\" a line", describe(n))
		return
	case len(n.Content) < k.min:
		d.fail(n, CodeBadValue, "must not be empty")
		return
	}
	items := make([]V, len(n.Content))
	for i, item := range n.Content {
		if d.full() {
			return
		}
		d.enterItem(i)
		k.of.read(d, item, &items[i])
		d.leave()
	}
	*into = items
}

func (k *list[V]) plain(v []V) any {
	if len(v) == 0 {
		return nil
	}
	items := make([]any, len(v))
	for i := range v {
		items[i] = k.of.plain(v[i])
	}
	return items
}

func (k *list[V]) shape() *shape {
	item := k.of.shape()
	return &shape{text: "list: " + item.text, item: item,
		schema: schema{Type: "array", Items: &item.schema, MinItems: k.min}}
}
