package backend_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"go-loadbalancer/sim/backend"
)

// start serves a backend on a free port until the test ends, and checks that
// it then stops.
func start(t *testing.T, o backend.Options) (*backend.Backend, string) {
	t.Helper()
	b := backend.New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve did not return")
		}
	})
	return b, ln.Addr().String()
}

// client is an HTTP client without shared state, closed when the test ends.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := client(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func setFaults(t *testing.T, b *backend.Backend, text string) {
	t.Helper()
	f, err := backend.ParseFaults([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

func TestDescribesItselfAndTheRequest(t *testing.T) {
	b, addr := start(t, backend.Options{Name: "cart-1"})
	req, _ := http.NewRequest("POST", "http://"+addr+"/cart/7?x=1&headers=true", strings.NewReader("hello"))
	req.Host = "shop.example.com"
	req.Header.Set("X-Request-Id", "abc")
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a backend.Answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	if a.Backend != "cart-1" || a.Request != 1 || a.Method != "POST" || a.Path != "/cart/7?x=1&headers=true" ||
		a.Host != "shop.example.com" || a.RequestID != "abc" || a.Body != 5 || a.Headers.Get("X-Request-Id") != "abc" {
		t.Errorf("answer %+v", a)
	}
	if got := resp.Header.Get("X-Backend"); got != "cart-1" {
		t.Errorf("X-Backend %q", got)
	}
	if b.Requests() != 1 {
		t.Errorf("Requests() = %d", b.Requests())
	}
}

func TestNamedAfterItsAddress(t *testing.T) {
	_, addr := start(t, backend.Options{})
	if _, body := get(t, "http://"+addr+"/"); !strings.HasPrefix(body, `{"backend":"`+addr+`"`) {
		t.Errorf("body %s", body)
	}
}

func TestSizesChunksAndBadQueries(t *testing.T) {
	_, addr := start(t, backend.Options{Name: "b"})
	for _, tc := range []struct {
		path   string
		status int
		length int64 // Content-Length; -1: chunked
		body   string
	}{
		{"/?size=0", 200, 0, ""},
		{"/?size=28", 200, 28, "abcdefghijklmnopqrstuvwxyzab"},
		{"/?chunks=2&every=1ms", 200, -1, "b: chunk 1 of 2\nb: chunk 2 of 2\n"},
		{"/?size=-1", 400, 60, "?size=-1: a whole number from 0 to 1073741824 is wanted\n"},
		{"/?size=2000000000", 400, 0, "?size=2000000000: a whole number from 0 to 1073741824 is wanted\n"},
		{"/?chunks=x", 400, 0, "?chunks=x: a whole number from 0 to 10000 is wanted\n"},
		{"/?chunks=2&every=2h", 400, 0, "?every=2h: a duration from 1ms to 1m is wanted\n"},
		{"/?headers=maybe", 400, 0, "?headers=maybe: true or false is wanted\n"},
		{"/healthz", 200, 3, "ok\n"},
	} {
		resp, body := get(t, "http://"+addr+tc.path)
		if resp.StatusCode != tc.status || body != tc.body {
			t.Errorf("%s: %d %q, want %d %q", tc.path, resp.StatusCode, body, tc.status, tc.body)
		}
		if tc.status == 200 && resp.ContentLength != tc.length {
			t.Errorf("%s: Content-Length %d, want %d", tc.path, resp.ContentLength, tc.length)
		}
	}
}

func TestLargeBodyIsWhole(t *testing.T) {
	_, addr := start(t, backend.Options{})
	resp, err := client(t).Get("http://" + addr + "/?size=3000000")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if n != 3000000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestHeadHasTheLengthAndNoBody(t *testing.T) {
	_, addr := start(t, backend.Options{})
	resp, err := client(t).Head("http://" + addr + "/?size=100")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ContentLength != 100 {
		t.Errorf("Content-Length %d", resp.ContentLength)
	}
}

func TestEventsFlowAndEndWithTheBackend(t *testing.T) {
	b := backend.New(backend.Options{Name: "b"})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()

	resp, err := client(t).Get("http://" + ln.Addr().String() + "/events?every=5ms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("Content-Type %q", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	var seen []string
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			seen = append(seen, data)
			if len(seen) == 2 {
				cancel() // the stream must now end, cleanly
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if len(seen) < 2 || seen[0] != `{"backend":"b","tick":1}` || seen[1] != `{"backend":"b","tick":2}` {
		t.Errorf("events %q", seen)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestWebSocketEchoesAndSaysGoodbye(t *testing.T) {
	b := backend.New(backend.Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()

	wctx, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	c, _, err := websocket.Dial(wctx, "ws://"+ln.Addr().String()+"/ws", &websocket.DialOptions{HTTPClient: client(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, m := range []struct {
		kind websocket.MessageType
		data string
	}{{websocket.MessageText, "héllo"}, {websocket.MessageBinary, "\x00\xff"}} {
		if err := c.Write(wctx, m.kind, []byte(m.data)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.Read(wctx)
		if err != nil || kind != m.kind || string(got) != m.data {
			t.Fatalf("echo %v %q, %v", kind, got, err)
		}
	}
	cancel()
	if _, _, err := c.Read(wctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at the end: %v, want going away", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStopsWhileRequestsHang(t *testing.T) {
	b, addr := start(t, backend.Options{})
	setFaults(t, b, `{"contentLength":100}`)
	for range 3 { // left open: the cleanup of start must end them
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := bufio.NewReader(c).ReadString('}'); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInFlightFinishesAtTheEnd(t *testing.T) {
	b := backend.New(backend.Options{Latency: backend.Latency{P50: backend.Duration(200 * time.Millisecond)}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()
	go func() {
		for b.Requests() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if resp, _ := get(t, "http://"+ln.Addr().String()+"/"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Whoever wants to know what a backend saw is told of every request, those included that
// got no answer, and of nothing else.
func TestServedIsTold(t *testing.T) {
	told := make(chan backend.Served, 8)
	b, addr := start(t, backend.Options{Name: "b", Served: func(s backend.Served) { told <- s }})
	get(t, "http://"+addr+backend.HealthPath)
	get(t, "http://"+addr+backend.ControlPath)
	ask := func(faults string) backend.Served {
		t.Helper()
		setFaults(t, b, faults)
		req, _ := http.NewRequest("GET", "http://"+addr+"/cart?size=10", nil)
		req.Header.Set("X-Request-Id", "r1")
		req.Header.Set("Traceparent", "00-1-2-01")
		if resp, err := client(t).Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		select {
		case s := <-told:
			return s
		case <-time.After(10 * time.Second):
			t.Fatalf("with %s nothing is told", faults)
		}
		panic("not reached")
	}
	for i, tc := range []struct {
		faults string
		status int
		whole  bool
	}{{`{}`, 200, true}, {`{"respond":{"status":503}}`, 503, true}, {`{"close":true}`, 0, false}, {`{"garbage":true}`, 0, false}, {`{"truncate":3}`, 200, false}} {
		s := ask(tc.faults)
		if s.Status != tc.status || s.Whole != tc.whole || s.Request != uint64(i+1) || s.Method != "GET" || s.Path != "/cart?size=10" ||
			s.RequestID != "r1" || s.Traceparent != "00-1-2-01" || s.End.Before(s.Start) || s.Answered.IsZero() != (tc.status == 0) || s.Answered.After(s.End) {
			t.Errorf("with %s: %+v", tc.faults, s)
		}
	}
}
