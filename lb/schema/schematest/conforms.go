// Package schematest holds values against the JSON Schemas that package schema makes,
// as an editor would:
//
//	var s any
//	err := json.Unmarshal(policy.JSONSchema(), &s)
//	complaint, err := schematest.ConformsAll(s, text)
package schematest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// ConformsAll reads YAML the way editors do, and says how one of its documents breaks
// the schema, or "". It fails if the text is not YAML.
func ConformsAll(schema any, data []byte) (string, error) {
	decode := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc any
		if err := decode.Decode(&doc); errors.Is(err, io.EOF) {
			return "", nil
		} else if err != nil {
			return "", err
		}
		asJSON, err := json.Marshal(doc)
		if err != nil {
			return "", err
		}
		var value any
		if err := json.Unmarshal(asJSON, &value); err != nil {
			return "", err
		}
		if complaint := Conforms(schema, value); complaint != "" {
			return complaint, nil
		}
	}
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
	}
	return "number"
}

func mustMatch(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

// Conforms says how a value that came from JSON breaks a schema, or "". It knows the
// keywords that package schema uses, and complains about others.
func Conforms(schema, value any) string { return conforms(schema, value, "$") }

// conforms says how a value breaks a schema, or "". It knows the keywords that
// JSONSchema uses, and fails on others.
func conforms(schema, value any, at string) string {
	s, ok := schema.(map[string]any)
	if !ok {
		return at + ": not a schema"
	}
	for keyword, want := range s {
		if complaint := conformsTo(s, keyword, want, value, at); complaint != "" {
			return complaint
		}
	}
	return ""
}

func conformsTo(s map[string]any, keyword string, want, value any, at string) string {
	object, _ := value.(map[string]any)
	array, _ := value.([]any)
	text, isText := value.(string)
	number, isNumber := value.(float64)
	wrong := ""
	switch keyword {
	case "$schema", "title", "description", "default":
	case "type":
		if got := typeOf(value); got != want && !(want == "number" && got == "integer") {
			wrong = "is " + got
		}
	case "anyOf":
		var complaints []string
		for _, one := range want.([]any) {
			c := conforms(one, value, at)
			if c == "" {
				return ""
			}
			complaints = append(complaints, c)
		}
		return strings.Join(complaints, "; ")
	case "enum":
		found := false
		for _, one := range want.([]any) {
			found = found || one == value
		}
		if !found {
			wrong = fmt.Sprint("is ", value)
		}
	case "pattern":
		if isText && !mustMatch(want.(string), text) {
			wrong = "is " + text
		}
	case "minLength", "maxLength":
		if n := float64(len([]rune(text))); isText && (keyword == "minLength" && n < want.(float64) || keyword == "maxLength" && n > want.(float64)) {
			wrong = "is " + text
		}
	case "minimum", "maximum":
		if isNumber && (keyword == "minimum" && number < want.(float64) || keyword == "maximum" && number > want.(float64)) {
			wrong = fmt.Sprint("is ", number)
		}
	case "minItems":
		if value, ok := value.([]any); ok && float64(len(value)) < want.(float64) {
			wrong = "is too short"
		}
	case "items":
		for i, item := range array {
			if c := conforms(want, item, fmt.Sprintf("%s[%d]", at, i)); c != "" {
				return c
			}
		}
	case "properties":
		for name, p := range want.(map[string]any) {
			if v, there := object[name]; there {
				if c := conforms(p, v, at+"."+name); c != "" {
					return c
				}
			}
		}
	case "required":
		for _, name := range want.([]any) {
			if _, there := object[name.(string)]; !there && object != nil {
				wrong = "lacks " + name.(string)
			}
		}
	case "minProperties", "maxProperties":
		if n := float64(len(object)); object != nil && (keyword == "minProperties" && n < want.(float64) || keyword == "maxProperties" && n > want.(float64)) {
			wrong = "has another number of fields"
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		for name, v := range object {
			if _, there := known[name]; there {
				continue
			}
			if want == false {
				return at + ": has " + name
			}
			if c := conforms(want, v, at+"."+name); c != "" {
				return c
			}
		}
	default:
		wrong = "unknown keyword"
	}
	if wrong != "" {
		return at + ": " + keyword + ": " + wrong
	}
	return ""
}
