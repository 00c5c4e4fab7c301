package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/app"
	"go-loadbalancer/lb/balancer"
)

// rig is a running load balancer with a backend.
type rig struct {
	t       *testing.T
	dir     string
	backend *httptest.Server
	signals chan os.Signal
	traffic string // http://host:port
	admin   string
	ended   chan error
	client  *http.Client
	stop    context.CancelFunc
}

func policyText(version, path, backend string) string {
	return fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: %q}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes:
    - name: all
      matches: [{path: {type: PathPrefix, value: %s}}]
      backendRefs: [{pool: p}]
  pools:
    - {name: p, endpoints: [{address: %q}]}
`, version, path, backend)
}

// buffer may be written to and read by different goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// run starts a load balancer before a handler and waits until it is ready.
func run(t *testing.T, handler http.HandlerFunc, change func(*app.Config)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), signals: make(chan os.Signal), ended: make(chan error, 1)}
	r.backend = httptest.NewServer(handler)
	t.Cleanup(r.backend.Close)
	r.write(policyText("1", "/", r.backend.Listener.Addr().String()))
	transport := &http.Transport{}
	r.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)

	opened := make(chan struct{})
	var once sync.Once
	c := app.Config{
		Policies: r.dir, Admin: "127.0.0.1:0", Signals: r.signals,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Listening: func(role app.Role, addr net.Addr) {
			switch role {
			case app.Admin:
				r.admin = "http://" + addr.String()
			case app.Traffic:
				r.traffic = "http://" + addr.String()
				once.Do(func() { close(opened) })
			}
		},
	}
	if change != nil {
		change(&c)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	t.Cleanup(stop)
	go func() { r.ended <- app.Run(ctx, c) }()
	select {
	case <-opened:
	case err := <-r.ended:
		t.Fatalf("it did not start: %v", err)
	}
	r.await("/readyz answers 200", func() bool { return r.status(r.admin+"/readyz") == 200 })
	return r
}

func (r *rig) write(text string) {
	r.t.Helper()
	tmp := filepath.Join(r.dir, ".policy")
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(r.dir, "policy.yaml")); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) get(url string) (int, string) {
	r.t.Helper()
	resp, err := r.client.Get(url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (r *rig) status(url string) int {
	r.t.Helper()
	code, _ := r.get(url)
	return code
}

func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// join waits for Run to return.
func (r *rig) join() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(30 * time.Second):
		r.t.Fatal("Run does not return")
		return nil
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func TestRunServesAndStops(t *testing.T) {
	var out buffer
	r := run(t, hello, func(c *app.Config) { c.AccessLog, c.Stdout = "stdout", &out })
	if code, body := r.get(r.traffic + "/x?token=t"); code != 200 || body != "hello" {
		t.Errorf("traffic: %d %q", code, body)
	}
	if code := r.status(r.traffic + "/metrics"); code != 200 { // the backend's answer, not ours
		t.Errorf("the traffic address served admin: %d", code)
	}
	if code := r.status(r.admin + "/x"); code != 404 {
		t.Errorf("the admin address served traffic: %d", code)
	}
	for _, want := range []string{
		`lb_requests_total{code="200",route="all"} 2`,
		`lb_requests_in_flight{route="all"} 0`,
		`lb_policy_reloads_total{result="committed"} 1`,
		`lb_policy_last_reload_successful 1`,
		`lb_client_connections_opened_total{listener="http"} `,
		`lb_circuit_breaker_state{endpoint="` + r.backend.Listener.Addr().String() + `",pool="p",state="closed"} 1`,
		`lb_upstream_requests_total{endpoint="` + r.backend.Listener.Addr().String() + `",pool="p",result="ok"} 2`,
		`lb_access_log_lines_dropped_total 0`,
		`lb_build_info{go_version="` + runtime.Version() + `",`, // though nobody said what was built
	} {
		// A client may have its response before the request is counted.
		r.await("/metrics has "+want, func() bool {
			_, metrics := r.get(r.admin + "/metrics")
			return strings.Contains(metrics, want)
		})
	}
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("access log:\n%s", &out)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line["url.query"] != "token=REDACTED" || line["route"] != "all" || line["http.response.status_code"] != 200.0 || line["request_id"] == nil {
		t.Errorf("access log: %v", line)
	}
}

func TestSignalDrains(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	r := run(t, func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		io.WriteString(w, "late")
	}, nil)
	got := make(chan string, 1)
	go func() {
		_, body := r.get(r.traffic + "/")
		got <- body
	}()
	<-began
	r.signals <- syscall.SIGTERM
	r.await("/readyz answers 503 while a request is in flight", func() bool { return r.status(r.admin+"/readyz") == 503 })
	if code := r.status(r.admin + "/healthz"); code != 200 {
		t.Errorf("/healthz answered %d while draining", code)
	}
	close(finish)
	if err := r.join(); err != nil {
		t.Errorf("after all requests finished: %v", err)
	}
	if body := <-got; body != "late" {
		t.Errorf("the request in flight got %q", body)
	}
}

func TestSecondSignalCuts(t *testing.T) {
	began := make(chan struct{})
	r := run(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}, func(c *app.Config) { c.ShutdownTimeout = time.Hour })
	failed := make(chan error, 1)
	go func() {
		resp, err := r.client.Get(r.traffic + "/")
		if err == nil {
			resp.Body.Close()
			err = fmt.Errorf("answered %d", resp.StatusCode)
		}
		failed <- err
	}()
	<-began
	r.signals <- os.Interrupt
	r.signals <- os.Interrupt
	if err := r.join(); err == nil || !strings.Contains(err.Error(), "not all requests could finish") {
		t.Errorf("got %v", err)
	}
	<-failed
}

func TestShutdownTimeout(t *testing.T) {
	began := make(chan struct{})
	r := run(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}, func(c *app.Config) { c.ShutdownTimeout = 50 * time.Millisecond })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := r.client.Get(r.traffic + "/"); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	r.stop()
	if err := r.join(); err == nil || !strings.Contains(err.Error(), "not all requests could finish") {
		t.Errorf("got %v", err)
	}
	<-ended
}

func TestHangupReloadsAndReopensTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	var log buffer
	r := run(t, hello, func(c *app.Config) {
		c.AccessLog = path
		c.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), &log), nil))
	})
	r.get(r.traffic + "/one")
	asked := func(outcome string) func() bool {
		return func() bool { return strings.Contains(log.String(), `"reload asked for by SIGHUP" outcome=`+outcome) }
	}
	r.signals <- syscall.SIGHUP
	r.await("the log tells of an unchanged policy", asked("unchanged"))
	r.await("the first request is in the log", func() bool {
		text, _ := os.ReadFile(path)
		return strings.Contains(string(text), "/one")
	})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	r.write(policyText("2", "/two", r.backend.Listener.Addr().String()))
	r.signals <- syscall.SIGHUP
	r.await("the new policy serves", func() bool { return r.status(r.traffic+"/one") == 404 })
	r.await("the log was reopened", func() bool { _, err := os.Stat(path); return err == nil })
	r.get(r.traffic + "/two")
	r.write("kind: Policy\n")
	r.signals <- syscall.SIGHUP
	r.await("the log tells of a refused policy", asked("rejected"))
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
	old, _ := os.ReadFile(path + ".1")
	now, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(old), `"url.path":"/one"`) || !strings.Contains(string(now), `"url.path":"/two"`) {
		t.Errorf("%v\nold: %s\nnew: %s", err, old, now)
	}
}

func TestReloadByAdmin(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, hello, func(c *app.Config) { c.AdminTokenFile = token })
	post := func(auth string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("POST", r.admin+"/-/reload", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", auth)
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, _ := post("Bearer wrong"); code != 401 {
		t.Errorf("with a wrong token: %d", code)
	}
	if code, body := post("Bearer s3cret"); code != 200 || !strings.Contains(body, "unchanged") {
		t.Errorf("nothing changed: %d %s", code, body)
	}
	r.write("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: test, version: x}\nspec: {nonsense: 1}\n")
	if code, body := post("Bearer s3cret"); code != 422 || !strings.Contains(body, "policy.yaml:4:8") {
		t.Errorf("a bad policy: %d %s", code, body)
	}
	var status balancer.Status
	_, body := r.get(r.admin + "/api/v1/status")
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if status.Policy.LastError == nil || status.Policy.Version != "1" {
		t.Errorf("status after a bad policy: %s", body)
	}
	if code := r.status(r.traffic + "/"); code != 200 {
		t.Errorf("the last good policy does not serve: %d", code)
	}
	_, metrics := r.get(r.admin + "/metrics")
	if !strings.Contains(metrics, `lb_policy_last_reload_successful 0`) || strings.Contains(metrics, `lb_policy_reloads_total{result="rejected"} 0`) {
		t.Error("the refusal was not counted")
	}
	r.write(policyText("2", "/", r.backend.Listener.Addr().String()))
	if code, body := post("Bearer s3cret"); code != 200 {
		t.Errorf("a good policy: %d %s", code, body)
	}
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
}

func TestLastGoodPolicy(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	r := run(t, hello, func(c *app.Config) { c.StateDir = state })
	r.stop()
	if err := r.join(); err != nil {
		t.Fatal(err)
	}
	again := run(t, hello, func(c *app.Config) {
		c.StateDir = state
		if err := os.WriteFile(filepath.Join(c.Policies, "policy.yaml"), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	again.await("the page says which policy serves", func() bool {
		_, page := again.get(again.admin + "/")
		return strings.Contains(page, "the last good one") && strings.Contains(page, "degraded")
	})
	again.stop()
	if err := again.join(); err != nil {
		t.Error(err)
	}
}

func TestStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Dir(write("good/p.yaml", policyText("1", "/", "127.0.0.1:1")))
	bad := filepath.Dir(write("bad/p.yaml", "kind: Policy\n"))
	port := filepath.Dir(write("port/p.yaml", strings.Replace(policyText("1", "/", "127.0.0.1:1"), "127.0.0.1:0", busy, 1)))
	tests := []struct {
		name   string
		config app.Config
		want   []string
	}{
		{"admin address taken", app.Config{Policies: good, Admin: busy}, []string{"admin", busy, "address already in use; free it, or give another --admin"}},
		{"traffic address taken", app.Config{Policies: port}, []string{busy, "address already in use"}},
		{"no directory", app.Config{Policies: filepath.Join(dir, "none")}, []string{filepath.Join(dir, "none")}},
		{"bad policy", app.Config{Policies: bad}, []string{"p.yaml:1:1", "no last good policy"}},
		{"no token file", app.Config{Policies: good, AdminTokenFile: filepath.Join(dir, "none")}, []string{"admin token", "none"}},
		{"empty token", app.Config{Policies: good, AdminTokenFile: write("empty", " \n")}, []string{"admin token", "empty"}},
		{"long token", app.Config{Policies: good, AdminTokenFile: write("long", strings.Repeat("x", 5000))}, []string{"admin token", "4096"}},
		{"two tokens", app.Config{Policies: good, AdminTokenFile: write("two", "a b")}, []string{"admin token", "one word"}},
		{"log cannot be opened", app.Config{Policies: good, AccessLog: filepath.Join(dir, "none", "x.log")}, []string{"access log", "x.log"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.config.Admin == "" {
				tt.config.Admin = "127.0.0.1:0"
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := app.Run(ctx, tt.config)
			if err == nil {
				t.Fatal("it ran")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestStoppedBeforeItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := app.Run(ctx, app.Config{Policies: t.TempDir(), Admin: "127.0.0.1:0"}); err != nil {
		t.Error(err)
	}
}
