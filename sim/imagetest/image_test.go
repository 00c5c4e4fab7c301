package imagetest

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mostBytes is how large the image may be, unpacked.
const mostBytes = 40_000_000

// patience is for how long a test waits for what must happen.
const patience = time.Minute

func TestImage(t *testing.T) {
	engine(t)
	image := "go-loadbalancer:" + name("image")
	dockerWithin(t, 8*time.Minute, "build", "--force-rm", "--label", label+"="+owner, "--build-arg", "VERSION=1.2.3-test", "--build-arg", "REVISION=cafe", "--tag", image, root)

	t.Run("config", func(t *testing.T) { config(t, image) })
	t.Run("reproducible", func(t *testing.T) { reproducible(t, image) })
	t.Run("demo", func(t *testing.T) { demo(t, image) })
	t.Run("commands", func(t *testing.T) { commands(t, image) })
	t.Run("start", func(t *testing.T) { start(t, image) })
	t.Run("documented", func(t *testing.T) { documented(t, image) })
	t.Run("hook", func(t *testing.T) { hook(t, image) })
	t.Run("programs", func(t *testing.T) { fetched(t, image) })
	t.Run("deployment", func(t *testing.T) { deployment(t, image) })
}

func config(t *testing.T, image string) {
	var got []struct {
		Size   int64
		Config struct {
			User         string
			ExposedPorts map[string]struct{}
			Healthcheck  struct{ Test []string }
			Labels       map[string]string
		}
	}
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", image)), &got); err != nil {
		t.Fatal(err)
	}
	i := got[0]
	t.Logf("%.1f MB", float64(i.Size)/1e6)
	if i.Size >= mostBytes {
		t.Errorf("the image takes %d bytes, which should be less than %d", i.Size, mostBytes)
	}
	c := i.Config
	if c.User != "65532:65532" {
		t.Errorf("it runs as %q", c.User)
	}
	for _, port := range []string{"8000/tcp", "8080/tcp"} {
		if _, ok := c.ExposedPorts[port]; !ok {
			t.Errorf("it does not expose %s", port)
		}
	}
	if !slices.Equal(c.Healthcheck.Test, []string{"CMD", "lb", "healthcheck"}) {
		t.Errorf("its health check is %q", c.Healthcheck.Test)
	}
	for key, want := range map[string]string{"title": "go-loadbalancer", "version": "1.2.3-test", "revision": "cafe"} {
		if got := c.Labels["org.opencontainers.image."+key]; got != want {
			t.Errorf("its label %s is %q, not %q", key, got, want)
		}
	}
}

