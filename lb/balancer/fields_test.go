package balancer_test

import (
	"fmt"
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
)

func TestHopByHopFieldsAreDropped(t *testing.T) {
	const hops = "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Mine: 1\r\nX-END: 1\r\nX-Stays: 1\r\n"
	b := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-mine, X-End\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n"+hops+"\r\nok")
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine,,  x-end ,keep-alive\r\nConnection: Te\r\nTE: trailers, gzip\r\nProxy-Authorization: secret\r\nUpgrade: h2c\r\n" + hops + "\r\n")
	head, err := c.head()
	if err != nil {
		t.Fatal(err)
	}
	c.expect("ok")
	for where, got := range map[string]string{"request": b.received()[0], "response": head} {
		for _, name := range []string{"Keep-Alive", "Proxy-Connection", "X-Mine", "X-End", "Proxy-Authenticate", "Proxy-Authorization", "Upgrade"} {
			if v := field(got, name); v != "" {
				t.Errorf("%s: %s was passed on: %q", where, name, v)
			}
		}
		if field(got, "X-Stays") != "1" {
			t.Errorf("%s: X-Stays is missing", where)
		}
	}
	if got := b.received()[0]; field(got, "TE") != "trailers" || field(got, "Connection") != "te" {
		t.Errorf("sent %q", got)
	}
}

