package balancer_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pipetest"
)

// A probe is judged in its time, whatever becomes of its request, which goes on:
// without an answer by then the endpoint has failed, with one it has not.
func TestProbesAreJudgedInTime(t *testing.T) {
	const fail = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
	for name, x := range map[string]struct {
		route   string
		request string
		probe   func(c net.Conn) // what the endpoint does with the probe
		after   time.Duration    // when it is judged, from its start
		to      event.BreakerState
		status  string // of the probe's request, much later; empty: none yet
	}{
		"hung, no limit":         {"request: 0s", get, func(net.Conn) {}, 30 * time.Second, event.BreakerOpen, ""},
		"hung, a limit":          {"backendRequest: 2s", get, func(net.Conn) {}, 2 * time.Second, event.BreakerOpen, "504"},
		"a stream that is quiet": {"", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n") }, 30 * time.Second, event.BreakerClosed, "200"},
		"a stream that goes on": {"backendRequest: 10s", get, func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for range 40 {
				time.Sleep(999 * time.Millisecond)
				io.WriteString(c, "data: 1\n\n")
			}
		}, 10 * time.Second, event.BreakerClosed, "200"},
		"a failure that goes on": {"", get, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 500 Broken\r\nContent-Length: 10\r\n\r\nx") }, 0, event.BreakerOpen, "500"},
		"a stream that breaks": {"", get, func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
			time.Sleep(time.Second)
			c.Close()
		}, time.Second, event.BreakerOpen, "200"},
		"a late answer": {"request: 0s", get, func(c net.Conn) { time.Sleep(40 * time.Second); io.WriteString(c, ok) }, 30 * time.Second, event.BreakerOpen, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			var probed time.Time
			first := true
			virtually(t, setup{route: x.route, breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1s, halfOpenRequests: 1"}, func(t *testing.T, c net.Conn) {
				if head(t, c); first {
					first = false
					io.WriteString(c, fail)
					head(t, c)
				}
				probed = time.Now()
				x.probe(c)
				time.Sleep(time.Hour)
			}, func(t *testing.T, c net.Conn) {
				io.WriteString(c, get)
				head(t, c)
				time.Sleep(2 * time.Second)
				io.WriteString(c, x.request)
				got := make(chan string, 1)
				go func() { b := make([]byte, 1000); n, _ := c.Read(b); got <- string(b[:n]); io.Copy(io.Discard, c) }()
				time.Sleep(50 * time.Second)
				status := ""
				select {
				case h := <-got:
					status = strings.Split(h, " ")[1]
				default:
				}
				if status != x.status {
					t.Errorf("answered %q, want %q", status, x.status)
				}
			}, func(l *lb) {
				last := l.breakers[len(l.breakers)-1]
				took := last.At.Sub(probed)
				if last.To != x.to || took < x.after || took > x.after+100*time.Millisecond {
					t.Errorf("%s after %v, want %s after %v", last.To, took, x.to, x.after)
				}
			})
		})
	}
}

// The time that a probe's body takes is the client's: the endpoint has as long for its
// answer as with any request, and it is judged by that, unless the body took longer than
// a probe may hold its place.
func TestProbesThatUpload(t *testing.T) {
	for name, x := range map[string]struct {
		upload, answer time.Duration      // from the probe's start, and from there
		to             event.BreakerState // in the end
		after          time.Duration      // from the probe's start; 0: it is still half-open
		status         string             // of the probe's request
	}{
		"slow":                        {1500 * time.Millisecond, time.Second, event.BreakerClosed, 2500 * time.Millisecond, "200"},
		"slower than a try":           {5 * time.Second, time.Second, event.BreakerClosed, 6 * time.Second, "200"},
		"slow, and then hung":         {1500 * time.Millisecond, time.Hour, event.BreakerOpen, 3500 * time.Millisecond, "504"},
		"slower, and then hung":       {5 * time.Second, time.Hour, event.BreakerOpen, 7 * time.Second, "504"},
		"slower than a probe may be":  {40 * time.Second, time.Second, event.BreakerHalfOpen, 0, "200"},
		"nearly as slow, and no time": {29 * time.Second, 1500 * time.Millisecond, event.BreakerHalfOpen, 0, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			var probed time.Time
			first := true
			virtually(t, setup{
				route: "backendRequest: 2s, request: 2m", limits: "requestBodyRate: 0",
				breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1s, halfOpenRequests: 1",
			}, func(t *testing.T, c net.Conn) {
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if first {
						first = false
						io.WriteString(c, "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
						continue
					}
					probed = time.Now()
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					time.Sleep(x.answer)
					io.WriteString(c, ok)
				}
			}, func(t *testing.T, c net.Conn) {
				io.WriteString(c, get)
				head(t, c)
				time.Sleep(2 * time.Second)
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				for end := time.Now().Add(x.upload); time.Now().Before(end); time.Sleep(min(time.Until(end), time.Second)) {
					io.WriteString(c, "1\r\nx\r\n")
				}
				io.WriteString(c, "0\r\n\r\n")
				if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 "+x.status) {
					t.Errorf("answered %q", h)
				}
				go io.Copy(io.Discard, c)
				time.Sleep(5 * time.Second)
			}, func(l *lb) {
				last := l.breakers[len(l.breakers)-1]
				took := last.At.Sub(probed)
				if last.To != x.to || x.after > 0 && (took < x.after || took > x.after+100*time.Millisecond) {
					t.Errorf("%s after %v, want %s after %v", last.To, took, x.to, x.after)
				}
			})
		})
	}
}

