package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/server"
	"go-loadbalancer/lb/snapshot"
)

// TestPolicyReplacedBeforeThePick: a request whose policy is replaced, and all of
// its endpoints removed, after it was matched and before it was sent, is served
// by the new policy, at the cost of one token of its rate limit.
func TestPolicyReplacedBeforeThePick(t *testing.T) {
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	var current snapshot.Current
	backends := map[string]string{}
	serve := func(name string) {
		text := fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: p, version: %q}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes: [{name: r, filters: [{rateLimit: {requests: 1, per: 10h}}], backendRefs: [{pool: p}]}]
  pools: [{name: p, endpoints: [{address: %q}]}]
`, name, backends[name])
		p, found := policy.Files{"policy.yaml": []byte(text)}.Load()
		if found.HasErrors() {
			t.Error(found)
			return
		}
		staged, err := snapshot.Compile(p, "", registry)
		if err != nil {
			t.Error(err)
			return
		}
		staged.Commit(&current, time.Now())
	}
	for _, name := range []string{"before", "after"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }))
		defer s.Close()
		backends[name] = strings.TrimPrefix(s.URL, "http://")
	}
	serve("before")

	// The first random number is asked for to choose a pool, since the request
	// brings its own id: the snapshot was loaded by then.
	replaced := false
	p := proxy.New(proxy.Options{Current: &current, Rand: func() uint64 {
		if !replaced {
			replaced = true
			serve("after")
		}
		return 0
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Options{Listener: l, Handler: p, Settings: server.Settings{
		Idle: time.Minute, RequestHeader: time.Minute, RequestBody: time.Minute, Write: time.Minute,
		HeaderBytes: 1 << 10, HeaderFields: 10, MaxConnections: 10,
	}})
	s.Start()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	request, err := http.NewRequest("GET", "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Request-Id", "mine")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || string(body) != "after" {
		t.Errorf("status %d, body %q, error %v; want 200 and the new policy's endpoint", response.StatusCode, body, err)
	}
}