// TestTargetForms: what each form of a target becomes upstream (RFC 9112 section
// 3.2).
func TestTargetForms(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for n, x := range []struct{ line, host, want, wantHost string }{
		{"GET /x?q", "a", "GET /x?q HTTP/1.1", "a"},
		{"GET http://a/x?q", "a", "GET /x?q HTTP/1.1", "a"},
		{"GET http://a", "a", "GET / HTTP/1.1", "a"},
		{"GET http://a?q", "a", "GET /?q HTTP/1.1", "a"},
		{"GET http://a:80/", "a", "GET / HTTP/1.1", "a:80"},
		{"GET http://a/", "a:80", "GET / HTTP/1.1", "a"},
		{"GET https://a:443/", "A", "GET / HTTP/1.1", "a:443"},
		{"OPTIONS *", "a", "OPTIONS * HTTP/1.1", "a"},
		{"OPTIONS http://a", "a", "OPTIONS * HTTP/1.1", "a"},
		{"OPTIONS http://a/", "a", "OPTIONS / HTTP/1.1", "a"},
		{"OPTIONS http://a?", "a", "OPTIONS /? HTTP/1.1", "a"},
	} {
		c.answered(200, x.line+" HTTP/1.1\r\nHost: "+x.host+"\r\n\r\n")
		got := b.received()[n]
		if !strings.HasPrefix(got, x.want+"\r\n") || field(got, "Host") != x.wantHost {
			t.Errorf("%s for %s became %q, want %s for %s", x.line, x.host, got, x.want, x.wantHost)
		}
	}
	for _, host := range []string{"b", "a:81", "a:443"} {
		l.dial().answered(400, "GET http://a/ HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	}
}

// TestDisguisedFields: what CGI would take for a field the proxy has rules for
// does not get past them.
func TestDisguisedFields(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	l.dial().answered(200, "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 8.8.8.8\r\nx-forwarded_proto: https\r\nX.Forwarded.Host: b\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Real_IP: 8.8.8.8\r\nX_Other: stays\r\n\r\n")
	got := b.received()[0]
	for _, name := range []string{"X_Forwarded_For", "x-forwarded_proto", "X.Forwarded.Host", "Content_Length", "Transfer_Encoding", "X_Real_IP"} {
		if v := field(got, name); v != "" {
			t.Errorf("%s was passed on: %q", name, v)
		}
	}
	if field(got, "X_Other") != "stays" {
		t.Errorf("a field of nobody's concern was dropped: %q", got)
	}
}

func TestForwardedFields(t *testing.T) {
	const claims = "X-Forwarded-For: 203.0.113.7, 10.1.1.1\r\nX-Forwarded-For: 10.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer.test\r\n" +
		"X-Forwarded-Port: 443\r\nX-Forwarded-Anything: 1\r\nForwarded: for=203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n"
	for _, x := range []struct {
		name, trusted, fields string
		client                string
		want                  map[string]string
	}{
		{"untrusted, none", "", "", "127.0.0.1",
			map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.test", "Forwarded": "", "X-Real-IP": ""}},
		{"untrusted, spoofed", "", claims, "127.0.0.1",
			map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.test",
				"X-Forwarded-Port": "", "X-Forwarded-Anything": "", "Forwarded": "", "X-Real-IP": ""}},
		{"trusted, none", "127.0.0.0/8", "", "127.0.0.1",
			map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.test"}},
		{"trusted", "127.0.0.0/8, 10.0.0.0/8", claims, "203.0.113.7",
			map[string]string{"X-Forwarded-For": "203.0.113.7, 10.1.1.1, 10.2.2.2, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.test",
				"X-Forwarded-Port": "443", "Forwarded": "for=203.0.113.7", "X-Real-IP": "203.0.113.7"}},
		{"the last untrusted one is the client", "127.0.0.0/8", claims, "10.2.2.2", nil},
		{"garbage ends the belief", "127.0.0.0/8, 10.0.0.0/8", "X-Forwarded-For: 203.0.113.7, unknown, 10.2.2.2\r\n", "10.2.2.2", nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := answering(t, ok)
			s := setup{endpoints: []string{b.addr}}
			if x.trusted != "" {
				s.spec = "trustedProxies: [" + x.trusted + "]"
			}
			l := start(t, s)
			c := l.dial()
			c.answered(200, "GET / HTTP/1.1\r\nHost: shop.test\r\n"+x.fields+"\r\n")
			got := b.received()[0]
			for name, want := range x.want {
				if v := field(got, name); v != want {
					t.Errorf("%s: %q, want %q", name, v, want)
				}
			}
			if e := l.ended(1); e.Client.String() != x.client || e.Peer.Addr().String() != "127.0.0.1" {
				t.Errorf("client %s, want %s; peer %s", e.Client, x.client, e.Peer)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	n := 0
	ask := func(fields string) (sent string, e ended) {
		n++
		c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 before\r\ntraceparent: "+trace+"\r\n"+fields+"\r\n")
		return b.received()[n-1], l.ended(n)
	}
	sent, e := ask("X-Request-Id: f47ac10b-58cc-4372-a567-0e02b2c3d479\r\n")
	if field(sent, "X-Request-Id") != "f47ac10b-58cc-4372-a567-0e02b2c3d479" || e.id != field(sent, "X-Request-Id") {
		t.Errorf("sent %q, event %+v", sent, e)
	}
	if field(sent, "Via") != "1.0 before | 1.1 lb" || field(sent, "traceparent") != trace || fmt.Sprintf("00-%x-%x-01", e.Span.Trace, e.Span.Parent) != trace || e.Span.ID != [8]byte{} {
		t.Errorf("sent %q, event %+v", sent, e)
	}
	seen := map[string]bool{}
	for _, bad := range []string{"", "X-Request-Id:\r\n", "X-Request-Id: two words\r\n", "X-Request-Id: {\"a\":1}\r\n", "X-Request-Id: " + strings.Repeat("x", 129) + "\r\n"} {
		sent, e := ask(bad)
		id := field(sent, "X-Request-Id")
		if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" || e.id != id || seen[id] {
			t.Errorf("%q: id %q, event's %q", bad, id, e.id)
		}
		seen[id] = true
	}
}

func TestHost(t *testing.T) {
	b := answering(t, ok)
	for _, x := range []struct{ name, filters, request, want string }{
		{"kept", "", "GET / HTTP/1.1\r\nHost: Shop.test:8080\r\n\r\n", "Shop.test:8080"},
		{"absolute form", "", "GET http://other.test/x?y HTTP/1.1\r\nHost: other.test\r\n\r\n", "other.test"},
		{"none in 1.0", "", "GET / HTTP/1.0\r\n\r\n", b.addr},
		{"empty", "", "GET / HTTP/1.1\r\nHost:\r\n\r\n", b.addr},
		{"rewritten", "{urlRewrite: {hostname: inner.test}}", "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", "inner.test"},
		{"rewritten, none given", "{urlRewrite: {hostname: inner.test}}", "GET / HTTP/1.0\r\n\r\n", "inner.test"},
	} {
		l := start(t, setup{endpoints: []string{b.addr}, filters: x.filters})
		c := l.dial()
		c.answered(200, x.request)
		all := b.received()
		got := all[len(all)-1]
		if field(got, "Host") != x.want {
			t.Errorf("%s: sent %q", x.name, got)
		}
		if strings.Contains(x.request, "other.test/x?y") && !strings.HasPrefix(got, "GET /x?y HTTP/1.1\r\n") {
			t.Errorf("%s: sent %q", x.name, got)
		}
	}
}

func TestModifiersAndRewrite(t *testing.T) {
	b := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: secret\r\nX-Both: from backend\r\nX-Join: a\r\n\r\nok")
	l := start(t, setup{endpoints: []string{b.addr}, routes: `    - name: cart
      matches: [{path: {type: PathPrefix, value: /cart}}]
      filters:
        - requestHeaderModifier: {remove: [X-Debug], set: {X-Env: prod}, add: {X-Join: b}}
        - responseHeaderModifier: {remove: [Server], set: {X-Both: from policy}, add: {X-Join: b}}
        - urlRewrite: {path: {type: ReplacePrefixMatch, value: /v2}}
      backendRefs: [{pool: main}]
    - name: full
      matches: [{path: {type: Exact, value: /full}}]
      filters:
        - urlRewrite: {path: {type: ReplaceFullPath, value: /whole}}
      backendRefs: [{pool: main}]
`})
	c := l.dial()
	c.send("GET /cart/items?id=%201 HTTP/1.1\r\nHost: a\r\nX-Debug: 1\r\nx-env: dev\r\nX-Join: a\r\n\r\n")
	head, err := c.head()
	if err != nil {
		t.Fatal(err)
	}
	c.expect("ok")
	got := b.received()[0]
	if !strings.HasPrefix(got, "GET /v2/items?id=%201 HTTP/1.1\r\n") || field(got, "X-Debug") != "" || field(got, "X-Env") != "prod" || field(got, "X-Join") != "a | b" {
		t.Errorf("sent %q", got)
	}
	if field(head, "Server") != "" || field(head, "X-Both") != "from policy" || field(head, "X-Join") != "a | b" {
		t.Errorf("got %q", head)
	}
	c.answered(200, "GET /full?a=b HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := b.received()[1]; !strings.HasPrefix(got, "GET /whole?a=b HTTP/1.1\r\n") {
		t.Errorf("sent %q", got)
	}
	// The log has what the client asked for.
	if e := l.ended(1); e.target != "/cart/items?id=%201" || e.RouteName != "cart" {
		t.Errorf("event %+v", e)
	}
}

func TestRedirect(t *testing.T) {
	l := start(t, setup{endpoints: []string{"127.0.0.1:1"}, routes: `    - name: old
      matches: [{path: {type: PathPrefix, value: /old}}]
      filters:
        - requestRedirect: {scheme: https, statusCode: 301, path: {type: ReplacePrefixMatch, value: /new}}
        - responseHeaderModifier: {set: {X-By: policy}}
    - name: rest
      backendRefs: [{pool: main}]
`})
	c := l.dial()
	for i := range 2 {
		r, body := c.answered(301, "GET /old/x?q=1 HTTP/1.1\r\nHost: shop.test:8000\r\n\r\n")
		if got := r.Header.Get("Location"); got != "https://shop.test/new/x?q=1" || body != "" || r.ContentLength != 0 || r.Header.Get("X-By") != "policy" {
			t.Errorf("location %q, body %q, %v", got, body, r.Header)
		}
		if e := l.ended(i + 1); e.Flags != event.Redirected || e.Attempts != 0 || e.RouteName != "old" || e.Status != 301 {
			t.Errorf("event %+v", e)
		}
	}
	// A body that was announced is not taken for a request.
	c.answered(301, "POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
	c.answered(301, "GET /old HTTP/1.1\r\nHost: a\r\n\r\n")
}

// Dot segments are gone before a route is looked for and before the request is
// sent: what is matched is what is served.
func TestDotSegments(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}, routes: `    - name: public
      matches: [{path: {type: PathPrefix, value: /public}}]
      backendRefs: [{pool: main}]
`})
	c := l.dial()
	n := 0
	for target, want := range map[string]string{
		"/public/a":             "/public/a",
		"/public/./a?b=/../c":   "/public/a?b=/../c",
		"/x/../public/a":        "/public/a",
		"/public/a/..":          "/public/",
		"/public/..hidden":      "/public/..hidden",
		"/public/%2e%2E/secret": "",
		"/public/../secret":     "",
		"/public/.%2e/secret?x": "",
		"/secret":               "",
	} {
		status := 200
		if want == "" {
			status = 404
		}
		c.answered(status, "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if want == "" {
			continue
		}
		n++
		if got := b.received()[n-1]; !strings.HasPrefix(got, "GET "+want+" HTTP/1.1\r\n") {
			t.Errorf("%s: sent %.60q", target, got)
		}
	}
}

// What is not HTTP/1.1 is answered with a 4xx or 5xx, goes nowhere, and ends the
// connection.
func TestMalformedRequests(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}, limits: "headerFields: 20"})
	n := 0
	for _, x := range []struct {
		name    string
		status  int
		request string
	}{
		{"no host", 400, "GET / HTTP/1.1\r\n\r\n"},
		{"two hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
		{"bad host", 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
		{"bare LF", 400, "GET / HTTP/1.1\nHost: a\n\n"},
		{"bare CR", 400, "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"},
		{"NUL", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n"},
		{"space before colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
		{"folded", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"},
		{"garbage", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"},
		{"length and chunked", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"two lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
		{"signed length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"},
		{"chunked twice", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"gzip coding", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"},
		{"gzip and chunked", 501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"nominated X-Forwarded-For", 400, "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n"},
		{"nominated Host", 400, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n"},
		{"announced length", 400, "POST / HTTP/1.1\r\nHost: a\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"percent without digits", 400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"chunked in 1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"CONNECT", 501, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
		{"HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"fragment", 400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"relative target", 400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"other scheme", 400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"long target", 414, "GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"many fields", 431, "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 25) + "\r\n"},
		{"large head", 431, "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 33<<10) + "\r\n\r\n"},
		{"expectation", 417, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: wonders\r\n\r\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := l.dial()
			c.send(x.request, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			method, _, _ := strings.Cut(x.request, " ")
			r, body, err := c.tryResponse(method)
			if err != nil {
				t.Fatal(err)
			}
			if r.StatusCode != x.status || !r.Close {
				t.Errorf("status %d, want %d; close %v; %q", r.StatusCode, x.status, r.Close, body)
			}
			c.CloseWrite()
			c.closed()
			n++
			e := l.ended(n)
			if e.Status != x.status || e.Flags != event.DownstreamProtocol || e.Route != event.None || e.Attempts != 0 {
				t.Errorf("event %+v", e)
			}
			if why := l.reason(n); why != event.ClosedBadRequest {
				t.Errorf("closed for %q", why)
			}
		})
	}
	if got := b.received(); len(got) != 0 {
		t.Errorf("forwarded %q", got)
	}
	if l.count() != n {
		t.Errorf("%d requests ended, want %d", l.count(), n)
	}
}

func TestNoRoute(t *testing.T) {
	l := start(t, setup{endpoints: []string{"127.0.0.1:1"}, routes: "    - name: one\n      hostnames: [a.test]\n      backendRefs: [{pool: main}]\n"})
	c := l.dial()
	r, body := c.answered(404, "GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n")
	e := l.ended(1)
	if e.Flags != event.NoRoute || e.Route != event.None || e.Attempts != 0 || e.ResponseBytes != int64(len(body)) {
		t.Errorf("event %+v", e)
	}
	if !strings.Contains(body, e.id) || r.Header.Get("X-Request-Id") != e.id {
		t.Errorf("%q does not name the id %s", body, e.id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.routed != 0 {
		t.Error("a request without a route was told to be routed")
	}
}
