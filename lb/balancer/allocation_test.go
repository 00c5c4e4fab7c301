package balancer_test

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// given finds the ticket that a client is given.
var given = regexp.MustCompile(`(?:Set-Cookie: lb_session=|X-Session: )([^;\r]+)`)

// A small request on a kept connection allocates nothing on its whole way:
// server, route, pool, breaker, upstream and back, with somebody listening to
// every event; nor does one of a session that is known, nor one of a trace, sampled
// or not.
func TestHotPathDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget on purpose")
	}
	b := listen(t, func(p *peer) {
		in, out := make([]byte, 4096), []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
		for {
			n, err := p.TCPConn.Read(in)
			if err != nil || !bytes.HasSuffix(in[:n], []byte("\r\n\r\n")) {
				return
			}
			if _, err := p.TCPConn.Write(out); err != nil {
				return
			}
		}
	})
	for name, s := range map[string]setup{
		"plain":                 {},
		"traced":                {},
		"traced, sampled":       {},
		"filtered":              {filters: "{requestHeaderModifier: {set: {X-Env: prod}, remove: [X-Debug]}}, {responseHeaderModifier: {remove: [Server]}}, {urlRewrite: {path: {type: ReplacePrefixMatch, value: /v2}}}"},
		"session in Redis":      {pool: "sessionPersistence: {store: Redis}"},
		"session in its cookie": {pool: "sessionPersistence: {store: Cookie}"},
		"session in memory":     {pool: "sessionPersistence: {store: Memory}"},
		"session in a header":   {pool: "sessionPersistence: {store: Redis, type: Header, header: {name: X-Session}}"},
	} {
		t.Run(name, func(t *testing.T) {
			s.endpoints = []string{b.addr}
			l := start(t, s, func(o *balancer.Options) {
				if strings.HasPrefix(name, "traced") {
					o.Trace = func([16]byte, event.TraceParent) bool { return name == "traced, sampled" }
				}
				o.Sessions = newShared()
				o.Events = &event.Listener{
					RequestRouted: func(event.ID) {}, RequestEnded: func(*event.Request) {}, AttemptEnded: func(*event.Attempt) {},
					BreakerChanged: func(event.BreakerChange) {}, ConnectionOpened: func(string) {}, ConnectionClosed: func(string, event.CloseReason) {},
				}
			})
			c, err := net.Dial("tcp", l.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			in := make([]byte, 4096)
			out := []byte("GET /path?q=1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nX-Debug: 1\r\n\r\n")
			ask := func(times int) (ticket [][]byte) {
				for range times {
					if _, err := c.Write(out); err != nil {
						t.Fatal(err)
					}
					n, err := c.Read(in)
					if err != nil || !bytes.HasSuffix(in[:n], []byte("\r\n\r\nok")) {
						t.Fatalf("%q, %v", in[:n], err)
					}
					ticket = given.FindSubmatch(in[:n])
				}
				return ticket
			}
			if ticket := ask(1); s.pool != "" {
				if ticket == nil {
					t.Fatalf("no ticket in %q", in)
				}
				out = fmt.Appendf(nil, "%sCookie: a=b; lb_session=%s\r\nX-Session: %[2]s\r\n\r\n", out[:len(out)-2], ticket[1])
			}
			if again := ask(500); again != nil {
				t.Fatalf("a known session is given the ticket %q", again)
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
			const times = 5000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ask(times)
			runtime.ReadMemStats(&after)
			if each := float64(after.Mallocs-before.Mallocs) / times; each >= 0.05 {
				t.Errorf("%.2f allocations a request", each)
			}
		})
	}
}
