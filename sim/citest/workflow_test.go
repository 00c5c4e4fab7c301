package citest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"go-loadbalancer/lb/tooltest"
)

// workflow is what these files have of GitHub's language
// (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax).
type workflow struct {
	Name string
	On   struct {
		PullRequest *struct{} `yaml:"pull_request"`
		Push        struct{ Branches []string }
	}
	Permissions map[string]string
	Concurrency struct {
		Group  string
		Cancel bool `yaml:"cancel-in-progress"`
	}
	Env  map[string]string
	Jobs map[string]struct {
		RunsOn    string `yaml:"runs-on"`
		Timeout   int    `yaml:"timeout-minutes"`
		Container struct{ Image, Options string }
		Defaults  struct{ Run struct{ Shell string } }
		Steps     []step
	}
}

type step struct {
	Name, Uses, If, Run string
	With                map[string]any
}

func readWorkflow(t *testing.T, file string) *workflow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	w := new(workflow)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(w); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return w
}

// Workflows may read and nothing else, end in time, and use actions of a version that is
// said; a script has no text of a pull request put into it.
func TestWorkflows(t *testing.T) {
	pinned := regexp.MustCompile(`^actions/[a-z-]+@(v[0-9]+|[0-9a-f]{40})$`)
	for _, file := range []string{".github/workflows/ci.yaml", "docs/ci/policies.yaml"} {
		w := readWorkflow(t, file)
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions %v", file, w.Permissions)
		}
		if len(w.Jobs) != 1 || !slices.Equal(w.On.Push.Branches, []string{"main"}) {
			t.Errorf("%s: %+v", file, w)
		}
		for name, job := range w.Jobs {
			if job.Timeout < 1 || job.Timeout > 45 || job.RunsOn == "" {
				t.Errorf("%s: job %s: on %q, within %d minutes", file, name, job.RunsOn, job.Timeout)
			}
			for _, s := range job.Steps {
				if (s.Uses == "") == (s.Run == "") || s.Uses != "" && !pinned.MatchString(s.Uses) || strings.Contains(s.Run, "${{") {
					t.Errorf("%s: step %+v", file, s)
				}
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("%s: the token stays in the work tree", file)
				}
			}
		}
	}
}

// This repository's runs what CI runs, and keeps what the tests leave to be looked at.
func TestOwnWorkflow(t *testing.T) {
	steps := readWorkflow(t, ".github/workflows/ci.yaml").Jobs["test"].Steps
	if !slices.ContainsFunc(steps, func(s step) bool { return s.Run == ".ci/run" }) {
		t.Error("no .ci/run")
	}
	if last := steps[len(steps)-1]; last.With["path"] != "artifacts" || last.If != "always()" {
		t.Errorf("%+v", last)
	}
}

const scenario = `apiVersion: sim/v1
kind: Scenario
metadata: {name: down}
spec:
  duration: 10s
  policy: ../policies
  load: [{rate: 50, requests: [{get: /}]}]
  timeline: [{name: down, at: 2s, for: 4s, on: web/1, respond: {status: 503}}]
  expect: [{that: 'success("2s") EXPECTED', at: 5s}]
`

// runner is one of a run of the workflow: it runs its steps as GitHub does.
type runner struct {
	*repository
	w       *workflow
	temp    string
	summary string
}

func newRunner(t *testing.T) *runner {
	r := &runner{repository: newRepository(t), w: readWorkflow(t, "docs/ci/policies.yaml"), temp: t.TempDir()}
	r.summary = filepath.Join(r.temp, "summary.md")
	r.must("git", "update-ref", "refs/remotes/origin/main", "HEAD")
	for name, value := range r.w.Env {
		r.env = append(r.env, name+"="+value)
	}
	r.env = append(r.env, "RUNNER_TEMP="+r.temp, "GITHUB_STEP_SUMMARY="+r.summary, "GITHUB_BASE_REF=main", "GITHUB_PATH="+filepath.Join(r.temp, "path"))
	return r
}

// step runs one by its name.
func (r *runner) step(name string) (out string, status int) {
	r.t.Helper()
	for _, s := range r.w.Jobs["check"].Steps {
		if s.Name != name {
			continue
		}
		// What "shell: bash" means there.
		out, err := r.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return out, exit.ExitCode()
		} else if err != nil {
			r.t.Fatal(err)
		}
		return out, 0
	}
	r.t.Fatalf("there is no step %q", name)
	return "", 0
}

func TestWorkflowOfGood(t *testing.T) {
	r := newRunner(t)
	r.write("scenarios/down.yaml", strings.Replace(scenario, "EXPECTED", "< 0.5", 1))
	r.write("policies/policy.yaml", strings.Replace(good, "127.0.0.1:9001", "127.0.0.1:9002", 1))
	for _, name := range []string{"Validate", "Play the scenarios", "Say what changes"} {
		if out, status := r.step(name); status != 0 {
			t.Errorf("%s: exit status %d\n%s", name, status, out)
		}
	}
	summary := r.read(r.summary)
	for _, want := range []string{"down", "## What changes in policies\n\n```text\npolicy shop", "web 127.0.0.1:9001 is removed"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not say %q:\n%s", want, summary)
		}
	}
	for _, name := range []string{"scenarios.html", "scenarios.xml"} {
		if r.read(filepath.Join(r.temp, "reports", name)) == "" {
			t.Errorf("no %s", name)
		}
	}
}

// Nothing to play and nothing to compare with is no failure.
func TestWorkflowOfNew(t *testing.T) {
	r := newRunner(t)
	r.env = append(r.env, "POLICIES=policies new")
	r.write("new/policy.yaml", good)
	for _, name := range []string{"Validate", "Play the scenarios", "Say what changes"} {
		if out, status := r.step(name); status != 0 {
			t.Errorf("%s: exit status %d\n%s", name, status, out)
		}
	}
	if summary := r.read(r.summary); !strings.Contains(summary, "no difference") || strings.Contains(summary, "in new") {
		t.Errorf("%s", summary)
	}
}

func TestWorkflowOfBad(t *testing.T) {
	r := newRunner(t)
	r.write("scenarios/down.yaml", strings.Replace(scenario, "EXPECTED", "== 1.0", 1))
	if out, status := r.step("Play the scenarios"); status != 1 || !strings.Contains(r.read(r.summary), "down") {
		t.Errorf("exit status %d: %s\n%s", status, out, r.read(r.summary))
	}
	r.write("policies/policy.yaml", bad)
	if out, status := r.step("Validate"); status != 1 || !strings.Contains(out, badAt) {
		t.Errorf("exit status %d: %s", status, out)
	}
	if out, status := r.step("Say what changes"); status != 2 || !strings.Contains(out, badAt) {
		t.Errorf("exit status %d: %s", status, out)
	}
}

// Scripts in workflows are scripts too.
func TestShellcheck(t *testing.T) {
	shellcheck := tooltest.Path(t, "shellcheck")
	for _, file := range []string{".github/workflows/ci.yaml", "docs/ci/policies.yaml"} {
		for _, job := range readWorkflow(t, file).Jobs {
			for _, s := range job.Steps {
				if s.Run == "" {
					continue
				}
				c := exec.CommandContext(t.Context(), shellcheck, "--shell=bash", "-")
				c.Stdin = strings.NewReader(s.Run)
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%s, %s: %v\n%s", file, s.Name, err, out)
				}
			}
		}
	}
}
