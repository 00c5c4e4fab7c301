package report

import (
	"os"
	"regexp"
	"testing"
)

// TestFlagWords: each remark that docs/telemetry.md explains has words here, and no other.
func TestFlagWords(t *testing.T) {
	doc, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]{2,3})` \\|").FindAllSubmatch(doc, -1) {
		documented[string(m[1])] = true
		if flagWords[string(m[1])] == "" {
			t.Errorf("%s has no words", m[1])
		}
	}
	for f := range flagWords {
		if !documented[f] {
			t.Errorf("%s is not in docs/telemetry.md", f)
		}
	}
	if got, want := flags("UF,RT,XX"), "UF (no connection), RT (tried more than once), XX"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
