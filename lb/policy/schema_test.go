package policy

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// walk calls visit with every row of the table and its path, such as
// spec.routes[].filters[].rateLimit.
func walk(path string, s *shape, outer status, visit func(path string, r row, effective status)) {
	for _, r := range s.rows {
		at, inner := strings.TrimPrefix(path+"."+r.name, "."), r.shape
		effective := max(outer, r.status)
		visit(at, r, effective)
		if inner.item != nil {
			at, inner = at+"[]", inner.item
		}
		walk(at, inner, effective, visit)
	}
}

// TestTableIsWellFormed checks what a row promises to its readers.
func TestTableIsWellFormed(t *testing.T) {
	if n := len(documentKind().fields); n == 0 {
		t.Fatal("the table is empty")
	}
	perObject := map[string]int{}
	seen := map[string]bool{}
	walk("", documentKind().shape(), acts, func(path string, r row, _ status) {
		if seen[path] {
			t.Errorf("%s: two rows", path)
		}
		seen[path] = true
		parent := path[:max(strings.LastIndexByte(path, '.'), 0)]
		if perObject[parent]++; perObject[parent] > 32 {
			t.Errorf("%s: more fields than object.read keeps book of", parent)
		}
		if !strings.HasSuffix(r.doc, ".") || len(r.doc) < 10 {
			t.Errorf("%s: documented as %q, want a sentence", path, r.doc)
		}
		if r.shape.text == "" {
			t.Errorf("%s: no type", path)
		}
		if r.required && r.fallback != nil {
			t.Errorf("%s: required, with a default", path)
		}
	})
}

// TestEveryFieldIsTried finds every row of the table written in testdata: in
// acts.good.yaml if it acts, in protection.bad.yaml if not.
func TestEveryFieldIsTried(t *testing.T) {
	written := map[status]map[string]bool{acts: {}, refused: {}}
	for s, file := range map[status]string{acts: "acts.good.yaml", refused: "protection.bad.yaml"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		collect(doc.Content[0], "", written[s])
	}
	walk("", documentKind().shape(), acts, func(path string, _ row, effective status) {
		if !written[effective][path] {
			t.Errorf("%s %s, and the file for such fields does not try it", path, effective)
		}
	})
}

func collect(n *yaml.Node, path string, into map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			at := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			into[at] = true
			collect(n.Content[i+1], at, into)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			collect(item, path+"[]", into)
		}
	}
}

// TestStatusDecidesTheAnswer flips a field's status and nothing else.
func TestStatusDecidesTheAnswer(t *testing.T) {
	for s, want := range map[status]string{acts: "", refused: "error refused-until-it-acts"} {
		k := &object[Endpoint]{fields: []field[Endpoint]{
			optional("weight", s, integer(0, 9), 1, func(e *Endpoint) *int { return &e.Weight }, "A weight."),
		}}
		r := &report{}
		f, docs := r.parse("a.yaml", []byte("weight: 3\n"))
		var e Endpoint
		k.read(&decoder{report: r, file: f}, docs[0], &e)
		got := ""
		for _, d := range r.diagnostics() {
			got += string(d.Severity) + " " + d.Code
		}
		if got != want || e.Weight != 3 {
			t.Errorf("%s: got %q and weight %d, want %q and 3", s, got, e.Weight, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"cart", "cart", 0}, {"crat", "cart", 1}, {"endpoint", "endpoints", 1},
		{"kitten", "sitting", 3}, {"adress", "address", 1}, {"abcdef", "ghijkl", 5},
	} {
		if got := editDistance(tt.a, tt.b, 5); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := editDistance(tt.b, tt.a, 5); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

// TestChecksOfPatterns holds the JSON Schema's patterns against the checks that
// decide: an editor must not refuse what Load accepts.
func TestChecksOfPatterns(t *testing.T) {
	texts := []string{"a", "A-1", "a.b", "10.0.0.1:80", "[::1]:80", ":80", "localhost:80", "10.0.0.0/8", "::/0", "GET", "M-SEARCH",
		"X-Env", "lb_session", "/", "/a/b", "/%41", "*.example.com", "example.com", "a_b.c", "1.2.3.4", "5s", "1h30m", "1.5s", "250ms", "3us", "3µs", ".5s", "1.s", "0s"}
	kinds := map[string]kind[string]{"name": name(), "listen": listenAddress(), "endpoint": endpointAddress(), "method": method(),
		"field": changedField(), "matched": matchedField(), "cookie": cookieName(), "cookie path": cookiePath(), "session": sessionField(), "hostname": hostname(), "host": plainHostname(), "path": path(), "free": freeText(5)}
	for what, k := range kinds {
		for _, text := range texts {
			comparePattern(t, what, k, text)
		}
	}
	for _, text := range texts {
		comparePattern(t, "prefix", prefix(), text)
		comparePattern(t, "duration", duration(0, 1<<62), text)
	}
}

func comparePattern[V any](t *testing.T, what string, k kind[V], text string) {
	t.Helper()
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
	r := &report{}
	var v V
	k.read(&decoder{report: r, file: newFile("a", nil)}, n, &v)
	raw, err := encodeJSON(k.shape().schema)
	if err != nil {
		t.Fatal(err)
	}
	var s any
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if complaint := conforms(s, text, "$"); r.errors == 0 && complaint != "" {
		t.Errorf("%s: Load accepts %q, the JSON Schema does not: %s", what, text, complaint)
	}
}

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
