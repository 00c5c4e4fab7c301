package balancer_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// Many clients on kept and shared connections do everything at random, rude
// things too. Whatever happens, a response belongs to its request: every byte of
// it is made from the request's own number. And every request ends once.
func TestResponsesBelongToTheirRequests(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	content := func(id string, size int) string {
		return strings.Repeat("<"+id+">", size/(len(id)+2)+1)[:size]
	}
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Id")
		size, _ := strconv.Atoi(r.Header.Get("X-Size"))
		mode := r.Header.Get("X-Mode")
		if mode == "early" {
			http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Connection", "close") // net/http may panic on the next request otherwise
		} else {
			body, err := io.ReadAll(r.Body)
			if want := r.Header.Get("X-Sent"); err == nil && want != "" && string(body) != content(id, len(body)) {
				t.Errorf("request %s came with another's body: %.60q", id, body)
			}
		}
		w.Header().Set("X-Id", id)
		switch mode {
		case "sized":
			w.Header().Set("Content-Length", strconv.Itoa(size))
		case "truncated":
			w.Header().Set("Content-Length", strconv.Itoa(size+1))
			io.WriteString(w, content(id, size))
			panic(http.ErrAbortHandler)
		case "close":
			w.Header().Set("Connection", "close")
		case "slow":
			w.(http.Flusher).Flush()
			time.Sleep(time.Duration(size%20) * time.Millisecond) // lateness of many kinds
		case "hints":
			w.WriteHeader(103)
		case "none":
			w.WriteHeader(204)
			return
		}
		io.WriteString(w, content(id, size))
	})
	l := start(t, setup{endpoints: []string{addr}, breaker: "consecutiveFailures: 0, failurePercent: 0"})
	const clients, each = 12, 60
	var (
		done sync.WaitGroup
		sent atomic.Int64 // whole heads
	)
	for k := range clients {
		rnd := rand.New(rand.NewPCG(seed, uint64(k)))
		done.Go(func() {
			var c *peer
			defer func() {
				if c != nil {
					c.Close()
				}
			}()
			for i := 0; i < each; {
				if c == nil {
					c = l.dial()
				}
				// A few requests at once, pipelined.
				type expected struct {
					id, method, mode string
					size             int
				}
				var (
					all  []expected
					out  strings.Builder
					rude = false
				)
				for range 1 + rnd.IntN(3) {
					id := fmt.Sprintf("%d.%d", k, i)
					i++
					size := []int{0, 10, 3000, 20_000, 100_000}[rnd.IntN(5)]
					mode := []string{"sized", "chunked", "truncated", "close", "slow", "hints", "none", "early"}[rnd.IntN(8)]
					method := []string{"GET", "HEAD", "POST", "POST", "PUT"}[rnd.IntN(5)]
					body, framing := "", ""
					if method[0] == 'P' {
						body = content(id, []int{0, 5, 2000, 50_000}[rnd.IntN(4)])
						framing = "X-Sent: 1\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
						if rnd.IntN(2) == 0 {
							framing = "X-Sent: 1\r\nTransfer-Encoding: chunked\r\n"
							var b strings.Builder
							for rest := body; rest != ""; {
								n := min(len(rest), 1+rnd.IntN(20_000))
								fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
								rest = rest[n:]
							}
							body = b.String() + "0\r\n\r\n"
						}
					}
					fmt.Fprintf(&out, "%s /%s HTTP/1.1\r\nHost: a\r\nX-Id: %s\r\nX-Size: %d\r\nX-Mode: %s\r\n%s\r\n%s", method, id, id, size, mode, framing, body)
					all = append(all, expected{id, method, mode, size})
				}
				sent.Add(int64(len(all)))
				text := out.String()
				if rnd.IntN(6) == 0 {
					text, rude = text[:rnd.IntN(len(text))], true
				}
				go c.send(text) // a client that cannot write and read at once would block itself
				if rude {
					if rnd.IntN(2) == 0 {
						c.linger(time.Duration(rnd.IntN(80)) * time.Millisecond)
					}
					if rnd.IntN(2) == 0 {
						c.reset()
					} else {
						c.Close()
					}
					c = nil
					continue
				}
				for _, x := range all {
					r, body, err := c.tryResponse(x.method)
					for err == nil && r.StatusCode == 103 {
						r, body, err = c.tryResponse(x.method)
					}
					if r == nil {
						c.Close() // what came before ended the connection
						c = nil
						break
					}
					if r.Header.Get("X-Id") != "" && r.Header.Get("X-Id") != x.id {
						t.Errorf("request %s was answered with %s", x.id, r.Header.Get("X-Id"))
					}
					if own := r.StatusCode == 502; !own && body != content(x.id, len(body)) {
						t.Errorf("request %s, %s: %.60q", x.id, x.mode, body)
					}
					switch {
					case x.mode == "truncated" && x.method != "HEAD":
						if err == nil && r.StatusCode == 200 {
							t.Errorf("request %s: a truncated response of %d looks whole", x.id, x.size)
						}
					case err != nil && !isReset(err):
						t.Errorf("request %s, %s %s of %d: %v", x.id, x.method, x.mode, x.size, err)
					case err == nil && r.StatusCode == 200 && x.method != "HEAD" && len(body) != x.size:
						t.Errorf("request %s, %s: %d bytes of %d", x.id, x.mode, len(body), x.size)
					}
					if err != nil || r.Close {
						c.Close()
						c = nil
						break
					}
				}
			}
		})
	}
	done.Wait()
	l.stop(patience)
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]bool{}
	for _, e := range l.requests {
		if e.target != "" && seen[e.target] {
			t.Errorf("%s ended twice", e.target)
		}
		seen[e.target] = true
		if e.Attempts != 1 && e.Flags&event.DownstreamProtocol == 0 {
			t.Errorf("event %+v", e)
		}
	}
	if int64(len(l.requests)) > sent.Load() || l.routed != len(l.attempts) || len(l.closed) != l.opened {
		t.Errorf("%d sent, %d ended, %d routed, %d attempts; %d connections opened, %d closed", sent.Load(), len(l.requests), l.routed, len(l.attempts), l.opened, len(l.closed))
	}
}

// linger waits, and does not care what the other side says.
func (p *peer) linger(d time.Duration) {
	p.SetReadDeadline(time.Now().Add(d))
	p.in.Peek(1)
	p.SetReadDeadline(time.Now().Add(patience))
}
