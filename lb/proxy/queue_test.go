package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/server"
	"go-loadbalancer/lb/snapshot"
)

// TestClosedWhileWaiting: a request that waits for a place is refused once the
// registry is closed, though nothing ends and its client is not looked for.
func TestClosedWhileWaiting(t *testing.T) {
	const patience = 10 * time.Second
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	p, found := policy.Files{"policy.yaml": []byte(`apiVersion: lb/v1
kind: Policy
metadata: {name: p, version: "1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes: [{name: r, timeouts: {request: 0s}, backendRefs: [{pool: p}]}]
  pools: [{name: p, endpoints: [{address: "127.0.0.1:1"}], limits: {maxParallelRequests: 1, pendingTimeout: 1h}}]
`)}.Load()
	if found.HasErrors() {
		t.Fatal(found)
	}
	staged, err := snapshot.Compile(p, "", registry)
	if err != nil {
		t.Fatal(err)
	}
	var current snapshot.Current
	staged.Commit(&current, time.Now())
	served := current.Load().Pools[0]
	if served.Members()[0].Begin(nil) != pool.Started { // and never ends
		t.Fatal("the only place is taken")
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Options{
		Listener: l, Handler: proxy.New(proxy.Options{Current: &current, Rand: func() uint64 { return 0 }}),
		Settings: server.Settings{
			Idle: time.Minute, RequestHeader: time.Minute, RequestBody: time.Minute, Write: time.Minute,
			HeaderBytes: 1 << 10, HeaderFields: 10, MaxConnections: 10,
		},
	})
	s.Start()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
	for late := time.Now().Add(patience); served.Waiting() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it does not wait")
		}
	}
	registry.Close()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != 503 {
		t.Fatalf("%v, %v", r, err)
	}
}
