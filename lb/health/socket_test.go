package health_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// patience bounds every wait of a test. Nothing that works takes so long.
const patience = 20 * time.Second

// listen plays every connection by a script, and closes it afterwards.
func listen(t *testing.T, script func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				script(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// refusing is an address nobody listens at.
func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// first is what the first check of an address finds, made at once.
func first(t *testing.T, address string, check policy.ActiveCheck) health.State {
	t.Helper()
	return firstOf(t, policy.Endpoint{Address: address, Weight: 1}, check)
}

func firstOf(t *testing.T, of policy.Endpoint, check policy.ActiveCheck) health.State {
	t.Helper()
	return firstBy(t, nil, of, check)
}

func firstBy(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), of policy.Endpoint, check policy.ActiveCheck) health.State {
	t.Helper()
	registry := pool.NewRegistry(pool.Options{})
	defer registry.Close()
	checker := health.New(health.Options{Dial: dial, Rand: func() uint64 { return 0 }})
	defer checker.Stop()
	check.Interval = time.Hour // one is enough
	p := policy.Pool{Name: "p", Endpoints: []policy.Endpoint{of}}
	p.CircuitBreaker.OpenDuration = time.Second
	p.HealthCheck.Active = &check
	s, err := registry.Stage([]policy.Pool{p})
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(func() {})
	checker.Apply(s.Pools())
	e := s.Pools()[0].Members()[0].Endpoint
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if state := checker.State(e); !state.At.IsZero() {
			return state
		} else if time.Now().After(late) {
			t.Fatal("no check was made")
		}
	}
}

// expect fails the test unless the state is a pass, or a failure of that kind.
func expect(t *testing.T, s health.State, failure string) {
	t.Helper()
	if failure == "" && s.Phase != health.Passing || failure != "" && (s.Phase != health.Failing || !strings.Contains(s.Error, failure)) {
		t.Errorf("%+v, want %q", s, failure)
	}
}

// soon is the timeout where it must pass, long the one where it must not.
const soon, long = 150 * time.Millisecond, patience

func TestTCP(t *testing.T) {
	silent := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	garbage := listen(t, func(c net.Conn) { io.WriteString(c, "garbage"); io.Copy(io.Discard, c) })
	for address, failure := range map[string]string{silent: "", garbage: "", refusing(t): "connection refused"} {
		expect(t, first(t, address, policy.ActiveCheck{Type: "TCP", Timeout: long}), failure)
	}
}

