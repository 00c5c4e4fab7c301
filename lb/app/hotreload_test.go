package app_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/source"
)

const changes = 100

// TestReloadsUnderLoad drives load through a hundred changes of the policy, in
// each of the ways policies are delivered, refused ones among them: no request
// may fail, and the last state of every burst of changes must be seen.
func TestReloadsUnderLoad(t *testing.T) {
	for name, newDelivery := range map[string]func(t *testing.T) delivery{
		"ConfigMap": newConfigMap,
		"git-sync":  newGitSync,
		"in place":  newInPlace,
		"rename":    newRename,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reloadUnderLoad(t, newDelivery(t))
		})
	}
}

// delivery is a way to deliver a policy.
type delivery struct {
	path string // what the balancer watches
	put  func(t *testing.T, text string)
}

func reloadUnderLoad(t *testing.T, d delivery) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var backends []string
	for range 3 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				// Begun under one policy, ended under a later one.
				for range 5 {
					io.WriteString(w, "part ")
					w.(http.Flusher).Flush()
					select {
					case <-time.After(100 * time.Millisecond):
					case <-r.Context().Done():
					}
				}
			}
			http.NewResponseController(w).EnableFullDuplex() // or the echo would cut its own request
			io.Copy(w, r.Body)
		}))
		t.Cleanup(s.Close)
		backends = append(backends, strings.TrimPrefix(s.URL, "http://"))
	}

	d.put(t, goodPolicy(0, backends))
	dir := source.NewDir(d.path, source.Options{Poll: time.Hour}) // events alone deliver
	dir.Start()
	t.Cleanup(dir.Close)
	b := balancer.New(balancer.Options{Policies: dir})
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})

	stop := drive(t, "http://"+b.Addr("http").String(), func() int { return servedVersion(b) })
	served := 0 // the version that must be serving
	refusals := 0
	for n := 1; n <= changes; {
		var last string
		good := true
		for burst := 1 + random.IntN(4); burst > 0 && n <= changes; burst, n = burst-1, n+1 {
			if good = n%7 != 0; good {
				last = goodPolicy(n, backends)
				served = n
			} else {
				last = badPolicy(n, backends)
				refusals++
			}
			d.put(t, last)
			// Sometimes the reader gets a chance in the middle of a burst.
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
		}
		hash := policy.Files{"policy.yaml": []byte(last)}.Hash()
		await(t, b, fmt.Sprintf("change %d (good: %v) is seen", n-1, good), func(s balancer.Status) bool {
			if good {
				return s.Policy.Hash == hash && s.Policy.LastError == nil
			}
			return s.Policy.LastError != nil && s.Policy.LastError.Hash == hash
		})
		if !good {
			continue // which of the burst's good ones serves depends on what was seen
		}
		if got := servedVersion(b); got != served {
			t.Fatalf("version %d serves, want %d", got, served)
		}
	}
	requests, failed := stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed; the first: %s", len(failed), requests, failed[0])
	}
	if requests < 5*changes {
		t.Errorf("only %d requests were made: too little load to prove anything", requests)
	}
	if refusals == 0 {
		t.Error("no policy was refused")
	}
	t.Logf("%d requests, %d changes, %d of them refused", requests, changes, refusals)
}

