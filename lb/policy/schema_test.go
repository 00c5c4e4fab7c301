package policy

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"go-loadbalancer/lb/schema"
	"go-loadbalancer/lb/schema/schematest"
)

// walk calls visit with every row of the table and its path, such as
// spec.routes[].filters[].rateLimit.
func walk(path string, s *schema.Shape, outer schema.Status, visit func(path string, r schema.Row, effective schema.Status)) {
	for _, r := range s.Rows {
		at, inner := strings.TrimPrefix(path+"."+r.Name, "."), r.Shape
		effective := max(outer, r.Status)
		visit(at, r, effective)
		if inner.Item != nil {
			at, inner = at+"[]", inner.Item
		}
		walk(at, inner, effective, visit)
	}
}

// TestTableIsWellFormed checks what a row promises to its readers.
func TestTableIsWellFormed(t *testing.T) {
	if n := len(documentKind().Fields); n == 0 {
		t.Fatal("the table is empty")
	}
	perObject := map[string]int{}
	seen := map[string]bool{}
	walk("", documentKind().Shape(), schema.Acts, func(path string, r schema.Row, _ schema.Status) {
		if seen[path] {
			t.Errorf("%s: two rows", path)
		}
		seen[path] = true
		parent := path[:max(strings.LastIndexByte(path, '.'), 0)]
		if perObject[parent]++; perObject[parent] > 32 {
			t.Errorf("%s: more fields than object.read keeps book of", parent)
		}
		if !strings.HasSuffix(r.Doc, ".") || len(r.Doc) < 10 {
			t.Errorf("%s: documented as %q, want a sentence", path, r.Doc)
		}
		if r.Shape.Text == "" {
			t.Errorf("%s: no type", path)
		}
		if r.Required && r.Fallback != nil {
			t.Errorf("%s: required, with a default", path)
		}
	})
}

// TestEveryFieldIsTried finds every row of the table written in testdata: in
// acts.good.yaml if it acts, in protection.bad.yaml if not.
func TestEveryFieldIsTried(t *testing.T) {
	written := map[schema.Status]map[string]bool{schema.Acts: {}, schema.Refused: {}}
	for s, file := range map[schema.Status]string{schema.Acts: "acts.good.yaml", schema.Refused: "protection.bad.yaml"} {
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
	walk("", documentKind().Shape(), schema.Acts, func(path string, _ schema.Row, effective schema.Status) {
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
	for s, want := range map[schema.Status]string{schema.Acts: "", schema.Refused: "error refused-until-it-acts"} {
		k := &schema.Object[Endpoint]{Fields: []schema.Field[Endpoint]{
			schema.Optional("weight", s, schema.Integer(0, 9), 1, func(e *Endpoint) *int { return &e.Weight }, "A weight."),
		}}
		r := &schema.Report{}
		f, docs := r.Parse("a.yaml", []byte("weight: 3\n"))
		var e Endpoint
		k.Read(&schema.Decoder{Report: r, File: f}, docs[0], &e)
		got := ""
		for _, d := range r.Diagnostics() {
			got += string(d.Severity) + " " + d.Code
		}
		if got != want || e.Weight != 3 {
			t.Errorf("%s: got %q and weight %d, want %q and 3", s, got, e.Weight, want)
		}
	}
}

// TestChecksOfPatterns holds the JSON Schema's patterns against the checks that
// decide: an editor must not refuse what Load accepts.
func TestChecksOfPatterns(t *testing.T) {
	texts := []string{"a", "A-1", "a.b", "10.0.0.1:80", "[::1]:80", ":80", "localhost:80", "10.0.0.0/8", "::/0", "GET", "M-SEARCH",
		"X-Env", "lb_session", "/", "/a/b", "/%41", "*.example.com", "example.com", "a_b.c", "1.2.3.4", "5s", "1h30m", "1.5s", "250ms", "3us", "3µs", ".5s", "1.s", "0s"}
	kinds := map[string]schema.Kind[string]{"name": schema.Name(), "listen": listenAddress(), "endpoint": endpointAddress(), "method": schema.Method(),
		"field": changedField(), "matched": matchedField(), "cookie": cookieName(), "cookie path": cookiePath(), "session": sessionField(), "hostname": hostname(), "host": schema.PlainHostname(), "path": path(), "free": schema.FreeText(5)}
	for what, k := range kinds {
		for _, text := range texts {
			comparePattern(t, what, k, text)
		}
	}
	for _, text := range texts {
		comparePattern(t, "prefix", prefix(), text)
		comparePattern(t, "duration", schema.Duration(0, 1<<62), text)
	}
}

func comparePattern[V any](t *testing.T, what string, k schema.Kind[V], text string) {
	t.Helper()
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
	r := &schema.Report{}
	var v V
	k.Read(&schema.Decoder{Report: r, File: schema.NewFile("a", nil)}, n, &v)
	raw, err := json.Marshal(k.Shape().Schema)
	if err != nil {
		t.Fatal(err)
	}
	var s any
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if complaint := schematest.Conforms(s, text); r.Errors == 0 && complaint != "" {
		t.Errorf("%s: Load accepts %q, the JSON Schema does not: %s", what, text, complaint)
	}
}
