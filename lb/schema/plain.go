package schema

import (
	"slices"
)

// Members are the fields of a mapping, in order: see [Kind].Plain.
type Members []Member

// Member is a field with its value: a scalar, nil for none, []any, or Members.
type Member struct {
	Name  string
	Value any
}

// Get returns the value of a member; nil if there is none.
func (m Members) Get(name string) any {
	for i := range m {
		if m[i].Name == name {
			return m[i].Value
		}
	}
	return nil
}

// MarshalJSON writes an object with its members in order; those that are none are left
// out.
func (m Members) MarshalJSON() ([]byte, error) {
	return encodeObject(func(yield func(string, any) bool) {
		for _, member := range m {
			if member.Value != nil && !yield(member.Name, member.Value) {
				return
			}
		}
	})
}

// Flow writes a plain value in one line, as YAML has it: "none" of nothing.
func Flow(v any) string { return flow(v) }

// Brief returns what of a plain value is not its default, by the rows of its shape. What
// is nothing but defaults is {}.
func Brief(s *Shape, v any) any {
	switch v := v.(type) {
	case []any:
		if s.Item == nil {
			return v
		}
		items := make([]any, len(v))
		for i := range v {
			items[i] = Brief(s.Item, v[i])
		}
		return items
	case Members:
		rows := s.rows()
		if rows == nil {
			return v
		}
		brief := Members{}
		for i, m := range v {
			row := &rows[i]
			value := Brief(row.Shape, m.Value)
			if value == nil && row.Shape.Item != nil && row.Fallback != nil && !row.inner {
				value = []any{} // none, of what is some by default
			}
			if !row.says(value) {
				continue
			}
			brief = append(brief, Member{m.Name, value})
		}
		return brief
	}
	return v
}

// says reports whether a value that Brief returned is more than the field's default. A
// section that is nothing but defaults is not, what would be none if it were left out is.
func (r *Row) says(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case Members:
		return len(v) > 0 || !r.inner
	case []any:
		bare := func(item any) bool {
			m, isMapping := item.(Members)
			return isMapping && len(m) == 0
		}
		if len(v) > 0 && !slices.ContainsFunc(v, func(item any) bool { return !bare(item) }) {
			return false
		}
	}
	return r.Required || !same(v, r.Fallback)
}

// rows are those of a mapping with named fields; of a list that is written for one, such
// as filters are, those of its items.
func (s *Shape) rows() []Row {
	if s.Rows == nil && s.Item != nil {
		return s.Item.Rows
	}
	return s.Rows
}

// same reports whether two plain values are the same.
func same(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case Members:
		b, ok := b.(Members)
		return ok && slices.EqualFunc(a, b, func(x, y Member) bool { return x.Name == y.Name && same(x.Value, y.Value) })
	}
	switch b.(type) {
	case []any, Members, map[string]any:
		return false
	}
	return a == b
}
