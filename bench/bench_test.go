package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/server"

	"go.uber.org/goleak"
)

// proxyCommand makes the test binary a proxy: LISTEN BACKEND LOG, where a log
// named "none" means that none is written.
const proxyCommand = "test-proxy"

// cookieVariable has the proxy keep sessions by a cookie of that name; it knows none of
// them again if that is "forgotten".
const cookieVariable = "TEST_COOKIE"

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
	var sessions atomic.Int64
	cookie, forgetful := os.Getenv(cookieVariable), os.Getenv(cookieVariable) == "forgotten"
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend})
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go http.ListenAndServe(listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie(cookie); cookie != "" && (err != nil || forgetful) {
			http.SetCookie(w, &http.Cookie{Name: cookie, Value: fmt.Sprint(sessions.Add(1))})
		}
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

// Who keeps sessions is compared with the same without, and must know them.
func TestSessionRow(t *testing.T) {
	plain, keeps, forgets := testCandidate("lb", "{{.Log}}"), testCandidate("keeps", "{{.Log}}"), testCandidate("forgets", "{{.Log}}")
	keeps.without, keeps.sessions, keeps.product, keeps.env = "lb", "insert", true, []string{cookieVariable + "=s"}
	forgets.without, forgets.sessions, forgets.env = "lb", "insert", []string{cookieVariable + "=forgotten"}
	b := testBench(t, plain, keeps, forgets, testCandidate("peer", "{{.Log}}"))
	defer visitor.CloseIdleConnections()
	session := row{name: "r", load: load.Spec{Connections: 4, Reply: "small"}, accessLog: true, sessions: 10, target: 100}
	all, err := b.row(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("%d candidates measured, want those with sessions and what they are compared with", len(all))
	}
	if all[0].invalid != "" || all[1].invalid != "" || !strings.Contains(all[2].invalid, "a cookie is set") {
		t.Errorf("invalid: lb %q, keeps %q, forgets %q; want the last one alone, which sets cookies", all[0].invalid, all[1].invalid, all[2].invalid)
	}
	var r report
	r.row(session, all)
	lines := strings.Split(r.table.String(), "\n")
	if !strings.Contains(lines[0], "| 1.000 (0.000) |  |  |") || strings.Contains(lines[1], "| 1.000 (0.000) |") || !strings.Contains(lines[1], "≤ 100.00") {
		t.Errorf("want the target at the one that keeps sessions, relative to lb:\n%s", r.table.String())
	}
}

// The product with traces is compared with a build that has none of what the row is
// about; it writes a log, that does not, and its spans come to the collector.
func TestTelemetryRow(t *testing.T) {
	var telemetry row
	for _, r := range rows() {
		if r.name == "telemetry" {
			telemetry = r
		}
	}
	telemetry.load.Connections = 4
	b := testBench(t, candidates()...)
	b.rounds = 1
	for _, c := range b.candidates {
		if telemetry.measures(c) {
			b.binaries[c.name] = filepath.Join(b.dir, c.name)
			if err := server.Build(t.Context(), c.build, b.binaries[c.name]); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer func() {
		if b.collector != nil {
			b.collector.stop()
		}
	}()
	defer visitor.CloseIdleConnections()
	all, err := b.row(t.Context(), telemetry)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].candidate.name != "silent" || all[1].candidate.name != "lb-traces" {
		t.Fatalf("measured: %+v", all)
	}
	for _, s := range all {
		if s.invalid != "" {
			t.Errorf("%s: %s", s.candidate.name, s.invalid)
		}
		if got := telemetry.refers(s.candidate, all[0].candidate); !got {
			t.Errorf("%s is not compared with silent", s.candidate.name)
		}
	}
	if n := b.collector.batches.Load(); n == 0 {
		t.Error("no spans came")
	}
	b.collector.batches.Store(0)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if all, err = b.row(t.Context(), telemetry); err != nil || all[1].invalid != "no span came to the collector" {
		t.Errorf("without spans: %v, invalid because %q", err, all[1].invalid)
	}
}

// Every session has a cookie of each candidate that keeps some, and one of each name.
func TestVisit(t *testing.T) {
	one, again, other := testCandidate("one", "none"), testCandidate("again", "none"), testCandidate("other", "none")
	for c, name := range map[*candidate]string{&one: "s", &again: "s", &other: "o"} {
		c.sessions, c.env = "insert", []string{cookieVariable + "=" + name}
	}
	b := testBench(t, one, testCandidate("plain", "none"), again, other)
	defer visitor.CloseIdleConnections()
	var processes []*process
	for _, c := range b.candidates {
		p, err := b.start(t.Context(), c, row{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Stop()
		processes = append(processes, p)
	}
	// The first session of each was the one by which it was seen to be ready.
	if got, err := b.visit(t.Context(), processes, 3); err != nil || !slices.Equal(got, []string{"s=2; o=2", "s=3; o=3", "s=4; o=4"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// A part is added below everything, with conditions of its own and without another
// text on the method.
func TestPartIsAppended(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	var all, part report
	s := []*series{{candidate: testCandidate("lb", ""), values: []float64{1, 2, 3}}}
	all.row(row{name: "first"}, s)
	part.row(row{name: "second"}, s)
	c := conditions{started: time.Unix(0, 0), command: "bench -append", commit: "abc"}
	if err := errors.Join(write(file, all.markdown(c), false), write(file, part.part(c), true)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, ok := strings.Cut(string(text), "\n\n# Measured on 1970-01-01\n")
	if !ok || !strings.Contains(head, "| first | lb |") || !strings.Contains(tail, "| second | lb |") ||
		strings.Count(head, "## Method") != 1 || strings.Contains(tail, "## Method") || strings.Count(tail, "- commit: abc\n") != 1 {
		t.Errorf("got:\n%s", text)
	}
}

// A balancer and a store, in every trouble.
func TestOutage(t *testing.T) {
	k := keepingSessions("lb-redis", storeInRedis, "--redis", "redis://{{.Redis}}", "--cookie-keys", "{{.Keys}}")
	b := testBench(t)
	defer visitor.CloseIdleConnections()
	b.rounds, b.recovery = 1, 100*time.Millisecond
	b.binaries[k.name] = filepath.Join(b.dir, "lb")
	if err := server.Build(t.Context(), k.build, b.binaries[k.name]); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.keys, err = writeKeys(b.dir); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if b.store != nil {
			b.store.Stop()
		}
	}()
	cells, err := b.outage(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if len(c.p99) != 1 || c.median[0] <= 0 || c.p99[0] < c.median[0] || c.slowest[0] < c.p99[0] {
			t.Errorf("%+v", c)
		}
	}
	var r report
	r.outageOf(k, cells, nil)
	text := r.markdown(conditions{started: time.Now()})
	for _, want := range []string{"\n| well | known | ", "\n| stopped | new | ", "\n| killed | of another replica | ", "| ≤ 5 ms: no verdict |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// A balancer of 500 endpoints, scraped in every format.
func TestScrape(t *testing.T) {
	k := product()
	b := testBench(t)
	b.rounds = 1
	b.binaries[k.name] = filepath.Join(b.dir, "lb")
	if err := server.Build(t.Context(), k.build, b.binaries[k.name]); err != nil {
		t.Fatal(err)
	}
	all, err := b.scrape(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	r.scrape(k, all, nil)
	text := r.markdown(conditions{started: time.Now()})
	for _, s := range all {
		if len(s.took) != scrapesARound || len(s.cpu) != 1 || s.cpu[0] <= 0 || s.sent < 10<<10 || s.whole < 5*s.sent {
			t.Errorf("%+v", s)
		}
		if !strings.Contains(text, "\n| "+k.name+" | "+s.format+" | ") {
			t.Errorf("the report lacks %q:\n%s", s.format, text)
		}
	}
	if r.scrape(k, nil, errors.New("broken")); !r.invalid || len(all) != len(scrapeFormats) {
		t.Errorf("%d formats; what failed is valid: %v", len(all), !r.invalid)
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
	if err != nil || len(all.rows) != len(rows()) || !all.reload || !all.scrape || !all.outage || all.out != "bench/RESULTS.md" {
		t.Errorf("everything: %+v, %v", all, err)
	}
	quick, err := parse([]string{"-rounds", "3", "-rows", "small64,churn", "-only", "nginx"})
	if err != nil || len(quick.rows) != 2 || quick.reload || quick.scrape || len(quick.candidates) != 1 || quick.out != "" {
		t.Errorf("a part: %+v, %v: the report of a part must not replace that of everything", quick, err)
	}
	for _, args := range [][]string{{"-rows", "small65"}, {"-only", "lighttpd"}, {"-rounds", "0"}, {"-window", "1ms"}, {"-append"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}

// Every template of every candidate expands, with and without a log.
func TestCandidatesExpand(t *testing.T) {
	for _, c := range candidates() {
		for _, log := range []string{"", "/tmp/access.log"} {
			p := process{candidate: c, instance: instance{Dir: t.TempDir(), Listen: "127.0.0.1:1", Backend: "127.0.0.1:2", Admin: "127.0.0.1:3", Collector: "127.0.0.1:4", Log: log}}
			if err := p.configure(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			for _, arg := range append(c.env, c.args...) {
				if text, err := p.expand(arg); err != nil || strings.Contains(text, "<no value>") {
					t.Errorf("%s: %q gives %q, %v", c.name, arg, text, err)
				}
			}
		}
	}
}
