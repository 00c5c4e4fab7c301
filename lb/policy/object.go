package policy

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// object is a YAML mapping with named fields, read into a T.
type object[T any] struct {
	fields []field[T]
	// pos, if set, is where T keeps where it was written.
	pos func(*T) *Pos
	// check, if set, says what must hold between fields, and sets defaults that
	// depend on other fields. It runs only if all fields are well-formed.
	check func(d *decoder, n *yaml.Node, t *T)
}

// field is one field of an object: a row of the table, tied to where its value
// goes in a T.
type field[T any] struct {
	row
	read func(d *decoder, n *yaml.Node, t *T)
	fill func(t *T) // sets the default
}

// required is a field that must be written.
func required[T, V any](name string, s status, k kind[V], at func(*T) *V, doc string) field[T] {
	f := optional(name, s, k, *new(V), at, doc)
	f.required, f.fallback = true, nil
	return f
}

// optional is a field with a default. A default that is the zero value of a
// text or list is printed as none.
func optional[T, V any](name string, s status, k kind[V], fallback V, at func(*T) *V, doc string) field[T] {
	return field[T]{
		row:  row{name: name, doc: doc, status: s, fallback: k.plain(fallback), shape: k.shape()},
		read: func(d *decoder, n *yaml.Node, t *T) { k.read(d, n, at(t)) },
		fill: func(t *T) { *at(t) = k.clone(fallback) },
	}
}

// section is a mapping that always has a value: left out, it is all defaults.
func section[T, V any](name string, s status, k kind[V], at func(*T) *V, doc string) field[T] {
	return field[T]{
		row:  row{name: name, doc: doc, status: s, shape: k.shape(), inner: true},
		read: func(d *decoder, n *yaml.Node, t *T) { k.read(d, n, at(t)) },
		fill: func(t *T) { k.fill(at(t)) },
	}
}

// extra is a mapping that is nil if it is left out.
func extra[T, V any](name string, s status, k kind[V], at func(*T) **V, doc string) field[T] {
	return field[T]{
		row: row{name: name, doc: doc, status: s, shape: k.shape()},
		read: func(d *decoder, n *yaml.Node, t *T) {
			v := new(V)
			k.read(d, n, v)
			*at(t) = v
		},
		fill: func(*T) {},
	}
}

// defaultsTo says how the default is documented where it cannot be seen from a
// value: it depends on other fields, or is spread over several.
func (f field[T]) defaultsTo(documented any) field[T] {
	f.fallback, f.inner = documented, false
	return f
}

// filled documents an extra that somebody else fills if it is left out.
func (f field[T]) filled() field[T] {
	f.inner = true
	return f
}

// same is for a section that is nested in the file and flat in Go.
func same[T any](t *T) *T { return t }

func (o *object[T]) fill(t *T) {
	for i := range o.fields {
		o.fields[i].fill(t)
	}
}

func (o *object[T]) clone(t T) T { return t }
func (o *object[T]) plain(T) any { return nil }

func (o *object[T]) shape() *shape {
	rows := make([]row, len(o.fields))
	for i, f := range o.fields {
		rows[i] = f.row
	}
	return &shape{text: "mapping", schema: objectSchema(rows), rows: rows}
}

func (o *object[T]) read(d *decoder, n *yaml.Node, t *T) {
	if d.passedOver(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, CodeWrongType, "must be a mapping, not %s: its fields are %s", describe(n), strings.Join(o.names(), ", "))
		return
	}
	if o.pos != nil {
		*o.pos(t) = Pos{File: d.file.name, Line: n.Line, Col: n.Column}
	}
	errors, passed := d.errors, d.passed
	var seen [32]bool // by index of the field; a test keeps objects smaller
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if d.passedOver(key) {
			continue
		}
		if d.full() {
			return
		}
		at := o.index(key.Value)
		d.enter(key.Value)
		if at < 0 {
			free := slices.DeleteFunc(o.names(), func(name string) bool { return written(n, name) })
			meant := nearest(key.Value, free)
			places := o.places(key.Value)
			switch {
			case meant != "" || len(places) == 0 || len(places) > 3:
				d.fail(key, CodeUnknownField, "is not a field here%s", didYouMean(meant, o.names()))
			case len(d.path) == 1 && o.index(places[0]) >= 0:
				d.fail(key, CodeUnknownField, "%s belongs under %s: indent it", quote(key.Value), places[0])
			default:
				d.fail(key, CodeUnknownField, "is not a field here: it belongs in %s", strings.Join(places, " or "))
			}
			if meant != "" {
				seen[o.index(meant)] = true // one mistake, one message
			}
			if len(d.path) <= 2 {
				d.incomplete = true // it may be a list that is looked for later
			}
		} else {
			f := &o.fields[at]
			seen[at] = true
			f.status.use(d, key, "", "")
			f.read(d, value, t)
		}
		d.leave()
	}
	for i := range o.fields {
		f := &o.fields[i]
		switch {
		case seen[i]:
		case f.required && d.passed > passed: // it may be there
		case f.required:
			d.enter(f.name)
			d.fail(n, CodeMissing, "is required: %s", phrase(f.doc))
			d.leave()
		default:
			f.fill(t)
		}
	}
	if o.check != nil && d.errors == errors && d.passed == passed {
		o.check(d, n, t)
	}
}

func (o *object[T]) index(name string) int {
	for i := range o.fields {
		if o.fields[i].name == name {
			return i
		}
	}
	return -1
}

// places returns the sections of the object, and failing these the sections of
// those, that have a field of the name: as paths, with [] behind a list.
func (o *object[T]) places(name string) (found []string) {
	type section struct {
		path string
		rows []row
	}
	level := []section{{rows: o.shape().rows}}
	for depth := 0; depth < 2 && len(found) == 0; depth++ {
		var below []section
		for _, s := range level {
			for _, r := range s.rows {
				in := section{s.path + r.name, r.shape.rows}
				if r.shape.item != nil {
					in = section{in.path + "[]", r.shape.item.rows}
				}
				if slices.ContainsFunc(in.rows, func(r row) bool { return r.name == name }) {
					found = append(found, in.path)
				}
				below = append(below, section{in.path + ".", in.rows})
			}
		}
		level = below
	}
	return found
}

func (o *object[T]) names() []string {
	names := make([]string, len(o.fields))
	for i, f := range o.fields {
		names[i] = f.name
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
