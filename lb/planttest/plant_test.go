package planttest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go-loadbalancer/lb/planttest"
)

const sum = `package main

import "os"

func sum(a, b int) int { return a + b }

func main() { os.Exit(sum(3, 2)) }
`

// module is a module of one program, that ends with the sum.
func module(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range map[string]string{"go.mod": "module sum\n", "main.go": sum} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Two bugs of one line are in one program, and only the one that is asked for is awake.
func TestBugsSleep(t *testing.T) {
	root := module(t)
	program := planttest.Build(t, root, []planttest.Bug{
		planttest.In("main.go", "less", "return a + b }", "if planted { return a - b }; return a + b }"),
		planttest.In("main.go", "more", "return a + b }", "if planted { a++ }; return a + b }"),
	}, "build", ".")
	for bug, want := range map[string]int{"": 5, "less": 1, "more": 6} {
		if out, code := planttest.Run(t, root, program, bug); code != want {
			t.Errorf("with %q awake: %d, want %d: %s", bug, code, want, out)
		}
	}
	if now, err := os.ReadFile(filepath.Join(root, "main.go")); err != nil || string(now) != sum {
		t.Errorf("the tree was touched: %v\n%s", err, now)
	}
}

// failed is a test that is expected to fail, and says of what.
type failed struct {
	testing.TB
	of string
}

func (f *failed) Helper()                           {}
func (f *failed) Fatalf(format string, args ...any) { f.of = fmt.Sprintf(format, args...); panic(f) }

// A bug that is not where it is said to be, would always be awake, or is no Go fails
// the build, not the test that was to notice it.
func TestBugsThatAreNone(t *testing.T) {
	root := module(t)
	for _, tt := range []struct{ name, right, wrong, of string }{
		{"none", "a * b", "planted", "0 times"},
		{"none", "a", "planted", "times, want it once"},
		{"none", "a + b }", "a - b }", "always be awake"},
		{"none", "a + b }", "planted }", "exit status 1"},
		{"", "a + b }", "planted }", "no name"},
	} {
		f := &failed{TB: t}
		func() {
			defer func() { recover() }()
			planttest.Build(f, root, []planttest.Bug{planttest.In("main.go", tt.name, tt.right, tt.wrong)}, "build", ".")
		}()
		if !strings.Contains(f.of, tt.of) {
			t.Errorf("%q for %q: %q, want it to say %q", tt.wrong, tt.right, f.of, tt.of)
		}
	}
}
