package policy_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go-loadbalancer/lb/policy"
)

const minimal = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: ":8000"}]
  routes: [{name: all, backendRefs: [{pool: web}]}]
  pools: [{name: web, endpoints: [{address: "10.0.0.1:80"}]}]
`

// TestFileSets covers what is wrong with files rather than with what they say.
func TestFileSets(t *testing.T) {
	padded := func(size int) []byte {
		return append([]byte(minimal), bytes.Repeat([]byte("#\n"), (size-len(minimal))/2+1)[:size-len(minimal)]...)
	}
	several := func(n, size int) policy.Files {
		files := policy.Files{"a.yaml": []byte(minimal)}
		for i := 1; i < n; i++ {
			doc := "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: shop}\nspec: {}\n"
			files[fmt.Sprintf("b%03d.yml", i)] = append([]byte(doc), bytes.Repeat([]byte("#\n"), max(size-len(doc), 0)/2)...)
		}
		return files
	}
	tests := []struct {
		name  string
		files policy.Files
		want  string // all that is found; empty: the policy loads
	}{
		{"none", policy.Files{}, "the directory has no *.yaml or *.yml file: a policy needs one\n"},
		{"none that counts", policy.Files{"..data": nil, ".a.yaml": nil, "README.md": nil},
			"the directory has no *.yaml or *.yml file: a policy needs one\n"},
		{"as large as a file may be", policy.Files{"a.yaml": padded(1 << 20)}, ""},
		{"one byte more", policy.Files{"a.yaml": padded(1<<20 + 1)}, "a.yaml:1:1: the file is larger than 1 MiB: split it\n"},
		{"as many files as may be", several(64, 0), ""},
		{"one file more", several(65, 0), "the directory has more than 64 policy files: join some into one\n"},
		{"too large together", several(6, 1<<20), "the policy files are larger than 4 MiB together\n"},
		{"Latin-1", policy.Files{"a.yaml": []byte("# one\n# k\xe4se\n" + minimal)},
			"a.yaml:2:4: byte 0xe4 is not UTF-8 text: save the file as UTF-8\n  # k\uFFFDse\n     ^\n"},
		{"UTF-16", policy.Files{"a.yaml": []byte("\xff\xfea\x00")},
			"a.yaml:1:1: byte 0xff is not UTF-8 text: save the file as UTF-8\n  \uFFFD\uFFFDa\uFFFD\n  ^\n"},
		{"a line end that editors do not show", policy.Files{"a.yaml": []byte(minimal + "# a\u2028kind: Other\n")},
			"a.yaml:8:4: the character U+2028 ends a line in YAML but not in an editor: remove it\n  # a\u2028kind: Other\n     ^\n"},
		{"a lone carriage return", policy.Files{"a.yaml": []byte("# a\rkind: Other\n")},
			"a.yaml:1:4: the character U+000D ends a line in YAML but not in an editor: remove it\n  # a\uFFFDkind: Other\n     ^\n"},
		{"a control character", policy.Files{"a.yaml": []byte(minimal + "# \x1b[31m\n")},
			"a.yaml:8:1: is not YAML: control characters are not allowed\n  # \uFFFD[31m\n  ^\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, found := tt.files.Load()
			if got := found.String(); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if (p != nil) != (tt.want == "") {
				t.Errorf("got a policy: %v", p != nil)
			}
		})
	}
}

func TestFindingsAreCapped(t *testing.T) {
	var weights, warned strings.Builder
	for i := range 150 {
		fmt.Fprintf(&weights, "    - {address: \"10.0.0.%d:80\", weight: -1}\n", i)
		if i%2 == 0 { // two warnings each: no route uses it, and its sessions are not shared
			continue
		}
		fmt.Fprintf(&warned, "  - name: p%d\n    endpoints: [{address: \"10.0.0.1:80\"}]\n    sessionPersistence: {store: Memory}\n", i)
	}
	head, _, _ := strings.Cut(minimal, "  pools:")
	pools := "  pools:\n  - name: web\n    endpoints:\n"

	_, found := policy.Files{"a.yaml": []byte(head + pools + weights.String() + "    wieght: 1\n")}.Load()
	if n := len(found); n != 101 {
		t.Errorf("got %d findings of 151 errors, want 100 and a closing line", n)
	}
	if got, want := found[len(found)-1].String(), "stopped after 100 errors: correct these, then look again"; got != want {
		t.Errorf("the last line is %q, want %q", got, want)
	}

	p, found := policy.Files{"a.yaml": []byte(head + "  pools:\n  - {name: web, endpoints: [{address: \"10.0.0.1:80\"}]}\n" + warned.String())}.Load()
	if p == nil || found.Count(policy.SeverityWarning) != 101 || found.HasErrors() {
		t.Errorf("got policy %v and %d findings of 150 warnings, want a policy, 100 warnings and a closing line", p != nil, len(found))
	}
	if got, want := found[len(found)-1].String(), "warning: 50 more warnings are not shown"; got != want {
		t.Errorf("the last line is %q, want %q", got, want)
	}

	// Warnings do not crowd out an error.
	_, found = policy.Files{"a.yaml": []byte(head + "  pools:\n  - {name: web, endpoints: [{address: \"10.0.0.1:80\"}]}\n" + warned.String() + "    wieght: 1\n")}.Load()
	if found.Count(policy.SeverityError) != 1 {
		t.Errorf("got %d errors behind 150 warnings, want 1", found.Count(policy.SeverityError))
	}
}

func TestLoadFromDirectory(t *testing.T) {
	// As a ConfigMap is mounted: files are links through ..data.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "..2026", "policy.yaml"), []byte(minimal), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"..data": "..2026", "policy.yaml": "..data/policy.yaml", "linked.yaml": "..data"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	p, found := policy.Load(os.DirFS(dir))
	if p == nil || len(found) > 0 {
		t.Fatalf("the mounted policy does not load:\n%s", found)
	}
	files, err := policy.ReadFiles(os.DirFS(dir))
	if err != nil || files.Hash() != p.Hash {
		t.Errorf("Hash says %s, %v; the policy says %s", files.Hash(), err, p.Hash)
	}

	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml")); err != nil {
		t.Fatal(err)
	}
	p, found = policy.Load(os.DirFS(dir))
	if p != nil || len(found) != 1 || found[0].Code != policy.CodeUnreadable {
		t.Errorf("a link to nowhere: got policy %v and\n%swant one unreadable", p != nil, found)
	}
	if _, err := policy.ReadFiles(os.DirFS(filepath.Join(dir, "missing"))); err == nil {
		t.Error("a missing directory: no error")
	}
}

func TestReadFilesRefusesWhatIsNotAFile(t *testing.T) {
	_, err := policy.ReadFiles(fstest.MapFS{"pipe.yaml": {Mode: fs.ModeNamedPipe}})
	if err == nil || !strings.Contains(err.Error(), "pipe.yaml is not a regular file") {
		t.Errorf("got %v, want a complaint about pipe.yaml", err)
	}
}

func TestReadFilesIsBounded(t *testing.T) {
	dir := fstest.MapFS{}
	for i := range 100 {
		dir[fmt.Sprintf("%03d.yaml", i)] = &fstest.MapFile{Data: make([]byte, 2<<20)}
	}
	files, err := policy.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, data := range files {
		total += len(data)
	}
	if total > 6<<20 {
		t.Errorf("read %d bytes of 200 MiB, want little more than a policy may have", total)
	}
	if _, found := files.Load(); !found.HasErrors() {
		t.Error("what was read in part loads")
	}
}

func TestHash(t *testing.T) {
	hash := func(files policy.Files) string { return files.Hash() }
	base := policy.Files{"a.yaml": []byte("one"), "b.yaml": []byte("two")}
	same := policy.Files{"b.yaml": []byte("two"), "a.yaml": []byte("one"), ".c.yaml": []byte("x"), "c.txt": nil}
	if hash(base) != hash(same) {
		t.Error("files that do not count change the hash")
	}
	for name, other := range map[string]policy.Files{
		"another name":    {"a.yaml": []byte("one"), "c.yaml": []byte("two")},
		"other bytes":     {"a.yaml": []byte("one"), "b.yaml": []byte("2")},
		"swapped":         {"a.yaml": []byte("two"), "b.yaml": []byte("one")},
		"moved boundary":  {"a.yaml": []byte("onet"), "b.yaml": []byte("wo")},
		"one file":        {"a.yaml": []byte("oneb.yamltwo")},
		"an empty file":   {"a.yaml": []byte("one"), "b.yaml": []byte("two"), "c.yaml": nil},
		"nothing":         {},
		"a name's suffix": {"a.yaml": []byte("one"), "b.yml": []byte("two")},
	} {
		if hash(base) == hash(other) {
			t.Errorf("%s: the hash does not change", name)
		}
	}
	// The hash is written down: a change of the format is a change of contract.
	if got, want := hash(base), wantHash; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// wantHash was computed by another program.
const wantHash = "b77afdd137520048d9759724b4f0952b87a38c4d5a37a8894fbe87618c29b332"
