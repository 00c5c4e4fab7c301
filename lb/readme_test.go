package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/command"
)

// The policies in these documents are valid, with nothing to be warned of, when
// their readers do with them what the README has newcomers do.
func TestDocumentedPolicies(t *testing.T) {
	for _, name := range []string{"README.md", "docs/health.md", "docs/failing-endpoints.md", "docs/sessions.md"} {
		t.Run(name, func(t *testing.T) { validatePolicies(t, "../"+name) })
	}
}

// The policies that newcomers are sent to are valid, with nothing to be warned of.
func TestShippedPolicies(t *testing.T) {
	files, err := filepath.Glob("../policies/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	dirs := []string{"../policies"}
	for _, file := range files {
		dirs = append(dirs, filepath.Dir(file))
	}
	for _, dir := range slices.Compact(dirs) {
		t.Run(dir, func(t *testing.T) { validate(t, dir) })
	}
}

func validate(t *testing.T, dir string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := command.Run([]string{"validate", dir}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "0 errors, 0 warnings") {
		t.Errorf("exit status %d: %s%s", code, &stdout, &stderr)
	}
}

func validatePolicies(t *testing.T, name string) {
	readme, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("there is no YAML in it")
	}
	for _, block := range blocks {
		dir := filepath.Join(t.TempDir(), "my")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), block[1], 0o600); err != nil {
			t.Fatal(err)
		}
		validate(t, dir)
	}
}
