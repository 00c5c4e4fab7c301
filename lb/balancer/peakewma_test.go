package balancer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
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
