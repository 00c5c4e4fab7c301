package admin_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
)

var update = flag.Bool("update", false, "write docs/health.schema.json anew")

const healthSchemaFile = "../../docs/health.schema.json"

// docs/health.schema.json is made of the types that the document is made of, and of
// their comments; -update writes it anew.
func TestHealthSchema(t *testing.T) {
	want := healthSchema(t)
	if *update {
		if err := os.WriteFile(healthSchemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(healthSchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say: run go test ./lb/admin -run TestHealthSchema -update", healthSchemaFile)
	}
}

// So is the document of a balancer that has not started, which has nothing in it.
func TestHealthSchemaBeforeTheStart(t *testing.T) {
	c := serve(t, &fake{status: balancer.New(balancer.Options{}).Status()}, nil)
	document := c.do("GET", "/metrics", "Accept: application/json").body
	if err := conforms(t, document); err != nil || !strings.Contains(document, `"status": "not ready"`) {
		t.Errorf("%v\n%s", err, document)
	}
}

// The schema refuses what the document never is.
func TestHealthSchemaRefuses(t *testing.T) {
	c := serve(t, &fake{status: shop(), ready: true}, nil)
	good := c.do("GET", "/metrics", "Accept: application/json").body
	if err := conforms(t, good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"no status":        func(d map[string]any) { delete(d, "status") },
		"another status":   func(d map[string]any) { d["status"] = "fine" },
		"null for a list":  func(d map[string]any) { d["pools"] = nil },
		"null for a text":  func(d map[string]any) { d["policy"].(map[string]any)["hash"] = nil },
		"a time in words":  func(d map[string]any) { d["time"] = "yesterday" },
		"a count in words": func(d map[string]any) { d["totals"].(map[string]any)["requestsInFlight"] = "many" },
		"another store":    func(d map[string]any) { d["sessions"].(map[string]any)["store"] = "disk" },
		"a state of a breaker that is none": func(d map[string]any) {
			d["pools"].([]any)[0].(map[string]any)["endpoints"].([]any)[0].(map[string]any)["breaker"].(map[string]any)["state"] = "ajar"
		},
	} {
		var document map[string]any
		if err := json.Unmarshal([]byte(good), &document); err != nil {
			t.Fatal(err)
		}
		change(document)
		bad, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if conforms(t, string(bad)) == nil {
			t.Errorf("%s is allowed", name)
		}
	}
}

// conforms says what the schema has against a document.
func conforms(t *testing.T, document string) error {
	t.Helper()
	text, err := os.ReadFile(healthSchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(value)
}

func healthSchema(t *testing.T) []byte {
	instant := &jsonschema.Schema{Type: "string", Format: "date-time", Pattern: `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`}
	schema, err := jsonschema.For[admin.Health](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time]():       instant,
		reflect.TypeFor[admin.Condition](): {Type: "string", Enum: []any{admin.OK, admin.Degraded, admin.NotReady}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	readComments(t).describe(t, reflect.TypeFor[admin.Health](), "", schema)
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "The health document of lb"
	schema.Description = "The answer to GET /metrics with Accept: application/json. Members may be added in later releases."
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// comments are those of fields, as Type.Field, or Type.Field.Field inside a type without
// a name.
type comments map[string]string

// readComments reads those of the packages that the document is made of.
func readComments(t *testing.T) comments {
	t.Helper()
	out := comments{}
	for _, dir := range []string{".", "../balancer", "../telemetry"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(parsed.Name.Name, "_test") {
				continue
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok {
					out.read(spec.Name.Name, spec.Type)
				}
				return true
			})
		}
	}
	return out
}

func (c comments) read(within string, of ast.Expr) {
	structure, ok := of.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range structure.Fields.List {
		for _, name := range f.Names {
			at := within + "." + name.Name
			text := f.Doc.Text() + f.Comment.Text()
			c[at] = strings.Join(strings.Fields(text), " ")
			c.read(at, f.Type)
		}
	}
}

// choice is how a comment begins that says which texts there are.
var choice = regexp.MustCompile(`^[a-z-]+( \| [a-z-]+)+`)

// describe adds to a schema what the types alone do not say: the comments, which texts
// there are, and that lists and mappings are there though they be empty.
func (c comments) describe(t *testing.T, of reflect.Type, within string, s *jsonschema.Schema) {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer:
		c.describe(t, of.Elem(), within, s)
	case reflect.Slice:
		s.Type, s.Types = "array", nil
		c.describe(t, of.Elem(), within, s.Items)
	case reflect.Map:
		s.Type, s.Types = "object", nil
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			return
		}
		s.AdditionalProperties = nil // which later releases may have
		if of.Name() != "" {
			within = of.Name()
		}
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := s.Properties[name]
			if p == nil {
				t.Fatalf("%s.%s is in no schema", within, f.Name)
			}
			p.Description = c[within+"."+f.Name]
			for _, text := range strings.Split(choice.FindString(p.Description), " | ") {
				if text != "" {
					p.Enum = append(p.Enum, text)
				}
			}
			c.describe(t, f.Type, within+"."+f.Name, p)
		}
	}
}
