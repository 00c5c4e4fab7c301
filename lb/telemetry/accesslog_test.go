package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// request is one with every field set.
func request() *event.Request {
	return &event.Request{
		Start:         time.Date(2026, 11, 23, 10, 0, 0, 7_900_000, time.FixedZone("", 3600)),
		Duration:      1234567 * time.Nanosecond,
		Listener:      "http",
		RouteName:     "cart",
		PoolName:      "cart-next",
		Upstream:      "10.0.0.1:8080",
		Method:        []byte("GET"),
		Scheme:        []byte("https"),
		Host:          []byte("shop.example.com:8443"),
		Target:        []byte("/cart/7?b=2&token=hunter2"),
		UserAgent:     []byte("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
		Proto:         "1.1",
		Peer:          netip.MustParseAddrPort("192.0.2.7:51000"),
		Client:        netip.MustParseAddr("198.51.100.9"),
		Status:        502,
		RequestBytes:  12,
		ResponseBytes: 3456,
		Attempts:      2,
		Flags:         event.UpstreamReset | event.Retried,
		Session:       event.SessionAway,
		RequestID:     []byte("9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
		Span: event.Span{
			Trace:  [16]byte{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
			ID:     [8]byte{0x53, 0x99, 0x5c, 0x3f, 0x42, 0xcd, 0x8a, 0xd8},
			Parent: [8]byte{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7}, Sampled: true,
		},
		PolicyHash: strings.Repeat("ab", 32),
		FirstByte:  900 * time.Microsecond,
	}
}

// logged returns the lines that result from the requests.
func logged(t testing.TB, requests ...*event.Request) []string {
	t.Helper()
	var out bytes.Buffer
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(&out)})
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	ended := l.Events().RequestEnded
	for _, r := range requests {
		ended(r)
	}
	closeLog(t, l)
	return strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func closeLog(t testing.TB, l *telemetry.AccessLog) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

// fields parses a line, strictly.
func fields(t testing.TB, line string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return m
}

func TestAccessLogLine(t *testing.T) {
	want := map[string]any{
		"time":                         "2026-11-23T09:00:00.007Z",
		"http.request.method":          "GET",
		"url.scheme":                   "https",
		"server.address":               "shop.example.com",
		"server.port":                  8443.0,
		"url.path":                     "/cart/7",
		"url.query":                    "b=2&token=REDACTED",
		"network.protocol.version":     "1.1",
		"client.address":               "198.51.100.9",
		"network.peer.address":         "192.0.2.7",
		"network.peer.port":            51000.0,
		"user_agent.original":          "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"http.response.status_code":    502.0,
		"http.request.body.size":       12.0,
		"http.response.body.size":      3456.0,
		"http.server.request.duration": 0.001234,
		"listener":                     "http",
		"route":                        "cart",
		"pool":                         "cart-next",
		"upstream":                     "10.0.0.1:8080",
		"upstream_first_byte":          0.0009,
		"attempts":                     2.0,
		"response_flags":               "UC,RT",
		"session_use":                  "away",
		"request_id":                   "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
		"trace_id":                     "4bf92f3577b34da6a3ce929d0e0e4736",
		"span_id":                      "53995c3f42cd8ad8",
		"trace_flags":                  "01",
		"policy_hash":                  "abababababab",
	}
	if diff := cmp.Diff(want, fields(t, logged(t, request())[0])); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestAccessLogLineOfARequestThatFailedEarly(t *testing.T) {
	want := map[string]any{
		"time": "2026-01-02T03:04:05.000Z", "http.request.method": "", "url.path": "", "http.response.status_code": 400.0,
		"http.request.body.size": 0.0, "http.response.body.size": 0.0, "http.server.request.duration": 0.0,
		"attempts": 0.0, "response_flags": "DPE", "policy_hash": "",
	}
	r := &event.Request{
		Start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Status: 400, Flags: event.DownstreamProtocol,
		Route: event.None, Pool: event.None, Endpoint: event.None, Duration: -1,
	}
	if diff := cmp.Diff(want, fields(t, logged(t, r)[0])); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

// Every flag is written by its name, and so is how often a request was tried.
func TestAccessLogFlags(t *testing.T) {
	r := request()
	r.Attempts, r.Flags = 3, 0
	var names []string
	for _, f := range event.EachFlag {
		r.Flags |= f
		names = append(names, f.String())
	}
	got := fields(t, logged(t, r)[0])
	if got["response_flags"] != strings.Join(names, ",") || got["attempts"] != 3. {
		t.Errorf("%v, %v", got["response_flags"], got["attempts"])
	}
}

// How the session was served is written, if there is one.
func TestAccessLogSessionUse(t *testing.T) {
	for use, want := range map[event.SessionUse]any{
		event.NoSession: nil, event.SessionNew: "new", event.SessionHome: "home", event.SessionAway: "away", event.SessionMoved: "moved",
		event.SessionUses: nil, 255: nil,
	} {
		r := request()
		r.Session = use
		if got := fields(t, logged(t, r)[0])["session_use"]; got != want {
			t.Errorf("%d: %v, want %v", use, got, want)
		}
	}
}

func TestAccessLogTargets(t *testing.T) {
	const none = "\x00"
	tests := []struct{ host, target, address, path, query string }{
		{"a", "/", "a", "/", none},
		{"a:80", "/?", "a", "/", ""},
		{"[2001:db8::1]:80", "*", "2001:db8::1", "*", none},
		{"[2001:db8::1]", "/", "2001:db8::1", "/", none},
		{"2001:db8::1", "/", "2001:db8::1", "/", none}, // not valid; kept whole
		{"a:http", "/", "a:http", "/", none},
		{"a:080", "/", "a:080", "/", none},
		{":80", "/", "", "/", none},
		{"a", "http://user:pass@a/p?q=1", "a", "/p", "q=1"},
		{"a", "http://user:pass@a", "a", "/", none},
		{"a", "user:pass@a:443", "a", "a:443", none},
		{"a", "/x?access_token=s", "a", "/x", "access_token=REDACTED"},
		{"a", "/x?ACCESS%5ftoken=s&x=1", "a", "/x", "ACCESS%5ftoken=REDACTED&x=1"},
		{"a", "/x?a=1;sig=s;b", "a", "/x", "a=1;sig=REDACTED;b"},
		{"a", "/x?&&=&code=4/0=a&token", "a", "/x", "&&=&code=REDACTED&token"},
		{"a", "/x?X-Amz-Signature=s&X-Amz-Security-Token=s", "a", "/x", "X-Amz-Signature=REDACTED&X-Amz-Security-Token=REDACTED"},
		{"a", "/x?lb_session=s&LB%5FSession=s&lb_sessions=2", "a", "/x", "lb_session=REDACTED&LB%5FSession=REDACTED&lb_sessions=2"},
		{"a", "/x?tokens=2&mysig=3&%zztoken=4&passwor%", "a", "/x", "tokens=2&mysig=3&%zztoken=4&passwor%"},
		{"a", "/x?q=a?password=b", "a", "/x", "q=a?password=b"},
		{"a", "/x?password=a?b", "a", "/x", "password=REDACTED"},
		{"a", "/x?" + strings.Repeat("y", 2045) + "&token=s", "a", "/x", strings.Repeat("y", 2045) + "&to…"},
		{"a", "/x?token=" + strings.Repeat("y", 3000), "a", "/x", "token=REDACTED…"},
	}
	for _, tt := range tests {
		r := request()
		r.Host, r.Target = []byte(tt.host), []byte(tt.target)
		got := fields(t, logged(t, r)[0])
		query, ok := got["url.query"]
		if !ok {
			query = none
		}
		if got["server.address"] != tt.address || got["url.path"] != tt.path || query != tt.query {
			t.Errorf("%.60q %.60q: got %q %q %q, want %q %q %q", tt.host, tt.target,
				got["server.address"], got["url.path"], query, tt.address, tt.path, tt.query)
		}
	}
}

// TestAccessLogRedactsWhatTheDocumentationLists keeps docs/telemetry.md true.
func TestAccessLogRedactsWhatTheDocumentationLists(t *testing.T) {
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Access log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	block := strings.Split(section, "```")
	if len(block) != 3 {
		t.Fatalf("the list of parameters should be the section's one code block, there are %d", len(block)/2)
	}
	names := strings.Fields(block[1])
	if len(names) < 30 {
		t.Fatalf("found %q", names)
	}
	for _, name := range names {
		r := request()
		r.Target = []byte("/?" + strings.ToUpper(name) + "=hunter2")
		if line := logged(t, r)[0]; strings.Contains(line, "hunter2") {
			t.Errorf("%s is not redacted", name)
		}
	}
	for field := range fields(t, logged(t, request())[0]) {
		if !strings.Contains(string(text), "`"+field+"`") {
			t.Errorf("the field %s is not documented", field)
		}
	}
}

func TestAccessLogLeavesZonesOut(t *testing.T) {
	r := request()
	r.Client = netip.MustParseAddr("fe80::1%\",\"x\":\"\n")
	r.Peer = netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")
	got := fields(t, logged(t, r)[0])
	if got["client.address"] != "fe80::1" || got["network.peer.address"] != "192.0.2.1" {
		t.Errorf("got %q and %q", got["client.address"], got["network.peer.address"])
	}
}

func TestAccessLogCutsLongFields(t *testing.T) {
	r := request()
	long := bytes.Repeat([]byte{0x01}, 64<<10) // each takes six bytes
	r.Method, r.Scheme, r.Host, r.UserAgent, r.RequestID = long, long, long, long, long
	r.Target = append(append(append([]byte("/"), long...), '?'), long...)
	name := string(long)
	r.Listener, r.RouteName, r.PoolName, r.Upstream, r.Proto = name, name, name, name, name
	r.Flags = 1<<15 - 1
	r.RequestBytes, r.ResponseBytes, r.Duration = math.MaxInt64, math.MaxInt64, math.MaxInt64
	line := logged(t, r)[0]
	if len(line) > 48<<10 {
		t.Errorf("the line has %d bytes, more than a batch has room for", len(line))
	}
	if ua := fields(t, line)["user_agent.original"].(string); ua != string(long[:1024])+"…" {
		t.Errorf("the user agent was not cut at 1024 bytes: %d", len(ua))
	}
}

func FuzzAccessLogLine(f *testing.F) {
	for _, s := range []string{
		"", "curl/8.1", "quote\"back\\slash", "\x1b[31mred\x1b[0m", "\x9b31m", "\u009b31m", "</script><!--&amp;", "\u202eevil\u2066",
		"line\u2028sep", "nul\x00\r\n\t\b\f", "bad\xff\xc3\x28\xed\xa0\x80\xf4\x90\x80\x80", "é€𝄞", "a\xc3", "1234567\"", "\x7f\x80",
		"/p?token=\"&a=\x00&\xff=1&sig=\x1b",
	} {
		f.Add([]byte(s), []byte("/"))
		f.Add([]byte("x"), []byte(s))
	}
	f.Fuzz(func(t *testing.T, text, target []byte) {
		text, target = text[:min(len(text), 256)], target[:min(len(target), 1024)]
		r := request()
		r.UserAgent, r.Host, r.Target = text, text, target
		r.RouteName = string(text)
		line := logged(t, r)[0]
		for i := range len(line) - 1 {
			if c := line[i]; c < ' ' || c > '~' || c == '<' || c == '>' || c == '&' {
				t.Fatalf("byte %#x at %d of %q", c, i, line)
			}
		}
		got := fields(t, line)
		// encoding/json is the judge of what a hostile string should become.
		var want string
		raw, _ := json.Marshal(string(text))
		if err := json.Unmarshal(raw, &want); err != nil || !utf8.ValidString(want) {
			t.Fatal(err)
		}
		if ua, _ := got["user_agent.original"].(string); ua != want {
			t.Fatalf("user agent %q came out as %q, want %q", text, ua, want)
		}
		if route, _ := got["route"].(string); route != want {
			t.Fatalf("route %q came out as %q, want %q", text, route, want)
		}
	})
}

func TestAccessLogWritesEveryLineOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogFile(path)})
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	const writers, lines = 8, 2000
	ended := l.Events().RequestEnded
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				r := request()
				r.RequestID = fmt.Appendf(nil, "%d/%d", w, i)
				before := l.Dropped()
				for ended(r); l.Dropped() > before; ended(r) { // back off from a slow disk
					before = l.Dropped()
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	closeLog(t, l)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		seen[fields(t, line)["request_id"].(string)]++
	}
	if len(seen) != writers*lines || uint64(len(strings.Split(string(text), "\n"))-1) != l.Written() {
		t.Errorf("%d different lines, %d written, want %d", len(seen), l.Written(), writers*lines)
	}
}

// gate is a destination whose writes wait until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	text bytes.Buffer
	errs []error // the results of the first writes; each takes half
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.errs) > 0 {
		err := g.errs[0]
		g.errs = g.errs[1:]
		if err != nil {
			g.text.Write(p[:len(p)/2])
			return len(p) / 2, err
		}
	}
	return g.text.Write(p)
}