// drive sends requests of all kinds until it is stopped. Every one must succeed,
// and be served by a policy no older than the one serving when it was sent.
func drive(t *testing.T, url string, serving func() int) (stop func() (int64, []string)) {
	var (
		done     = make(chan struct{})
		workers  sync.WaitGroup
		requests atomic.Int64
		mu       sync.Mutex
		failed   []string
	)
	kinds := []func(*http.Client) (*http.Response, string, error){
		func(c *http.Client) (*http.Response, string, error) {
			r, err := c.Get(url + "/")
			return r, "", err
		},
		func(c *http.Client) (*http.Response, string, error) {
			r, err := c.Post(url+"/", "text/plain", strings.NewReader("hello"))
			return r, "hello", err
		},
		func(c *http.Client) (*http.Response, string, error) {
			body := strings.Repeat("0123456789", 10_000)
			r, err := c.Post(url+"/", "text/plain", struct{ io.Reader }{strings.NewReader(body)})
			return r, body, err
		},
		func(c *http.Client) (*http.Response, string, error) {
			r, err := c.Get(url + "/long")
			return r, "part part part part part ", err
		},
	}
	for i := range 2 * len(kinds) {
		transport := &http.Transport{DisableKeepAlives: i == 0}
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		send := kinds[i%len(kinds)]
		workers.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-done:
					return
				default:
				}
				least := serving()
				resp, want, err := send(client)
				requests.Add(1)
				if problem := check(resp, want, err, least); problem != "" {
					mu.Lock()
					failed = append(failed, problem)
					mu.Unlock()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() (int64, []string) {
		close(done)
		workers.Wait()
		return requests.Load(), failed
	}
}

func check(resp *http.Response, want string, err error, least int) string {
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch version, _ := strconv.Atoi(resp.Header.Get("X-Version")); {
	case err != nil:
		return err.Error()
	case resp.StatusCode != 200:
		return resp.Status + ": " + string(body)
	case string(body) != want:
		return fmt.Sprintf("the body has %d bytes, want %d", len(body), len(want))
	case version < least:
		return fmt.Sprintf("served by version %d after version %d served", version, least)
	}
	return ""
}

// await waits until the status is as it must become.
func await(t *testing.T, b *balancer.Balancer, what string, ok func(balancer.Status) bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok(b.Status()) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s; status: %+v", what, b.Status().Policy)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func servedVersion(b *balancer.Balancer) int {
	v, _ := strconv.Atoi(b.Status().Policy.Version)
	return v
}

// goodPolicy is version n: other endpoints, weights and algorithms each time.
func goodPolicy(n int, backends []string) string {
	a, b := backends[n%3], backends[(n+1)%3]
	algorithm := []string{"RoundRobin", "LeastRequest", "Random"}[n%3]
	return fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: load, version: "%d"}
spec:
  listeners:
    - {name: http, address: "127.0.0.1:0"}
  routes:
    - name: all
      filters: [{responseHeaderModifier: {set: {X-Version: "%d"}}}]
      backendRefs: [{pool: p}]
  pools:
    - name: p
      endpoints: [{address: "%s", weight: %d}, {address: "%s"}]
      loadBalancer: {type: %s}
`, n, n, a, 1+n%5, b, algorithm)
}

// badPolicy is refused, each time for another reason.
func badPolicy(n int, backends []string) string {
	good := goodPolicy(n, backends)
	switch n % 3 {
	case 0:
		return strings.Replace(good, "pool: p", "pool: nowhere", 1)
	case 1:
		return good + "  - ["
	}
	return strings.Replace(good, "weight", "wieght", 1)
}

// newConfigMap delivers as the kubelet does to a ConfigMap volume.
func newConfigMap(t *testing.T) delivery {
	dir := t.TempDir()
	n := 0
	return delivery{dir, func(t *testing.T, text string) {
		n++
		fresh := fmt.Sprintf("..2026_11_23_%08d", n)
		must(t, os.Mkdir(filepath.Join(dir, fresh), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, fresh, "policy.yaml"), []byte(text), 0o644))
		old, _ := os.Readlink(filepath.Join(dir, "..data"))
		must(t, os.Symlink(fresh, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if old == "" {
			must(t, os.Symlink(filepath.Join("..data", "policy.yaml"), filepath.Join(dir, "policy.yaml")))
		} else {
			must(t, os.RemoveAll(filepath.Join(dir, old)))
		}
	}}
}

// newGitSync delivers as git-sync does: a link to a worktree named by its commit.
func newGitSync(t *testing.T) delivery {
	root := t.TempDir()
	link := filepath.Join(root, "current")
	n := 0
	return delivery{link, func(t *testing.T, text string) {
		n++
		commit := fmt.Sprintf("%040x", n)
		tree := filepath.Join(root, ".worktrees", commit)
		must(t, os.MkdirAll(tree, 0o755))
		must(t, os.WriteFile(filepath.Join(tree, "policy.yaml"), []byte(text), 0o644))
		old, _ := os.Readlink(link)
		must(t, os.Symlink(filepath.Join(".worktrees", commit), link+".tmp"))
		must(t, os.Rename(link+".tmp", link))
		if old != "" {
			must(t, os.RemoveAll(filepath.Join(root, old)))
		}
	}}
}

// newInPlace delivers as a plain editor does: the file is emptied and written in
// pieces.
func newInPlace(t *testing.T) delivery {
	dir := t.TempDir()
	return delivery{dir, func(t *testing.T, text string) {
		f, err := os.Create(filepath.Join(dir, "policy.yaml"))
		must(t, err)
		for len(text) > 0 {
			n := min(len(text), 200)
			_, err := io.WriteString(f, text[:n])
			must(t, err)
			text = text[n:]
		}
		must(t, f.Close())
	}}
}

// newRename delivers as a careful editor does: another file, renamed over.
func newRename(t *testing.T) delivery {
	dir := t.TempDir()
	return delivery{dir, func(t *testing.T, text string) {
		tmp := filepath.Join(dir, ".policy.yaml.swp")
		must(t, os.WriteFile(tmp, []byte(text), 0o644))
		must(t, os.Rename(tmp, filepath.Join(dir, "policy.yaml")))
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
