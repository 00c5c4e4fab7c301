package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"go-loadbalancer/lb/schema"
)

// lenient reads a policy whatever is said of it between fields, so that fields that do
// not act yet can be compared as well. complaints are those about a field's own value.
func lenient(t *testing.T, text []byte) (w *Written, complaints []Diagnostic) {
	t.Helper()
	r := &schema.Report{Noun: "policy"}
	p := merge(r, Files{"a.yaml": text}.decode(r))
	for _, d := range r.Diagnostics() {
		if slices.Contains([]string{CodeBadValue, CodeWrongType, CodeUnknownChoice, CodeOutOfRange, CodeUnknownField, CodeTooMany}, d.Code) {
			complaints = append(complaints, d)
		}
	}
	return &Written{p.Policy, p}, complaints
}

// written finds the first node that a row's path leads to, and how to replace it.
func written(n *yaml.Node, path string) (found *yaml.Node, parent *yaml.Node) {
	key, rest, deeper := strings.Cut(path, ".")
	key, list := strings.CutSuffix(key, "[]")
	_, value := schema.Entry(n, key)
	switch {
	case value == nil:
		return nil, nil
	case !deeper:
		return value, n
	case list:
		for _, item := range value.Content {
			if f, p := written(item, rest); f != nil {
				return f, p
			}
		}
		return nil, nil
	}
	return written(value, rest)
}

// remove takes a value out of its mapping, and the mapping out of the list if it was
// all of it, as of a filter.
func remove(parent, value *yaml.Node, root *yaml.Node) {
	at := slices.Index(parent.Content, value)
	parent.Content = slices.Delete(slices.Clone(parent.Content), at-1, at+1)
	if len(parent.Content) > 0 {
		return
	}
	var visit func(n *yaml.Node)
	visit = func(n *yaml.Node) {
		if n.Kind == yaml.SequenceNode {
			n.Content = slices.DeleteFunc(n.Content, func(item *yaml.Node) bool { return item == parent })
		}
		for _, inner := range n.Content {
			visit(inner)
		}
	}
	visit(root)
}

var otherTexts = []string{"other", "/other", "other.example.com", "10.9.9.9:99", "10.9.0.0/16", "X-Other", "OTHER", "7s", "77ms", "https", "23h"}

// others are values for a field, some of which differ from the one it has.
func others(s *schema.Shape) (values []string) {
	if s.Item != nil {
		for _, v := range others(s.Item) {
			values = append(values, "["+v+"]")
		}
		return append(values, "[]")
	}
	for _, e := range s.Schema.Enum {
		values = append(values, fmt.Sprintf("%q", fmt.Sprint(e)), fmt.Sprint(e))
	}
	switch s.Schema.Type {
	case "boolean":
		values = append(values, "true", "false")
	case "integer", "number":
		values = append(values, fmt.Sprint(s.Schema.Minimum), fmt.Sprint(s.Schema.Maximum), "7")
	case "string":
		values = append(values, otherTexts...)
	case "object":
		values = append(values, "{X-Quite-Other: a}")
	}
	return values
}

// TestEveryFieldIsCompared changes every field of the language alone, and each is
// reported by one change at its path: none can be forgotten.
func TestEveryFieldIsCompared(t *testing.T) {
	bases, read, complained := map[schema.Status][]byte{}, map[schema.Status]*Written{}, map[schema.Status]int{}
	for s, file := range map[schema.Status]string{schema.Acts: "acts.good.yaml", schema.Refused: "protection.bad.yaml"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		w, complaints := lenient(t, data)
		bases[s], read[s], complained[s] = data, w, len(complaints)
	}
	tried := 0
	walk("", documentKind().Shape(), schema.Acts, func(path string, r schema.Row, effective schema.Status) {
		if path == "apiVersion" || path == "kind" { // they have one value
			return
		}
		base := bases[effective]
		old := read[effective]
		edit := func(change func(root, value, parent *yaml.Node)) (*Written, bool) {
			var doc yaml.Node
			if err := yaml.Unmarshal(base, &doc); err != nil {
				t.Fatal(err)
			}
			value, parent := written(doc.Content[0], path)
			if value == nil {
				t.Errorf("%s: not written in the base", path)
				return nil, false
			}
			change(doc.Content[0], value, parent)
			text, err := yaml.Marshal(&doc)
			if err != nil {
				t.Fatal(err)
			}
			w, complaints := lenient(t, text)
			return w, len(complaints) <= complained[effective]
		}
		switch {
		case r.Shape.Item != nil && len(r.Shape.Item.Rows) > 0 && r.Shape.Item.Schema.MaxProperties != 1:
			new, _ := edit(func(_, value, _ *yaml.Node) { value.Content = value.Content[:len(value.Content)-1] })
			if new != nil {
				one(t, Diff(old, new), schema.Removed, path+"[]")
				one(t, Diff(new, old), schema.Added, path+"[]")
				tried++
			}
		case len(r.Shape.Rows) > 0 && !r.Required && r.Fallback == nil && isExtra(r):
			new, _ := edit(func(root, value, parent *yaml.Node) { remove(parent, value, root) })
			if new != nil {
				one(t, Diff(old, new), schema.Removed, plainPath(path))
				one(t, Diff(new, old), schema.Added, plainPath(path))
				tried++
			}
		case len(r.Shape.Rows) > 0 || r.Shape.Item != nil && len(r.Shape.Item.Rows) > 0: // a section: its fields are tried
		default:
			for _, v := range others(r.Shape) {
				new, ok := edit(func(_, value, _ *yaml.Node) {
					var doc yaml.Node
					if err := yaml.Unmarshal([]byte(v), &doc); err != nil {
						t.Fatal(err)
					}
					*value = *doc.Content[0]
				})
				if !ok {
					continue
				}
				if len(Diff(old, new)) == 0 {
					continue // the same value
				}
				tried++
				checkOne(t, path, Diff(old, new))
				return
			}
			t.Errorf("%s: no other value was found for it among %q", path, others(r.Shape))
		}
	})
	if tried < 100 {
		t.Errorf("%d fields were tried", tried)
	}
}

