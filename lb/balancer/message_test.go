package balancer_test

import (
	"fmt"
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
)

const get = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"

func TestContentLengthBothWays(t *testing.T) {
	b := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello")
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	r, body := c.answered(200, "POST /p?q=1 HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4\r\nUser-Agent: test\r\n\r\nbody")
	if body != "hello" || r.ContentLength != 5 || r.Header.Get("X-A") != "1" || r.Header.Get("Date") == "" {
		t.Errorf("got %q, %v", body, r.Header)
	}
	e := l.ended(1)
	if e.Status != 200 || e.RequestBytes != 4 || e.ResponseBytes != 5 || e.Attempts != 1 || e.Flags != 0 ||
		e.method != "POST" || e.target != "/p?q=1" || e.host != "shop.test" || e.userAgent != "test" || e.Proto != "1.1" ||
		e.Upstream != b.addr || e.RouteName != "all" || e.PoolName != "main" || e.FirstByte <= 0 || e.Duration < e.FirstByte {
		t.Errorf("event %+v", e)
	}
	head := b.received()[0]
	if !strings.HasPrefix(head, "POST /p?q=1 HTTP/1.1\r\nHost: shop.test\r\n") || field(head, "Content-Length") != "4" {
		t.Errorf("sent %q", head)
	}
}

