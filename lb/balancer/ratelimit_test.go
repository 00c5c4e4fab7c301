package balancer_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
)

// A request beyond the rate is refused, says when to come again, and is nothing
// to any endpoint; a reload does not make it forgotten.
func TestRateLimit(t *testing.T) {
	b := answering(t, ok)
	s := setup{endpoints: []string{b.addr}, filters: "{rateLimit: {requests: 2, per: 10h}}"}
	l := start(t, s)
	c := l.dial()
	c.answered(200, get)
	c.answered(200, get)
	refused := func(n int) {
		t.Helper()
		r, body := c.answered(429, get)
		if r.Header.Get("Retry-After") != "18000" || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Date") == "" ||
			r.Header.Get("Content-Type") != "text/plain; charset=utf-8" || r.Close {
			t.Errorf("%v", r)
		}
		if id := r.Header.Get("X-Request-Id"); body != "more requests came than this route lets through\nrequest id: "+id+"\n" || id == "" {
			t.Errorf("%q", body)
		}
		if e := l.ended(n); e.Flags != event.RateLimited || e.Status != 429 || e.Attempts != 0 || e.RouteName != "all" || e.Pool != event.None || e.ResponseBytes != int64(len(body)) {
			t.Errorf("event %+v", e)
		}
	}
	refused(3)
	s.filters = "{rateLimit: {requests: 2, per: 10h}}, {urlRewrite: {hostname: other}}"
	l.source.set(s.text())
	if r := l.Reload(context.Background()); r.Outcome != reload.Committed {
		t.Fatalf("%+v", r)
	}
	refused(4)
	if e := l.settled(); e.Breaker.State != "closed" || e.InFlight != 0 {
		t.Errorf("endpoint %+v", e)
	}
	l.until("every request to be told as routed", func() bool { return l.routed == 4 })
	if n := len(b.received()); n != 2 {
		t.Errorf("the endpoint got %d requests", n)
	}
	// A body that is not wanted is not waited for.
	if r, _ := c.answered(429, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"); !r.Close {
		t.Error("the connection is offered for reuse")
	}
}

// What requests are counted by: the client's address as trusted proxies tell it,
// or a header; a redirect counts too.
func TestRateLimitKeys(t *testing.T) {
	b := answering(t, ok)
	for _, c := range []struct {
		name, limit, spec string
		requests          []string // fields; the first of each kind passes
		want              []int
	}{
		{name: "address", limit: "requests: 1, per: 10h", requests: []string{"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"}, want: []int{200, 429}},
		{name: "address behind a proxy", limit: "requests: 1, per: 10h", spec: "trustedProxies: [127.0.0.0/8]",
			requests: []string{"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2", "X-Forwarded-For: 10.0.0.9, 10.0.0.1", "X-Forwarded-For: 2001:db8::1", "X-Forwarded-For: 2001:db8::2"},
			want:     []int{200, 200, 429, 200, 429}},
		{name: "header", limit: "requests: 1, per: 10h, key: Header, header: {name: X-Key}",
			requests: []string{"X-Key: a", "x-key: b", "X-KEY: a", "X-Other: a", "X-Other: b", "X-Key: ", "X-Key: b"}, want: []int{200, 200, 429, 200, 429, 429, 429}},
		// Whichever of several values an endpoint goes by, a new one beside it gives no
		// new bucket: such requests share that of those without the field.
		{name: "header given twice", limit: "requests: 1, per: 10h, key: Header, header: {name: X-Key}",
			requests: []string{"X-Key: a", "X-Key: 1\r\nX-Key: a", "X-Key: 2\r\nx-key: a", "X-Key: a\r\nX-Key: 3", "X-Other: 1", "X-Key: b"}, want: []int{200, 200, 429, 429, 429, 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := start(t, setup{endpoints: []string{b.addr}, spec: c.spec, filters: "{rateLimit: {" + c.limit + "}}"})
			p := l.dial()
			for i, field := range c.requests {
				p.answered(c.want[i], "GET / HTTP/1.1\r\nHost: a\r\n"+field+"\r\n\r\n")
			}
		})
	}
	t.Run("redirect", func(t *testing.T) {
		l := start(t, setup{endpoints: []string{b.addr}, routes: "    - {name: one, filters: [{rateLimit: {requests: 1, per: 10h}}, {requestRedirect: {hostname: b}}]}\n"})
		p := l.dial()
		p.answered(302, get)
		p.answered(429, get)
	})
	t.Run("each route", func(t *testing.T) {
		route := func(name string) string {
			return "    - name: " + name + "\n      matches: [{path: {type: PathPrefix, value: /" + name + "}}]\n      filters: [{rateLimit: {requests: 1, per: 10h}}]\n      backendRefs: [{pool: main}]\n"
		}
		l := start(t, setup{endpoints: []string{b.addr}, routes: route("a") + route("b")})
		p := l.dial()
		for _, path := range []string{"/a", "/b"} {
			request := strings.Replace(get, "/", path, 1)
			p.answered(http.StatusOK, request)
			p.answered(http.StatusTooManyRequests, request)
		}
	})
}
