package imagetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// label names the process that containers, networks and images belong to.
const label = "go-loadbalancer.imagetest"

var owner = strconv.Itoa(os.Getpid())

// name makes a name that no other run uses.
func name(what string) string { return "imagetest-" + owner + "-" + what }

// engine sees to a Docker Engine and the images to build on. Without one the test is
// skipped, but not in CI.
func engine(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(interrupted, 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no Docker Engine answers, and in CI one must (.ci/install test brings it): %v: %s", err, out)
		}
		t.Skip("no Docker Engine answers: the container image is not tested")
	}
	sweep()
	if out, err := command(5*time.Minute, filepath.Join(root, ".ci/images")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// command runs a program for so long at most, and returns what it wrote.
func command(most time.Duration, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(interrupted, most)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// docker runs the client, and fails the test if that fails.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	return dockerWithin(t, time.Minute, args...)
}

func dockerWithin(t *testing.T, most time.Duration, args ...string) string {
	t.Helper()
	out, err := command(most, "docker", args...)
	if err != nil {
		if strings.Contains(out, "no space left on device") {
			out += "\nThe disk of the Docker Engine is full: docker system df tells of what, docker image prune and docker builder prune make room."
		}
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// hardened is how the image is to run: nothing it does not need.
var hardened = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}

// run starts a container of the test's own, and returns its name. It is removed, and what
// it said is shown if the test failed.
func run(t *testing.T, what string, args ...string) string {
	t.Helper()
	container := name(what)
	docker(t, append([]string{"run", "--detach", "--name", container, "--label", label + "=" + owner}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := command(10*time.Second, "docker", "logs", "--tail", "30", container)
			t.Logf("%s said:\n%s", container, said)
		}
		if out, err := command(time.Minute, "docker", "rm", "--force", "--volumes", container); err != nil && interrupted.Err() == nil {
			t.Errorf("removing %s: %v: %s", container, err, out)
		}
	})
	return container
}

// removeAll removes what carries a label, whatever happens, as well as it can.
func removeAll(labelled string) {
	for _, kind := range []struct {
		list, remove []string
	}{
		{[]string{"ps", "--all", "--quiet"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls", "--quiet"}, []string{"network", "rm"}},
		{[]string{"images", "--quiet"}, []string{"rmi", "--force"}},
	} {
		// Not by interrupted: this is what is done after it.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		out, _ := exec.CommandContext(ctx, "docker", append(kind.list, "--filter", "label="+labelled)...).Output()
		if ids := strings.Fields(string(out)); len(ids) > 0 {
			if out, err := exec.CommandContext(ctx, "docker", append(kind.remove, ids...)...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "docker %s: %v: %s\n", strings.Join(kind.remove, " "), err, out)
			}
		}
		cancel()
	}
}

// sweep removes what runs left behind that were killed, and build stages of the day
// before, which the builder without BuildKit keeps.
func sweep() {
	const format = `{{.Label "` + label + `"}}`
	containers, _ := command(10*time.Second, "docker", "ps", "--all", "--filter", "label="+label, "--format", format)
	networks, _ := command(10*time.Second, "docker", "network", "ls", "--filter", "label="+label, "--format", format)
	seen := map[string]bool{owner: true}
	for _, pid := range strings.Fields(containers + "\n" + networks) {
		n, err := strconv.Atoi(pid)
		if err != nil || seen[pid] || syscall.Kill(n, 0) != syscall.ESRCH {
			continue
		}
		seen[pid] = true
		removeAll(label + "=" + pid)
	}
	command(time.Minute, "docker", "image", "prune", "--force", "--filter", "label=go-loadbalancer.stage=build", "--filter", "until=24h")
}

// publish returns docker's option that publishes a container's port on a free one of the
// loopback interface, and its address. The port is fixed: one left to Docker would change
// with every restart.
func publish(t *testing.T, port int) (option, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	address = ln.Addr().String()
	return fmt.Sprintf("--publish=%s:%d", address, port), address
}
