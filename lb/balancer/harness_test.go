package balancer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
)

// patience bounds every wait of a test. Nothing that works takes so long.
const patience = 20 * time.Second

// setup is a policy of one listener, one route and one pool, in pieces of YAML.
// What a test leaves out takes the policy's defaults.
type setup struct {
	spec      string // more of spec, such as trustedProxies
	timeouts  string // of the listener
	limits    string // of the listener
	filters   string // of the route
	route     string // timeouts of the route
	routes    string // all of the routes, instead of the one
	balance   string // loadBalancer of the pool
	breaker   string // circuitBreaker of the pool
	pool      string // more of the pool
	pools     string // all of the pools, instead of the one
	endpoints []string
	weights   []int
}

// text is the policy.
func (s *setup) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	optional := func(indent, key, flow string) {
		if flow != "" {
			line("%s%s: {%s}", indent, key, flow)
		}
	}
	line("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: test, version: \"1\"}\nspec:")
	if s.spec != "" {
		line("  %s", s.spec)
	}
	line("  listeners:\n    - name: http\n      address: \"127.0.0.1:0\"")
	optional("      ", "timeouts", s.timeouts)
	optional("      ", "limits", s.limits)
	line("  routes:")
	if s.routes != "" {
		b.WriteString(s.routes)
	} else {
		line("    - name: all\n      backendRefs: [{pool: main}]")
		optional("      ", "timeouts", s.route)
		if s.filters != "" {
			line("      filters: [%s]", s.filters)
		}
	}
	line("  pools:")
	if s.pools != "" {
		b.WriteString(s.pools)
		return b.String()
	}
	line("    - name: main")
	optional("      ", "loadBalancer", s.balance)
	optional("      ", "circuitBreaker", s.breaker)
	if s.pool != "" {
		line("      %s", s.pool)
	}
	line("      endpoints:")
	for i, e := range s.endpoints {
		weight := 1
		if i < len(s.weights) {
			weight = s.weights[i]
		}
		line("        - {address: %q, weight: %d}", e, weight)
	}
	return b.String()
}

// text is a policy source that never changes by itself.
type text struct {
	mu   sync.Mutex
	body string
}

func (s *text) Read(context.Context) (reload.Bundle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return reload.Bundle{Files: map[string][]byte{"policy.yaml": []byte(s.body)}}, nil
}

func (s *text) Changed() <-chan struct{} { return nil }

func (s *text) set(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

// lb is a running balancer.
type lb struct {
	*balancer.Balancer
	t      testing.TB
	addr   string
	source *text
	*recorder
	stopped bool
}

// start runs a balancer until the test ends.
func start(t testing.TB, s setup, change ...func(*balancer.Options)) *lb {
	t.Helper()
	l := &lb{t: t, source: &text{body: s.text()}, recorder: newRecorder()}
	o := balancer.Options{Policies: l.source, Events: l.events()}
	for _, f := range change {
		f(&o)
	}
	l.Balancer = balancer.New(o)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.Start(ctx); err != nil {
		t.Fatalf("start: %v\n%s", err, l.source.body)
	}
	l.addr = l.Addr("http").String()
	t.Cleanup(func() {
		if !l.stopped {
			l.stop(patience)
		}
	})
	return l
}

// stop shuts the balancer down and fails the test if anything had to be cut.
func (l *lb) stop(within time.Duration) {
	l.t.Helper()
	l.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		l.t.Errorf("shutdown: %v", err)
	}
}

// apply has the balancer serve another policy.
func (l *lb) apply(s setup) {
	l.t.Helper()
	l.source.set(s.text())
	if r := l.Reload(context.Background()); r.Err != nil {
		l.t.Fatalf("reload: %v", r.Err)
	}
}

// ended is a [event.Request] whose bytes were copied.
type ended struct {
	event.Request
	method, host, target, id, traceParent, userAgent string
}

