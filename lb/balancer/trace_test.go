package balancer_test

import (
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
)

// TRACE is refused unless the listener allows it, and never with content
// (RFC 9110 section 9.3.8).
func TestTraceRefused(t *testing.T) {
	b := answering(t, ok)
	for _, listener := range []string{"", "trace: Refuse", "trace: Allow"} {
		l := start(t, setup{listener: listener, endpoints: []string{b.addr}})
		if listener != "trace: Allow" {
			c := l.dial()
			r, body := c.answered(405, "TRACE / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n")
			if got := r.Header.Get("Allow"); got != "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" {
				t.Errorf("Allow: %q", got)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("body %q", body)
			}
			c.answered(405, "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
			c.answered(200, get) // the connection goes on
			if e := l.ended(1); e.Attempts != 0 || e.RouteName != "all" || e.Status != 405 {
				t.Errorf("event %+v", e)
			}
		}
		for _, content := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
			c := l.dial()
			r, _ := c.answered(400, "TRACE / HTTP/1.1\r\nHost: a\r\n"+content)
			if !r.Close {
				t.Error("the connection is offered for reuse")
			}
			c.CloseWrite()
			c.closed()
		}
	}
	for _, head := range b.received() {
		if !strings.HasPrefix(head, "GET ") {
			t.Errorf("the backend was sent %q", head)
		}
	}
}

func TestTraceAllowed(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{listener: "trace: Allow", endpoints: []string{b.addr}})
	c := l.dial()
	c.answered(200, "TRACE /x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic c2VjcmV0\r\nX-Kept: yes\r\ncookie: s=secret\r\nProxy-Authorization: Basic c2VjcmV0\r\nContent-Length: 0\r\n\r\n")
	got := b.received()[0]
	if !strings.HasPrefix(got, "TRACE /x HTTP/1.1\r\n") || field(got, "X-Kept") != "yes" || field(got, "Via") != "1.1 lb" {
		t.Errorf("sent on: %q", got)
	}
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		if v := field(got, name); v != "" {
			t.Errorf("%s was sent on: %q", name, v)
		}
	}
	// No further than it was to go: it is answered with itself.
	r, body := c.answered(200, "TRACE /y?z HTTP/1.1\r\nHost: a\r\nMAX-Forwards: 0\r\nAuthorization: Basic c2VjcmV0\r\nX-Kept: yes\r\nCookie: s=secret\r\n\r\n")
	if want := "TRACE /y?z HTTP/1.1\r\nHost: a\r\nMAX-Forwards: 0\r\nX-Kept: yes\r\n\r\n"; body != want || r.Header.Get("Content-Type") != "message/http" {
		t.Errorf("%v, %q, want %q", r.Header, body, want)
	}
	if e := l.ended(2); e.Attempts != 0 || e.Upstream != "" || e.Flags != 0 {
		t.Errorf("event %+v", e)
	}
	// With any other method cookies are passed on, of course.
	c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\nAuthorization: x\r\nMax-Forwards: 0\r\n\r\n")
	if got := b.received()[1]; field(got, "Cookie") != "s=1" || field(got, "Authorization") != "x" || field(got, "Max-Forwards") != "0" {
		t.Errorf("sent on: %q", got)
	}
}

// Max-Forwards counts the hops of TRACE and OPTIONS (RFC 9110 section 7.6.2).
func TestMaxForwards(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{listener: "trace: Allow", endpoints: []string{b.addr}})
	for _, method := range []string{"TRACE", "OPTIONS"} {
		for _, hop := range []struct{ in, out string }{
			{"1", "0"}, {"007", "6"}, {"256", "255"}, {"257", "255"}, {"99999999999999999999999", "255"},
		} {
			n := len(b.received())
			l.dial().answered(200, method+" / HTTP/1.1\r\nHost: a\r\nMax-Forwards: "+hop.in+"\r\n\r\n")
			if got := field(b.received()[n], "Max-Forwards"); got != hop.out {
				t.Errorf("%s: %s became %q, want %q", method, hop.in, got, hop.out)
			}
		}
		n := len(b.received())
		for _, bad := range []string{"Max-Forwards: -1\r\n", "Max-Forwards:\r\n", "Max-Forwards: 1, 2\r\n", "Max-Forwards: 3\r\nMax-Forwards: 3\r\n", "Max-Forwards: +3\r\n"} {
			l.dial().answered(400, method+" / HTTP/1.1\r\nHost: a\r\n"+bad+"\r\n")
		}
		if len(b.received()) != n {
			t.Errorf("passed on: %q", b.received()[n:])
		}
	}
	n := len(b.received())
	r, body := l.dial().answered(200, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
	if r.Header.Get("Allow") == "" || r.ContentLength != 0 || body != "" || len(b.received()) != n {
		t.Errorf("%+v, %q", r, body)
	}
	if e := l.ended(l.count()); e.Flags&event.NoRoute != 0 {
		t.Errorf("event %+v", e)
	}
}
