package schema

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Object is a YAML mapping with named fields, read into a T.
type Object[T any] struct {
	Fields []Field[T]
	// Pos, if set, is where T keeps where it was written.
	Pos func(*T) *Pos
	// Keep says that fields that are left out keep the value they have: for a T that is
	// given bit by bit.
	Keep bool
	// Check, if set, says what must hold between fields, and sets defaults that
	// depend on other fields. It runs only if all fields are well-formed.
	Check func(d *Decoder, n *yaml.Node, t *T)
}

// Field is one field of an object: a row of the table, tied to where its value
// goes in a T.
type Field[T any] struct {
	Row
	read func(d *Decoder, n *yaml.Node, t *T)
	fill func(t *T) // sets the default
	get  func(t *T) any
}

// Required is a field that must be written.
func Required[T, V any](name string, s Status, k Kind[V], at func(*T) *V, doc string) Field[T] {
	f := Optional(name, s, k, *new(V), at, doc)
	f.Required, f.Fallback = true, nil
	return f
}

// Optional is a field with a default. A default that is the zero value of a
// text or list is printed as none.
func Optional[T, V any](name string, s Status, k Kind[V], fallback V, at func(*T) *V, doc string) Field[T] {
	return Field[T]{
		Row:  Row{Name: name, Doc: doc, Status: s, Fallback: k.Plain(fallback), Shape: k.Shape()},
		read: func(d *Decoder, n *yaml.Node, t *T) { k.Read(d, n, at(t)) },
		fill: func(t *T) { *at(t) = k.Clone(fallback) },
		get:  func(t *T) any { return k.Plain(*at(t)) },
	}
}

// Section is a mapping that always has a value: left out, it is all defaults.
func Section[T, V any](name string, s Status, k Kind[V], at func(*T) *V, doc string) Field[T] {
	return Field[T]{
		Row:  Row{Name: name, Doc: doc, Status: s, Shape: k.Shape(), inner: true},
		read: func(d *Decoder, n *yaml.Node, t *T) { k.Read(d, n, at(t)) },
		fill: func(t *T) { k.Fill(at(t)) },
		get:  func(t *T) any { return k.Plain(*at(t)) },
	}
}

// Extra is a mapping that is nil if it is left out.
func Extra[T, V any](name string, s Status, k Kind[V], at func(*T) **V, doc string) Field[T] {
	return Field[T]{
		Row: Row{Name: name, Doc: doc, Status: s, Shape: k.Shape()},
		read: func(d *Decoder, n *yaml.Node, t *T) {
			v := new(V)
			k.Read(d, n, v)
			*at(t) = v
		},
		fill: func(*T) {},
		get: func(t *T) any {
			if v := *at(t); v != nil {
				return k.Plain(*v)
			}
			return nil
		},
	}
}

// DefaultsTo says how the default is documented where it cannot be seen from a
// value: it depends on other fields, or is spread over several.
func (f Field[T]) DefaultsTo(documented any) Field[T] {
	f.Fallback, f.inner = documented, false
	return f
}

// Filled documents an extra that somebody else fills if it is left out.
func (f Field[T]) Filled() Field[T] {
	f.inner = true
	return f
}

// Same is for a section that is nested in the file and flat in Go.
func Same[T any](t *T) *T { return t }

func (o *Object[T]) Fill(t *T) {
	for i := range o.Fields {
		o.Fields[i].fill(t)
	}
}

func (o *Object[T]) Clone(t T) T { return t }

// Plain returns [Members], of every field in the order of the table.
func (o *Object[T]) Plain(t T) any {
	members := make(Members, len(o.Fields))
	for i := range o.Fields {
		f := &o.Fields[i]
		members[i] = Member{f.Name, f.get(&t)}
		if members[i].Value == 0 && f.Fallback == nil { // no number is none
			members[i].Value = nil
		}
	}
	return members
}