// recorder keeps what happened.
type recorder struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced with every event
	requests []ended
	attempts []event.Attempt
	breakers []event.BreakerChange
	routed   int
	opened   int
	closed   []event.CloseReason
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) events() *event.Listener {
	return &event.Listener{
		RequestRouted: func(event.ID) { r.note(func() { r.routed++ }) },
		RequestEnded: func(e *event.Request) {
			r.note(func() {
				kept := ended{*e, string(e.Method), string(e.Host), string(e.Target), string(e.RequestID), string(e.TraceParent), string(e.UserAgent)}
				kept.Method, kept.Scheme, kept.Host, kept.Target, kept.UserAgent, kept.RequestID, kept.TraceParent = nil, nil, nil, nil, nil, nil, nil
				r.requests = append(r.requests, kept)
			})
		},
		AttemptEnded:     func(a *event.Attempt) { r.note(func() { r.attempts = append(r.attempts, *a) }) },
		BreakerChanged:   func(c event.BreakerChange) { r.note(func() { r.breakers = append(r.breakers, c) }) },
		ConnectionOpened: func(string) { r.note(func() { r.opened++ }) },
		ConnectionClosed: func(_ string, why event.CloseReason) { r.note(func() { r.closed = append(r.closed, why) }) },
	}
}

// until waits for events to make cond true. It holds the lock while cond runs.
func (l *lb) until(what string, cond func() bool) {
	l.t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		ok, changed := cond(), l.changed
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			l.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// ended waits for the n-th request, counted from 1, to have ended, and returns it.
func (l *lb) ended(n int) (e ended) {
	l.t.Helper()
	l.until(fmt.Sprintf("the end of request %d", n), func() bool {
		if len(l.requests) < n {
			return false
		}
		e = l.requests[n-1]
		return true
	})
	return e
}

// reason waits for the n-th connection to have closed and returns why.
func (l *lb) reason(n int) (why event.CloseReason) {
	l.t.Helper()
	l.until(fmt.Sprintf("the end of connection %d", n), func() bool {
		if len(l.closed) < n {
			return false
		}
		why = l.closed[n-1]
		return true
	})
	return why
}

// lastAttempt is the last attempt that ended.
func (l *lb) lastAttempt() event.Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.attempts) == 0 {
		l.t.Fatal("no attempt was made")
	}
	return l.attempts[len(l.attempts)-1]
}

// settled is the state of the first endpoint once it has nothing in flight. A
// request leaves its endpoint just after it was told to have ended.
func (l *lb) settled() balancer.EndpointStatus {
	l.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if s := l.Status().Pools[0].Endpoints[0]; s.InFlight == 0 || time.Now().After(late) {
			return s
		}
	}
}

// count returns the number of requests that ended.
func (l *lb) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.requests)
}

// peer is one end of a connection in a test's hands: exact bytes out, exact bytes in.
type peer struct {
	t testing.TB
	*net.TCPConn
	in *bufio.Reader
}

func newPeer(t testing.TB, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(patience))
	return &peer{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

// dial connects a raw client.
func (l *lb) dial() *peer {
	l.t.Helper()
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return newPeer(l.t, c)
}

// send writes bytes as they are; an error is for the reading side to show.
func (p *peer) send(parts ...string) error {
	_, err := io.WriteString(p.TCPConn, strings.Join(parts, ""))
	return err
}

// sendf is send with a format.
func (p *peer) sendf(format string, args ...any) error { return p.send(fmt.Sprintf(format, args...)) }

// head reads to the empty line that ends a head, and returns it with that line.
func (p *peer) head() (string, error) {
	var b strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
	}
}

// exactly reads n bytes.
func (p *peer) exactly(n int) string {
	p.t.Helper()
	b := make([]byte, n)
	if m, err := io.ReadFull(p.in, b); err != nil {
		p.t.Errorf("read %d of %d bytes: %v", m, n, err)
	}
	return string(b)
}

// expect reads as many bytes as want has, and compares.
func (p *peer) expect(want string) {
	p.t.Helper()
	if got := p.exactly(len(want)); got != want {
		p.t.Errorf("got  %q\nwant %q", got, want)
	}
}

// rest reads to the end of the connection.
func (p *peer) rest() (string, error) {
	b, err := io.ReadAll(p.in)
	return string(b), err
}

// response reads a response to a request of the method, with its content.
func (p *peer) response(method string) (*http.Response, string) {
	p.t.Helper()
	r, body, err := p.tryResponse(method)
	if err != nil {
		p.t.Fatalf("response to %s: %v", method, err)
	}
	return r, body
}

