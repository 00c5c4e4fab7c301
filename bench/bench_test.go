package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/bench/load"

	"go.uber.org/goleak"
)

// proxyCommand makes the test binary a proxy: LISTEN BACKEND LOG, where a log
// named "none" means that none is written.
const proxyCommand = "test-proxy"

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == loadCommand:
		if err := load.Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 5 && os.Args[1] == proxyCommand:
		proxy(os.Args[2], os.Args[3], os.Args[4])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func proxy(listen, backend, log string) {
	var file *os.File
	if log != "none" {
		var err error
		if file, err = os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
			panic(err)
		}
	}
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend})
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go http.ListenAndServe(listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reverse.ServeHTTP(w, r)
		if file != nil {
			fmt.Fprintln(file, r.URL)
		}
	}))
	<-terminated
}

// testCandidate is the proxy above.
func testCandidate(name, log string) candidate {
	return candidate{
		name: name, config: "policy.yaml.tmpl", configAs: "policies/policy.yaml",
		args: []string{proxyCommand, "{{.Listen}}", "{{.Backend}}", log},
	}
}

func testBench(t *testing.T, candidates ...candidate) *bench {
	t.Helper()
	runtime.LockOSThread() // until the test's end: see start
	p, err := load.Start(nil, loadCommand)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		candidates: candidates, binaries: map[string]string{}, load: p, dir: t.TempDir(),
		rounds: 3, window: 50 * time.Millisecond, settle: 100 * time.Millisecond, progress: t.Logf,
	}
	for _, c := range candidates {
		b.binaries[c.name] = self
	}
	return b
}

func TestRow(t *testing.T) {
	good, silent, absent := testCandidate("good", "{{.Log}}"), testCandidate("silent", "{{.Dir}}/other"), testCandidate("absent", "")
	good.reference = true
	silent.args[3] = "none"
	absent.args = []string{"-test.run=^$"}
	silent.stdoutIsLog = true // so that there is a file, which stays empty
	b := testBench(t, good, silent, absent)
	all, err := b.row(t.Context(), row{name: "r", load: load.Spec{Connections: 4, Reply: "small"}, accessLog: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := all[0]; s.invalid != "" || len(s.values) != 3 || s.values[0] <= 0 {
		t.Errorf("good: %+v", s)
	}
	for i, want := range map[int]string{1: "0 lines in the access log", 2: "it ended at once"} {
		if s := all[i]; !strings.Contains(s.invalid, want) {
			t.Errorf("%s: invalid because %q, want %q", s.candidate.name, s.invalid, want)
		}
	}

	var r report
	r.row(row{name: "r"}, all)
	text := r.markdown(conditions{started: time.Now()})
	if !r.invalid || strings.Count(text, "| **INVALID** |") != 2 || strings.Count(text, "> **INVALID: row r, ") != 2 {
		t.Errorf("the report does not say what is invalid:\n%s", text)
	}
}

func TestMemoryRow(t *testing.T) {
	b := testBench(t, testCandidate("good", "{{.Log}}"))
	b.rounds = 1
	all, err := b.row(t.Context(), row{name: "m", metric: memoryPerClient, load: load.Spec{Connections: 200, Reply: "small"}, accessLog: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := all[0]; s.invalid != "" || len(s.values) != 1 || s.values[0] < 1<<10 || s.values[0] > 1<<20 {
		t.Errorf("%+v: want some KiB a connection", s)
	}
}

func TestRowIsInterrupted(t *testing.T) {
	b := testBench(t, testCandidate("good", "{{.Log}}"))
	ctx, cancel := context.WithCancel(t.Context())
	b.progress = func(string, ...any) { cancel() }
	if _, err := b.row(ctx, row{name: "r", load: load.Spec{Connections: 1, Reply: "small"}}); err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestParse(t *testing.T) {
	all, err := parse(nil)
	if err != nil || len(all.rows) != len(rows()) || !all.reload || all.out != "bench/RESULTS.md" {
		t.Errorf("everything: %+v, %v", all, err)
	}
	quick, err := parse([]string{"-rounds", "3", "-rows", "small64,churn", "-only", "nginx"})
	if err != nil || len(quick.rows) != 2 || quick.reload || len(quick.candidates) != 1 || quick.out != "" {
		t.Errorf("a part: %+v, %v: the report of a part must not replace that of everything", quick, err)
	}
	for _, args := range [][]string{{"-rows", "small65"}, {"-only", "lighttpd"}, {"-rounds", "0"}, {"-window", "1ms"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}

// Every template of every candidate expands, with and without a log.
func TestCandidatesExpand(t *testing.T) {
	for _, c := range candidates() {
		for _, log := range []string{"", "/tmp/access.log"} {
			p := process{candidate: c, instance: instance{Dir: t.TempDir(), Listen: "127.0.0.1:1", Backend: "127.0.0.1:2", Admin: "127.0.0.1:3", Log: log}}
			if err := p.configure(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			for _, arg := range c.args {
				if text, err := p.expand(arg); err != nil || strings.Contains(text, "<no value>") {
					t.Errorf("%s: %q gives %q, %v", c.name, arg, text, err)
				}
			}
		}
	}
}
