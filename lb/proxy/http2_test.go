package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// exchange is a proxy.Exchange over net/http, in its fewest lines: it shows that
// the seam carries a protocol that has no connection of its own for a request.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	req    wire.Request
	client proxy.Client
	buf    [16 << 10]byte
	ended  bool
	broken bool

	mu        sync.Mutex
	interrupt chan struct{}
}

// newExchange makes a head of HTTP/1.1 out of the request's and has it parsed:
// then it is as strictly checked, and its fields are marked.
func newExchange(w http.ResponseWriter, r *http.Request) (*exchange, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	for name := range r.Trailer {
		fmt.Fprintf(&b, "Trailer: %s\r\n", name)
	}
	switch {
	case r.ContentLength > 0 && len(r.Trailer) == 0:
		// net/http has left Content-Length among the fields.
		if r.Header.Get("Content-Length") == "" {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", r.ContentLength)
		}
	case r.ContentLength != 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	}
	b.WriteString("\r\n")
	x := &exchange{w: w, r: r, interrupt: make(chan struct{})}
	if _, err := x.req.Parse([]byte(b.String()), wire.DefaultLimits); err != nil {
		return nil, err
	}
	peer := netip.MustParseAddrPort(r.RemoteAddr)
	x.client = proxy.Client{Listener: "h2", Scheme: "http", Proto: "2", Peer: peer, PeerText: peer.Addr().AppendTo(nil)}
	return x, nil
}

func (x *exchange) Request() *wire.Request { return &x.req }
func (x *exchange) Client() *proxy.Client  { return &x.client }
func (x *exchange) Body() proxy.Body       { return (*body)(x) }

func (x *exchange) fields(f wire.Fields) {
	for i := range f {
		if !strings.EqualFold(string(f[i].Name), "Trailer") {
			x.w.Header().Add(string(f[i].Name), string(f[i].Value))
		}
	}
}

func (x *exchange) Interim(r *wire.Response) error {
	x.fields(r.Fields)
	x.w.WriteHeader(r.Status)
	clear(x.w.Header())
	return nil
}

func (x *exchange) Reply(r *wire.Response) error {
	x.fields(r.Fields)
	if r.Framing == wire.Sized || r.Framing == wire.NoBody && r.Length >= 0 && r.Status != 204 {
		x.w.Header().Set("Content-Length", strconv.FormatInt(r.Length, 10))
	}
	x.w.WriteHeader(r.Status)
	return nil
}

func (x *exchange) Write(p []byte) error {
	if x.r.Method == "HEAD" {
		return nil
	}
	_, err := x.w.Write(p)
	return err
}

func (x *exchange) Flush() error { return http.NewResponseController(x.w).Flush() }

func (x *exchange) End(trailers wire.Fields) error {
	for i := range trailers {
		x.w.Header().Add(http.TrailerPrefix+string(trailers[i].Name), string(trailers[i].Value))
	}
	x.ended = true
	return nil
}

func (x *exchange) Abort()             { x.broken = true }
func (x *exchange) Tunnel() *wire.Conn { return nil }

func (x *exchange) AwaitGone() bool {
	x.mu.Lock()
	interrupt := x.interrupt
	x.mu.Unlock()
	select {
	case <-x.r.Context().Done():
		return true
	case <-interrupt:
		return false
	}
}

func (x *exchange) Interrupt() {
	http.NewResponseController(x.w).SetReadDeadline(time.Unix(1, 0))
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.interrupt)
}

func (x *exchange) Rearm() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.interrupt = make(chan struct{})
}

type body exchange

