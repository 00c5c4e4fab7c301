package schema

import (
	"cmp"
	"slices"

	"gopkg.in/yaml.v3"
)

// A Kind is a type of a language: how a V is read from YAML, and how
// the type is described to people and to editors.
type Kind[V any] interface {
	// read sets *into, or reports why it cannot.
	Read(d *Decoder, n *yaml.Node, into *V)
	// fill sets the defaults of what lies inside V; a scalar has none.
	Fill(into *V)
	// clone returns a default that its receiver may keep.
	Clone(V) V
	// Plain returns a V the way it is written: a scalar, nil for none, []any of a list,
	// [Members] of a mapping. It is for printing defaults, and for [Compare]: a language
	// that is not compared may have mappings of which it is nil.
	Plain(V) any
	Shape() *Shape
}

// Shape describes a kind.
type Shape struct {
	Text   string // for the reference, such as "duration, 0s to 1h"
	Schema Schema
	Rows   []Row  // of a mapping with named fields, in order
	Item   *Shape // of a list
	Values *Shape // of a mapping with free keys
	// AnyOrder says that the items of the list mean the same in any order.
	AnyOrder bool
}

// Row is a field as the documentation shows it.
type Row struct {
	Name, Doc string
	Status    Status
	Required  bool
	Fallback  any  // nil: none
	inner     bool // left out, it has the defaults of its own fields
	Shape     *Shape
}

// Status says what a field or a choice does in this release.
type Status int

const (
	Acts    Status = iota
	Refused        // decoded and validated; using it is an error, because traffic would rely on it
)

func (s Status) String() string {
	return [...]string{"acts", "refused until it acts"}[s]
}

// use reports what using the thing at n means as long as its status is s.
// because replaces the general consequence.
func (s Status) use(d *Decoder, n *yaml.Node, subject, because string) {
	if s == Acts {
		return
	}
	if because == "" {
		because = "it would promise a protection that is not there; remove it"
	}
	d.Fail(n, CodeRefused, "%sis understood but refused until it acts: %s", subject, because)
}

// Scalar is a kind written as one YAML scalar.
type Scalar[V any] struct {
	text   string
	noun   string // for messages; none: the text with its article
	schema Schema
	// parse reads the value of a scalar node. It returns a code and a message
	// if the node has none.
	parse func(n *yaml.Node) (V, *problem)
	print func(V) any
	// used, if set, is told each value read.
	used func(d *Decoder, n *yaml.Node, v V)
}

// problem is why a value is refused: a diagnostic without its place.
type problem struct{ code, message string }

func (k *Scalar[V]) Read(d *Decoder, n *yaml.Node, into *V) {
	if d.PassedOver(n) {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.Fail(n, CodeWrongType, "must be %s, not %s", cmp.Or(k.noun, article(k.text)), Describe(n))
		return
	}
	v, p := k.parse(n)
	if p != nil {
		d.Fail(n, p.code, "%s", p.message)
		return
	}
	*into = v
	if k.used != nil {
		k.used(d, n, v)
	}
}

func (k *Scalar[V]) Fill(*V)       {}
func (k *Scalar[V]) Clone(v V) V   { return v }
func (k *Scalar[V]) Plain(v V) any { return k.print(v) }
func (k *Scalar[V]) Shape() *Shape { return &Shape{Text: k.text, Schema: k.schema} }

// List is a YAML list of one kind.
type List[V any] struct {
	of       Kind[V]
	min      int // items at least
	anyOrder bool
}

func ListOf[V any](of Kind[V]) *List[V] { return &List[V]{of: of} }
func SomeOf[V any](of Kind[V]) *List[V] { return &List[V]{of: of, min: 1} }

// AnyOrder says that the items mean the same in any order.
func (k *List[V]) AnyOrder() *List[V] {
	k.anyOrder = true
	return k
}

func (k *List[V]) Fill(*[]V)       {}
func (k *List[V]) Clone(v []V) []V { return slices.Clone(v) }

func (k *List[V]) Read(d *Decoder, n *yaml.Node, into *[]V) {
	switch {
	case d.PassedOver(n):
		return
	case n.Kind != yaml.SequenceNode:
		d.Fail(n, CodeWrongType, "must be a list, not %s: write [a, b] or one \"- a\" a line", Describe(n))
		return
	case len(n.Content) < k.min:
		d.Fail(n, CodeBadValue, "must not be empty")
		return
	}
	items := make([]V, len(n.Content))
	for i, item := range n.Content {
		if d.Full() {
			return
		}
		d.EnterItem(i)
		k.of.Read(d, item, &items[i])
		d.Leave()
	}
	*into = items
}

func (k *List[V]) Plain(v []V) any {
	if len(v) == 0 {
		return nil
	}
	items := make([]any, len(v))
	for i := range v {
		items[i] = k.of.Plain(v[i])
	}
	return items
}

func (k *List[V]) Shape() *Shape {
	item := k.of.Shape()
	return &Shape{Text: "list: " + item.Text, Item: item, AnyOrder: k.anyOrder,
		Schema: Schema{Type: "array", Items: &item.Schema, MinItems: k.min}}
}
