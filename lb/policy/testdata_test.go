package policy_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files: read each difference before you commit it")

// testCase is one policy of testdata: a file, or a directory of files.
type testCase struct {
	name  string
	files policy.Files
}

// cases returns the policies whose names end in .KIND.yaml, or .KIND for a
// directory.
func cases(t *testing.T, kind string) []testCase {
	t.Helper()
	var found []testCase
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join("testdata", entry.Name())
		switch {
		case entry.IsDir() && strings.HasSuffix(entry.Name(), "."+kind):
			files, err := policy.ReadFiles(os.DirFS(path))
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, testCase{entry.Name(), files})
		case !entry.IsDir() && strings.HasSuffix(entry.Name(), "."+kind+".yaml"):
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, testCase{strings.TrimSuffix(entry.Name(), ".yaml"), policy.Files{entry.Name(): data}})
		}
	}
	if len(found) == 0 {
		t.Fatalf("testdata has no %s policies", kind)
	}
	return found
}

// golden compares got with a file, or writes the file with -update.
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

func TestGoodPolicies(t *testing.T) {
	for _, c := range cases(t, "good") {
		t.Run(c.name, func(t *testing.T) {
			p, found := c.files.Load()
			if len(found) > 0 {
				t.Errorf("unexpected findings:\n%s", found)
			}
			if p == nil {
				t.Fatal("no policy")
			}
			if p.Hash != c.files.Hash() {
				t.Errorf("the policy says its hash is %s, the files say %s", p.Hash, c.files.Hash())
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range cases(t, "warn") {
		t.Run(c.name, func(t *testing.T) {
			p, found := c.files.Load()
			if p == nil || len(found) == 0 || found.HasErrors() {
				t.Errorf("want a policy and warnings only, got policy: %v", p != nil)
			}
			golden(t, filepath.Join("testdata", c.name+".txt"), found.String())
		})
	}
}

func TestBadPolicies(t *testing.T) {
	for _, c := range cases(t, "bad") {
		t.Run(c.name, func(t *testing.T) {
			p, found := c.files.Load()
			if p != nil || !found.HasErrors() {
				t.Errorf("want errors and no policy, got policy: %v", p != nil)
			}
			golden(t, filepath.Join("testdata", c.name+".txt"), found.String())
		})
	}
}
