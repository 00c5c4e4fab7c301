package citest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// root is the top of the tree, as seen from here.
const root = "../.."

// programs is a directory with lb and sim, built once.
var programs string

func TestMain(m *testing.M) {
	code, err := withPrograms(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withPrograms(m *testing.M) (code int, err error) {
	if programs, err = os.MkdirTemp("", "citest"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(programs)
	build := exec.Command("go", "build", "-o", programs, "./lb", "./sim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w\n%s", err, out)
	}
	return m.Run(), nil
}

// good is a policy; bad has a field that there is not, in line 5, column 55.
const (
	good = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:8000"}]
  routes: [{name: all, backendRefs: [{pool: web}]}]
  pools: [{name: web, endpoints: [{address: "127.0.0.1:9001"}]}]
`
	bad = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "2"}
spec:
  listeners: [{name: http, address: "127.0.0.1:8000", limit: {}}]
  routes: [{name: all, backendRefs: [{pool: web}]}]
  pools: [{name: web, endpoints: [{address: "127.0.0.1:9001"}]}]
`
	badAt = "policies/policy.yaml:5:55: "
)

// repository is a git repository with a good policy committed.
type repository struct {
	t   *testing.T
	dir string
	env []string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	home := t.TempDir() // whose git has no settings of anybody's
	r := &repository{t: t, dir: t.TempDir(), env: []string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "TMPDIR=" + t.TempDir(),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}}
	r.must("git", "init", "--quiet", "--initial-branch=main")
	r.write("policies/policy.yaml", good)
	r.must("git", "add", "-A")
	r.must("git", "commit", "--quiet", "-m", "a policy")
	return r
}

func (r *repository) write(name, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a command in the repository, and returns all it said.
func (r *repository) run(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Dir, c.Env, c.WaitDelay = r.dir, r.env, time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

func (r *repository) must(words ...string) string {
	r.t.Helper()
	out, err := r.run(words...)
	if err != nil {
		r.t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return out
}

// read is a file; empty: there is none.
func (r *repository) read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return string(text)
}