func TestChunkedBothWays(t *testing.T) {
	b := once(t, func(p *peer) {
		head, _ := p.head()
		if field(head, "Transfer-Encoding") != "chunked" || field(head, "Content-Length") != "" || field(head, "TE") != "trailers" || field(head, "Trailer") != "X-Sum" {
			t.Errorf("sent %q", head)
		}
		var got strings.Builder
		for !strings.HasSuffix(got.String(), "\r\n\r\n") {
			line, err := p.in.ReadString('\n')
			if err != nil {
				t.Errorf("after %q: %v", got.String(), err)
				return
			}
			got.WriteString(line)
		}
		if s := got.String(); !strings.HasSuffix(s, "0\r\nX-Sum: 9\r\n\r\n") || !strings.Contains(s, "one") {
			t.Errorf("body %q", s)
		}
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: done\r\n\r\n")
		p.head() // until the balancer closes
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	r, body := c.answered(200, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: te\r\nTrailer: X-Sum\r\n\r\n3\r\none\r\n2\r\nxy\r\n0\r\nX-Sum: 9\r\n\r\n")
	if body != "abcde" || r.Trailer.Get("X-T") != "done" {
		t.Errorf("got %q with trailers %v", body, r.Trailer)
	}
	if e := l.ended(1); e.RequestBytes != 5 || e.ResponseBytes != 5 || e.Status != 200 {
		t.Errorf("event %+v", e)
	}
}

// TestNominatedTrailers: what Connection nominates stays behind as a trailer too.
func TestNominatedTrailers(t *testing.T) {
	filler := strings.Repeat("x", 20_000) // the head's buffer is long read over by then
	got := make(chan string, 1)
	b := listen(t, func(p *peer) {
		if _, err := p.head(); err != nil {
			return
		}
		var body strings.Builder // in chunks of the balancer's own sizes
		for !strings.HasSuffix(body.String(), "\r\n\r\n") {
			line, err := p.in.ReadString('\n')
			if err != nil {
				t.Error(err)
				return
			}
			body.WriteString(line)
		}
		got <- body.String()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x-mine\r\n\r\n4e20\r\n", filler, "\r\n0\r\nX-Mine: 1\r\nX-Kept: 1\r\n\r\n")
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	r, body := c.answered(200, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: X-MINE\r\n\r\n4e20\r\n"+filler+"\r\n0\r\nx-mine: 1\r\nX-Kept: 1\r\n\r\n")
	if len(body) != len(filler) || r.Trailer.Get("X-Mine") != "" || r.Trailer.Get("X-Kept") != "1" {
		t.Errorf("response of %d bytes with trailers %v", len(body), r.Trailer)
	}
	if end := <-got; !strings.HasSuffix(end, "x\r\n0\r\nX-Kept: 1\r\n\r\n") {
		t.Errorf("the request ends %q", end)
	}
}

func TestBodilessResponses(t *testing.T) {
	for _, x := range []struct {
		name, method, answer, length string
		status                       int
	}{
		{"HEAD with a length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "1234", 200},
		{"HEAD without", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", "", 200},
		{"HEAD of chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", 200},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 204},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n", "99", 304},
		{"304 without", "GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "", 304},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0", 200},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := answering(t, x.answer)
			l := start(t, setup{endpoints: []string{b.addr}})
			c := l.dial()
			for i := range 2 { // the second one shows that nothing was left over, on either side
				c.sendf("%s /%d HTTP/1.1\r\nHost: a\r\n\r\n", x.method, i)
				head, err := c.head()
				if err != nil || !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", x.status)) || field(head, "Content-Length") != x.length ||
					field(head, "Transfer-Encoding") != "" || field(head, "Connection") != "" {
					t.Errorf("request %d: %v %q", i, err, head)
				}
				if e := l.ended(i + 1); e.ResponseBytes != 0 || e.Status != x.status {
					t.Errorf("event %+v", e)
				}
			}
			c.CloseWrite()
			c.closed()
			if n := b.accepted(); n != 1 {
				t.Errorf("%d upstream connections", n)
			}
		})
	}
}

func TestHeadOfOwnAnswers(t *testing.T) {
	l := start(t, setup{routes: "    - name: one\n      hostnames: [a.test]\n      backendRefs: [{pool: main}]\n", endpoints: []string{"127.0.0.1:1"}})
	c := l.dial()
	for i := range 2 {
		c.send("HEAD / HTTP/1.1\r\nHost: b.test\r\n\r\n")
		head, err := c.head()
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 404 ") || field(head, "Content-Length") == "0" || field(head, "Content-Length") == "" {
			t.Errorf("%v %q", err, head)
		}
		if e := l.ended(i + 1); e.ResponseBytes != 0 || e.Status != 404 {
			t.Errorf("event %+v", e)
		}
	}
	c.CloseWrite()
	c.closed()
	bad := l.dial()
	bad.send("HEAD / HTTP/1.1\r\n\r\n")
	head, err := bad.head()
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 400 ") {
		t.Errorf("%v %q", err, head)
	}
	bad.CloseWrite()
	bad.closed()
}

func TestInterimResponses(t *testing.T) {
	b := answering(t, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"+ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for range 2 {
		c.send(get)
		c.expect("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n")
		c.response("GET")
	}
	old := l.dial() // HTTP/1.0 knows no interim responses
	old.answered(200, "GET / HTTP/1.0\r\n\r\n")
	old.closed()
	if e := l.ended(1); e.Status != 200 || e.Attempts != 1 {
		t.Errorf("event %+v", e)
	}
}

func TestEndlessInterimResponses(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		for p.send("HTTP/1.1 103 Early Hints\r\n\r\n") == nil {
		}
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	c.send(get)
	passed := 0
	for {
		head, err := c.head()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(head, "HTTP/1.1 502 ") {
			break
		}
		passed++
	}
	if passed != 16 {
		t.Errorf("%d interim responses were passed on, want 16", passed)
	}
	if e := l.ended(1); e.Flags != event.UpstreamProtocol || e.Attempts != 1 {
		t.Errorf("event %+v", e)
	}
}

func TestPipelining(t *testing.T) {
	b := once(t, func(p *peer) {
		for i := 0; ; i++ {
			head, err := p.head()
			if err != nil {
				return
			}
			body := ""
			if n := field(head, "Content-Length"); n != "" {
				var size int
				fmt.Sscan(n, &size)
				body = p.exactly(size)
			}
			path := strings.Fields(head)[1]
			answer := path + " " + body
			p.sendf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
		}
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	big := strings.Repeat("x", 40<<10) // does not fit into the buffer with its head
	c.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none" +
		"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(big)) + "\r\n\r\n" + big +
		"POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour" +
		"GET /5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	for _, want := range []string{"/1 one", "/2 ", "/3 " + big, "/4 four", "/5 "} {
		if _, body := c.response("GET"); body != want {
			t.Fatalf("got %.40q, want %.40q", body, want)
		}
	}
	c.closed()
	if n := l.count(); n != 5 {
		t.Errorf("%d requests ended", n)
	}
}

func TestKeepAliveBothSides(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for range 20 {
		c.answered(200, get)
		c.answered(200, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	}
	if n := b.accepted(); n != 1 {
		t.Errorf("%d upstream connections for one client", n)
	}
	l.ended(40)
	if !l.lastAttempt().Reused {
		t.Error("the last attempt was not on a kept connection")
	}
	r, _ := c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if !r.Close {
		t.Error("the reply does not say that the connection ends")
	}
	c.closed()
	if why := l.reason(1); why != "reply" {
		t.Errorf("closed for %q", why)
	}
}

func TestHTTP10(t *testing.T) {
	b := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	l := start(t, setup{endpoints: []string{b.addr}})
	plain := l.dial()
	plain.send("GET / HTTP/1.0\r\n\r\n")
	head, err := plain.head()
	if err != nil || field(head, "Connection") != "close" || field(head, "Content-Length") != "2" {
		t.Errorf("%v %q", err, head)
	}
	plain.expect("ok")
	plain.closed()
	if got := b.received()[0]; !strings.HasPrefix(got, "GET / HTTP/1.1\r\nHost: "+b.addr+"\r\n") || field(got, "Via") != "1.0 lb" || field(got, "X-Forwarded-Host") != "" {
		t.Errorf("sent %q", got)
	}
	kept := l.dial()
	for range 3 {
		kept.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
		head, err := kept.head()
		if err != nil || field(head, "Connection") != "keep-alive" {
			t.Errorf("%v %q", err, head)
		}
		kept.expect("ok")
	}
	if e := l.ended(2); e.Proto != "1.0" {
		t.Errorf("proto %q", e.Proto)
	}
}

func TestHTTP10Framing(t *testing.T) {
	for name, answer := range map[string]string{
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
		"close":   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef",
	} {
		t.Run(name, func(t *testing.T) {
			b := answering(t, answer)
			l := start(t, setup{endpoints: []string{b.addr}})
			c := l.dial()
			c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			head, err := c.head()
			if err != nil || field(head, "Connection") != "close" || field(head, "Transfer-Encoding") != "" || field(head, "Content-Length") != "" {
				t.Errorf("%v %q", err, head)
			}
			if body, err := c.rest(); body != "abcdef" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
			if e := l.ended(1); e.ResponseBytes != 6 || e.Flags != 0 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

func TestCloseDelimitedToHTTP11(t *testing.T) {
	b := answering(t, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for range 2 {
		r, body := c.answered(200, get)
		if body != "until the end" || len(r.TransferEncoding) != 1 || r.Close {
			t.Errorf("%q %v", body, r)
		}
	}
	if n := b.accepted(); n != 2 {
		t.Errorf("%d upstream connections", n)
	}
}