// reproducible builds once more, from a copy elsewhere: it is the same program. A file
// that is no program's keeps the builder from taking what it has compiled before.
func reproducible(t *testing.T, image string) {
	if testing.Short() {
		t.Skip("it takes a second build")
	}
	dir := t.TempDir()
	for _, part := range []string{"lb", "sim", "policies"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(root, part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{"go.mod", "go.sum", "Dockerfile", ".dockerignore"} {
		text, err := os.ReadFile(filepath.Join(root, part))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, part), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lb", owner), []byte(time.Now().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	again := "go-loadbalancer:" + name("again")
	dockerWithin(t, 8*time.Minute, "build", "--target", "build", "--force-rm", "--label", label+"="+owner,
		"--build-arg", "VERSION=1.2.3-test", "--build-arg", "REVISION=cafe", "--tag", again, dir)
	defer docker(t, "rmi", "--force", again)
	first, second := hashOf(t, image, "/sim"), hashOf(t, again, "/image/sim")
	if first != second {
		t.Errorf("two builds made two programs, with SHA-256 %x and %x", first, second)
	}
}

// hashOf is of a file of an image.
func hashOf(t *testing.T, image, path string) [sha256.Size]byte {
	t.Helper()
	container := docker(t, "create", "--label", label+"="+owner, image, "none")
	defer docker(t, "rm", container)
	ctx, cancel := context.WithTimeout(interrupted, time.Minute)
	defer cancel()
	cp := exec.CommandContext(ctx, "docker", "cp", container+":"+path, "-")
	out, err := cp.StdoutPipe()
	if err == nil {
		err = cp.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	archive, hash := tar.NewReader(out), sha256.New()
	_, err = archive.Next()
	if err == nil {
		_, err = io.Copy(hash, archive)
	}
	io.Copy(io.Discard, out)
	if err := errors.Join(err, cp.Wait()); err != nil {
		t.Fatalf("reading %s of %s: %v", path, image, err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// demo: the image as it stands answers, shows its page, and is healthy.
func demo(t *testing.T, image string) {
	traffic, url := publish(t, 8000)
	admin, adminURL := publish(t, 8080)
	c := run(t, "demo", slices.Concat(hardened, []string{traffic, admin, "--health-interval", "1s", image})...)
	await(t, "http://"+adminURL+"/readyz", "ready")
	await(t, "http://"+adminURL+"/", "<title>shop")
	await(t, "http://"+url+"/cart", `"backend":"127.0.0.1:900`)
	eventually(t, "the container is healthy", func() bool {
		return docker(t, "inspect", "--format", "{{.State.Health.Status}}", c) == "healthy"
	})
	stops(t, c)
}

// commands: both programs, by their names, and the policy that comes along.
func commands(t *testing.T, image string) {
	for _, try := range []struct {
		command string
		want    string
	}{
		{"lb version", "lb 1.2.3-test (revision cafe), go1."},
		{"lb validate /policies", "0 errors, 0 warnings"},
		{"sim --help", "Usage: sim <command>"},
	} {
		out := docker(t, slices.Concat([]string{"run", "--rm", "--label", label + "=" + owner}, hardened, []string{image}, strings.Fields(try.command))...)
		if !strings.Contains(out, try.want) {
			t.Errorf("%s says %q, and not %q", try.command, out, try.want)
		}
	}
	out, err := command(time.Minute, "docker", "run", "--rm", "--label", label+"="+owner, image, "lb", "healthcheck")
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "not alive") {
		t.Errorf("lb healthcheck where nothing runs: %v: %s", err, out)
	}
}

// start measures the time from a container's start until it is ready, with the policy
// that comes along. It is reported and not judged: other tests run on the machine.
func start(t *testing.T, image string) {
	for n := range 3 {
		admin, address := publish(t, 8080)
		c := run(t, "start"+strconv.Itoa(n), slices.Concat(hardened, []string{admin, image, "lb", "run"})...)
		await(t, "http://"+address+"/readyz", "ready")
		ready := time.Now()
		started, err := time.Parse(time.RFC3339Nano, docker(t, "inspect", "--format", "{{.State.StartedAt}}", c))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("ready %v after the container's start", ready.Sub(started).Round(time.Millisecond))
	}
}

// deployment is the whole: tester.sh skips nothing.
func deployment(t *testing.T, image string) {
	network := name("net")
	docker(t, "network", "create", "--label", label+"="+owner, network)
	t.Cleanup(func() { command(time.Minute, "docker", "network", "rm", network) })
	join := func(alias string) []string { return []string{"--network", network, "--network-alias", alias} }

	// Another user reads what is in it.
	policies, err := os.MkdirTemp("", "imagetest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(policies) })
	if err := errors.Join(os.CopyFS(policies, os.DirFS("testdata/policy")), os.Chmod(policies, 0o755)); err != nil {
		t.Fatal(err)
	}

	run(t, "redis", slices.Concat(join("redis"), []string{"redis:7-bookworm", "redis-server", "--save", "", "--appendonly", "no"})...)
	report := filepath.Join(t.TempDir(), "junit.xml")
	args := []string{"--policies", policies, "--junit", report}
	for i := 1; i <= 5; i++ {
		alias := "backend" + strconv.Itoa(i)
		port, address := publish(t, 9000)
		run(t, alias, slices.Concat(hardened, join(alias), []string{port, image, "sim", "backend", "--listen", ":9000", "--name", alias})...)
		if i == 1 { // one of the pool that keeps its clients
			args = append(args, "--backend-url", "http://"+address)
		}
	}
	var replicas []string
	for i := 1; i <= 2; i++ {
		alias := "lb" + strconv.Itoa(i)
		traffic, url := publish(t, 8000)
		admin, adminURL := publish(t, 8080)
		replicas = append(replicas, run(t, alias, slices.Concat(hardened, join(alias), []string{traffic, admin,
			"--env", "LB_REDIS_URL=redis://redis:6379", "--volume", policies + ":/policies:ro", image, "lb", "run", "--access-log", "off"})...))
		args = append(args, "--url", "http://"+url, "--admin-url", "http://"+adminURL)
	}

	out, err := command(5*time.Minute, filepath.Join(root, "tester.sh"), args...)
	t.Logf("tester.sh said:\n%s", out)
	got := readTAP(t, out)
	if err != nil || got.planned == 0 || got.passed != got.planned {
		t.Errorf("of %d checks %d passed, %d failed and %d were skipped: %v", got.planned, got.passed, got.failed, got.skipped, err)
	}
	got.agrees(t, report)
	if left, err := filepath.Glob(filepath.Join(policies, "*tester*")); err != nil || len(left) > 0 {
		t.Errorf("tester.sh left %v behind: %v", left, err)
	}

	for _, c := range replicas {
		for _, user := range usersOf(t, c) {
			if user != "65532" {
				t.Errorf("%s runs as user %s", c, user)
			}
		}
		if changed := docker(t, "diff", c); changed != "" {
			t.Errorf("%s wrote to its file system: %s", c, changed)
		}
		stops(t, c)
	}
}

// usersOf returns the user id of each process of a container.
func usersOf(t *testing.T, container string) []string {
	t.Helper()
	var users []string
	for n, line := range slices.Collect(strings.Lines(docker(t, "top", container, "-eo", "pid,uid"))) {
		if fields := strings.Fields(line); n > 0 && len(fields) == 2 {
			users = append(users, fields[1])
		}
	}
	if len(users) == 0 {
		t.Errorf("no process of %s is seen", container)
	}
	return users
}

// stops asks a container to end, which it does by itself and well.
func stops(t *testing.T, container string) {
	t.Helper()
	docker(t, "stop", "--time", "30", container)
	if status := docker(t, "inspect", "--format", "{{.State.ExitCode}}", container); status != "0" {
		t.Errorf("%s ended with exit status %s when it was asked to stop", container, status)
	}
}

// await waits until a GET is answered with 200 and the text.
func await(t *testing.T, url, text string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last := "nothing"
	eventually(t, fmt.Sprintf("GET %s answers 200 with %q", url, text), func() bool {
		answer, err := client.Get(url)
		if err != nil {
			last = err.Error()
			return false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		last = answer.Status + " " + string(body)
		return err == nil && answer.StatusCode == http.StatusOK && strings.Contains(string(body), text)
	}, &last)
}

// eventually asks again until what is true.
func eventually(t *testing.T, what string, ask func() bool, last ...*string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ask(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) || interrupted.Err() != nil {
			for _, said := range last {
				what += "; last: " + *said
			}
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
