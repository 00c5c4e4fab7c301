package scenario

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

// The JSON Schema is made from the tables; -update writes it anew. docs/scenarios.md is
// package expect's to hold against them.
func TestJSONSchema(t *testing.T) {
	const path = "../../docs/scenario.schema.json"
	want := JSONSchema()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the tables say: run go test ./sim/scenario -run TestJSONSchema -update", path)
	}
}

// TestReferenceExample reads the scenario that docs/scenarios.md begins with, and holds
// it against its policy.
func TestReferenceExample(t *testing.T) {
	_, example, _ := strings.Cut(referenceHead, "```yaml\n")
	example, _, ended := strings.Cut(example, "```")
	if !ended {
		t.Fatal("docs/scenarios.md has no example")
	}
	scenarios, found := Read(fstest.MapFS{"a.yaml": {Data: []byte(example)}}, "a.yaml")
	if len(scenarios) != 1 {
		t.Fatal(found)
	}
	s := scenarios[0]
	files, err := s.Policy.Files(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, found := files.Load()
	if p == nil {
		t.Fatal(found)
	}
	if found := Check(s, p); len(found) > 0 {
		t.Error(found)
	}
	for _, m := range s.Mutations {
		mutated, err := Mutate(files, m)
		if err != nil {
			t.Fatal(err)
		}
		if p, found := policy.Files(mutated).Load(); p == nil {
			t.Errorf("mutation %s: %s", m.Name, found)
		}
	}
}

// rows calls visit with every row of the table and its path.
func rows(path string, s *schema.Shape, visit func(path string, r schema.Row)) {
	for _, r := range s.Rows {
		at, inner := strings.TrimPrefix(path+"."+r.Name, "."), r.Shape
		visit(at, r)
		for inner.Item != nil || inner.Values != nil {
			at += "[]"
			if inner.Item != nil {
				inner = inner.Item
			} else {
				inner = inner.Values
			}
		}
		rows(at, inner, visit)
	}
}

// TestTableIsWellFormed checks what a row promises to its readers, and that
// all.good.yaml or the scenario that builds on another tries it.
func TestTableIsWellFormed(t *testing.T) {
	tried := map[string]bool{}
	for _, name := range []string{"all", "use"} {
		text, err := os.ReadFile("testdata/scenarios/" + name + ".good.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		collect(doc.Content[0], "", tried)
	}
	perObject := map[string]int{}
	rows("", documentKind(false).Shape(), func(path string, r schema.Row) {
		parent := path[:max(strings.LastIndexByte(path, '.'), 0)]
		if perObject[parent]++; perObject[parent] > 32 {
			t.Errorf("%s: more fields than an object keeps book of", parent)
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
		if !tried[path] {
			t.Errorf("%s is not tried by testdata", path)
		}
	})
}

func collect(n *yaml.Node, path string, into map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			at := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			if path == "spec.topology.pools" {
				at = path + "[]"
			}
			into[at] = true
			collect(n.Content[i+1], at, into)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			collect(item, path+"[]", into)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for _, text := range []string{"cart/1", "cart/*", "a.b-c_d/100000", "redis", "lb", "lb/3", "policy"} {
		target, err := ParseTarget(text)
		if err != nil || target.String() != text {
			t.Errorf("%s is read as %s, %v", text, target, err)
		}
	}
	for _, text := range []string{"", "/", "cart", "cart/", "/1", "cart/0", "cart/-1", "cart/01", "cart/+1", "cart/1/2", "lb/*", "lb/0", "cart/100001", "redis/x", "a b/1", "-/*"} {
		if target, err := ParseTarget(text); err == nil {
			t.Errorf("%q is read as %s", text, target)
		}
	}
}
