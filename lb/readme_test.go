package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The policy that the README has newcomers write is valid, with nothing to be
// warned of, when they do what it says next.
func TestReadmePolicy(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("there is no YAML in the README")
	}
	for _, block := range blocks {
		dir := filepath.Join(t.TempDir(), "my")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), block[1], 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code := run([]string{"validate", dir}, streams{&stdout, &stderr})
		if code != 0 || !strings.Contains(stdout.String(), "0 errors, 0 warnings") {
			t.Errorf("exit status %d: %s%s", code, &stdout, &stderr)
		}
	}
}