// With nobody else to ask, a request that cannot be sent again is a probe at once: it
// would be refused otherwise.
func TestProbeWithoutAChoice(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
	first := true
	virtually(t, setup{breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 10s, halfOpenRequests: 1"}, func(t *testing.T, c net.Conn) {
		for in := bufio.NewReader(c); ; first = false {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if first {
				io.WriteString(c, "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
			} else {
				io.WriteString(c, ok)
			}
		}
	}, func(t *testing.T, c net.Conn) {
		io.WriteString(c, post)
		head(t, c)
		time.Sleep(11*time.Second + time.Millisecond) // a tenth is chance
		io.WriteString(c, post)
		if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Errorf("got %q", h)
		}
	}, func(l *lb) {
		if e := l.lastAttempt(); !e.Probe {
			t.Errorf("%+v", e)
		}
	})
}

// A probe that ends in a bug of the balancer's gives its place back: the next request is
// one at once.
func TestProbeThatPanics(t *testing.T) {
	var asked, dials atomic.Int32
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Connection", "close")
			w.WriteHeader(500)
		}
	})
	l := start(t, setup{
		endpoints: []string{b}, breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1ms, maxOpenDuration: 1ms, halfOpenRequests: 1",
	}, func(o *balancer.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil && dials.Add(1) == 2 {
				c = panicking{c}
			}
			return c, err
		}
	})
	l.dial().answered(500, get)
	l.until("the breaker to open", func() bool { return len(l.breakers) == 1 })
	for l.Status().Pools[0].Endpoints[0].Breaker.State == "open" {
		time.Sleep(time.Millisecond)
	}
	bad := l.dial()
	bad.send(get)
	bad.gone()
	if dials.Load() != 2 {
		t.Fatalf("%d connections", dials.Load())
	}
	// It is let go of before its client's connection ends.
	l.dial().answered(200, get)
	if s := l.settled(); s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

// Where many ask for one probe at the same moment, those that come too late leave
// nothing behind at its endpoint.
func TestHerdLeavesNothing(t *testing.T) {
	b := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	l := start(t, setup{
		endpoints: []string{b}, breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1ms, maxOpenDuration: 1ms, halfOpenRequests: 1",
	})
	var herd sync.WaitGroup
	for range 16 {
		c := l.dial()
		herd.Go(func() {
			for range 500 {
				c.send(get)
				c.response("GET")
			}
		})
	}
	herd.Wait()
	if s := l.settled(); s.InFlight != 0 {
		t.Errorf("%d requests are in flight", s.InFlight)
	}
}

// Probes whose clients leave before the time of a try is over are judged together: an
// endpoint that hangs does not stay half-open for as long as clients are impatient.
func TestProbesThatAreLeft(t *testing.T) {
	const fail = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
	left := func(t *testing.T, c net.Conn) {
		io.WriteString(c, get)
		go io.Copy(io.Discard, c)
		time.Sleep(400 * time.Millisecond)
	}
	for name, x := range map[string]struct {
		breaker string
		probe   func(n int, c net.Conn) // what the endpoint does with the n-th
		to      event.BreakerState
		reason  string
		after   time.Duration // from the first probe
	}{
		"hung":               {"", func(int, net.Conn) {}, event.BreakerOpen, "probe_timeout", 1200 * time.Millisecond},
		"hung, and forgiven": {", errors: [Connect]", func(int, net.Conn) {}, event.BreakerHalfOpen, "open_elapsed", 0},
		"answers now and then": {"", func(n int, c net.Conn) {
			if n%2 == 0 {
				io.WriteString(c, ok)
			}
		}, event.BreakerClosed, "probes_succeeded", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := pipetest.Listen()
				var joined sync.WaitGroup
				asked := 0
				s := setup{
					route:     "backendRequest: 1s",
					breaker:   "consecutiveFailures: 1, failurePercent: 0, openDuration: 1s, halfOpenRequests: 3" + x.breaker,
					endpoints: []string{"10.0.0.1:80"},
				}
				l := start(t, s, func(o *balancer.Options) {
					o.Listen = func(context.Context, string, string) (net.Listener, error) { return network, nil }
					o.Dial = func(context.Context, string, string) (net.Conn, error) {
						near, far := net.Pipe()
						joined.Go(func() {
							defer far.Close()
							for in := bufio.NewReader(far); ; asked++ {
								if _, err := http.ReadRequest(in); err != nil {
									return
								}
								if asked == 0 {
									io.WriteString(far, fail)
								} else {
									x.probe(asked, far)
								}
							}
						})
						return near, nil
					}
				})
				client := func(f func(*testing.T, net.Conn)) {
					far := network.Dial()
					f(t, far)
					far.Close()
					synctest.Wait()
				}
				client(func(t *testing.T, c net.Conn) { io.WriteString(c, get); head(t, c) })
				time.Sleep(1200 * time.Millisecond) // it is half-open
				began := time.Now()
				for range 6 {
					client(left)
				}
				last := l.breakers[len(l.breakers)-1]
				if x.to != event.BreakerHalfOpen && last.At.Sub(began) != x.after {
					t.Errorf("%s after %v, want it after %v", last.To, last.At.Sub(began), x.after)
				}
				if last.To != x.to || last.Reason != x.reason {
					t.Errorf("%s for %s, want %s for %s", last.To, last.Reason, x.to, x.reason)
				}
				l.stop(patience)
				joined.Wait()
			})
		})
	}
}
