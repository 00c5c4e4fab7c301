package balancer_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
)

// A response that ends too early must never look whole, whatever frames it on
// either side.
func TestTruncationIsPassedOn(t *testing.T) {
	for name, x := range map[string]struct {
		answer, request string
		reset           bool // the backend resets instead of closing
		wantReset       bool // nothing but a reset tells the client
	}{
		"sized, closed":               {"Content-Length: 100\r\n\r\npart", get, false, false},
		"sized, reset":                {"Content-Length: 100\r\n\r\npart", get, true, false},
		"chunked, closed in a chunk":  {"Transfer-Encoding: chunked\r\n\r\n64\r\npart", get, false, false},
		"chunked, closed between":     {"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", get, false, false},
		"chunked, closed in trailers": {"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n", get, false, false},
		"chunked, garbage":            {"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\nnonsense\r\n", get, false, false},
		"until the end, reset":        {"\r\npart", get, true, false},
		"1.0: sized":                  {"Content-Length: 100\r\n\r\npart", "GET / HTTP/1.0\r\n\r\n", false, false},
		"1.0: chunked":                {"Transfer-Encoding: chunked\r\n\r\n64\r\npart", "GET / HTTP/1.0\r\n\r\n", false, true},
		"1.0: until the end":          {"\r\npart", "GET / HTTP/1.0\r\n\r\n", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan struct{}) // the client has the part
			b := once(t, func(p *peer) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\n" + x.answer)
				await(t, seen)
				if x.reset {
					p.reset()
				}
			})
			l := start(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0"})
			c := l.dial()
			c.send(x.request)
			head, err := c.head()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for !strings.Contains(got, "part") {
				b, err := c.in.ReadByte()
				if err != nil {
					t.Fatalf("%v after %q", err, got)
				}
				got += string(b)
			}
			close(seen)
			rest, err := c.rest()
			switch {
			case x.wantReset:
				if !isReset(err) {
					t.Errorf("a client that cannot know better is told of a clean end: %v", err)
				}
			case strings.Contains(head, "chunked") && strings.HasSuffix(got+rest, "0\r\n\r\n"):
				t.Errorf("looks whole: %q", got+rest)
			case !strings.Contains(head, "chunked") && field(head, "Content-Length") == "":
				t.Errorf("nothing in %q tells the client that %q is not all", head, got+rest)
			}
			e := l.ended(1)
			if e.Status != 200 || e.ResponseBytes != 4 || e.Flags&(event.UpstreamReset|event.UpstreamProtocol) == 0 {
				t.Errorf("event %+v", e)
			}
			if a := l.lastAttempt(); a.Result != event.Truncated && a.Result != event.ProtocolError {
				t.Errorf("attempt %+v", a)
			}
			if s := l.settled(); s.Breaker.State != "open" {
				t.Errorf("endpoint %+v", s)
			}
		})
	}
}

// A body that goes silent is cut off after streamIdle.
func TestSilentResponse(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
		p.gone()
	})
	l := start(t, setup{endpoints: []string{b.addr}, route: "streamIdle: 200ms"})
	r, body, err := func() (any, string, error) {
		c := l.dial()
		c.send(get)
		r, body, err := c.tryResponse("GET")
		return r, body, err
	}()
	if !errors.Is(err, io.ErrUnexpectedEOF) || body != "part" {
		t.Errorf("%v %q %v", r, body, err)
	}
	if e := l.ended(1); e.Flags != event.UpstreamTimeout {
		t.Errorf("event %+v", e)
	}
	if a := l.lastAttempt(); a.Result != event.TimedOut {
		t.Errorf("attempt %+v", a)
	}
}
