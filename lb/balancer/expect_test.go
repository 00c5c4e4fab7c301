package balancer_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

const expecting = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"

func TestExpectContinueAnswered(t *testing.T) {
	b := once(t, func(p *peer) {
		for {
			head, err := p.head()
			if err != nil {
				return
			}
			if field(head, "Expect") != "100-continue" {
				t.Errorf("sent %q", head)
			}
			p.send("HTTP/1.1 100 Continue\r\n\r\n")
			p.expect("body")
			p.send(ok)
		}
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for range 2 {
		c.send(expecting)
		c.expect("HTTP/1.1 100 Continue\r\n\r\n")
		c.answered(200, "body")
	}
	if e := l.ended(2); e.RequestBytes != 4 || e.Status != 200 || e.Flags != 0 {
		t.Errorf("event %+v", e)
	}
}

func TestExpectContinueRefused(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
		p.gone() // the body never comes, so the connection cannot be used again
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	for i := range 2 {
		c := l.dial()
		r, body := c.answered(417, strings.Replace(expecting, "Length: 4", "Length: 400", 1))
		if !r.Close || body != "no" {
			t.Errorf("%q %v", body, r)
		}
		// A client may send its body nevertheless. It must not be taken for another
		// request.
		c.send("GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n")
		c.CloseWrite()
		c.closed()
		if e := l.ended(i + 1); e.Status != 417 || e.Attempts != 1 {
			t.Errorf("event %+v", e)
		}
	}
	if l.count() != 2 {
		t.Error("a body was taken for a request")
	}
}

// A backend that never heard of expectations just waits for the body, and the
// client sends it after a while.
func TestExpectContinueIgnored(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.expect("body")
		p.send(ok)
		p.gone()
	})
	l := start(t, setup{endpoints: []string{b.addr}, route: "request: 500ms"})
	c := l.dial()
	c.send(expecting)
	// Longer than the request timeout, which does not count the client's time.
	c.silent(700)
	c.answered(200, "body")
}

// A body that comes with its head needs no permission.
func TestExpectContinueUnneeded(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	c.answered(200, expecting+"body")
	if got := b.received()[0]; field(got, "Expect") != "" {
		t.Errorf("sent %q", got)
	}
	old := l.dial()
	old.answered(200, "POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
	other := l.dial()
	other.answered(417, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: magic\r\n\r\nbody")
}

func TestEarlyResponseToSmallBody(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		p.gone()
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	r, body := c.answered(413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly a piece")
	if body != "big" || !r.Close {
		t.Errorf("%q %v", body, r)
	}
	c.CloseWrite()
	c.closed()
	if e := l.ended(1); e.Status != 413 || e.Flags != 0 || e.RequestBytes != 12 {
		t.Errorf("event %+v", e)
	}
	if a := l.lastAttempt(); a.Result != event.OK {
		t.Errorf("attempt %+v", a)
	}
}

// A client that sends all of a large body before it reads sees the response
// nevertheless, though nobody ever wanted the body.
func TestEarlyResponseToLargeBody(t *testing.T) {
	for name, answer := range map[string]string{
		"refused by the backend": "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig",
		"backend keeps open":     "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig",
		"backend never reads":    "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nX-Deaf: 1\r\n\r\nbig",
	} {
		t.Run(name, func(t *testing.T) {
			b := once(t, func(p *peer) {
				p.head()
				if strings.Contains(answer, "Deaf") {
					// By then all buffers on the way are full.
					time.Sleep(100 * time.Millisecond)
					p.send(answer)
					<-t.Context().Done()
					return
				}
				p.send(answer)
				if !strings.Contains(answer, "close") {
					p.gone()
				} else {
					p.CloseWrite()
					io.CopyN(io.Discard, p.in, 4<<20)
				}
			})
			l := start(t, setup{endpoints: []string{b.addr}})
			c := l.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 52428800\r\n\r\n")
			piece := strings.Repeat("x", 1<<20)
			for range 50 {
				if c.send(piece) != nil {
					break // the balancer may give up listening
				}
			}
			if _, body := c.response("POST"); body != "big" {
				t.Errorf("got %q", body)
			}
			if e := l.ended(1); e.Status != 413 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// What is replied in the balancer's own name to a request whose body has not
// come ends the connection: the body must not be taken for a request.
func TestOwnAnswerBeforeBody(t *testing.T) {
	l := start(t, setup{routes: "    - name: one\n      hostnames: [a.test]\n      backendRefs: [{pool: main}]\n", endpoints: []string{"127.0.0.1:1"}})
	c := l.dial()
	r, _ := c.answered(404, "POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 37\r\n\r\n")
	if !r.Close {
		t.Error("the connection is offered for reuse")
	}
	c.send("GET / HTTP/1.1\r\nHost: smuggled.test\r\n\r\n")
	c.CloseWrite()
	c.closed()
	// With the body at hand the connection goes on behind it.
	whole := l.dial()
	whole.send("POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 34\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n\r\n" + "GET /next HTTP/1.1\r\nHost: b\r\n\r\n")
	whole.response("POST")
	whole.response("GET")
	if e := l.ended(3); e.target != "/next" {
		t.Errorf("event %+v", e)
	}
}
