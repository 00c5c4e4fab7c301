package balancer_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// A client that stops reading does not make a probe fail that went well.
func TestSlowClientOfAProbe(t *testing.T) {
	first := true
	virtually(t, setup{breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1s, halfOpenRequests: 1"}, func(t *testing.T, c net.Conn) {
		for in := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			if first {
				first = false
				io.WriteString(c, "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 1000000))
		}
	}, func(t *testing.T, c net.Conn) {
		io.WriteString(c, get)
		head(t, c)
		time.Sleep(2 * time.Second)
		io.WriteString(c, get)
		head(t, c)
		io.CopyN(io.Discard, c, 100000)
		time.Sleep(5 * time.Second)
		io.CopyN(io.Discard, c, 100000)
		time.Sleep(time.Minute)
		io.Copy(io.Discard, c)
	}, func(l *lb) {
		if last := l.breakers[len(l.breakers)-1]; last.Reason == "probe_timeout" {
			t.Errorf("a slow client's probe: %+v", last)
		}
	})
}

const busyAns = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

func busyScript(d time.Duration, ans string) func(t *testing.T, c net.Conn) {
	return func(t *testing.T, c net.Conn) {
		for in := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			time.Sleep(d)
			if _, err := io.WriteString(c, ans); err != nil {
				return
			}
		}
	}
}

// A stop whose time is over does not wait for the pause before a retry.
func TestShutdownInAPause(t *testing.T) {
	for _, more := range []string{"", "G"} {
		var took time.Duration
		virtually(t, setup{retry: "attempts: 1, backoff: 1m", route: "request: 10m", breaker: "consecutiveFailures: 0, failurePercent: 0"},
			busyScript(0, strings.Replace(busyAns, "Content", "Retry-After: 500\r\nContent", 1)), func(t *testing.T, c net.Conn) {
				io.WriteString(c, get+more)
				time.Sleep(time.Second)
			}, func(l *lb) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				l.stopped = true
				l.Shutdown(ctx)
				took = time.Since(began)
			})
		if took > 2*time.Second {
			t.Errorf("%q: Shutdown of 1s took %v", more, took)
		}
	}
}

// However long an endpoint asks to be left alone, its answer is passed on then.
func TestRetryAfterForEver(t *testing.T) {
	for _, ra := range []string{"2147483647", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		virtually(t, setup{retry: "attempts: 1, backoff: 1ms", route: "request: 0s", breaker: "consecutiveFailures: 0, failurePercent: 0"},
			busyScript(0, strings.Replace(busyAns, "Content", "Retry-After: "+ra+"\r\nContent", 1)), func(t *testing.T, c net.Conn) {
				io.WriteString(c, get)
				c.SetReadDeadline(time.Now().Add(24 * time.Hour))
				if _, err := c.Read(make([]byte, 1)); err != nil {
					t.Errorf("no answer after a day: %v", err)
				}
			}, func(l *lb) {})
	}
}

// What is told of a request whose client left in a backoff.
func TestLeavingInAPause(t *testing.T) {
	virtually(t, setup{retry: "attempts: 1, backoff: 20s", breaker: "consecutiveFailures: 0, failurePercent: 0"},
		busyScript(time.Second, busyAns), func(t *testing.T, c net.Conn) {
			io.WriteString(c, get)
			time.Sleep(3 * time.Second)
		}, func(l *lb) {
			e := l.ended(1)
			if e.Duration != 3*time.Second || e.Endpoint != event.None {
				t.Errorf("duration %v want 3s, endpoint %v want none (End was called)", e.Duration, e.Endpoint)
			}
		})
}

// What was kept of a body is sent again when the client pauses, not only when it goes on.
func TestKeptBodyIsFlushed(t *testing.T) {
	got := make(chan string, 1)
	first := listen(t, func(p *peer) { p.head(); p.exactly(len("4\r\nbody\r\n")); time.Sleep(20 * time.Millisecond); p.reset() })
	second := listen(t, func(p *peer) {
		p.head()
		got <- p.exactly(len("4\r\nbody\r\n"))
		p.exactly(5)
		p.send(ok)
	})
	l := start(t, setup{pools: inTurn("retryBudget: {percent: 100}", first.addr, second.addr), retry: "attempts: 2, backoff: 1ms"})
	c := l.dial()
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	time.Sleep(10 * time.Millisecond)
	c.send("4\r\nbody\r\n")
	select {
	case <-got:
	case <-time.After(3 * time.Second):
		t.Error("the second endpoint has not seen what was kept after 3 s")
	}
	c.send("0\r\n\r\n")
	c.response("PUT")
}

