package k8s

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
func start(t *testing.T, name string, args []string, env ...string) io.Reader {
	t.Helper()
	c := exec.Command(binary(t, name), args...)
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
			t.Logf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
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

// replicas runs balancers with the arguments and environment of the Deployment, and
// nothing changed but what is a machine's own: paths, addresses, the names of
// servers. They listen on 127.0.0.1, 127.0.0.2 and so on.
func replicas(t *testing.T, n int, d *appsv1.Deployment, policies string) (admin string) {
	t.Helper()
	lb := d.Spec.Template.Spec.Containers[0]
	admin = free(t)
	for i := range n {
		ip := fmt.Sprintf("127.0.0.%d", i+1)
		args := []string{}
		for _, a := range lb.Args {
			a = strings.Replace(a, lb.VolumeMounts[0].MountPath, policies, 1)
			a = strings.Replace(a, lb.VolumeMounts[1].MountPath, t.TempDir(), 1)
			a = strings.Replace(a, "=:8080", "="+ip+":"+admin, 1)
			args = append(args, a)
		}
		var env []string
		for _, e := range lb.Env {
			if e.ValueFrom == nil {
				env = append(env, e.Name+"="+e.Value)
			}
		}
		stdout := start(t, "lb", args, env...)
		go io.Copy(io.Discard, stdout) // until the process ends
	}
	for i := range n {
		get(t, fmt.Sprintf("http://127.0.0.%d:%s%s", i+1, admin, lb.StartupProbe.HTTPGet.Path), http.StatusOK)
		get(t, fmt.Sprintf("http://127.0.0.%d:%s%s", i+1, admin, lb.ReadinessProbe.HTTPGet.Path), http.StatusOK)
		get(t, fmt.Sprintf("http://127.0.0.%d:%s%s", i+1, admin, lb.LivenessProbe.HTTPGet.Path), http.StatusOK)
	}
	return admin
}

// The processes take the arguments that the manifests give them: a balancer of the
// Deployment answers its probes and serves the ConfigMap's policy through a server
// of the try-out, and the Job verifies it.
func TestManifestsRun(t *testing.T) {
	all := objects(t, build(t, "overlays/try-out"))
	d := find[*appsv1.Deployment](t, all, balancer)

	backend := find[*appsv1.Deployment](t, all, "cart").Spec.Template.Spec.Containers[0]
	server := free(t)
	args := []string{}
	for _, a := range backend.Args {
		a = strings.Replace(a, "--listen=:8080", "--listen=127.0.0.1:"+server, 1)
		args = append(args, strings.Replace(a, "$(POD_NAME)", "cart-0", 1))
	}
	said := bufio.NewReader(start(t, "sim", args))
	go io.Copy(io.Discard, said)
	get(t, "http://127.0.0.1:"+server+backend.ReadinessProbe.HTTPGet.Path, http.StatusOK)

	m := find[*corev1.ConfigMap](t, all, "go-loadbalancer-policies")
	policies := mounted(t, m)
	for name, text := range m.Data {
		// Both pools go to the one server there is; replicas share the port on addresses
		// of their own, so this one listens on the first alone.
		text = strings.NewReplacer("cart:8080", "127.0.0.1:"+server, "catalog:8080", "127.0.0.1:"+server, `":8000"`, `"127.0.0.1:0"`).Replace(text)
		if err := os.WriteFile(filepath.Join(policies, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	admin := replicas(t, 2, d, policies)

	job := find[*batchv1.Job](t, objects(t, build(t, "verify")), "verify-go-loadbalancer").Spec.Template.Spec.Containers[0]
	args = []string{"--admin=http://127.0.0.2:" + admin}
	for _, a := range job.Args[1:] {
		a = strings.Replace(a, job.VolumeMounts[0].MountPath, policies, 1)
		args = append(args, strings.Replace(a, "http://go-loadbalancer-admin:8080", "http://127.0.0.1:"+admin, 1))
	}
	if said := command(t, "lb", append([]string{job.Args[0]}, args...)...); !strings.Contains(said, "verified: 2 replicas") {
		t.Errorf("lb verify: %s", said)
	}
}
