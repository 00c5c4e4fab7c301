package balancer_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// TestPeakEWMA: beside an endpoint that does well, one that answers late, fails at
// once or breaks off gets next to nothing, with bodies of every kind.
func TestPeakEWMA(t *testing.T) {
	well := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "well") })
	others := map[string]string{
		"late": serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(200 * time.Millisecond)
			fmt.Fprint(w, "late")
		}),
		"failing": serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }),
		"breaking": serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}),
		"refusing": refusing(t),
	}
	for kind, request := range map[string]string{
		"GET":     get,
		"POST":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
		"chunked": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	} {
		for name, other := range others {
			t.Run(name+"/"+kind, func(t *testing.T) {
				l := start(t, setup{
					endpoints: []string{other, well}, balance: "type: PeakEWMA",
					breaker: "consecutiveFailures: 0, failurePercent: 0",
				})
				const requests = 100
				good := 0
				for n := range requests {
					c := l.dial()
					c.send(request)
					if _, body, err := c.tryResponse("POST"); err == nil && strings.Contains(body, "well") {
						good++
					}
					c.Close()
					l.ended(n + 1)
				}
				if good < requests-3 { // it is tried once, to know it
					t.Errorf("the good endpoint got %d of %d requests", good, requests)
				}
			})
		}
	}
}

// TestPeakEWMAForgivesExhaustion: that the balancer had no descriptor for a
// connection says nothing of the endpoint, neither to requests nor to copies.
func TestPeakEWMAForgivesExhaustion(t *testing.T) {
	for name, copies := range map[string]bool{"requests": false, "copies": true} {
		t.Run(name, func(t *testing.T) {
			main, first, second := answering(t, ok), answering(t, ok), answering(t, ok)
			s := mirrored(main.addr, first.addr, "", "")
			s.pools = fmt.Sprintf("    - {name: main, endpoints: [{address: %q}]}\n"+
				"    - {name: shadow, loadBalancer: {type: PeakEWMA}, endpoints: [{address: %q}, {address: %q}]}\n", main.addr, first.addr, second.addr)
			if !copies {
				s.routes = "    - {name: all, backendRefs: [{pool: shadow}]}\n"
			}
			var short atomic.Bool
			short.Store(true)
			l := start(t, s, func(o *balancer.Options) {
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if address == first.addr && short.Load() {
						return nil, os.NewSyscallError("socket", syscall.EMFILE)
					}
					return new(net.Dialer).DialContext(ctx, network, address)
				}
			})
			c := l.dial()
			for n := range 20 {
				c.send(get)
				c.response("GET")
				if l.ended(n + 1); copies {
					l.copied(n + 1)
				}
				l.mu.Lock()
				if slices.ContainsFunc(l.attempts, func(a event.Attempt) bool { return a.Result == event.Exhausted }) {
					short.Store(false)
				}
				l.mu.Unlock()
			}
			if short.Load() {
				t.Fatal("no attempt was exhausted")
			}
			if len(first.received()) == 0 {
				t.Error("it is shunned")
			}
		})
	}
}
