package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/policy"
)

// TestEveryCodeIsReported keeps the list of codes true: each is reported by
// some policy of testdata or of this test, and none is reported that is not
// listed.
func TestEveryCodeIsReported(t *testing.T) {
	reported := map[string]policy.Severity{
		// These come from files, not from what they say: see files_test.go.
		policy.CodeUnreadable: policy.SeverityError, policy.CodeNoFile: policy.SeverityError,
		policy.CodeTooManyFiles: policy.SeverityError, policy.CodeTooLarge: policy.SeverityError,
		policy.CodeTooMany: policy.SeverityError, policy.CodeNotUTF8: policy.SeverityError,
	}
	for _, kind := range []string{"bad", "warn"} {
		for _, c := range cases(t, kind) {
			_, found := c.files.Load()
			for _, d := range found {
				reported[d.Code] = d.Severity
			}
		}
	}
	listed := map[string]policy.Severity{}
	for _, c := range policy.Codes() {
		listed[c.Name] = c.Severity
		if strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz-8") != "" {
			t.Errorf("%q is not in kebab case", c.Name)
		}
	}
	if diff := cmp.Diff(listed, reported); diff != "" {
		t.Errorf("codes listed and reported differ (-listed +reported):\n%s", diff)
	}
}

func TestDiagnosticsAreSorted(t *testing.T) {
	for _, c := range cases(t, "bad") {
		_, found := c.files.Load()
		if !slices.IsSortedFunc(found, func(a, b policy.Diagnostic) int {
			return comparePos(a.Pos, b.Pos)
		}) {
			t.Errorf("%s: not in the order of files and positions:\n%s", c.name, found)
		}
	}
}

func comparePos(a, b policy.Pos) int {
	switch {
	case a.File == "" || b.File == "":
		return 0 // a line about the directory closes the list
	case a.File != b.File:
		return strings.Compare(a.File, b.File)
	case a.Line != b.Line:
		return a.Line - b.Line
	}
	return a.Col - b.Col
}

func TestDiagnosticsAsJSON(t *testing.T) {
	bad := strings.Replace(minimal, "endpoints:", "endpoints: [], <endpoint>:", 1)
	_, found := policy.Files{"a.yaml": []byte(bad)}.Load()
	got, err := json.MarshalIndent(found[:1], "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "severity": "error",
    "code": "bad-value",
    "file": "a.yaml",
    "line": 7,
    "column": 34,
    "path": "spec.pools[0].endpoints",
    "message": "must not be empty",
    "source": "  pools: [{name: web, endpoints: [], \u003cendpoint\u003e: [{address: \"10.0.0.1:80\"}]}]",
    "caret": "                                 ^"
  }
]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	none, err := json.Marshal(policy.Diagnostics(nil))
	if err != nil || string(none) != "[]" {
		t.Errorf("nothing found is %s, %v; want []", none, err)
	}
	_, found = policy.Files{}.Load()
	got, err = json.Marshal(found)
	if want := `[{"severity":"error","code":"no-policy-file","message":"the directory has no *.yaml or *.yml file: a policy needs one"}]`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// TestCaret puts a mistake behind characters of every width a terminal knows.
func TestCaret(t *testing.T) {
	tests := []struct{ name, before, source, caret string }{
		{"ASCII", `{a: b, `, `{a: b, x: 1}`, `       ^`},
		{"wide", `{"店": b, `, `{"店": b, x: 1}`, `          ^`},
		{"emoji", `{"🛒": b, `, `{"🛒": b, x: 1}`, `          ^`},
		{"combining", "{\"e\u0301\": b, ", "{\"e\u0301\": b, x: 1}", `         ^`},
		{"accented", `{"é": b, `, `{"é": b, x: 1}`, `         ^`},
		{"tab inside", "{a: b,\t", "{a: b,\tx: 1}", "      \t^"},
		{"far right", `{"` + strings.Repeat("a", 200) + `": b, `,
			"…" + strings.Repeat("a", 89) + `": b, x: 1}`, strings.Repeat(" ", 96) + "^"},
		{"far right and wide", `{"` + strings.Repeat("店", 200) + `": b, `,
			"…" + strings.Repeat("店", 89) + `": b, x: 1}`, strings.Repeat(" ", 96+89) + "^"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, found := policy.Files{"a.yaml": []byte(tt.before + "x: 1}\n")}.Load()
			at := slices.IndexFunc(found, func(d policy.Diagnostic) bool { return d.Path == "x" })
			if at < 0 {
				t.Fatalf("x is not reported:\n%s", found)
			}
			if d := found[at]; d.Source != tt.source || d.Caret != tt.caret {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", d.Source, d.Caret, tt.source, tt.caret)
			}
		})
	}
}
