package schema

import (
	"bytes"
	"encoding/json"
	"iter"
)

// Schema is the part of JSON Schema draft 2020-12 that the table needs.
type Schema struct {
	Meta        string `json:"$schema,omitempty"`
	ID          string `json:"$id,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
	Pattern     string `json:"pattern,omitempty"`
	MinLength   int    `json:"minLength,omitempty"`
	MaxLength   int    `json:"maxLength,omitempty"`
	Minimum     any    `json:"minimum,omitempty"`
	Maximum     any    `json:"maximum,omitempty"`
	Default     any    `json:"default,omitempty"`

	AnyOf []Schema `json:"anyOf,omitempty"`

	Items       *Schema `json:"items,omitempty"`
	MinItems    int     `json:"minItems,omitempty"`
	UniqueItems bool    `json:"uniqueItems,omitempty"`

	Properties    properties `json:"properties,omitempty"`
	Required      []string   `json:"required,omitempty"`
	MinProperties int        `json:"minProperties,omitempty"`
	MaxProperties int        `json:"maxProperties,omitempty"`
	// Additional is false, or the schema of every value of a free mapping.
	Additional any `json:"additionalProperties,omitempty"`
}

// properties keeps the order of the table.
type properties []Property

// Property is a member of an object.
type Property struct {
	Name   string
	Schema Schema
}

// MarshalJSON writes an object with its members in order.
func (p properties) MarshalJSON() ([]byte, error) {
	return encodeObject(func(yield func(string, any) bool) {
		for _, member := range p {
			if !yield(member.Name, member.Schema) {
				return
			}
		}
	})
}

// encodeObject writes members in their order, which encoding/json does not keep of a map.
func encodeObject(members iter.Seq2[string, any]) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for key, member := range members {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := encodeJSON(key)
		if err != nil {
			return nil, err
		}
		value, err := encodeJSON(member)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// objectSchema is a closed mapping of rows.
func objectSchema(rows []Row) Schema {
	s := Schema{Type: "object", Additional: false}
	for _, r := range rows {
		p := r.Shape.Schema
		p.Description = r.Doc
		if r.Status != Acts {
			p.Description += " (This " + r.Status.String() + ".)"
		}
		p.Default = r.Fallback
		s.Properties = append(s.Properties, Property{r.Name, p})
		if r.Required {
			s.Required = append(s.Required, r.Name)
		}
	}
	return s
}

// JSONSchema returns a language as JSON Schema draft 2020-12, indented, for
// editors.
func JSONSchema(document *Shape, title, description string) []byte {
	s := document.Schema
	s.Meta = "https://json-schema.org/draft/2020-12/schema"
	s.Title, s.Description = title, description
	compact, err := encodeJSON(s)
	if err != nil {
		panic("the schema table cannot be written as JSON: " + err.Error()) // a test of each language calls this
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		panic("the schema table made bad JSON: " + err.Error())
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// encodeJSON is json.Marshal without escapes for HTML: these texts are read by
// people.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
