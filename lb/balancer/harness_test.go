package balancer_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
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
	whole     string // all of the policy; nothing else counts
	spec      string // more of spec, such as trustedProxies
	listener  string // more of the listener
	timeouts  string // of the listener
	limits    string // of the listener
	filters   string // of the route
	route     string // timeouts of the route
	retry     string // of the route
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
	if s.whole != "" {
		return s.whole
	}
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
	if s.listener != "" {
		line("      %s", s.listener)
	}
	optional("      ", "timeouts", s.timeouts)
	optional("      ", "limits", s.limits)
	line("  routes:")
	if s.routes != "" {
		b.WriteString(s.routes)
	} else {
		line("    - name: all\n      backendRefs: [{pool: main}]")
		optional("      ", "timeouts", s.route)
		optional("      ", "retry", s.retry)
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

// ended is a [event.Request] whose bytes were copied.
type ended struct {
	event.Request
	method, host, target, id, userAgent, traceState string
}

// recorder keeps what happened.
type recorder struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced with every event
	requests []ended
	attempts []event.Attempt
	mirrors  []event.Mirror
	refusals []event.RetryRefusal
	breakers []event.BreakerChange
	health   []event.HealthChange
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
				kept := ended{*e, string(e.Method), string(e.Host), string(e.Target), string(e.RequestID), string(e.UserAgent), string(e.Span.State)}
				kept.Method, kept.Scheme, kept.Host, kept.Target, kept.UserAgent, kept.RequestID, kept.Span.State = nil, nil, nil, nil, nil, nil, nil
				r.requests = append(r.requests, kept)
			})
		},
		AttemptEnded:     func(a *event.Attempt) { r.note(func() { r.attempts = append(r.attempts, *a) }) },
		MirrorEnded:      func(m event.Mirror) { r.note(func() { r.mirrors = append(r.mirrors, m) }) },
		RetryRefused:     func(_ event.ID, why event.RetryRefusal) { r.note(func() { r.refusals = append(r.refusals, why) }) },
		BreakerChanged:   func(c event.BreakerChange) { r.note(func() { r.breakers = append(r.breakers, c) }) },
		HealthChanged:    func(c event.HealthChange) { r.note(func() { r.health = append(r.health, c) }) },
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

// await waits for ch, or for the test to end.
func await(t testing.TB, ch <-chan struct{}) {
	select {
	case <-ch:
	case <-t.Context().Done():
	}
}
