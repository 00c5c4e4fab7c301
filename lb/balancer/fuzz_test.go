package balancer_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
)

// FuzzSmuggling sends any bytes through the balancer. What the backend receives
// must be the requests that net/http reads in those bytes, the first ones, each
// once and unchanged; and the client must get as many answers.
func FuzzSmuggling(f *testing.F) {
	const (
		post  = "POST /a HTTP/1.1\r\nHost: a\r\n"
		coded = post + "Transfer-Encoding: chunked\r\n"
		next  = "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"
	)
	for _, in := range []string{
		next + next,
		post + "Content-Length: 5\r\n\r\nhello" + next,
		post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
		post + "Content-Length: 5, 5\r\n\r\nhello" + next,
		post + "Content-Length: 38\r\nConnection: Content-Length\r\n\r\n" + next,
		post + "Content_Length: 5\r\n\r\n" + next,
		post + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + next,
		coded + "\r\n5;a=\"b\"\r\nhello\r\n0\r\nX-A: b\r\n\r\n" + next,
		coded + "Trailer: X-A\r\nConnection: X-A\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\n\r\n" + next,
		coded + "\r\n5;\r\nhello\r\n0\r\n\r\n" + next,
		coded + "\r\n5;a=\"\r\nhello\r\n0\r\n\r\n\"" + next,
		coded + "\r\n5\r\nhell",
		post + "Transfer-Encoding: xchunked\r\n\r\n" + next,
		post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + next,
		post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
		"\r\n" + next + "\r\n" + next,
		"GET http://b/x?y HTTP/1.1\r\nHost: b:80\r\n\r\n" + next,
		"GET /x/../y HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next,
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + next,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n" + next,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + next,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + next,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(in))
	}
	b := recording(f)
	l := start(f, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 0, failurePercent: 0"},
		func(o *balancer.Options) { o.Events = nil }) // which would be kept for ever
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 8000 {
			return // below every limit
		}
		b.forget()
		statuses := l.answers(t, in)
		got, want := b.requests(), readAll(in)
		for i := range got {
			if i == len(want) {
				t.Fatalf("request %d of none: %+v\nof %q", i, got[i], in)
			}
			if !got[i].is(want[i], b.addr) {
				t.Fatalf("request %d became another one:\n%+v\n%+v", i, want[i], got[i])
			}
		}
		if n := len(slices.DeleteFunc(statuses, func(s int) bool { return s != 200 })); n != len(got) {
			t.Fatalf("the backend answered %d requests, the client got %d answers", len(got), n)
		}
	})
}

// answers sends bytes, says that there will be no more, and returns the statuses
// of the final responses.
func (l *lb) answers(t *testing.T, in []byte) (statuses []int) {
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	methods := []string{}
	for _, r := range readAll(in) {
		methods = append(methods, r.method)
	}
	go func() { // the balancer may stop reading before the end
		c.Write(in)
		c.(*net.TCPConn).CloseWrite()
	}()
	br := bufio.NewReader(c)
	for {
		method := "GET"
		if len(statuses) < len(methods) {
			method = methods[len(statuses)]
		}
		r, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			// The end, or a reset because of what was sent behind the last request.
			if err != io.ErrUnexpectedEOF && !isReset(err) {
				t.Fatalf("answer %d: %v", len(statuses), err)
			}
			return statuses
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err == io.ErrUnexpectedEOF && n == 0 && r.StatusCode >= 400 && len(statuses) == len(methods) {
			err = nil // net/http does not say that what was refused was a HEAD
		}
		if err != nil {
			t.Fatalf("answer %d: %v", len(statuses), err)
		}
		if r.StatusCode >= 200 {
			statuses = append(statuses, r.StatusCode)
		}
	}
}

// request is what net/http reads in the bytes of one.
type request struct {
	method, path, query, host, body string
	trailers                        []string
	nominated                       bool // its Connection field names others
}

// is reports whether r, as a backend received it, is the request that was sent.
func (r request) is(sent request, backend string) bool {
	if sent.host == "" {
		sent.host = backend // HTTP/1.0 needs none; or an empty Host
	}
	if sent.path == "" { // RFC 9112 sections 3.2.1 and 3.2.4
		if sent.path = "/"; sent.method == "OPTIONS" && sent.query == "" {
			sent.path = "*"
		}
	}
	if strings.Contains(sent.path, "/.") {
		sent.path = r.path // without its dot segments, which have tests of their own
	}
	if sent.nominated {
		sent.trailers = r.trailers // some are dropped
	}
	return r.method == sent.method && r.path == sent.path && r.query == sent.query && r.host == sent.host && r.body == sent.body &&
		slices.Equal(r.trailers, sent.trailers)
}

// next reads the next request. hello is called before its content is.
func next(br *bufio.Reader, hello func(*http.Request)) (request, error) {
	if b, _ := br.Peek(2); string(b) == "\r\n" {
		br.Discard(2) // RFC 9112 section 2.2
	}
	r, err := http.ReadRequest(br)
	if err != nil {
		return request{}, err
	}
	hello(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return request{}, err
	}
	q := request{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, host: r.Host, body: string(body), nominated: r.Header.Get("Connection") != ""}
	if r.URL.ForceQuery {
		q.query = "?"
	}
	for name, values := range r.Trailer {
		for _, v := range values {
			q.trailers = append(q.trailers, name+": "+v)
		}
	}
	slices.Sort(q.trailers)
	return q, nil
}

// readAll reads the requests in a stream, up to what net/http refuses.
func readAll(in []byte) (all []request) {
	br := bufio.NewReaderSize(bytes.NewReader(in), 64<<10)
	for {
		r, err := next(br, func(*http.Request) {})
		if err != nil {
			return all
		}
		all = append(all, r)
	}
}

// recorded is a backend that remembers requests as net/http reads them, and
// answers each.
type recorded struct {
	*backend
	mu  sync.Mutex
	all []request
}

func recording(t testing.TB) *recorded {
	r := new(recorded)
	r.backend = listen(t, func(p *peer) {
		p.SetDeadline(time.Time{}) // it is used again and again
		p.in = bufio.NewReaderSize(p.TCPConn, 64<<10)
		for {
			if _, err := p.in.Peek(1); err != nil {
				return
			}
			wrong := ""
			q, err := next(p.in, func(h *http.Request) {
				for _, name := range []string{"Http2-Settings", "Content_length", "Transfer_encoding"} {
					if h.Header.Get(name) != "" {
						wrong = name + " was passed on"
					}
				}
				if u := strings.ToLower(h.Header.Get("Upgrade")); strings.HasPrefix(u, "h2") || strings.HasPrefix(u, "http") {
					wrong = "an upgrade to " + u + " was passed on"
				}
				if h.Header.Get("Expect") != "" {
					p.send("HTTP/1.1 100 Continue\r\n\r\n")
				}
			})
			switch {
			case err == nil:
			case errors.Is(err, io.ErrUnexpectedEOF), isReset(err), errors.Is(err, net.ErrClosed):
				return // it broke off
			default:
				wrong = fmt.Sprintf("not a request: %v", err)
			}
			if wrong != "" {
				q.method = wrong
			}
			if n := p.in.Buffered(); n > 0 {
				b, _ := p.in.Peek(n)
				q.body += fmt.Sprintf("; and behind it %q", b)
			}
			r.mu.Lock()
			r.all = append(r.all, q)
			r.mu.Unlock()
			if p.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") != nil {
				return
			}
		}
	})
	return r
}

func (r *recorded) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = nil
}

func (r *recorded) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
