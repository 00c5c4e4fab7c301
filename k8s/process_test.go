package k8s

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// binaries builds lb and sim from the module above, once.
var binaries = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "build", "-C", "..", "-o", scratch+string(filepath.Separator), "./lb", "./sim").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return scratch, nil
})

var scratch string // a directory for the tests' binaries

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "k8s-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func binary(t *testing.T, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// command runs to its end.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs a process until the test ends.
func start(t *testing.T, path string, args []string, env ...string) io.Reader {
	t.Helper()
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), env...)
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer log.Close()
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		kill := time.AfterFunc(30*time.Second, func() { c.Process.Kill() })
		defer kill.Stop()
		if err := c.Wait(); err != nil || t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s %s: %v\n%s", path, strings.Join(args, " "), err, text)
		}
	})
	return stdout
}

// get asks until the answer has a status, and returns its body.
func get(t *testing.T, url string, want int) string {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	last := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		answer, err := client.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err == nil && answer.StatusCode == want {
			return string(body)
		}
		last = answer.Status
	}
	t.Fatalf("GET %s: %s, want %d", url, last, want)
	return ""
}

// free is a port that nobody listens on at this moment.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// mounted is the ConfigMap as a pod has it in a directory.
func mounted(t *testing.T, m *corev1.ConfigMap) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range m.Data {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run is how a process of the Deployment's container is started on a machine: its
// arguments and environment, with nothing changed but the paths of its volumes and
// its admin address.
func run(t *testing.T, d *appsv1.Deployment, policies, state, admin string) (args, env []string) {
	t.Helper()
	lb := d.Spec.Template.Spec.Containers[0]
	if !slices.Equal(lb.Command, []string{"/lb"}) { // the image has no entry point, and begins a demo by itself
		t.Fatalf("the balancer's command is %v", lb.Command)
	}
	here := strings.NewReplacer(lb.VolumeMounts[0].MountPath, policies, lb.VolumeMounts[1].MountPath, state, "=:8080", "="+admin)
	for _, a := range lb.Args {
		args = append(args, here.Replace(a))
	}
	for _, e := range lb.Env {
		if e.ValueFrom == nil {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	return args, env
}

// replicas runs n balancers of the Deployment, on 127.0.0.1, 127.0.0.2 and so on,
// until the test ends, with more in their environment, and returns the port of their
// admin addresses once each answers its probes.
func replicas(t *testing.T, n int, d *appsv1.Deployment, policies string, more ...string) (admin string) {
	t.Helper()
	lb := d.Spec.Template.Spec.Containers[0]
	admin = free(t)
	for i := range n {
		args, env := run(t, d, policies, t.TempDir(), fmt.Sprintf("127.0.0.%d:%s", i+1, admin))
		stdout := start(t, binary(t, "lb"), args, append(env, more...)...)
		go io.Copy(io.Discard, stdout) // until the process ends
	}
	for i := range n {
		for _, p := range []*corev1.Probe{lb.StartupProbe, lb.ReadinessProbe, lb.LivenessProbe} {
			get(t, fmt.Sprintf("http://127.0.0.%d:%s%s", i+1, admin, p.HTTPGet.Path), http.StatusOK)
		}
	}
	return admin
}

// The processes take the arguments that the manifests give them: balancers of the
// Deployment and a server of the try-out answer their probes, and the Job's
// command verifies the ConfigMap's policy.
func TestManifestsRun(t *testing.T) {
	all := objects(t, build(t, "overlays/try-out"))
	d := find[*appsv1.Deployment](t, all, balancer)

	backend := find[*appsv1.Deployment](t, all, "cart").Spec.Template.Spec.Containers[0]
	server := free(t)
	if !slices.Equal(backend.Command, []string{"/sim"}) {
		t.Errorf("the servers' command is %v", backend.Command)
	}
	args := []string{}
	for _, a := range backend.Args {
		a = strings.Replace(a, "--listen=:8080", "--listen=127.0.0.1:"+server, 1)
		args = append(args, strings.Replace(a, "$(POD_NAME)", "cart-0", 1))
	}
	go io.Copy(io.Discard, start(t, binary(t, "sim"), args))
	get(t, "http://127.0.0.1:"+server+backend.ReadinessProbe.HTTPGet.Path, http.StatusOK)

	// Replicas on one machine cannot have one port.
	m := local(find[*corev1.ConfigMap](t, all, "go-loadbalancer-policies"), "127.0.0.1:0", "127.0.0.1:"+server)
	policies := mounted(t, m)
	admin := replicas(t, 2, d, policies)

	job := find[*batchv1.Job](t, objects(t, build(t, "verify")), "verify-go-loadbalancer").Spec.Template.Spec.Containers[0]
	if !slices.Equal(job.Command, []string{"/lb"}) {
		t.Errorf("the Job's command is %v", job.Command)
	}
	args = []string{"--admin=http://127.0.0.2:" + admin}
	for _, a := range job.Args[1:] {
		a = strings.Replace(a, job.VolumeMounts[0].MountPath, policies, 1)
		args = append(args, strings.Replace(a, "http://go-loadbalancer-admin:8080", "http://127.0.0.1:"+admin, 1))
	}
	if said := command(t, "lb", append([]string{job.Args[0]}, args...)...); !strings.Contains(said, "verified: 2 replicas") {
		t.Errorf("lb verify: %s", said)
	}
}

// local is a ConfigMap's policy with what is a machine's own: the addresses of
// listeners and servers.
func local(m *corev1.ConfigMap, listen, server string) *corev1.ConfigMap {
	m = m.DeepCopy()
	for name, text := range m.Data {
		m.Data[name] = strings.NewReplacer("cart:8080", server, "catalog:8080", server, ":8000", listen).Replace(text)
	}
	return m
}

// volume is a directory as the kubelet keeps a ConfigMap in it: files are links
// through ..data, which is swapped.
type volume struct {
	dir  string
	swap int
}

func (v *volume) set(t *testing.T, m *corev1.ConfigMap) {
	t.Helper()
	v.swap++
	version := fmt.Sprintf("..version%d", v.swap)
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(v.dir, version), 0o755))
	for name, text := range m.Data {
		must(os.WriteFile(filepath.Join(v.dir, version, name), []byte(text), 0o644))
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); !os.IsExist(err) {
			must(err)
		}
	}
	must(os.Symlink(version, filepath.Join(v.dir, "..data_tmp")))
	must(os.Rename(filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data")))
	if v.swap > 1 {
		must(os.RemoveAll(filepath.Join(v.dir, fmt.Sprintf("..version%d", v.swap-1))))
	}
}

// A change of the ConfigMap reaches replicas that run, and lb verify tells so; a
// bad one is refused by them, and lb verify does not wait for what will not come.
func TestChangeOfTheConfigMap(t *testing.T) {
	all := objects(t, build(t, "overlays/hot-reload"))
	d := find[*appsv1.Deployment](t, all, balancer)
	first := local(find[*corev1.ConfigMap](t, all, "go-loadbalancer-policies"), "127.0.0.1:0", "127.0.0.1:1")
	v := volume{dir: t.TempDir()}
	v.set(t, first)
	admin := replicas(t, 2, d, v.dir)
	verify := func(m *corev1.ConfigMap, timeout string) (string, error) {
		hash := strings.TrimSpace(command(t, "lb", "validate", "--output", "hash", mounted(t, m)))
		out, err := exec.CommandContext(t.Context(), binary(t, "lb"), "verify", "--expect-hash", hash, "--replicas=2", "--timeout="+timeout,
			"--admin=http://127.0.0.1:"+admin, "--admin=http://127.0.0.2:"+admin).CombinedOutput()
		return string(out), err
	}

	second := first.DeepCopy()
	for name, text := range second.Data {
		second.Data[name] = text + "\n# another\n"
	}
	if said, err := verify(second, "1s"); err == nil {
		t.Errorf("verified before it was there: %s", said)
	}
	v.set(t, second)
	if said, err := verify(second, "30s"); err != nil {
		t.Errorf("%v: %s", err, said)
	}

	bad := second.DeepCopy()
	for name, text := range bad.Data {
		bad.Data[name] = strings.Replace(text, "RoundRobin", "RoundRobbin", 1)
	}
	v.set(t, bad)
	out, err := exec.CommandContext(t.Context(), binary(t, "lb"), "validate", "--output", "json", v.dir).Output()
	var said struct{ Policies []struct{ Hash string } }
	if err == nil || json.Unmarshal(out, &said) != nil || len(said.Policies) != 1 {
		t.Fatalf("lb validate of a bad policy: %v, %s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), binary(t, "lb"), "verify", "--expect-hash", said.Policies[0].Hash, "--timeout=10m",
		"--admin=http://127.0.0.1:"+admin, "--admin=http://127.0.0.2:"+admin).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "RoundRobbin") || !strings.Contains(string(out), "was refused") {
		t.Errorf("lb verify of a bad policy: %v, %s", err, out)
	}
	if said, err := verify(second, "10s"); err != nil {
		t.Errorf("the last good policy does not serve on: %v: %s", err, said)
	}
}

// A new pod does not start with a bad policy, so a rollout goes no further; a
// container that is started again in its pod does, with the last good one.
func TestBadPolicyHaltsARollout(t *testing.T) {
	all := objects(t, build(t, "overlays/immutable"))
	d := find[*appsv1.Deployment](t, all, balancer)
	good := local(ofType[*corev1.ConfigMap](all)[0], "127.0.0.1:0", "127.0.0.1:1")
	bad := good.DeepCopy()
	for name, text := range bad.Data {
		bad.Data[name] = strings.Replace(text, "RoundRobin", "RoundRobbin", 1)
	}
	admin, state := "127.0.0.1:"+free(t), t.TempDir()
	args, env := run(t, d, mounted(t, bad), state, admin)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, binary(t, "lb"), args...)
	c.Env = append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); c.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "RoundRobbin") {
		t.Fatalf("a new pod with a bad policy: %v\n%s", err, out)
	}

	t.Run("before", func(t *testing.T) {
		args, env := run(t, d, mounted(t, good), state, admin)
		go io.Copy(io.Discard, start(t, binary(t, "lb"), args, env...))
		get(t, "http://"+admin+"/readyz", http.StatusOK)
	})
	go io.Copy(io.Discard, start(t, binary(t, "lb"), args, env...))
	get(t, "http://"+admin+"/readyz", http.StatusOK)
}
