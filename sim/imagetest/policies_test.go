package imagetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// hook: who has nothing but the image can have policies be checked by it before a commit.
func hook(t *testing.T, image string) {
	dir, script := t.TempDir(), filepath.Join(root, "docs/ci/pre-commit")
	absolute, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) (string, error) {
		c := exec.CommandContext(interrupted, "git", append([]string{"-C", dir}, args...)...)
		// Without an lb: git and docker are all that is needed.
		c.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		c.WaitDelay = time.Second
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := command(time.Second, "sh", "-c", "command -v lb"); err == nil {
		t.Skip("it would take the lb of this machine: ", out)
	}
	_, err = git("init", "--quiet")
	err = errors.Join(err, os.CopyFS(filepath.Join(dir, "policies"), os.DirFS(filepath.Join(root, "policies"))), os.Symlink(absolute, filepath.Join(dir, ".git/hooks/pre-commit")))
	for _, args := range [][]string{{"config", "lb.image", image}, {"add", "-A"}} {
		_, e := git(args...)
		err = errors.Join(err, e)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := git("commit", "-m", "good"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "policies/more.yaml"), []byte("kind: Nothing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = git("add", "-A")
	if out, e := git("commit", "-m", "bad"); err != nil || e == nil || !strings.Contains(out, "policies/more.yaml:1:") {
		t.Errorf("%v, %v: %s", err, e, out)
	}
}

// documented: the policy of docs/container.md is served as is written there.
func documented(t *testing.T, image string) {
	text, err := os.ReadFile(filepath.Join(root, "docs/container.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "as `my/policy.yaml`:\n\n```yaml\n")
	policy, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/container.md has no policy")
	}
	dir := t.TempDir()
	for parent := dir; parent != os.TempDir(); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil { // another user reads it
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	network := name("shop")
	docker(t, "network", "create", "--label", label+"="+owner, network)
	t.Cleanup(func() { command(time.Minute, "docker", "network", "rm", network) })
	run(t, "web", "--network", network, "--network-alias", "web", image, "sim", "backend", "--listen", ":9001")
	traffic, url := publish(t, 8000)
	run(t, "own", "--network", network, traffic, "--volume", dir+":/policies:ro", image, "lb", "run")
	await(t, "http://"+url+"/", `"backend"`)
}

// fetched: the workflow for repositories of policies takes the programs out of the image.
func fetched(t *testing.T, image string) {
	text, err := os.ReadFile(filepath.Join(root, "docs/ci/policies.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct{ Steps []struct{ Name, Run string } }
	}
	if err := yaml.Unmarshal(text, &workflow); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	for _, step := range workflow.Jobs["check"].Steps {
		if step.Name != "Get lb and sim" {
			continue
		}
		if out, err := command(time.Minute, "env", "IMAGE="+image, "RUNNER_TEMP="+temp, "GITHUB_PATH="+filepath.Join(temp, "path"), "bash", "-eo", "pipefail", "-c", step.Run); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	path, err := os.ReadFile(filepath.Join(temp, "path"))
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{"lb": "lb 1.2.3-test", "sim": "Usage: sim"} {
		flag := map[string]string{"lb": "version", "sim": "--help"}[program]
		if out, err := command(time.Minute, filepath.Join(strings.TrimSpace(string(path)), program), flag); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s %s: %v: %s", program, flag, err, out)
		}
	}
}
