// Package planttest builds programs with bugs planted in them, to see whether tests
// notice. All of a program's bugs are in one build, each asleep until the environment
// says its name, and the tree is not touched: the go command is given an overlay.
//
//	program := planttest.Build(t, "..", bugs, "build", "./sim")
//	for _, bug := range bugs {
//		out, code := planttest.Run(t, "..", program, bug.Name, "run", "scenarios/retry-storm.yaml")
//		…
//	}
//
// A test that does not fail with the rule taken out that it is there for proves
// nothing (mutation testing: DeMillo, Lipton, Sayward: Hints on Test Data Selection,
// 1978).
package planttest

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Bug is something wrong with the production code: a rule taken out, for example.
type Bug struct {
	Name  string
	Edits []Edit
}

// Edit is one of its places.
type Edit struct {
	File  string // from the root of the module
	Right string // what the file has, once
	// Wrong is what it has instead. The word planted in it is true if the bug is awake,
	// and if it is not, Wrong must do what Right does.
	Wrong string
}

// In is a bug of one place.
func In(file, name, right, wrong string) Bug {
	return Bug{Name: name, Edits: []Edit{{file, right, wrong}}}
}

// variable is the environment's, with the name of the bug that is awake.
const variable = "PLANTED_BUG"

// sleeper is added to each package that has an edit.
const sleeper = `package %s

import "os"

var plantedBug = os.Getenv(%q)

func planted(bug string) bool { return plantedBug == bug }
`

var word = regexp.MustCompile(`\bplanted\b`)

// Build builds a program with all bugs in it, by "go build" or "go test -c": command is
// that and what it needs, but for -overlay and -o. root is the module's.
func Build(t testing.TB, root string, bugs []Bug, command ...string) (program string) {
	t.Helper()
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	files, names := map[string]string{}, map[string]bool{"": true}
	for _, bug := range bugs {
		if names[bug.Name] {
			t.Fatalf("two bugs are called %q, or one has no name: they would be awake together", bug.Name)
		}
		names[bug.Name] = true
		for _, e := range bug.Edits {
			name := filepath.Join(root, e.File)
			text, known := files[name]
			if !known {
				text = read(t, name)
				dir := filepath.Dir(name)
				files[filepath.Join(dir, "planted_bugs.go")] = fmt.Sprintf(sleeper, packageOf(t, name, text), variable)
			}
			if n := strings.Count(text, e.Right); n != 1 {
				t.Fatalf("%s: %s has this %d times, want it once: plant the bug where the rule is now\n%s", bug.Name, e.File, n, e.Right)
			}
			if !word.MatchString(e.Wrong) {
				t.Fatalf("%s: it would always be awake in %s: say when, by the word planted\n%s", bug.Name, e.File, e.Wrong)
			}
			wrong := word.ReplaceAllLiteralString(e.Wrong, fmt.Sprintf("planted(%q)", bug.Name))
			files[name] = strings.Replace(text, e.Right, wrong, 1)
		}
	}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	replace := map[string]string{}
	for name, text := range files {
		replace[name] = write(fmt.Sprintf("%d.go", len(replace)), []byte(text))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "program")
	args := append([]string{command[0], "-overlay", write("overlay.json", overlay), "-o", program}, command[1:]...)
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return program
}

// Run runs a program with one bug awake, or none if that is empty, and returns what
// it wrote and its exit status: -1 if it was ended by a signal.
func Run(t testing.TB, dir, program, bug string, args ...string) (out string, code int) {
	t.Helper()
	run := exec.CommandContext(t.Context(), program, args...)
	run.Dir = dir
	run.Env = append(os.Environ(), variable+"="+bug)
	b, err := run.CombinedOutput()
	if run.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), run.ProcessState.ExitCode()
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func packageOf(t testing.TB, name, text string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	return f.Name.Name
}
