package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/demo"
)

// fakeBalancer stands in for the balancer: it sends every request to the first
// endpoint of the policy in dir, and has the status it is told.
type fakeBalancer struct {
	dir, traffic, admin string
	policy              atomic.Pointer[policy.Policy]

	mu       sync.Mutex
	breaker  string
	refusal  string
	refused  time.Time
	requests map[string]int // by host and path
}

func (f *fakeBalancer) run(ctx context.Context) error {
	f.reload()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	proxy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests[r.Host+r.URL.RequestURI()]++
		f.mu.Unlock()
		r.URL.Scheme, r.URL.Host, r.RequestURI = "http", f.policy.Load().Pools[0].Endpoints[0].Address, ""
		resp, err := transport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	status := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		s := map[string]any{
			"policy": map[string]any{"hash": f.policy.Load().Hash, "version": "v"},
			"pools":  []any{map[string]any{"endpoints": []any{map[string]any{"id": "a/1", "breaker": map[string]any{"state": f.breaker}}}}},
		}
		if f.refusal != "" {
			s["policy"].(map[string]any)["lastError"] = map[string]any{"at": f.refused, "message": f.refusal}
		}
		json.NewEncoder(w).Encode(s)
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	for addr, h := range map[string]http.Handler{f.traffic: proxy, f.admin: status} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		hs := &http.Server{Handler: h}
		wg.Go(func() { hs.Serve(ln) })
		defer hs.Close()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
			f.reload()
		}
	}
}

func (f *fakeBalancer) reload() {
	if files, err := policy.ReadFiles(os.DirFS(f.dir)); err != nil || f.policy.Load() != nil && f.policy.Load().Hash == files.Hash() {
		return
	}
	if p, _ := policy.Load(os.DirFS(f.dir)); p != nil {
		f.policy.Store(p)
	}
}

func (f *fakeBalancer) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// freeAddresses returns n addresses that were free a moment ago.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		all = append(all, ln.Addr().String())
	}
	return all
}

// output is what the demo says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until the output matches.
func (o *output) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(20 * time.Second); !re.MatchString(o.String()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q never came; there was:\n%s", pattern, o.String())
		}
	}
}

func writePolicy(t *testing.T, dir, listener string, endpoints ...string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `
apiVersion: lb/v1
kind: Policy
metadata: {name: t, version: v}
spec:
  listeners: [{name: http, address: %q}]
  routes:
    - name: cart
      hostnames: ["*.shop.test"]
      matches: [{path: {type: PathPrefix, value: /cart}, headers: [{name: X-Beta, value: "1"}], queryParams: [{name: q, value: "2"}]}]
      backendRefs: [{pool: a}]
    - name: old
      matches: [{path: {type: PathPrefix, value: /old}}]
      filters: [{requestRedirect: {scheme: https}}]
    - name: front
      backendRefs: [{pool: a}]
  pools:
    - name: a
      endpoints:
`, listener)
	for _, e := range endpoints {
		fmt.Fprintf(&b, "        - {address: %q}\n", e)
	}
	// By renaming, so that nobody reads half of it.
	if err := os.WriteFile(filepath.Join(dir, ".new"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, ".new"), filepath.Join(dir, "p.yaml")); err != nil {
		t.Fatal(err)
	}
}

// launch runs a demo until the returned function is called, which returns what
// Run did.
func launch(t *testing.T, o demo.Options) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- demo.Run(ctx, o) }()
	var once sync.Once
	var err error
	end = func() error {
		once.Do(func() {
			cancel()
			select {
			case err = <-done:
			case <-time.After(20 * time.Second):
				t.Error("the demo did not end")
			}
		})
		return err
	}
	t.Cleanup(func() { end() })
	return end
}

