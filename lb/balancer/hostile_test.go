package balancer_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
)

// Requests and responses that are damaged at random make nothing panic and leave
// nothing behind: every connection ends, and a sound request is served as ever.
func TestDamagedMessages(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	damage := func(s string) string {
		b := []byte(s)
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(len(b))
			switch rnd.IntN(4) {
			case 0:
				b[at] = byte(rnd.Uint32())
			case 1:
				b = append(b[:at], b[min(len(b), at+1+rnd.IntN(8)):]...)
			case 2:
				b = append(b[:at], append([]byte("\r\n:, \x00;=0fF"[rnd.IntN(11):]), b[at:]...)...)
			case 3:
				b = b[:at]
			}
			if len(b) == 0 {
				return "\x00"
			}
		}
		return string(b)
	}
	requests := []string{
		"GET /a/../b?x=1 HTTP/1.1\r\nHost: shop.test:80\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\nX-Forwarded-For: 1.2.3.4, ::1\r\nCookie: a=b; user=c\r\n\r\n",
		"POST http://shop.test/x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n0123456789",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nTE: trailers\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
		upgrade + "tunnelled",
		"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get,
	}
	answers := []string{
		ok,
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\nback",
		"HTTP/1.0 304 Not Modified\r\nContent-Length: 10\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
	}
	var mu sync.Mutex
	b := listen(t, func(p *peer) {
		for {
			if h, err := p.head(); h == "" || err != nil {
				return
			}
			mu.Lock()
			answer := answers[rnd.IntN(len(answers))]
			if rnd.IntN(2) == 0 {
				answer = damage(answer)
			}
			mu.Unlock()
			p.send(answer)
			if rnd := len(answer) % 3; rnd == 0 {
				return
			}
		}
	})
	sound := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "sound") })
	var log lines
	l := start(t, setup{
		timeouts: "requestBody: 200ms, requestHeader: 200ms, idle: 200ms",
		routes: "    - name: sound\n      matches: [{path: {value: /sound}}]\n      backendRefs: [{pool: sound}]\n" +
			"    - name: rest\n      timeouts: {request: 200ms, streamIdle: 200ms}\n      backendRefs: [{pool: main}]\n",
		pools: "    - name: sound\n      endpoints: [{address: \"" + sound + "\"}]\n" +
			"    - name: main\n      circuitBreaker: {consecutiveFailures: 0, failurePercent: 0}\n      loadBalancer: {type: ConsistentHash, hashOn: Cookie, name: user}\n      endpoints: [{address: \"" + b.addr + "\"}]\n",
	}, func(o *balancer.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	var done sync.WaitGroup
	slots := make(chan struct{}, 32)
	for range 400 {
		mu.Lock()
		text := requests[rnd.IntN(len(requests))]
		if rnd.IntN(4) > 0 {
			text = damage(text)
		}
		cut := rnd.IntN(len(text))
		mu.Unlock()
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			c := l.dial()
			defer c.Close()
			c.send(text[:cut])
			c.send(text[cut:])
			c.CloseWrite()
			io.Copy(io.Discard, c.in)
		})
	}
	done.Wait()
	c := l.dial()
	if _, body := c.answered(200, "GET /sound HTTP/1.1\r\nHost: a\r\n\r\n"); body != "sound" {
		t.Errorf("got %q", body)
	}
	c.Close()
	l.stop(patience)
	if s := log.String(); strings.Contains(s, "panic") {
		t.Error(s)
	}
	if l.routed != len(l.attempts) || len(l.closed) != l.opened {
		t.Errorf("%d routed, %d attempts; %d connections opened, %d closed", l.routed, len(l.attempts), l.opened, len(l.closed))
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
