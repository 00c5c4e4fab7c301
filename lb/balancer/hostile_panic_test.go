package balancer_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pipetest"
)

// A request that a panic ends is told like any other, once, and gives back all that it
// held: its places at the endpoint and in the pool.
func TestPanicGivesEverythingBack(t *testing.T) {
	for name, request := range map[string][2]string{
		"before its head is sent":  {"GET /boom HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		"while its body is sent":   {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", "4\r\nboom\r\n"},
		"after an unfinished body": {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbody", "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			b := listen(t, func(p *peer) {
				if head, _ := p.head(); strings.HasPrefix(head, "GET ") {
					p.send(ok)
				}
				p.gone()
			})
			l := start(t, setup{
				endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0",
				pool: "limits: {maxParallelRequests: 1, maxPendingRequests: 0}",
			}, func(o *balancer.Options) {
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, address)
					return explosive{c}, err
				}
			})
			c := l.dial()
			c.send(request[0])
			l.until("its route", func() bool { return l.routed == 1 })
			c.send(request[1])
			if e := l.ended(1); e.Flags != event.InternalError || e.Status != 0 || e.RouteName != "all" || e.Attempts != 1 || e.Duration <= 0 {
				t.Errorf("event %+v", e)
			}
			if a := l.lastAttempt(); a.Result != event.Aborted || a.Verdict != event.VerdictNone || a.Duration <= 0 {
				t.Errorf("attempt %+v", a)
			}
			if s := l.settled(); s.InFlight != 0 {
				t.Errorf("endpoint %+v", s)
			}
			l.unharmed()
			l.dial().answered(200, get)
			l.ended(2)
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.routed != 2 || len(l.requests) != 2 || len(l.attempts) != 2 {
				t.Errorf("%d had a route, %d ended, of %d attempts", l.routed, len(l.requests), len(l.attempts))
			}
		})
	}
}

// What was kept of bodies for another try is given back when a panic ends their requests:
// however many there were, the next one is sent again.
func TestPanicGivesKeptBodiesBack(t *testing.T) {
	const size, held = 60000, 16 << 20
	piece := fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size))
	failing := listen(t, func(p *peer) {
		if head, _ := p.head(); strings.HasPrefix(head, "PUT /last ") {
			p.exactly(len(piece))
			p.reset()
			return
		}
		p.rest()
	})
	second := listen(t, func(p *peer) {
		taken(p)
		p.send(ok)
	})
	l := start(t, setup{
		pools: inTurn("retryBudget: {percent: 100}", failing.addr, second.addr), retry: "attempts: 1, backoff: 0s",
	}, func(o *balancer.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return explosive{c}, err
		}
	})
	const panics = held/size + 1
	put := func(target string) string {
		return "PUT " + target + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + piece
	}
	for range panics {
		c := l.dial()
		c.send(put("/"), "4\r\nboom\r\n")
		c.gone()
	}
	if e := l.ended(panics); e.Flags != event.InternalError {
		t.Errorf("event %+v", e)
	}
	l.dial().answered(200, put("/last")+"0\r\n\r\n")
	if e := l.ended(panics + 1); e.Attempts != 2 || e.Flags != event.UpstreamReset|event.Retried {
		t.Errorf("event %+v", e)
	}
}

// A probe that a panic ends leaves its place to another.
func TestPanicOfAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipetest.Listen()
		var joined sync.WaitGroup
		l := start(t, setup{
			endpoints: []string{"10.0.0.1:80"}, breaker: "consecutiveFailures: 1, failurePercent: 0, openDuration: 1s, halfOpenRequests: 1",
		}, func(o *balancer.Options) {
			o.Listen = func(context.Context, string, string) (net.Listener, error) { return network, nil }
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				joined.Go(func() {
					defer far.Close()
					for in := bufio.NewReader(far); ; {
						r, err := http.ReadRequest(in)
						if err != nil {
							return
						}
						answer := ok
						if r.URL.Path == "/broken" {
							answer = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
						}
						io.WriteString(far, answer)
					}
				})
				return explosive{near}, nil
			}
		})
		for _, target := range []string{"/broken", "/boom", "/last"} {
			far := network.Dial()
			io.WriteString(far, asks(target))
			far.SetReadDeadline(time.Now().Add(2 * time.Second)) // all that comes
			io.Copy(io.Discard, far)
			far.Close()
		}
		if e := l.ended(2); e.Flags != event.InternalError || !l.attempts[1].Probe {
			t.Errorf("event %+v", e)
		}
		if e := l.ended(3); e.Status != 200 || e.Attempts != 1 {
			t.Errorf("event %+v", e)
		}
		if s := l.settled(); s.Breaker.State != "closed" {
			t.Errorf("endpoint %+v", s)
		}
		l.stop(patience)
		joined.Wait()
	})
}
