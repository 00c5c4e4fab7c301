package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/backend"
	"go-loadbalancer/sim/virtual"
)

// TestMain also lets scripts run this very binary as sim.
func TestMain(m *testing.M) {
	virtual.Work()
	testscript.Main(leakChecked{m}, map[string]func(){"sim": main})
}

// leakChecked is a test run that fails if it leaves goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "leaked goroutines:", err)
			return 1
		}
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"ADDR1", "ADDR2", "ADDR3"} {
				e.Setenv(name, freeAddress(t))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ask": ask},
	})
}

// ask METHOD URL [BODY] makes a request, waiting for the server to come up, and
// writes the status and the body to ask.out.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: ask METHOD URL [BODY]")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var body io.Reader
		if len(args) == 3 {
			body = strings.NewReader(args[2])
		}
		req, err := http.NewRequest(args[0], args[1], body)
		ts.Check(err)
		resp, err := c.Do(req)
		if err != nil {
			if time.Now().After(deadline) {
				ts.Fatalf("%v", err)
			}
			continue
		}
		defer resp.Body.Close()
		var out bytes.Buffer
		fmt.Fprintf(&out, "%d\n", resp.StatusCode)
		_, err = io.Copy(&out, resp.Body)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs("ask.out"), out.Bytes(), 0o644))
		return
	}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// serveOn serves b on an address until the test ends.
func serveOn(t *testing.T, b *backend.Backend, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The shipped policies are what newcomers learn from: nothing in them may even
// be warned of, and the demo must be able to play them.
func TestShippedPolicies(t *testing.T) {
	var seen int
	err := filepath.WalkDir("../policies", func(dir string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		seen++
		p, found := policy.Load(os.DirFS(dir))
		for _, f := range found {
			t.Errorf("%s: %v", dir, f)
		}
		if p == nil {
			return nil
		}
		if filepath.Base(dir) == "kubernetes" {
			return nil // its endpoints are Services, which its own tests play
		}
		for _, pool := range p.Pools {
			for _, e := range pool.Endpoints {
				host, port, _ := net.SplitHostPort(e.Address)
				if host != "127.0.0.1" || port < "9001" || port > "9006" {
					t.Errorf("%s: endpoint %s of pool %s is not on 127.0.0.1:9001 to 9006", dir, e.Address, pool.Name)
				}
			}
		}
		return nil
	})
	if err != nil || seen < 2 {
		t.Errorf("%d directories: %v", seen, err)
	}
}