func (b *body) Next() ([]byte, error) {
	for {
		n, err := b.r.Body.Read(b.buf[:])
		if n > 0 {
			return b.buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (b *body) Buffered() bool        { return false }
func (b *body) Whole() ([]byte, bool) { return nil, b.r.ContentLength == 0 }

func (b *body) Trailers() (out wire.Fields) {
	for name, values := range b.r.Trailer {
		for _, v := range values {
			out = append(out, wire.Field{Name: []byte(name), Value: []byte(v)})
		}
	}
	return out
}

// rig is a proxy behind an HTTP/2 server, and its events.
type rig struct {
	url      string
	client   *http.Client
	requests chan event.Request // one for each that ended; byte slices gone
	attempts chan event.Attempt
}

func newRig(t *testing.T, backend http.HandlerFunc) *rig {
	t.Helper()
	up := httptest.NewServer(backend)
	t.Cleanup(up.Close)
	p, found := policy.Files{"p.yaml": []byte(fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: "1"}
spec:
  listeners: [{name: h2, address: ":8443"}]
  routes: [{name: all, hostnames: [shop.test], backendRefs: [{pool: main}]}]
  pools: [{name: main, circuitBreaker: {consecutiveFailures: 1}, endpoints: [{address: %q}]}]
`, up.Listener.Addr()))}.Load()
	if found.HasErrors() {
		t.Fatal(found)
	}
	rig := &rig{requests: make(chan event.Request, 16), attempts: make(chan event.Attempt, 16)}
	registry := pool.NewRegistry(pool.Options{})
	t.Cleanup(registry.Close)
	staged, err := snapshot.Compile(p, "", registry)
	if err != nil {
		t.Fatal(err)
	}
	var current snapshot.Current
	staged.Commit(&current, time.Now())
	px := proxy.New(proxy.Options{Current: &current, Events: &event.Listener{
		RequestEnded: func(e *event.Request) {
			rig.requests <- event.Request{Status: e.Status, Flags: e.Flags, RequestBytes: e.RequestBytes, ResponseBytes: e.ResponseBytes, Attempts: e.Attempts, Proto: e.Proto}
		},
		AttemptEnded: func(a *event.Attempt) { rig.attempts <- *a },
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("not HTTP/2 but %s", r.Proto)
		}
		x, err := newExchange(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		px.Serve(x)
		if x.broken || !x.ended {
			panic(http.ErrAbortHandler)
		}
	}), Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-served })
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	rig.client = &http.Client{Transport: tr, Timeout: 20 * time.Second}
	rig.url = "http://" + l.Addr().String()
	return rig
}

// request is one to the host of the route.
func (r *rig) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.test"
	return req
}

func (r *rig) do(t *testing.T, req *http.Request) *http.Response {
	t.Helper()
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestHTTP2(t *testing.T) {
	rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" || r.Header.Get("Via") != "2.0 lb" || r.Host != "shop.test" || r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("%s, host %s, %v", r.Proto, r.Host, r.Header)
		}
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(103)
		case "/empty":
			w.WriteHeader(204)
			return
		}
		w.Header().Set("X-Query", r.URL.RawQuery)
		fmt.Fprint(w, "hello")
	})
	for range 3 {
		resp := rig.do(t, rig.request(t, "GET", "/p?q=1", nil))
		got, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || string(got) != "hello" || err != nil || resp.Header.Get("X-Query") != "q=1" || resp.ContentLength != 5 {
			t.Errorf("%d %q %v %v", resp.StatusCode, got, err, resp.Header)
		}
		if e := <-rig.requests; e.Status != 200 || e.ResponseBytes != 5 || e.Proto != "2" || e.Flags != 0 || e.Attempts != 1 {
			t.Errorf("event %+v", e)
		}
		<-rig.attempts
	}
	head := rig.do(t, rig.request(t, "HEAD", "/", nil))
	if got, _ := io.ReadAll(head.Body); head.StatusCode != 200 || len(got) != 0 || head.ContentLength != 5 {
		t.Errorf("HEAD: %d %q, length %d", head.StatusCode, got, head.ContentLength)
	}
	if e := <-rig.requests; e.ResponseBytes != 0 {
		t.Errorf("event %+v", e)
	}
	for path, status := range map[string]int{"/hints": 200, "/empty": 204} {
		if resp := rig.do(t, rig.request(t, "GET", path, nil)); resp.StatusCode != status {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		<-rig.requests
	}
	lost := rig.request(t, "GET", "/", nil)
	lost.Host = "nowhere.test"
	resp := rig.do(t, lost)
	if got, _ := io.ReadAll(resp.Body); resp.StatusCode != 404 || !strings.Contains(string(got), "request id") {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	if e := <-rig.requests; e.Flags != event.NoRoute {
		t.Errorf("event %+v", e)
	}
}

// Both bodies stream at once, each piece answered before the next is sent, and
// both end with trailers.
func TestHTTP2StreamsBothWays(t *testing.T) {
	rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Down")
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("X-Down", "got "+r.Trailer.Get("X-Up"))
	})
	pr, pw := io.Pipe()
	req := rig.request(t, "POST", "/", pr)
	req.Trailer = http.Header{"X-Up": nil}
	go pw.Write([]byte("piece 0"))
	resp := rig.do(t, req)
	for i := range 5 {
		want := fmt.Sprintf("piece %d", i)
		if i > 0 {
			pw.Write([]byte(want))
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	req.Trailer.Set("X-Up", "all")
	pw.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if got := resp.Trailer.Get("X-Down"); got != "got all" {
		t.Errorf("trailer %q of %v", got, resp.Trailer)
	}
	if e := <-rig.requests; e.RequestBytes != 35 || e.ResponseBytes != 35 || e.Flags != 0 {
		t.Errorf("event %+v", e)
	}
}

func TestHTTP2EarlyResponse(t *testing.T) {
	rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() // or net/http waits for the body first
		http.Error(w, "too large", 413)
	})
	pr, pw := io.Pipe()
	defer pw.Close()
	go pw.Write(make([]byte, 1000))
	resp := rig.do(t, rig.request(t, "POST", "/", pr))
	if got, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(got) != "too large\n" {
		t.Errorf("%d %q %v", resp.StatusCode, got, err)
	}
	if e := <-rig.requests; e.Status != 413 || e.Flags != 0 {
		t.Errorf("event %+v", e)
	}
}

// An event is there before the next is sent.
func TestHTTP2ServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	go func() { next <- struct{}{} }()
	resp := rig.do(t, rig.request(t, "GET", "/", nil))
	for i := range 3 {
		if i > 0 {
			next <- struct{}{}
		}
		got := make([]byte, 9)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != fmt.Sprintf("data: %d\n\n", i) {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// A client that cancels has the upstream request cancelled, which is no failure.
func TestHTTP2Cancel(t *testing.T) {
	for _, begun := range []bool{false, true} {
		asked, gone := make(chan struct{}), make(chan struct{})
		rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
			if begun {
				w.(http.Flusher).Flush()
			}
			close(asked)
			<-r.Context().Done()
			close(gone)
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			resp, err := rig.client.Do(rig.request(t, "GET", "/", nil).WithContext(ctx))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			ended <- err
		}()
		<-asked
		cancel()
		select {
		case <-gone:
		case <-time.After(20 * time.Second):
			t.Fatal("the upstream request was not cancelled")
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if a := <-rig.attempts; a.Result != event.ClientCanceled {
			t.Errorf("attempt %+v", a)
		}
		if e := <-rig.requests; e.Flags != event.DownstreamGone {
			t.Errorf("event %+v", e)
		}
	}
}

// A broken response is a broken stream.
func TestHTTP2Truncation(t *testing.T) {
	rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := rig.client.Do(rig.request(t, "GET", "/", nil))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a truncated response looks whole")
	}
	if a := <-rig.attempts; a.Result != event.Truncated {
		t.Errorf("attempt %+v", a)
	}
}
