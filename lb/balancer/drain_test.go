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

// talking plays endpoints whose answers never end: an upgrade becomes a tunnel, anything
// else an event stream. Each says a word a second.
func talking(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	word := "6\r\nword \n\r\n"
	if r.Header.Get("Upgrade") != "" {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n")
		word = "word \n"
	} else {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	}
	for {
		if _, err := io.WriteString(c, word); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// What an endpoint that drains works on goes on for drainTimeout and no longer, tunnels
// and event streams too, and does not look whole then. Nothing new comes to it. A policy
// that takes it back has them go on for as long as they like, and when the balancer stops
// they have until its time is over.
func TestStreamsOfADrainingEndpoint(t *testing.T) {
	const a, b = "10.0.0.1:80", "10.0.0.2:80"
	policy := func(timeout string, endpoints ...string) setup {
		return setup{pools: fmt.Sprintf("    - {name: main, drainTimeout: %s, endpoints: [%s]}\n", timeout, strings.Join(endpoints, ", "))}
	}
	at := func(address string) string { return fmt.Sprintf("{address: %q}", address) }
	draining := fmt.Sprintf("{address: %q, drain: true}", a)
	for name, x := range map[string]struct {
		changes []setup // each 10 seconds after the one before
		stops   bool    // after a minute, with 20 seconds more
		lasts   time.Duration
	}{
		"drained":           {[]setup{policy("1m", draining, at(b))}, false, 70 * time.Second},
		"removed":           {[]setup{policy("1m", at(b))}, false, 70 * time.Second},
		"at once":           {[]setup{policy("0s", draining, at(b))}, false, 10 * time.Second},
		"drained, removed":  {[]setup{policy("1m", draining, at(b)), policy("1m", at(b))}, false, 70 * time.Second},
		"a shorter timeout": {[]setup{policy("1m", draining, at(b)), policy("30s", draining, at(b))}, false, 40 * time.Second},
		"taken back":        {[]setup{policy("1m", draining, at(b)), policy("1m", at(a), at(b))}, true, 80 * time.Second},
		"stops":             {nil, true, 80 * time.Second},
		"stops in a drain":  {[]setup{policy("75s", draining, at(b))}, true, 80 * time.Second},
		"drained in a stop": {[]setup{policy("1m", draining, at(b))}, true, 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := pipetest.Listen()
				var joined sync.WaitGroup
				began := time.Now()
				late := 0 // connections to a after it drained
				l := start(t, policy("1m", at(a)), func(o *balancer.Options) {
					o.Listen = func(context.Context, string, string) (net.Listener, error) { return network, nil }
					o.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
						if time.Since(began) >= 10*time.Second && address == a {
							late++
						}
						near, far := net.Pipe()
						joined.Go(func() { defer far.Close(); talking(far) })
						return near, nil
					}
				})
				heard := make([]string, 2)
				for i, request := range []string{get, upgrade} {
					c := network.Dial()
					joined.Go(func() {
						defer c.Close()
						io.WriteString(c, request)
						said, _ := io.ReadAll(c)
						heard[i] = string(said)
					})
				}
				at := func(second int) { time.Sleep(time.Until(began.Add(time.Duration(second) * time.Second))) }
				for i, change := range x.changes {
					at(10 * (i + 1))
					l.load(change)
					if i == 0 {
						c := network.Dial()
						io.WriteString(c, get)
						head(t, c)
						c.Close()
					}
				}
				if x.stops {
					at(60)
					ctx, cancel := context.WithDeadline(context.Background(), began.Add(80*time.Second))
					defer cancel()
					l.stopped = true
					l.Shutdown(ctx)
				}
				at(180)
				synctest.Wait()
				streams := 0
				for _, e := range l.requests {
					if e.Upstream != a {
						continue
					}
					streams++
					want, status := event.Draining, 200
					if e.Flags&event.Upgraded != 0 {
						want, status = event.Draining|event.Upgraded, 101
					}
					if e.Flags != want || e.Status != status || e.Duration < x.lasts || e.Duration > x.lasts+200*time.Millisecond {
						t.Errorf("%s: flags %s, status %d, after %v, want %v", name, e.Flags, e.Status, e.Duration, x.lasts)
					}
				}
				if streams != 2 || late > 0 {
					t.Errorf("%d streams, %d late connections", streams, late)
				}
				for _, a := range l.attempts {
					if a.Endpoint == 0 && (a.Result != event.Aborted || a.Verdict == event.VerdictFailure) {
						t.Errorf("attempt %+v", a)
					}
				}
				if strings.HasSuffix(heard[0], "0\r\n\r\n") || strings.Count(heard[0], "word") < int(x.lasts.Seconds()) || strings.Count(heard[1], "word") < int(x.lasts.Seconds()) {
					t.Errorf("heard %.200q %.200q", heard[0], heard[1])
				}
				if !x.stops {
					l.stop(patience)
				}
				joined.Wait()
			})
		})
	}
}
