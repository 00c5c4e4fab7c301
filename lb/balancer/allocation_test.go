package balancer_test

import (
	"bytes"
	"net"
	"runtime"
	"runtime/debug"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// A small request on a kept connection allocates nothing on its whole way:
// server, route, pool, breaker, upstream and back, with somebody listening to
// every event.
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
	for name, filters := range map[string]string{
		"plain":    "",
		"filtered": "{requestHeaderModifier: {set: {X-Env: prod}, remove: [X-Debug]}}, {responseHeaderModifier: {remove: [Server]}}, {urlRewrite: {path: {type: ReplacePrefixMatch, value: /v2}}}",
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, setup{endpoints: []string{b.addr}, filters: filters}, func(o *balancer.Options) {
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
			ask := func(times int) {
				for range times {
					if _, err := c.Write(out); err != nil {
						t.Fatal(err)
					}
					if n, err := c.Read(in); err != nil || !bytes.HasSuffix(in[:n], []byte("\r\n\r\nok")) {
						t.Fatalf("%q, %v", in[:n], err)
					}
				}
			}
			ask(500)
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
