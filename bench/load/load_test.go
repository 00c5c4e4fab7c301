package load

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "load-process" {
		if err := Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// specs are one of every kind.
var specs = map[string]Spec{
	"small":       {Connections: 8, Reply: "small"},
	"chunked":     {Connections: 8, Reply: "chunked"},
	"download":    {Connections: 4, Reply: "large"},
	"upload":      {Connections: 4, Reply: "small", Method: "POST", Body: MaxBody},
	"connections": {Connections: 8, Reply: "small", NewConnections: true},
	"open loop":   {Connections: 8, Reply: "small", Rate: 1000},
}

// The load is run against its own backend, which is as good a server as any.
func TestProcess(t *testing.T) {
	p, err := Start(nil, "load-process")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			r, err := p.Run(Slot{
				Spec: spec, Target: fmt.Sprintf("127.0.0.1:%d", p.Backend), Host: "x",
				PIDs: []int{p.child.PID}, Warmup: 20 * time.Millisecond, Window: 100 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Errors > 0 {
				t.Fatalf("%d errors, the first: %s", r.Errors, r.Error)
			}
			if r.Requests == 0 || r.CPU <= 0 || r.Elapsed < 100*time.Millisecond {
				t.Errorf("nothing measured: %+v", r)
			}
			if spec.Rate > 0 && (r.Requests < spec.Rate/10-2 || r.Requests > spec.Rate/10 || r.P50 <= 0 || r.P99 < r.P50 || r.Slowest < r.P99) {
				t.Errorf("%d requests, p50 %v, p99 %v, slowest %v; want %d requests, or one or two that are late less", r.Requests, r.P50, r.P99, r.Slowest, spec.Rate/10)
			}
		})
	}
	t.Run("by number", func(t *testing.T) {
		for _, requests := range []int{3, 100} { // fewer than connections, and more
			r, err := p.Run(Slot{
				Spec: specs["connections"], Target: fmt.Sprintf("127.0.0.1:%d", p.Backend), Host: "x", Window: 5 * time.Second, Requests: requests,
			})
			if err != nil || r.Errors > 0 || r.Requests != requests || r.Elapsed >= 5*time.Second || r.Began.IsZero() {
				t.Errorf("%+v, %v; want %d requests", r, err, requests)
			}
		}
	})
	t.Run("hold open", func(t *testing.T) {
		r, err := p.Run(Slot{Spec: Spec{Connections: 100, Reply: "small"}, Target: fmt.Sprintf("127.0.0.1:%d", p.Backend), Host: "x", HoldOpen: true})
		if err != nil || r.Errors > 0 || r.Requests != 100 {
			t.Errorf("%+v, %v; want 100 requests", r, err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		r, err := p.Run(Slot{Spec: specs["connections"], Target: l.Addr().String(), Host: "x", Window: 10 * time.Millisecond})
		if err != nil || r.Errors == 0 {
			t.Errorf("%+v, %v; want errors", r, err)
		}
	})
}

// Requests take cookies in turns, over all connections.
func TestCookiesTakeTurns(t *testing.T) {
	var mu sync.Mutex
	sent := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sent[r.Header.Get("Cookie")]++
		mu.Unlock()
		w.Write(payload[:100])
	}))
	defer server.Close()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	b, err := listenBackend(l)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close(b.fd)
	_, _, err = run(l, b, Slot{
		Spec: Spec{Connections: 2, Reply: "small"}, Target: server.Listener.Addr().String(), Host: "x",
		Cookies: []string{"a=1", "a=2", "a=3"}, Window: patience, Requests: 28, // and the warm-up makes one on each connection
	})
	if err != nil || l.failures.count > 0 {
		t.Fatal(err, l.failures)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := map[string]int{"a=1": 10, "a=2": 10, "a=3": 10}; !maps.Equal(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}

// What a proxy does wrong must show.
func TestErrorsAreCounted(t *testing.T) {
	body := string(payload[:100])
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"status":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "status 502"},
		"short body": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body[1:]) }, "body"},
		"wrong body": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.ToUpper(body)) }, "body differs"},
		"closed":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "closed a connection"},
		"asks to end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, body)
		}, "asks to close"},
		"new session": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "a=c")
			fmt.Fprint(w, body)
		}, "a cookie is set"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			l, err := newLoop()
			if err != nil {
				t.Fatal(err)
			}
			b, err := listenBackend(l)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close(b.fd)
			_, _, err = run(l, b, Slot{
				Spec: Spec{Connections: 1, Reply: "small"}, Target: server.Listener.Addr().String(), Host: "x", Cookies: []string{"a=b"},
				Warmup: 20 * time.Millisecond, Window: 10 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if l.failures.count == 0 || !strings.Contains(l.failures.first, c.want) {
				t.Errorf("%d errors, the first %q; want %q", l.failures.count, l.failures.first, c.want)
			}
		})
	}
}

func TestSpecsAreChecked(t *testing.T) {
	for name, s := range map[string]Spec{
		"no connections":  {Reply: "small"},
		"unknown reply":   {Connections: 1, Reply: "nothing"},
		"body too large":  {Connections: 1, Reply: "small", Body: MaxBody + 1},
		"rate and closes": {Connections: 1, Reply: "small", Rate: 1, NewConnections: true},
	} {
		if s.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