func (o *Object[T]) Shape() *Shape {
	rows := make([]Row, len(o.Fields))
	for i, f := range o.Fields {
		rows[i] = f.Row
	}
	return &Shape{Text: "mapping", Schema: objectSchema(rows), Rows: rows}
}

func (o *Object[T]) Read(d *Decoder, n *yaml.Node, t *T) {
	if d.PassedOver(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.Fail(n, CodeWrongType, "must be a mapping, not %s: its fields are %s", Describe(n), strings.Join(o.names(), ", "))
		return
	}
	if o.Pos != nil {
		*o.Pos(t) = Pos{File: d.File.name, Line: n.Line, Col: n.Column}
	}
	errors, passed := d.Errors, d.passed
	var seen [32]bool // by index of the field; a test keeps objects smaller
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if d.PassedOver(key) {
			continue
		}
		if d.Full() {
			return
		}
		at := o.index(key.Value)
		d.Enter(key.Value)
		if at < 0 {
			free := slices.DeleteFunc(o.names(), func(name string) bool { return Written(n, name) })
			meant := Nearest(key.Value, free)
			places := o.places(key.Value)
			switch {
			case meant != "" || len(places) == 0 || len(places) > 3:
				d.Fail(key, CodeUnknownField, "is not a field here%s", DidYouMean(meant, o.names()))
			case len(d.Path) == 1 && o.index(places[0]) >= 0:
				d.Fail(key, CodeUnknownField, "%s belongs under %s: indent it", Quote(key.Value), places[0])
			default:
				d.Fail(key, CodeUnknownField, "is not a field here: it belongs in %s", strings.Join(places, " or "))
			}
			if meant != "" {
				seen[o.index(meant)] = true // one mistake, one message
			}
			if len(d.Path) <= 2 {
				d.Incomplete = true // it may be a list that is looked for later
			}
		} else {
			f := &o.Fields[at]
			seen[at] = true
			f.Status.use(d, key, "", "")
			f.read(d, value, t)
		}
		d.Leave()
	}
	for i := range o.Fields {
		f := &o.Fields[i]
		switch {
		case seen[i] || o.Keep:
		case f.Required && d.passed > passed: // it may be there
		case f.Required:
			d.Enter(f.Name)
			d.Fail(n, CodeMissing, "is required: %s", phrase(f.Doc))
			d.Leave()
		default:
			f.fill(t)
		}
	}
	if o.Check != nil && d.Errors == errors && d.passed == passed {
		o.Check(d, n, t)
	}
}

func (o *Object[T]) index(name string) int {
	for i := range o.Fields {
		if o.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// places returns the sections of the object, and failing these the sections of
// those, that have a field of the name: as paths, with [] behind a list.
func (o *Object[T]) places(name string) (found []string) {
	type section struct {
		path string
		rows []Row
	}
	level := []section{{rows: o.Shape().Rows}}
	for depth := 0; depth < 2 && len(found) == 0; depth++ {
		var below []section
		for _, s := range level {
			for _, r := range s.rows {
				in := section{s.path + r.Name, r.Shape.Rows}
				if r.Shape.Item != nil {
					in = section{in.path + "[]", r.Shape.Item.Rows}
				}
				if slices.ContainsFunc(in.rows, func(r Row) bool { return r.Name == name }) {
					found = append(found, in.path)
				}
				below = append(below, section{in.path + ".", in.rows})
			}
		}
		level = below
	}
	return found
}

func (o *Object[T]) names() []string {
	names := make([]string, len(o.Fields))
	for i, f := range o.Fields {
		names[i] = f.Name
	}
	return names
}

// phrase makes a doc line the end of a message.
func phrase(doc string) string {
	doc = strings.TrimSuffix(doc, ".")
	if first := doc[:1]; doc[1] >= 'a' && doc[1] <= 'z' { // no abbreviation
		doc = strings.ToLower(first) + doc[1:]
	}
	return doc
}