func (p *peer) tryResponse(method string) (*http.Response, string, error) {
	r, err := http.ReadResponse(p.in, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(r.Body)
	return r, string(body), err
}

// answered sends a request and reads the response, which must have the status.
func (p *peer) answered(status int, request string) (*http.Response, string) {
	p.t.Helper()
	p.send(request)
	method, _, _ := strings.Cut(request, " ")
	r, body := p.response(method)
	if r.StatusCode != status {
		p.t.Errorf("status %d, want %d; body %q", r.StatusCode, status, body)
	}
	return r, body
}

// closed fails the test unless the other side ends the connection cleanly, with
// nothing more sent.
func (p *peer) closed() {
	p.t.Helper()
	if more, err := p.rest(); err != nil || more != "" {
		p.t.Errorf("want the end of the connection, got %q, %v", more, err)
	}
}

// gone waits until the other side has ended the connection, however.
func (p *peer) gone() error {
	_, err := io.Copy(io.Discard, p.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Error("the connection was not closed")
	}
	return err
}

// reset closes the connection so that the other side sees an RST.
func (p *peer) reset() {
	p.SetLinger(0)
	p.Close()
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// backend is a scripted raw TCP server.
type backend struct {
	t    testing.TB
	addr string
	l    net.Listener

	mu    sync.Mutex
	conns []*peer
	heads []string // every head that take and serve read
	done  sync.WaitGroup
}

// listen starts a backend that runs script for each connection, and closes the
// connection afterwards.
func listen(t testing.TB, script func(*peer)) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, addr: l.Addr().String(), l: l}
	b.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p := newPeer(t, c)
			b.mu.Lock()
			b.conns = append(b.conns, p)
			b.mu.Unlock()
			b.done.Go(func() {
				defer c.Close()
				script(p)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, c := range b.conns {
			c.Close()
		}
		b.mu.Unlock()
		b.done.Wait()
	})
	return b
}

// accepted is how many connections came.
func (b *backend) accepted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// received is every head that was read, in order.
func (b *backend) received() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.heads...)
}

// take reads a head and remembers it; "" at the end of the connection.
func (b *backend) take(p *peer) string {
	h, err := p.head()
	if err != nil {
		return ""
	}
	b.mu.Lock()
	b.heads = append(b.heads, h)
	b.mu.Unlock()
	return h
}

// answering is a backend that reads requests with any body and answers each
// with the same bytes.
func answering(t testing.TB, answer string) *backend {
	t.Helper()
	var b *backend
	ready := make(chan struct{})
	b = listen(t, func(p *peer) {
		<-ready
		for {
			h := b.take(p)
			if h == "" {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(h), p.in)))
			if err != nil {
				t.Errorf("backend: %v in %q", err, h)
				return
			}
			if len(r.TransferEncoding) > 0 {
				t.Error("answering cannot read chunks")
				return
			}
			if _, err := io.CopyN(io.Discard, r.Body, max(r.ContentLength, 0)); err != nil {
				return
			}
			if p.send(answer) != nil || strings.Contains(answer, "Connection: close") {
				return
			}
		}
	})
	close(ready)
	return b
}

// once is a backend whose n-th connection is played by the n-th script; the last
// one plays all further ones.
func once(t testing.TB, scripts ...func(*peer)) *backend {
	t.Helper()
	var mu sync.Mutex
	n := 0
	return listen(t, func(p *peer) {
		mu.Lock()
		script := scripts[min(n, len(scripts)-1)]
		n++
		mu.Unlock()
		script(p)
	})
}

// serve is a backend of net/http.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)} // clients leave, handlers abort
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}

// client is a client of net/http with connections of its own.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// field is the value of a field in a head, "" if it is not there. Several are
// joined by " | ".
func field(head, name string) string {
	var values []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if k, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(k, name) {
			values = append(values, v)
		}
	}
	return strings.Join(values, " | ")
}

// within fails the test if f takes longer than anything that works does.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not end", what)
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// silent waits for milliseconds during which the other side must say nothing.
func (p *peer) silent(milliseconds int) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(time.Duration(milliseconds) * time.Millisecond))
	if b, err := p.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("want silence, got %q, %v", b, err)
	}
	p.SetReadDeadline(time.Now().Add(patience))
}

// await waits for ch, or for the test to end.
func await(t testing.TB, ch <-chan struct{}) {
	select {
	case <-ch:
	case <-t.Context().Done():
	}
}
