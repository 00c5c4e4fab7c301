package balancer_test

import (
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// waiting is a backend that reads a head and then has the test decide: it says
// that it was asked, and answers when it is told to.
func waiting(t *testing.T, answer string) (b *backend, asked chan struct{}, proceed chan struct{}) {
	asked, proceed = make(chan struct{}, 16), make(chan struct{})
	b = once(t, func(p *peer) {
		if h, _ := p.head(); h == "" {
			return
		}
		asked <- struct{}{}
		left := make(chan struct{})
		go func() { p.gone(); close(left) }()
		select {
		case <-proceed:
			p.send(answer)
			<-left
		case <-left:
		}
	})
	return b, asked, proceed
}

// A client may end its side right after its request, as nc -N does.
func TestHalfCloseAfterRequest(t *testing.T) {
	for _, slow := range []bool{false, true} {
		b, asked, answer := waiting(t, ok)
		l := start(t, setup{endpoints: []string{b.addr}})
		c := l.dial()
		c.send(get)
		c.CloseWrite()
		await(t, asked)
		if slow {
			c.silent(300)
		}
		close(answer)
		if _, body := c.response("GET"); body != "ok" {
			t.Errorf("got %q", body)
		}
		c.closed()
		if e := l.ended(1); e.Status != 200 || e.Flags != 0 {
			t.Errorf("event %+v", e)
		}
	}
}

// A client that leaves has its upstream request cancelled, and that says nothing
// about the endpoint.
func TestDepartureCancels(t *testing.T) {
	for name, request := range map[string]string{
		"GET":           get,
		"whole body":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
		"streamed body": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"unended body":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
	} {
		for _, how := range []string{"reset", "close"} {
			t.Run(name+" "+how, func(t *testing.T) {
				cancelled := make(chan struct{})
				asked := make(chan struct{})
				b := once(t, func(p *peer) {
					p.head()
					close(asked)
					p.gone()
					close(cancelled)
				})
				l := start(t, setup{endpoints: []string{b.addr}, route: "request: 0s", breaker: "consecutiveFailures: 1, failurePercent: 0"})
				c := l.dial()
				c.send(request)
				await(t, asked)
				c.silent(150) // so late that the balancer takes a FIN for a departure
				if how == "reset" {
					c.reset()
				} else {
					c.Close()
				}
				within(t, "the upstream request", func() { <-cancelled })
				e := l.ended(1)
				if e.Flags != event.DownstreamGone || e.Status != 0 {
					t.Errorf("event %+v", e)
				}
				if a := l.lastAttempt(); a.Result != event.ClientCanceled {
					t.Errorf("attempt %+v", a)
				}
				if s := l.settled(); s.Breaker.State != "closed" || s.InFlight != 0 {
					t.Errorf("endpoint %+v", s)
				}
			})
		}
	}
}

// The same in the middle of a response.
func TestDepartureDuringResponse(t *testing.T) {
	for name, rest := range map[string]string{"silent": "", "flowing": strings.Repeat("x", 1<<20)} {
		t.Run(name, func(t *testing.T) {
			cancelled := make(chan struct{})
			b := once(t, func(p *peer) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nbegin")
				if rest != "" {
					for p.send(rest) == nil {
					}
				}
				p.gone()
				close(cancelled)
			})
			l := start(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0"})
			c := l.dial()
			c.send(get)
			c.head()
			c.expect("begin")
			if rest == "" {
				c.silent(150)
			}
			c.reset()
			within(t, "the upstream request", func() { <-cancelled })
			if e := l.ended(1); e.Flags != event.DownstreamGone || e.Status != 200 {
				t.Errorf("event %+v", e)
			}
			if s := l.settled(); s.Breaker.State != "closed" {
				t.Errorf("endpoint %+v", s)
			}
		})
	}
}

// A client that ends its side in the middle of its body has not made a request.
func TestHalfCloseInsideBody(t *testing.T) {
	for name, body := range map[string]string{
		"sized":   "Content-Length: 100\r\n\r\npart",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n64\r\npart",
		"between": "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			b := once(t, func(p *peer) {
				p.head()
				s, _ := p.rest()
				got <- s
			})
			l := start(t, setup{endpoints: []string{b.addr}})
			c := l.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\n" + body)
			c.CloseWrite()
			c.gone()
			if s := <-got; strings.Contains(s, "0\r\n\r\n") {
				t.Errorf("the backend was told that the body is whole: %q", s)
			}
			if e := l.ended(1); e.Flags != event.DownstreamGone || e.Status != 0 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

func TestSlowBody(t *testing.T) {
	b := once(t, func(p *peer) { p.head(); p.gone() })
	l := start(t, setup{endpoints: []string{b.addr}, timeouts: "requestBody: 100ms", breaker: "consecutiveFailures: 1, failurePercent: 0"})
	c := l.dial()
	r, _ := c.answered(408, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart")
	if !r.Close {
		t.Error("the connection is offered for reuse")
	}
	c.CloseWrite()
	c.closed()
	if e := l.ended(1); e.Flags != event.DownstreamTimeout || e.Status != 408 {
		t.Errorf("event %+v", e)
	}
	if s := l.settled(); s.Breaker.State != "closed" {
		t.Errorf("endpoint %+v", s)
	}
}

func TestMalformedBody(t *testing.T) {
	b := once(t, func(p *peer) { p.head(); p.gone() })
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	c.answered(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nxyz\r\n")
	c.CloseWrite()
	c.closed()
	if e := l.ended(1); e.Flags != event.DownstreamProtocol || e.Status != 400 {
		t.Errorf("event %+v", e)
	}
}

func TestSlowHead(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}, timeouts: "requestHeader: 100ms"})
	c := l.dial()
	c.answered(408, "GET / HTTP/1.1\r\nHost: a\r\n")
	c.CloseWrite()
	c.closed()
	if e := l.ended(1); e.Flags != event.DownstreamTimeout || e.Status != 408 || e.Route != event.None {
		t.Errorf("event %+v", e)
	}
	if why := l.reason(1); why != event.ClosedSlowHead {
		t.Errorf("closed for %q", why)
	}
	// One that drips has no more time than one that is silent.
	drip := l.dial()
	began := time.Now()
	for drip.send("G") == nil && time.Since(began) < patience {
		drip.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := drip.in.Peek(1); err == nil {
			break
		}
	}
	drip.SetDeadline(time.Now().Add(patience))
	if r, _ := drip.response("GET"); r.StatusCode != 408 {
		t.Errorf("status %d", r.StatusCode)
	}
}