// drip sends a text a byte at a time.
func drip(c net.Conn, text string) {
	for i := range text {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestHTTP: what passes and what does not, by what an endpoint answers.
func TestHTTP(t *testing.T) {
	const okay = "HTTP/1.1 200 OK\r\n"
	whole := func(text string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, text) }
	}
	endless := func(begin, more string) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := io.WriteString(c, begin); err != nil {
				return
			}
			for {
				if _, err := io.WriteString(c, more); err != nil {
					return
				}
			}
		}
	}
	tests := []struct {
		name    string
		answer  func(net.Conn)
		timeout time.Duration
		failure string // empty: it passes
	}{
		{"sized", whole(okay + "Content-Length: 2\r\n\r\nok"), long, ""},
		{"chunked", whole(okay + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), long, ""},
		{"until the close", whole(okay + "\r\nok"), long, ""},
		{"empty", whole(okay + "Content-Length: 0\r\n\r\n"), long, ""},
		{"HTTP/1.0", whole("HTTP/1.0 200 OK\r\n\r\nok"), long, ""},
		{"another expected status", whole("HTTP/1.1 204 No Content\r\n\r\n"), long, ""},
		{"interim answers", whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okay + "Content-Length: 2\r\n\r\nok"), long, ""},
		{"connection kept", func(c net.Conn) { whole(okay + "Content-Length: 2\r\n\r\nok")(c); io.Copy(io.Discard, c) }, long, ""},
		{"a long body", whole(okay + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000)), long, ""},
		{"an endless body", endless(okay+"\r\n", strings.Repeat("x", 4096)), long, ""},
		{"an endless chunked body", endless(okay+"Transfer-Encoding: chunked\r\n\r\n", "3e8\r\n"+strings.Repeat("x", 1000)+"\r\n"), long, ""},

		{"status", whole("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), long, "status 503, expected [200 204]"},
		{"redirect", whole("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), long, "status 302"},
		{"closes", whole(""), long, "ended before a whole answer head"},
		{"half a head", whole(okay + "Content-Le"), long, "ended before a whole answer head"},
		{"garbage", whole("\x00\x01\x02 garbage"), long, "malformed status line"},
		{"TLS", whole("\x15\x03\x01\x00\x02\x02\x46"), long, "malformed status line"},
		{"truncated", whole(okay + "Content-Length: 20\r\n\r\nok"), long, "status 200, and a broken body"},
		{"truncated chunks", whole(okay + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"), long, "broken body"},
		{"garbage for chunks", whole(okay + "Transfer-Encoding: chunked\r\n\r\ngarbage\r\n"), long, "broken body: malformed chunk"},
		{"two lengths", whole(okay + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"), long, "Content-Length"},
		{"length and chunks", whole(okay + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), long, "Content-Length beside Transfer-Encoding"},
		{"more than its length", whole(okay + "Content-Length: 2\r\n\r\nok, or not"), long, "more bytes came"},
		{"more than nothing", whole("HTTP/1.1 204 No Content\r\n\r\nx"), long, "more bytes came"},
		{"reset in the body", func(c net.Conn) {
			whole(okay + "\r\nok")(c)
			c.(*net.TCPConn).SetLinger(0)
		}, long, "broken body"},
		{"switches", whole("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), long, "switched protocols"},
		{"1xx for ever, fast", endless("", "HTTP/1.1 100 Continue\r\n\r\n"), long, "interim answers"},
		{"1xx for ever, slowly", func(c net.Conn) {
			for range 1000 {
				if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, soon, "no whole answer within 150ms"},
		{"endless trailers", endless(okay+"Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"), long, "broken body"},
		{"an endless chunk extension", endless(okay+"Transfer-Encoding: chunked\r\n\r\n1;", strings.Repeat("x", 4096)), long, "broken body"},
		{"an endless chunk size", endless(okay+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("0", 4096)), long, "broken body"},
		{"a huge field", endless(okay+"X: ", strings.Repeat("x", 4096)), long, "the head is too large"},
		{"many fields", endless(okay, "X: y\r\n"), long, "too many fields"},
		{"no answer", func(c net.Conn) { io.Copy(io.Discard, c) }, soon, "no whole answer within 150ms"},
		{"half an answer", func(c net.Conn) { whole(okay + "X")(c); io.Copy(io.Discard, c) }, soon, "no whole answer within 150ms"},
		{"half a body", func(c net.Conn) { whole(okay + "Content-Length: 9\r\n\r\nx")(c); io.Copy(io.Discard, c) }, soon, "no whole answer within 150ms"},
		{"a dripping head", func(c net.Conn) { drip(c, okay+"X: "+strings.Repeat("x", 1000)) }, soon, "no whole answer within 150ms"},
		{"a dripping body", func(c net.Conn) { drip(c, okay+"\r\n"+strings.Repeat("x", 1000)) }, soon, "no whole answer within 150ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := listen(t, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					tt.answer(c)
				}
			})
			expect(t, first(t, address, policy.ActiveCheck{Type: "HTTP", Path: "/healthz", ExpectedStatuses: []int{200, 204}, Timeout: tt.timeout}), tt.failure)
		})
	}
	expect(t, first(t, refusing(t), policy.ActiveCheck{Type: "HTTP", Path: "/", ExpectedStatuses: []int{200}, Timeout: long}), "connection refused")
}

// TestHTTPRequest: what is asked, once, on a connection that is closed by us.
func TestHTTPRequest(t *testing.T) {
	for _, tt := range []struct{ name, hostname, want string }{
		{"", "", ""}, {"", "shop.example.com", "shop.example.com"},
		{"shop.svc", "", "shop.svc:"}, {"shop.svc", "shop.example.com", "shop.example.com"},
	} {
		var conns atomic.Int32
		asked := make(chan *http.Request, 10)
		closed := make(chan error, 10)
		address := listen(t, func(c net.Conn) {
			conns.Add(1)
			in := bufio.NewReader(c)
			r, err := http.ReadRequest(in)
			if err != nil {
				t.Error(err)
				return
			}
			asked <- r
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_, err = in.ReadByte()
			closed <- err
		})
		expect(t, firstOf(t, policy.Endpoint{Address: address, Name: tt.name, Weight: 1}, policy.ActiveCheck{
			Type: "HTTP", Path: "/well?deep=1", Hostname: tt.hostname, ExpectedStatuses: []int{200}, Timeout: long,
		}), "")
		want := tt.want
		switch _, port, _ := net.SplitHostPort(address); want {
		case "":
			want = address
		case "shop.svc:":
			want += port
		}
		if r := <-asked; r.Method != "GET" || r.RequestURI != "/well?deep=1" || r.Host != want || !r.Close || r.UserAgent() == "" {
			t.Errorf("%+v", r)
		}
		if err := <-closed; err != io.EOF {
			t.Errorf("the connection is used again, or reset: %v", err)
		}
		if conns.Load() != 1 {
			t.Errorf("%d connections", conns.Load())
		}
	}
}

// TestNotAccepted: connections that the kernel takes and nobody else does.
func TestNotAccepted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check := policy.ActiveCheck{Type: "HTTP", Path: "/", ExpectedStatuses: []int{200}, Timeout: soon}
	expect(t, first(t, l.Addr().String(), check), "no whole answer within 150ms")
}
