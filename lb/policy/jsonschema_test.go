package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go-loadbalancer/lb/schema/schematest"
)

// Both documents are made from the table; -update writes them anew.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	current(t, "../../docs/policy.md", b.Bytes())
	current(t, "../../docs/policy.schema.json", JSONSchema())
}

func current(t *testing.T, path string, want []byte) {
	t.Helper()
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
		t.Errorf("%s is not what the schema table says: run go test ./lb/policy -run TestReference -update", path)
	}
}

// TestReferenceExample loads the policy that docs/policy.md begins with.
func TestReferenceExample(t *testing.T) {
	_, example, _ := strings.Cut(referenceHead, "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("docs/policy.md has no example")
	}
	if p, found := (Files{"a.yaml": []byte(example)}).Load(); p == nil || len(found) > 0 {
		t.Errorf("the example does not load cleanly:\n%s", found)
	}
}

// TestJSONSchemaAgrees holds the JSON Schema against Load: what Load accepts
// conforms, and what Load refuses for its form does not.
func TestJSONSchemaAgrees(t *testing.T) {
	schema := decodedSchema(t)
	formal := map[string]bool{CodeUnknownField: true, CodeMissing: true, CodeWrongType: true, CodeUnknownChoice: true}
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) < 20 {
		t.Fatalf("found %d policies, %v", len(paths), err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // a directory
		}
		p, found := Files{filepath.Base(path): data}.Load()
		complaint, err := schematest.ConformsAll(schema, data)
		if p != nil && (complaint != "" || err != nil) {
			t.Errorf("%s: Load accepts it, the JSON Schema does not: %s, %v", path, complaint, err)
		}
		for _, d := range found {
			// A document that is one of several, or a field another one asks for, is
			// beyond a schema.
			if formal[d.Code] && err == nil && complaint == "" && !strings.Contains(d.Message, "required with") &&
				!strings.Contains(d.Message, "required in") && !strings.Contains(d.Message, "required, except") &&
				!strings.Contains(d.Message, "changes nothing") && !strings.Contains(d.Message, "no document") {
				t.Errorf("%s: the JSON Schema accepts it, Load does not:\n%s", path, d)
			}
		}
	}
}

// TestShippedPolicies loads what the repository ships, and holds it against the
// JSON Schema.
func TestShippedPolicies(t *testing.T) {
	schema := decodedSchema(t)
	root := "../../policies"
	dirs := 0
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		files, err := ReadFiles(os.DirFS(path))
		if err != nil || len(files) == 0 {
			return err
		}
		dirs++
		if p, found := files.Load(); p == nil || len(found) > 0 {
			t.Errorf("%s does not load cleanly:\n%s", path, found)
		}
		for name, data := range files {
			if complaint, err := schematest.ConformsAll(schema, data); complaint != "" || err != nil {
				t.Errorf("%s: %s does not conform: %s, %v", path, name, complaint, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if dirs == 0 {
		t.Errorf("%s holds no policy", root)
	}
}

func decodedSchema(t testing.TB) any {
	t.Helper()
	var schema any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}