func TestIdle(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}, timeouts: "idle: 100ms, requestHeader: 200ms"})
	c := l.dial()
	c.answered(200, get)
	c.closed()
	if why := l.reason(1); why != event.ClosedIdle {
		t.Errorf("closed for %q", why)
	}
	mute := l.dial() // never says anything
	mute.closed()
	if why := l.reason(2); why != event.ClosedSilent {
		t.Errorf("closed for %q", why)
	}
	if n := l.count(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestSlowReader(t *testing.T) {
	cancelled := make(chan struct{})
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for piece := strings.Repeat("x", 1<<20); p.send(piece) == nil; {
		}
		close(cancelled)
	})
	l := start(t, setup{endpoints: []string{b.addr}, timeouts: "write: 300ms", breaker: "consecutiveFailures: 1, failurePercent: 0"})
	c := l.dial()
	c.send(get)
	c.head()
	within(t, "the upstream request", func() { <-cancelled })
	if e := l.ended(1); e.Flags != event.DownstreamTimeout || e.Status != 200 || e.ResponseBytes == 1000000000 {
		t.Errorf("event %+v", e)
	}
	if s := l.settled(); s.Breaker.State != "closed" {
		t.Errorf("endpoint %+v", s)
	}
	c.gone()
}

func TestConnectionLimit(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}, limits: "connections: 2, connectionsPerAddress: 2"})
	one, two := l.dial(), l.dial()
	one.answered(200, get)
	two.answered(200, get)
	three := l.dial()
	three.send(get)
	if s, _ := three.rest(); s != "" {
		t.Errorf("got %q", s)
	}
	if why := l.reason(1); why != event.ClosedOverLimit {
		t.Errorf("closed for %q", why)
	}
	one.Close()
	l.reason(2)
	four := l.dial()
	four.answered(200, get)
}

// A client that leaves is missed too when the request is under way for the
// second time, since the first connection had gone stale late.
func TestDepartureAfterStaleConnection(t *testing.T) {
	asked, cancelled := make(chan struct{}), make(chan struct{})
	b := once(t, func(p *peer) {
		p.head()
		p.send(ok)
		p.head()
		time.Sleep(150 * time.Millisecond) // the client is being watched by then
	}, func(p *peer) {
		p.head()
		close(asked)
		p.gone()
		close(cancelled)
	})
	l := start(t, setup{endpoints: []string{b.addr}, route: "request: 0s"})
	c := l.dial()
	c.answered(200, get)
	c.send(get)
	await(t, asked)
	c.silent(150)
	c.Close()
	within(t, "the upstream request", func() { <-cancelled })
	if e := l.ended(2); e.Flags != event.DownstreamGone|event.Resent || e.Attempts != 1 {
		t.Errorf("event %+v", e)
	}
}

// What is told of a head that came too slowly is its own, though the buffer that
// its first lines were read into serves another request by then.
func TestSlowHeadIsItsOwn(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}, timeouts: "requestHeader: 500ms"})
	slow, other := l.dial(), l.dial()
	const times = 20
	foreign := func() {
		for range times {
			other.answered(200, "GET /"+strings.Repeat("other", 500)+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}
	slow.send("GET /mine HTTP/1.1\r\nHost: a\r\nX: ", strings.Repeat("x", 15<<10), "\r\n")
	foreign() // the lines have been read by now
	slow.send("Y: ", strings.Repeat("y", 10<<10))
	foreign()
	if r, _ := slow.response("GET"); r.StatusCode != 408 {
		t.Errorf("status %d", r.StatusCode)
	}
	if e := l.ended(2*times + 1); e.Status != 408 || e.method != "GET" || e.target != "/mine" {
		t.Errorf("told of %s %.20s: %d", e.method, e.target, e.Status)
	}
}
