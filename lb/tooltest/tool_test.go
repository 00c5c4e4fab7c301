package tooltest_test

import (
	"os"
	"path/filepath"
	"testing"

	"go-loadbalancer/lb/tooltest"
)

// ended is a test that a tool is looked for in.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper()               {}
func (e *ended) Fatalf(string, ...any) { e.how = "failed"; panic(e) }
func (e *ended) Skipf(string, ...any)  { e.how = "skipped"; panic(e) }

func look(name string) (path, how string) {
	e := &ended{}
	defer func() {
		recover()
		how = e.how
	}()
	return tooltest.Path(e, name), ""
}

// In CI nothing is skipped for want of a program.
func TestPath(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for _, tt := range []struct{ ci, name, path, how string }{
		{"", "there", there, ""}, {"true", "there", there, ""},
		{"", "missing", "", "skipped"}, {"true", "missing", "", "failed"},
	} {
		t.Setenv("CI", tt.ci)
		if path, how := look(tt.name); path != tt.path || how != tt.how {
			t.Errorf("CI=%s: %s is at %q, and the test %s", tt.ci, tt.name, path, how)
		}
	}
}
