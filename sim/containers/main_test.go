//go:build !image

package containers_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"go-loadbalancer/sim/containers"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// image is one of this very tree. The Dockerfile's, which package imagetest builds, has
// the same in it; that takes minutes where nothing is cached.
const image = "go-loadbalancer:containers-test"

// alone is what makes this binary play a run that it does not live to end.
const alone = "CONTAINERS_TEST_PLAYS"

func TestMain(m *testing.M) {
	containers.Work()
	if how := os.Getenv(alone); how != "" {
		playAlone(how)
	}
	code := m.Run()
	if built.done {
		exec.Command("docker", "image", "rm", "-f", image).Run()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "leaked goroutines:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// built is the image, which is made once.
var built struct {
	sync.Once
	done bool
	err  error
}

// engine sees to it that there are a Docker Engine and the images. Without an engine the
// test is skipped, but not under CI.
func engine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("containers take their time")
	}
	if err := containers.Check(t.Context()); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	built.Do(func() { built.err = build(t) })
	if built.err != nil {
		t.Fatal(built.err)
	}
}

func build(t *testing.T) error {
	dir := t.TempDir()
	tasks := [][]string{
		{"../../.ci/images", "redis"},
		{"go", "build", "-trimpath", "-o", filepath.Join(dir, "sim"), ".."},
		{"sh", "-c", "cd " + dir + ` && ln -s sim lb && mkdir -m 777 state && mkdir given && echo 'lb:x:65532:65532::/:/bin/false' >passwd && chmod -R go=rX sim passwd &&
			tar -c --owner=65532 --group=65532 . | docker import -c 'ENV PATH=/' -c 'USER 65532:65532' - ` + image},
	}
	for _, words := range tasks {
		c := exec.Command(words[0], words[1:]...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, out)
		}
	}
	built.done = true
	return nil
}

// playAlone plays until it is killed, or panics.
func playAlone(how string) {
	go func() {
		containers.Run(context.Background(), stage.Job{Scenario: &scenario.Scenario{
			Seed: 1, Duration: hour, Policy: scenario.Policy{Inline: policyOf(1, "")}, Load: []scenario.Load{load(10)},
		}}, containers.Options{Image: image})
	}()
	for len(left(context.Background(), os.Getpid())) < 3 { // a network, two containers
	}
	fmt.Println("plays")
	if how == "panic" {
		panic("as it would be a bug's")
	}
	select {}
}

// left are the containers and networks of a process.
func left(ctx context.Context, pid int) (all []string) {
	host, _ := os.Hostname()
	label := fmt.Sprintf("label=go-loadbalancer.sim.owner=%s/%d", host, pid)
	for _, words := range [][]string{{"ps", "-aq", "--filter", label}, {"network", "ls", "-q", "--filter", label}} {
		out, err := exec.CommandContext(ctx, "docker", words...).Output()
		if err != nil {
			return []string{err.Error()}
		}
		all = append(all, strings.Fields(string(out))...)
	}
	return all
}
