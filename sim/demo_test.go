package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/sim/backend"
)

// transcript is what a command prints.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until the transcript matches.
func (o *transcript) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); !re.MatchString(o.String()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q never came; there was:\n%s", pattern, o.String())
		}
	}
}

// TestDemo is the README's tour, with the balancer that ships.
func TestDemo(t *testing.T) {
	dir, out := t.TempDir(), new(transcript)
	file := filepath.Join(dir, "shop.yaml")
	traffic, admin := freeAddress(t), freeAddress(t)
	steady := freeAddress(t) // the programme leaves the third endpoint in peace
	text := fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: %q}]
  routes:
    - {name: all, backendRefs: [{pool: cart}]}
  pools:
    - name: cart
      endpoints:
        - {address: %q, weight: 1}
        - {address: %q, weight: 1}
        - {address: %q, weight: 5}
      circuitBreaker: {consecutiveFailures: 3, openDuration: 200ms, halfOpenRequests: 1}
      loadBalancer: {type: RoundRobin}
      sessionPersistence: {store: Cookie}
`, traffic, freeAddress(t), freeAddress(t), steady)
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save(text)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		c := demoCommand{Policies: dir, Admin: admin, Rate: 100, Cycle: 3 * time.Second, Seed: 1}
		ended <- c.Run(session{ctx, out})
	}()

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	// shares asks until n requests were answered well, and says by whom.
	shares := func(n int) map[string]int {
		t.Helper()
		by := make(map[string]int)
		for deadline := time.Now().Add(20 * time.Second); n > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%d answers are missing", n)
			}
			resp, err := client.Get("http://" + traffic + "/cart")
			if err != nil {
				t.Fatal(err)
			}
			var a backend.Answer
			err = json.NewDecoder(resp.Body).Decode(&a)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && err == nil {
				by[a.Backend]++
				n--
			}
		}
		return by
	}

	out.await(t, regexp.QuoteMeta("traffic     http://"+traffic))
	if by := shares(30); len(by) < 2 {
		t.Errorf("answers came from %v", by)
	}
	// Who comes back with the cookie is answered by the same one.
	client.Jar, _ = cookiejar.New(nil) // never fails without options
	for shares(1)[steady] != 1 {
		client.Jar, _ = cookiejar.New(nil)
	}
	if by := shares(20); by[steady] != 20 {
		t.Errorf("a client of %s was answered by %v", steady, by)
	}
	client.Jar = nil

	out.await(t, `> cart/2 answers 503(?s:.*)\* cart/2 \[CB: OPEN\](?s:.*)\* cart/2 \[CB: CLOSED\]`)

	// An edit acts.
	save(strings.Replace(text, "weight: 5", "weight: 0", 1))
	out.await(t, `\* the edited policy serves: version "1"`)
	if by := shares(30); len(by) > 2 {
		t.Errorf("an endpoint of weight 0 was asked: %v", by)
	}

	// A mistake is shown, and harms nothing.
	save(strings.Replace(text, "RoundRobin", "RoundRobbin", 1))
	out.await(t, `! the edit is refused(?s:.*)shop\.yaml:15:28: (?s:.*)\^`)
	shares(10)
	save(text)
	out.await(t, `refused(?s:.*)\* the edited policy serves`)

	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the demo did not end")
	}
	out.await(t, `the end: [1-9]\d* requests`)
}

func TestDemoSaysWhichPortIsTaken(t *testing.T) {
	for _, taken := range []string{"traffic", "admin"} {
		t.Run(taken, func(t *testing.T) {
			b := backend.New(backend.Options{})
			addr := map[string]string{"traffic": freeAddress(t), "admin": freeAddress(t)}
			serveOn(t, b, addr[taken])
			dir := t.TempDir()
			text := fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "1"}
spec:
  listeners: [{name: http, address: %q}]
  routes: [{name: all, backendRefs: [{pool: cart}]}]
  pools: [{name: cart, endpoints: [{address: %q}]}]
`, addr["traffic"], freeAddress(t))
			if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			c := demoCommand{Policies: dir, Admin: addr["admin"], Cycle: time.Minute}
			err := c.Run(session{ctx, new(transcript)})
			if err == nil || !strings.Contains(err.Error(), addr[taken]) || !strings.Contains(err.Error(), "in use") {
				t.Errorf("the demo ended with %v, want the address %s", err, addr[taken])
			}
		})
	}
}
