package citest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func hooked(t *testing.T) *repository {
	r := newRepository(t)
	text, err := os.ReadFile(filepath.Join(root, "docs/ci/pre-commit"))
	if err == nil {
		err = os.WriteFile(filepath.Join(r.dir, ".git/hooks/pre-commit"), text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A commit passes if what is staged is good, and only then; nothing is left of the check.
func TestHook(t *testing.T) {
	next := strings.Replace(good, `"1"`, `"2"`, 1)
	for _, tt := range []struct {
		name    string
		do      func(*repository)
		commit  []string
		refused string // what is said; empty: it passes
	}{
		{"a good policy", func(r *repository) {
			r.write("policies/policy.yaml", next)
			r.must("git", "add", "-A")
		}, nil, ""},
		{"a bad one", func(r *repository) {
			r.write("policies/policy.yaml", bad)
			r.must("git", "add", "-A")
		}, nil, badAt},
		{"a bad one staged, repaired in the work tree alone", func(r *repository) {
			r.write("policies/policy.yaml", bad)
			r.must("git", "add", "-A")
			r.write("policies/policy.yaml", next)
		}, nil, badAt},
		{"a good one staged, a bad one in the work tree", func(r *repository) {
			r.write("policies/policy.yaml", next)
			r.must("git", "add", "-A")
			r.write("policies/policy.yaml", bad)
		}, nil, ""},
		{"a bad one that is not staged, by commit --all", func(r *repository) {
			r.write("policies/policy.yaml", bad)
		}, []string{"--all"}, badAt},
		{"a bad one staged, and a commit of another file alone", func(r *repository) {
			r.write("policies/policy.yaml", bad)
			r.write("README", "read me")
			r.must("git", "add", "-A")
		}, []string{"README"}, ""},
		{"a bad variant", func(r *repository) {
			r.write("policies/next door/policy.yaml", bad)
			r.must("git", "add", "-A")
		}, nil, "policies/next door/policy.yaml:5:55: "},
		{"a bad file beside a good one", func(r *repository) {
			r.write("policies/more.yml", "kind: Nothing\n")
			r.must("git", "add", "-A")
		}, nil, "policies/more.yml:1:"},
		{"something else", func(r *repository) {
			r.write("README", "read me")
			r.must("git", "add", "-A")
		}, nil, ""},
		{"no policy any more", func(r *repository) {
			r.must("git", "rm", "-rq", "policies")
			r.write("README", "read me")
			r.must("git", "add", "-A")
		}, nil, ""},
		{"elsewhere", func(r *repository) {
			r.must("git", "config", "lb.policies", ".")
			r.write("policies/policy.yaml", next)
			r.write("web.yaml", "kind: Nothing\n")
			r.must("git", "add", "-A")
		}, nil, "web.yaml:1:"},
		{"from a directory below", func(r *repository) {
			r.write("policies/policy.yaml", bad)
			r.must("git", "add", "-A")
			r.dir = filepath.Join(r.dir, "policies")
		}, nil, badAt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := hooked(t)
			tt.do(r)
			before := r.must("git", "rev-parse", "HEAD")
			out, err := r.run(append([]string{"git", "commit", "-m", "next"}, tt.commit...)...)
			if passed := err == nil; passed != (tt.refused == "") || !strings.Contains(out, tt.refused) {
				t.Errorf("%v, and it says\n%s\nnot %q", err, out, tt.refused)
			}
			if moved := r.must("git", "rev-parse", "HEAD") != before; moved != (tt.refused == "") {
				t.Errorf("committed: %v", moved)
			}
			for _, variable := range r.env {
				if dir, ok := strings.CutPrefix(variable, "TMPDIR="); ok {
					if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
						t.Errorf("left: %v, %v", left, err)
					}
				}
			}
		})
	}
}

// With neither lb nor an image it says what to do, rather than pass.
func TestHookWithoutAnything(t *testing.T) {
	r := hooked(t)
	r.must("git", "config", "lb.image", "none.example.com/no/such:image")
	r.env[0] = "PATH=" + os.Getenv("PATH")
	if out, err := r.run("sh", "-c", "command -v lb"); err == nil {
		t.Skip("there is an lb on the PATH of this machine: ", out)
	}
	r.write("policies/policy.yaml", strings.Replace(good, `"1"`, `"2"`, 1))
	out, err := r.run("git", "commit", "--all", "-m", "next")
	if err == nil || !strings.Contains(out, "neither lb on the PATH nor the image none.example.com/no/such:image") {
		t.Errorf("%v: %s", err, out)
	}
}

// What pre-commit reads leads to the hook, which can be run.
func TestPreCommitHooks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".pre-commit-hooks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID, Name, Description, Entry, Language, Files string
		PassFilenames                                 *bool `yaml:"pass_filenames"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&hooks); err != nil {
		t.Fatal(err)
	}
	if len(hooks) != 1 || hooks[0].ID != "lb-validate" || hooks[0].Language != "script" || hooks[0].PassFilenames == nil || *hooks[0].PassFilenames {
		t.Fatalf("%+v", hooks)
	}
	if info, err := os.Stat(filepath.Join(root, hooks[0].Entry)); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%v, %v", info, err)
	}
}
