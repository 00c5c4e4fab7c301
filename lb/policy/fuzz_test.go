package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go-loadbalancer/lb/schema/schematest"
)

// FuzzLoad: whatever the bytes, Load ends without a panic, says the same twice,
// points into the file, prints nothing that drives a terminal, and accepts
// nothing that the JSON Schema refuses.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil {
			f.Add(data)
		}
	}
	f.Add([]byte("a: \"\\x1b[31m\"\n"))
	f.Add([]byte("? |\n a\n: b\n"))
	schema := decodedSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		files := Files{"a.yaml": data}
		p, found := files.Load()
		q, again := files.Load()
		if !reflect.DeepEqual(found, again) || (p == nil) != (q == nil) {
			t.Fatalf("two loads differ:\n%s\n%s", found, again)
		}
		if (p == nil) != found.HasErrors() {
			t.Fatalf("policy %v with findings\n%s", p != nil, found)
		}
		lines := strings.Split(strings.TrimPrefix(string(data), "\uFEFF"), "\n")
		for _, d := range found {
			if d.Pos.File == "" {
				continue
			}
			if d.Pos.Line < 1 || d.Pos.Line > len(lines) || d.Pos.Col < 1 || d.Pos.Col > utf8.RuneCountInString(lines[d.Pos.Line-1])+1 {
				t.Errorf("%v is not in the file: %s", d.Pos, d)
			}
			if strings.ContainsFunc(d.Message+d.Path+d.Source, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
				t.Errorf("a control character in %q", d)
			}
		}
		if p != nil {
			if complaint, err := schematest.ConformsAll(schema, data); complaint != "" || err != nil {
				t.Errorf("Load accepts it, the JSON Schema does not: %s, %v", complaint, err)
			}
		}
	})
}