func TestRun(t *testing.T) {
	dir, out := t.TempDir(), new(output)
	at := freeAddresses(t, 5)
	f := &fakeBalancer{dir: dir, traffic: at[0], admin: at[1], breaker: "closed", requests: make(map[string]int)}
	writePolicy(t, dir, at[0], at[2], at[3])
	end := launch(t, demo.Options{
		Policies: dir, Admin: at[1], Balancer: f.run, Rate: 50,
		Cycle: 2 * time.Second, Every: 300 * time.Millisecond, Out: out,
	})

	// It greets, makes requests, and plays its programme.
	out.await(t, regexp.QuoteMeta("traffic     http://"+at[0]))
	out.await(t, regexp.QuoteMeta("dashboard   http://"+at[1]))
	out.await(t, regexp.QuoteMeta("edit        "+dir+"/p.yaml"))
	out.await(t, `> all is well`)
	out.await(t, `[1-9]\d* requests, 0 errors \| a 100% 0%`)
	out.await(t, `> a/1 turns slow`)
	out.await(t, `> a/2 answers 503`)
	out.await(t, `> a/2 is well again(?s:.*)> all is well`)
	f.set(func() {
		if f.requests["x.shop.test/cart?q=2"] == 0 || f.requests[at[0]+"/"] == 0 || len(f.requests) != 2 {
			t.Errorf("requests were made to %v", f.requests)
		}
	})

	// It says what changes in the balancer.
	f.set(func() { f.breaker = "open" })
	out.await(t, `\* a/1 \[CB: OPEN\]`)
	f.set(func() { f.breaker = "half-open" })
	out.await(t, `\* a/1 \[CB: HALF-OPEN\]`)
	f.set(func() { f.refused, f.refusal = time.Now(), "p.yaml:1:1: spec: wrong\n  |  ^" })
	out.await(t, `! the edit is refused(?s:.*)p.yaml:1:1: spec: wrong\n  \|  \^`)

	f.set(func() { f.refusal = "" })
	out.await(t, `\* the files are good again`)

	// An endpoint that appears gets a backend.
	writePolicy(t, dir, at[0], at[4], at[2])
	out.await(t, `\* the edited policy serves: version "v", hash [0-9a-f]{12}\n`)
	resp, err := http.Get("http://" + at[4] + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()

	// One that cannot have a backend is named, and the rest goes on.
	writePolicy(t, dir, at[0], at[4], "192.0.2.1:80")
	out.await(t, `! no backend for:\nendpoint 192\.0\.2\.1:80 of pool a \(p\.yaml:\d+\): not a loopback address`)

	if err := end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	out.await(t, `the end: [1-9]\d* requests, \d+ errors\n$`)
	for _, addr := range at {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still accepts", addr)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := freeAddresses(t, 2)
	idle := func(ctx context.Context) error { <-ctx.Done(); return nil }
	broken := errors.New("the port is taken")
	for _, tc := range []struct {
		name     string
		endpoint string // "" for a directory without a policy
		o        demo.Options
		want     string
	}{
		{"remote endpoint", "10.0.0.1:80", demo.Options{Balancer: idle}, "endpoint 10.0.0.1:80 of pool a (p.yaml:20): not a loopback address"},
		{"named endpoint", "cart.example.com:80", demo.Options{Balancer: idle}, "endpoint cart.example.com:80 of pool a (p.yaml:20): not a loopback address"},
		{"taken endpoint", taken.Addr().String(), demo.Options{Balancer: idle}, "of pool a (p.yaml:20): something listens there already"},
		{"no policy", "", demo.Options{Balancer: idle}, "is invalid"},
		{"balancer fails", at[0], demo.Options{Balancer: func(context.Context) error { return broken }}, "the port is taken"},
		{"balancer gives up", at[0], demo.Options{Balancer: func(context.Context) error { return nil }}, "the balancer stopped by itself"},
		{"rate", at[0], demo.Options{Balancer: idle, Rate: -1}, "rate -1"},
		{"rate too high", at[0], demo.Options{Balancer: idle, Rate: 1e6}, "rate 1e+06"},
		{"cycle", at[0], demo.Options{Balancer: idle, Cycle: time.Millisecond}, "cycle 1ms"},
		{"admin", at[0], demo.Options{Balancer: idle, Admin: "8080"}, `admin address "8080"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.endpoint != "" {
				writePolicy(t, dir, "127.0.0.1:0", tc.endpoint)
			}
			tc.o.Policies, tc.o.Out = dir, io.Discard
			if tc.o.Admin == "" {
				tc.o.Admin = at[1]
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := demo.Run(ctx, tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Run: %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestEndsWhileStarting(t *testing.T) {
	dir, at := t.TempDir(), freeAddresses(t, 3)
	writePolicy(t, dir, at[0], at[1])
	started := make(chan struct{})
	end := launch(t, demo.Options{Policies: dir, Admin: at[2], Out: io.Discard, Balancer: func(ctx context.Context) error {
		close(started) // and never serves
		<-ctx.Done()
		return nil
	}})
	<-started
	if err := end(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestEndsIfTheBalancerFailsLater(t *testing.T) {
	dir, at, out := t.TempDir(), freeAddresses(t, 3), new(output)
	writePolicy(t, dir, at[0], at[1])
	f := &fakeBalancer{dir: dir, traffic: at[0], admin: at[2], breaker: "closed", requests: make(map[string]int)}
	fail := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- demo.Run(t.Context(), demo.Options{Policies: dir, Admin: at[2], Out: out, Balancer: func(ctx context.Context) error {
			own, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() { <-fail; cancel() }()
			f.run(own)
			return errors.New("out of memory")
		}})
	}()
	out.await(t, `> all is well`)
	close(fail)
	select {
	case err := <-done:
		if err == nil || err.Error() != "out of memory" {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the demo went on")
	}
}