// Retry-After of an overflow is not that of another endpoint's breaker.
func TestOverflowSaysComeBackSoon(t *testing.T) {
	b, asked, answer := held(t)
	l := start(t, setup{pools: fmt.Sprintf("    - name: main\n      circuitBreaker: {consecutiveFailures: 1, failurePercent: 0, openDuration: 10m, maxOpenDuration: 10m}\n      limits: {maxPendingRequests: 0, perEndpoint: {maxParallelRequests: 1}}\n      endpoints:\n        - {address: %q}\n        - {address: %q, priority: 1}\n", refusing(t), b.addr)})
	l.dial().answered(502, get)
	one := l.dial()
	one.send(asks("/1"))
	goes(t, asked, "/1")
	r, body := l.dial().answered(503, get)
	if r.Header.Get("Retry-After") != "1" {
		t.Errorf("%q Retry-After %s", body, r.Header.Get("Retry-After"))
	}
	answer <- struct{}{}
	one.response("GET")
}

// A stale kept connection is no failure of the endpoint.
func TestStaleConnectionAndAStreamedBody(t *testing.T) {
	for name, req := range map[string][2]string{"put": {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", "body"}} {
		t.Run(name, func(t *testing.T) {
			b := listen(t, func(p *peer) {
				taken(p)
				p.send(ok)
				p.head() // the next request's head, and then it is gone
				p.reset()
			})
			l := start(t, setup{endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0"})
			c := l.dial()
			c.answered(200, get)
			c.send(req[0])
			time.Sleep(10 * time.Millisecond)
			c.send(req[1])
			r, _, err := c.tryResponse("PUT")
			if r == nil || r.StatusCode != 200 {
				t.Errorf("%v %v", r, err)
			}
			l.unharmed()
		})
	}
}

// A request that is to be tried again is not looked at while its client is watched,
// who may send the next one meanwhile. The race detector is the judge.
func TestRetryWhileTheClientIsWatched(t *testing.T) {
	late := listen(t, func(p *peer) {
		for taken(p) != "" {
			time.Sleep(60 * time.Millisecond)
			p.send(busyAns)
		}
	})
	l := start(t, setup{pools: inTurn("retryBudget: {percent: 100}", late.addr, answering(t, ok).addr), retry: "attempts: 1, backoff: 1ms"})
	large := strings.Replace(put, "Host", "X-Fill: "+strings.Repeat("y", 12400)+"\r\nHost", 1) // its buffer has to be moved
	for range 5 {
		c := l.dial()
		c.send(large)
		time.Sleep(30 * time.Millisecond)
		c.send(get)
		c.response("PUT")
		c.response("GET")
	}
}

// A probe whose answer breaks off after it was judged well counts as any other request
// that breaks off.
func TestProbeThatBreaksLate(t *testing.T) {
	asked := 0
	virtually(t, setup{route: "backendRequest: 1s", breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1s, halfOpenRequests: 1"}, func(t *testing.T, c net.Conn) {
		for in := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			if asked++; asked == 1 {
				io.WriteString(c, "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			time.Sleep(5 * time.Second)
			return
		}
	}, func(t *testing.T, c net.Conn) {
		io.WriteString(c, get)
		head(t, c)
		time.Sleep(2 * time.Second)
		io.WriteString(c, get)
		head(t, c)
		io.Copy(io.Discard, c)
	}, func(l *lb) {
		var path []string
		for _, b := range l.breakers {
			path = append(path, string(b.To))
		}
		if got := strings.Join(path, " "); got != "open half-open closed open" {
			t.Errorf("the breaker went %s", got)
		}
	})
}