func (g *gate) lines() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Count(g.text.Bytes(), []byte("\n"))
}

func TestAccessLogIsWrittenWithin100ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		close(g.open)
		l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(g)})
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		ended := l.Events().RequestEnded
		for round := range 3 {
			ended(request())
			time.Sleep(60 * time.Millisecond)
			ended(request())
			synctest.Wait()
			if got := g.lines(); got != round*2 {
				t.Errorf("round %d: %d lines already written after 60 ms, want a batch", round, got)
			}
			time.Sleep(41 * time.Millisecond)
			synctest.Wait()
			if got := g.lines(); got != round*2+2 {
				t.Errorf("round %d: %d lines written after 101 ms, want %d", round, got, round*2+2)
			}
			time.Sleep(time.Hour)
		}
		closeLog(t, l)
	})
}

func TestAccessLogDropsAndCountsWhenTheDiskIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(g)})
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		ended := l.Events().RequestEnded
		const n = 20_000 // about 15 MiB, far more than it may hold
		for range n {
			ended(request())
		}
		dropped := l.Dropped()
		if dropped == 0 || dropped > n-2000 {
			t.Errorf("dropped %d of %d while nothing could be written", dropped, n)
		}
		close(g.open)
		synctest.Wait()
		ended(request())
		closeLog(t, l)
		if got := uint64(g.lines()); got != n+1-dropped || l.Written() != got {
			t.Errorf("%d lines came out, %d said to be written, want %d", got, l.Written(), n+1-dropped)
		}
		if l.Dropped() != dropped {
			t.Errorf("dropped %d more once the disk was back", l.Dropped()-dropped)
		}
	})
}

func TestAccessLogCarriesOnAfterAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{}), errs: []error{errors.New("disk full")}}
		close(g.open)
		var messages bytes.Buffer
		logger, err := telemetry.NewLogger(&messages, "json")
		if err != nil {
			t.Fatal(err)
		}
		l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(g), Logger: logger})
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			l.Events().RequestEnded(request())
		}
		time.Sleep(time.Second) // half of the three lines is written: one and a half
		for range 2 {
			l.Events().RequestEnded(request())
		}
		closeLog(t, l)
		if l.Written() != 3 || l.Dropped() != 2 {
			t.Errorf("written %d, dropped %d; want 3 and 2", l.Written(), l.Dropped())
		}
		var whole int
		for line := range strings.Lines(g.text.String()) {
			if json.Valid([]byte(line)) {
				whole++
			}
		}
		if whole != 3 {
			t.Errorf("%d whole lines, want 3: a torn line must not take the next one with it\n%s", whole, &g.text)
		}
		if got := messages.String(); strings.Count(got, "write failed") != 1 || strings.Count(got, "written again") != 1 {
			t.Errorf("log:\n%s", got)
		}
	})
}

func TestAccessLogReopensItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogFile(path)})
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	ended := l.Events().RequestEnded
	ended(request())
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	ended(request()) // still belongs to the old file
	if err := l.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended(request())
	closeLog(t, l)
	for name, want := range map[string]int{path + ".1": 2, path: 1} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(text, []byte("\n")); got != want {
			t.Errorf("%s has %d lines, want %d", filepath.Base(name), got, want)
		}
	}
	if err := l.Reopen(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reopening a closed log: %v", err)
	}
}

func TestAccessLogStartAndReopenErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "access.log")
	if err := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogFile(missing)}).Start(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("start: %v", err)
	}
	var out bytes.Buffer
	fail := false
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: func() (io.WriteCloser, error) {
		if fail {
			return nil, os.ErrPermission
		}
		return telemetry.LogTo(&out)()
	}})
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	fail = true
	if err := l.Reopen(t.Context()); !errors.Is(err, os.ErrPermission) {
		t.Errorf("reopen: %v", err)
	}
	l.Events().RequestEnded(request())
	closeLog(t, l)
	if out.Len() == 0 {
		t.Error("after a failed reopen the old destination was given up")
	}
}

func TestAccessLogCloseGivesUpOnABlockedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: func() (io.WriteCloser, error) { return w, nil }})
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // more than a pipe holds
		l.Events().RequestEnded(request())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	// The writer was freed, or the leak check fails; a second Close joins it.
	closeLog(t, l)
}

func TestAccessLogSampling(t *testing.T) {
	good, slow, broken := request(), request(), request()
	good.Status, good.Flags = 200, 0
	slow.Status, slow.Flags, slow.Duration = 200, 0, 2*time.Second
	broken.Status, broken.Flags = 200, event.UpstreamReset
	left := request()
	left.Status, left.Flags = 0, event.DownstreamGone
	limited := request()
	limited.Status, limited.Flags = 429, event.RateLimited
	tests := []struct {
		name     string
		settings event.AccessLog
		request  *event.Request
		min, max int // of 10,000
	}{
		{"all", event.AccessLog{Sample: 1}, good, 10000, 10000},
		{"none", event.AccessLog{}, good, 0, 0},
		{"a tenth", event.AccessLog{Sample: .1}, good, 900, 1100},
		{"errors not asked for", event.AccessLog{AlwaysSlow: true, SlowerThan: time.Second}, broken, 0, 0},
		{"errors", event.AccessLog{AlwaysErrors: true}, broken, 10000, 10000},
		{"a client that left is no error", event.AccessLog{AlwaysErrors: true}, left, 0, 0},
		{"one beyond a rate is no error", event.AccessLog{AlwaysErrors: true}, limited, 0, 0},
		{"slow", event.AccessLog{AlwaysSlow: true, SlowerThan: time.Second}, slow, 10000, 10000},
		{"slow not asked for", event.AccessLog{AlwaysErrors: true, SlowerThan: time.Second}, slow, 0, 0},
		{"not slow", event.AccessLog{AlwaysSlow: true, SlowerThan: 2 * time.Second}, slow, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(io.Discard)})
			if err := l.Start(); err != nil {
				t.Fatal(err)
			}
			e := l.Events()
			e.PolicyCommitted(&event.Commit{Catalog: &event.Catalog{AccessLog: tt.settings}})
			for range 10000 {
				e.RequestEnded(tt.request)
			}
			closeLog(t, l)
			if got := int(l.Written() + l.Dropped()); got < tt.min || got > tt.max {
				t.Errorf("%d of 10,000 logged, want %d to %d", got, tt.min, tt.max)
			}
		})
	}
}

func TestAccessLogDoesNotAllocate(t *testing.T) {
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(io.Discard)})
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, l)
	ended, r := l.Events().RequestEnded, request()
	for range 10_000 { // until every batch was made
		ended(r)
	}
	if got := testing.AllocsPerRun(1000, func() { ended(r) }); got != 0 {
		t.Errorf("%v allocations a line", got)
	}
}

func BenchmarkAccessLog(b *testing.B) {
	l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(io.Discard)})
	if err := l.Start(); err != nil {
		b.Fatal(err)
	}
	ended, r := l.Events().RequestEnded, request()
	r.Target, r.UserAgent = []byte("/cart"), []byte("curl/8.14.1")
	r.Status, r.Flags, r.Attempts, r.Client = 200, 0, 1, r.Peer.Addr()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		ended(r)
		if n++; n%64 == 0 {
			runtime.Gosched() // a request would wait for the network now and then
		}
	}
	b.StopTimer()
	closeLog(b, l)
	b.ReportMetric(float64(l.Dropped())/float64(b.N), "dropped/op")
}