// isExtra says whether a mapping that is left out is none, and not its defaults.
func isExtra(r schema.Row) bool {
	return slices.Contains([]string{"tls", "retry", "active", "sessionPersistence", "requestHeaderModifier", "responseHeaderModifier",
		"urlRewrite", "requestRedirect", "requestMirror", "rateLimit"}, r.Name)
}

// plainPath is a row's path as a change has it: filters are fields there.
func plainPath(path string) string { return strings.ReplaceAll(path, "filters[].", "filters.") }

func one(t *testing.T, changes []Change, kind schema.ChangeKind, field string) {
	t.Helper()
	if len(changes) != 1 || changes[0].Kind != kind || changes[0].Path.Field() != field {
		t.Errorf("%s %s: got %s", field, kind, list(changes))
	}
}

// checkOne: what an item is called by cannot change alone, it is another item then; but a
// name can.
func checkOne(t *testing.T, path string, changes []Change) {
	t.Helper()
	item, last := path[:max(strings.LastIndexByte(path, '.'), 0)], path[strings.LastIndexByte(path, '.')+1:]
	free := strings.HasSuffix(path, ".set") || strings.HasSuffix(path, ".add")
	switch {
	case last == "name" && len(changes) == 1 && changes[0].Kind == schema.Renamed && changes[0].Path.Field() == path:
	case free:
		for _, c := range changes {
			if !strings.HasPrefix(c.Path.Field(), plainPath(path)+".") {
				t.Errorf("%s: got %s", path, list(changes))
			}
		}
	case (last == "pool" || last == "address") && strings.HasSuffix(item, "[]") && !strings.Contains(item, "listeners") && !strings.HasSuffix(item, "filters[].requestMirror"):
		if len(changes) != 2 || changes[0].Kind != schema.Added || changes[1].Kind != schema.Removed || changes[0].Path.Field() != item || changes[1].Path.Field() != item {
			t.Errorf("%s: got %s", path, list(changes))
		}
	default:
		one(t, changes, schema.Changed, plainPath(path))
		if c := changes[0]; c.OldPos.Line == 0 || c.NewPos.Line == 0 || !c.OldWritten || !c.NewWritten {
			t.Errorf("%s: its places are not known: %+v", path, c)
		}
	}
}

func list(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "\n\t%s %s: %s → %s (%v, %v)", c.Kind, c.Path, schema.Flow(c.Old), schema.Flow(c.New), c.OldPos, c.NewPos)
	}
	return b.String()
}

// TestNoDifference compares every policy there is with itself, and with itself written
// another way.
func TestNoDifference(t *testing.T) {
	var paths []string
	for _, glob := range []string{"testdata/*.good.yaml", "testdata/*.warn.yaml", "../../policies/*/*.yaml", "../../scenarios/policies/*/*/*.yaml"} {
		found, err := filepath.Glob(glob)
		if err != nil || len(found) == 0 {
			t.Fatal(glob, err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		w, found := (Files{"a.yaml": data}).Read()
		if w == nil {
			t.Fatalf("%s: %s", path, found)
		}
		var any map[string]any
		if err := yaml.Unmarshal(data, &any); err != nil {
			t.Fatal(err)
		}
		text, err := yaml.Marshal(any) // sorted by name, in blocks
		if err != nil {
			t.Fatal(err)
		}
		again, found := (Files{"b.yaml": text}).Read()
		if again == nil {
			t.Fatalf("%s: %s", path, found)
		}
		for _, to := range []*Written{w, again} {
			if changes := Diff(w, to); len(changes) > 0 {
				t.Errorf("%s: %s", path, list(changes))
			}
		}
	}
}
