package scenario_test

import (
	"encoding/json"
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/schema"
	"go-loadbalancer/lb/schema/schematest"
	"go-loadbalancer/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden files: read each difference before you commit it")

// files returns the scenarios of testdata whose names end in .KIND.yaml.
func files(t testing.TB, kind string) []string {
	t.Helper()
	found, err := filepath.Glob("testdata/scenarios/*." + kind + ".yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("testdata has no %s scenarios, %v", kind, err)
	}
	return found
}

func read(name string) ([]*scenario.Scenario, scenario.Diagnostics) {
	return scenario.Read(os.DirFS("testdata"), path.Join("scenarios", filepath.Base(name)))
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if that is meant, run with -update:\n%s", path, diff)
	}
}

func TestGoodScenarios(t *testing.T) {
	for _, name := range files(t, "good") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if scenarios, found := read(name); len(found) > 0 || len(scenarios) == 0 {
				t.Errorf("%d scenarios, with unexpected findings:\n%s", len(scenarios), found)
			}
		})
	}
}

func TestBadScenarios(t *testing.T) {
	for _, name := range files(t, "bad") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			_, found := read(name)
			if !found.HasErrors() {
				t.Error("want errors")
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".txt", found.String())
		})
	}
}

// TestEveryCodeIsReported keeps the list of codes true: each is reported by some test
// data, and none is reported that is not listed.
func TestEveryCodeIsReported(t *testing.T) {
	reported := map[string]schema.Severity{
		// These come from directories: see read_test.go.
		scenario.CodeNoFile: schema.SeverityError, scenario.CodeTooManyFiles: schema.SeverityError,
	}
	var all scenario.Diagnostics
	for _, name := range files(t, "bad") {
		_, found := read(name)
		all = append(all, found...)
	}
	_, found := against(t)
	for _, d := range append(all, found...) {
		if reported[d.Code] != schema.SeverityError { // some are softened to warnings
			reported[d.Code] = d.Severity
		}
	}
	listed := map[string]schema.Severity{}
	for _, c := range scenario.Codes() {
		listed[c.Name] = c.Severity
	}
	if diff := cmp.Diff(listed, reported); diff != "" {
		t.Errorf("codes listed and reported differ (-listed +reported):\n%s", diff)
	}
}

// TestJSONSchemaAgrees holds the JSON Schema against Read: what Read accepts conforms,
// and what Read refuses for its form does not.
func TestJSONSchemaAgrees(t *testing.T) {
	table := decodedSchema(t)
	for _, name := range files(t, "good") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if complaint, err := schematest.ConformsAll(table, text); complaint != "" || err != nil {
			t.Errorf("%s: Read accepts it, the JSON Schema does not: %s, %v", name, complaint, err)
		}
	}
	for _, name := range []string{"fields.bad.yaml", "yaml.bad.yaml"} {
		text, err := os.ReadFile("testdata/scenarios/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if complaint, err := schematest.ConformsAll(table, text); complaint == "" && err == nil {
			t.Errorf("%s: the JSON Schema accepts it, Read does not", name)
		}
	}
}

func decodedSchema(t testing.TB) any {
	t.Helper()
	var table any
	if err := json.Unmarshal(scenario.JSONSchema(), &table); err != nil {
		t.Fatal(err)
	}
	return table
}
