package scenario_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"go-loadbalancer/lb/schema/schematest"
	"go-loadbalancer/sim/scenario"
)

// FuzzRead: whatever the bytes, Read ends without a panic, says the same twice, points
// into the file, prints nothing that drives a terminal, and accepts nothing that the JSON
// Schema refuses. What it accepts can be held against a policy, its expressions are
// inside the file, and its mutations end.
func FuzzRead(f *testing.F) {
	for _, kind := range []string{"good", "bad"} {
		for _, name := range files(f, kind) {
			if text, err := os.ReadFile(name); err == nil && len(text) < 8<<10 {
				f.Add(text)
			}
		}
	}
	base, err := os.ReadFile("testdata/use/base.yaml")
	if err != nil {
		f.Fatal(err)
	}
	rules, err := os.ReadFile("testdata/policies/shop.yaml")
	if err != nil {
		f.Fatal(err)
	}
	table, p := decodedSchema(f), shop(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		fsys := fstest.MapFS{"scenarios/a.yaml": {Data: text}, "use/base.yaml": {Data: base}, "policies/shop.yaml": {Data: rules}}
		scenarios, found := scenario.Read(fsys, "scenarios/a.yaml")
		_, again := scenario.Read(fsys, "scenarios/a.yaml")
		if !reflect.DeepEqual(found, again) {
			t.Fatalf("two readings differ:\n%s\n%s", found, again)
		}
		if len(scenarios) == 0 && !found.HasErrors() {
			t.Fatalf("%d scenarios with findings\n%s", len(scenarios), found)
		}
		whole := !found.HasErrors()
		lines := strings.Split(strings.TrimPrefix(string(text), "\uFEFF"), "\n")
		inside := func(at scenario.Pos) bool {
			return at.File != "scenarios/a.yaml" || at.Line >= 1 && at.Line <= len(lines) && at.Col >= 1 && at.Col <= utf8.RuneCountInString(lines[at.Line-1])+1
		}
		for _, s := range scenarios {
			found = append(found, scenario.Check(s, p)...)
			for i := range s.Expect {
				e := &s.Expect[i]
				for offset := range utf8.RuneCountInString(e.That) + 1 {
					if at := s.Where(e, offset); !inside(at) {
						t.Errorf("%v of %q is not in the file", at, e.That)
					}
				}
			}
			for _, m := range s.Mutations {
				_, _ = scenario.Mutate(map[string][]byte{"shop.yaml": rules}, m)
			}
		}
		for _, d := range found {
			if d.Pos.File != "" && !inside(d.Pos) {
				t.Errorf("%v is not in the file: %s", d.Pos, d)
			}
			if strings.ContainsFunc(d.Message+d.Path+d.Source, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
				t.Errorf("a control character in %q", d)
			}
		}
		if whole {
			if complaint, err := schematest.ConformsAll(table, text); complaint != "" || err != nil {
				t.Errorf("Read accepts it, the JSON Schema does not: %s, %v", complaint, err)
			}
		}
	})
}
