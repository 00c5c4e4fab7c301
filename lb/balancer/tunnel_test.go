package balancer_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"go-loadbalancer/lb/event"
)

func TestWebSocket(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			kind, m, err := c.Read(t.Context())
			if err != nil {
				return
			}
			if err := c.Write(t.Context(), kind, m); err != nil {
				return
			}
		}
	})
	l := start(t, setup{endpoints: []string{addr}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+l.addr+"/chat", &websocket.DialOptions{HTTPClient: client(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for _, m := range []string{"hello", "", strings.Repeat("x", 300_000)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != m {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	e := l.ended(1)
	if e.Status != 101 || e.Flags != event.Upgraded || e.RequestBytes < 300_000 || e.ResponseBytes < 300_000 || e.Attempts != 1 {
		t.Errorf("event %+v", e)
	}
	if a := l.lastAttempt(); a.Result != event.OK || a.Status != 101 {
		t.Errorf("attempt %+v", a)
	}
	if why := l.reason(1); why != event.ClosedAfterTunnel {
		t.Errorf("closed for %q", why)
	}
}

const upgrade = "GET /t HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo/1\r\n\r\n"

// switching is a backend that answers 101 and then plays the script.
func switching(t *testing.T, script func(*peer)) *backend {
	return once(t, func(p *peer) {
		head, err := p.head()
		if err != nil {
			return
		}
		if field(head, "Connection") != "upgrade" || field(head, "Upgrade") != "echo/1" {
			t.Errorf("sent %q", head)
		}
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\nX-A: 1\r\n\r\n")
		script(p)
	})
}

// Each side of a tunnel can end while the other goes on.
func TestTunnelHalfClose(t *testing.T) {
	for _, first := range []string{"client", "backend"} {
		t.Run(first, func(t *testing.T) {
			clientDone := make(chan struct{})
			b := switching(t, func(p *peer) {
				if first == "client" {
					if s, err := p.rest(); s != "request" || err != nil {
						t.Errorf("%q, %v", s, err)
					}
					p.send("response")
					return
				}
				p.send("response")
				p.CloseWrite()
				if s, err := p.rest(); s != "request" || err != nil {
					t.Errorf("%q, %v", s, err)
				}
				close(clientDone)
			})
			l := start(t, setup{endpoints: []string{b.addr}})
			c := l.dial()
			c.send(upgrade)
			head, err := c.head()
			if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") || field(head, "Upgrade") != "echo/1" || !strings.EqualFold(field(head, "Connection"), "upgrade") || field(head, "X-A") != "1" {
				t.Fatalf("%v %q", err, head)
			}
			if first == "client" {
				c.send("request")
				c.CloseWrite()
				if s, err := c.rest(); s != "response" || err != nil {
					t.Errorf("%q, %v", s, err)
				}
			} else {
				if s, err := c.rest(); s != "response" || err != nil {
					t.Errorf("%q, %v", s, err)
				}
				c.send("request")
				c.Close()
				await(t, clientDone)
			}
			if e := l.ended(1); e.Status != 101 || e.RequestBytes != 7 || e.ResponseBytes != 8 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// What the client sends right behind its upgrade request belongs to the tunnel;
// what the backend sends right behind its 101 too.
func TestTunnelEarlyBytes(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ECHO/1\r\n\r\nwelcome")
		p.expect("GET /early HTTP/1.1\r\n\r\n")
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	c.send(upgrade, "GET /early HTTP/1.1\r\n\r\n")
	c.head()
	c.expect("welcome")
	c.closed()
	c.Close()
	l.ended(1)
	if n := l.count(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// The content of an upgrade request is sent once, as content.
func TestTunnelAfterBody(t *testing.T) {
	b := once(t, func(p *peer) {
		p.head()
		p.expect("body")
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n")
		p.expect("tunnel")
	})
	for _, apart := range []bool{false, true} {
		l := start(t, setup{endpoints: []string{b.addr}})
		c := l.dial()
		const request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\nContent-Length: 4\r\n\r\n"
		if apart {
			c.send(request)
			c.silent(50)
			c.send("body")
		} else {
			c.send(request, "body")
		}
		head, err := c.head()
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatalf("%v %q", err, head)
		}
		c.send("tunnel")
		c.closed()
		c.Close()
		if e := l.ended(1); e.RequestBytes != 6 {
			t.Errorf("event %+v", e)
		}
	}
}

func TestRefusedUpgrade(t *testing.T) {
	b := answering(t, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	// Pipelined behind it, so that nothing is taken for a tunnel's bytes.
	c.send(upgrade, get)
	for i := range 2 {
		if r, body := c.response("GET"); r.StatusCode != 426 || body != "no" {
			t.Errorf("%d %q", r.StatusCode, body)
		}
		if e := l.ended(i + 1); e.Flags != 0 || e.Status != 426 {
			t.Errorf("event %+v", e)
		}
	}
}

func TestUnasked101(t *testing.T) {
	for name, x := range map[string]struct{ request, answer string }{
		"nothing asked":    {get, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"},
		"another protocol": {upgrade, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"},
		"none named":       {upgrade, "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
		"in HTTP/1.0":      {strings.Replace(upgrade, "HTTP/1.1", "HTTP/1.0", 1), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := once(t, func(p *peer) {
				p.head()
				p.send(x.answer, "tunnel")
				if s, err := p.rest(); s != "" {
					t.Errorf("%q, %v", s, err)
				}
			})
			l := start(t, setup{endpoints: []string{b.addr}})
			c := l.dial()
			c.answered(502, x.request)
			if e := l.ended(1); e.Flags != event.UpstreamProtocol || e.Status != 502 {
				t.Errorf("event %+v", e)
			}
			if a := l.lastAttempt(); a.Result != event.ProtocolError {
				t.Errorf("attempt %+v", a)
			}
		})
	}
}

// A tunnel ends when neither side has said anything for streamIdle; either
// side's words keep it.
func TestIdleTunnel(t *testing.T) {
	b := switching(t, func(p *peer) {
		for range 6 {
			time.Sleep(50 * time.Millisecond) // the rhythm of the traffic
			p.send(".")
		}
		p.gone()
	})
	l := start(t, setup{endpoints: []string{b.addr}, route: "streamIdle: 200ms"})
	c := l.dial()
	c.send(upgrade)
	c.head()
	s, _ := io.ReadAll(c.in)
	if string(s) != "......" {
		t.Errorf("got %q", s)
	}
	if e := l.ended(1); e.ResponseBytes != 6 || e.Duration < 400*time.Millisecond {
		t.Errorf("event %+v", e)
	}
}
