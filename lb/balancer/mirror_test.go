package balancer_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
)

// mirrored is a policy whose route copies its requests from main to shadow.
// extra is more of the route, in lines of its own.
func mirrored(main, shadow, mirror, extra string) setup {
	return setup{
		routes: fmt.Sprintf("    - name: all\n      backendRefs: [{pool: main}]\n      filters: [{requestMirror: {pool: shadow%s}}]\n%s", mirror, extra),
		pools:  fmt.Sprintf("    - {name: main, endpoints: [{address: %q}]}\n    - {name: shadow, endpoints: [{address: %q}]}\n", main, shadow),
	}
}

// copied waits until n copies are over, and returns what became of them.
func (l *lb) copied(n int) (out []event.MirrorResult) {
	l.t.Helper()
	l.until(fmt.Sprintf("the end of %d copies", n), func() bool { return len(l.mirrors) >= n })
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.mirrors {
		out = append(out, m.Result)
	}
	return out
}

// copyAttempts returns the attempts of copies.
func (l *lb) copyAttempts() (out []event.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.attempts {
		if a.Mirror {
			out = append(out, a)
		}
	}
	return out
}

// seen is a request as a backend saw it.
type seen struct {
	Method, Target, Host string
	Header, Trailer      http.Header
	Encoding             []string
	Length               int64
	Body                 string
}

// watching is a backend that hands on what it gets, and answers 200 to it.
func watching(t *testing.T) (addr string, got <-chan seen) {
	ch := make(chan seen, 200)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("backend: %v", err)
		}
		ch <- seen{r.Method, r.RequestURI, r.Host, r.Header, r.Trailer, r.TransferEncoding, r.ContentLength, string(body)}
		io.WriteString(w, "ok")
	}), ch
}

// A copy that meets a connection which its endpoint has closed is sent once more, and it
// is told.
func TestMirrorStaleConnection(t *testing.T) {
	kept, closed := make(chan struct{}), make(chan struct{})
	answer := func(p *peer) bool {
		h, _ := p.head()
		return h != "" && p.send(ok) == nil
	}
	shadow := once(t, func(p *peer) {
		answer(p)
		await(t, kept)
		p.Close()
		close(closed)
	}, func(p *peer) {
		for answer(p) {
		}
	})
	l := start(t, mirrored(answering(t, ok).addr, shadow.addr, "", ""))
	c := l.dial()
	c.answered(200, get)
	l.copied(1)
	close(kept)
	await(t, closed)
	c.answered(200, get)
	if got := l.copied(2); got[1] != event.MirrorSent {
		t.Errorf("the second copy: %s", got[1])
	}
	if got := l.copyAttempts(); len(got) != 2 || got[0].Resend != "" || got[1].Resend != event.ResentUnsent {
		t.Errorf("%+v", got)
	}
	if e := l.ended(2); e.Flags != 0 { // the request itself was not
		t.Errorf("%+v", e)
	}
}

// TestMirrorIsWhatWasSent: the copy is the request as the endpoint got it, to the
// byte of its body, filters applied.
func TestMirrorIsWhatWasSent(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 4096) // all that is copied
	for name, request := range map[string][]string{
		"GET":               {"GET /a/b?q=1 HTTP/1.1\r\nHost: shop.test\r\nCookie: a=b\r\nX-Debug: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"},
		"HEAD":              {"HEAD /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
		"no host":           {"GET /a HTTP/1.0\r\n\r\n"},
		"POST":              {"POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4\r\n\r\nbody"},
		"no body":           {"POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n"},
		"streamed":          {"PUT /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 65536\r\n\r\n", large},
		"chunked":           {"POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "1\r\nd\r\n0\r\n\r\n"},
		"no chunks":         {"POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		"trailers":          {"POST /a HTTP/1.1\r\nHost: shop.test\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"},
		"nominated trailer": {"POST /a HTTP/1.1\r\nHost: shop.test\r\nConnection: X-Gone\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0\r\nX-Gone: 1\r\nX-Sum: 7\r\n\r\n"},
		"expecting":         {"POST /a HTTP/1.1\r\nHost: shop.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "body"},
	} {
		t.Run(name, func(t *testing.T) {
			main, atMain := watching(t)
			shadow, atShadow := watching(t)
			s := mirrored(main, shadow, "", "")
			s.routes = strings.Replace(s.routes, "filters: [", "filters: [{requestHeaderModifier: {set: {X-Env: prod}, remove: [X-Debug]}}, {urlRewrite: {path: {type: ReplacePrefixMatch, value: /v2}}}, ", 1)
			l := start(t, s)
			c := l.dial()
			for i, part := range request {
				if i > 0 && strings.Contains(request[0], "Expect") {
					c.expect("HTTP/1.1 100 Continue\r\n\r\n")
				}
				c.send(part)
			}
			method, _, _ := strings.Cut(request[0], " ")
			if r, _ := c.response(method); r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			if got := l.copied(1); got[0] != event.MirrorSent {
				t.Fatal(got)
			}
			want, got := <-atMain, <-atShadow
			want.Header.Del("Expect")
			if name == "no host" { // each gets its own address
				if want.Host != main || got.Host != shadow {
					t.Errorf("hosts %q and %q", want.Host, got.Host)
				}
				want.Host = got.Host
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("copy\n%.500v\nwant\n%.500v", got, want)
			}
			if want.Header.Get("X-Env") != "prod" || !strings.HasPrefix(want.Target, "/v2") || want.Header.Get("X-Debug") != "" || want.Header.Get("X-Hop") != "" {
				t.Errorf("unfiltered: %+v", want)
			}
			if strings.HasSuffix(name, "trailer") || name == "trailers" {
				if got.Trailer.Get("X-Sum") != "7" || got.Trailer.Get("X-Gone") != "" {
					t.Errorf("trailers %v", got.Trailer)
				}
			}
		})
	}
}

// TestMirrorLeavesTheRequestAlone: whatever becomes of a copy, the request is
// answered as if there were none, while the copy is still under way if need be.
func TestMirrorLeavesTheRequestAlone(t *testing.T) {
	answers := func(s string) func(*peer) { return func(p *peer) { p.head(); p.send(s); p.gone() } }
	for name, x := range map[string]struct {
		script  func(*peer) // nil: refuses
		result  event.MirrorResult
		attempt event.Result
	}{
		"refused":        {nil, event.MirrorFailed, event.ConnectFailed},
		"silent":         {func(p *peer) { p.gone() }, event.MirrorFailed, event.TimedOut},
		"closed":         {func(p *peer) { p.head() }, event.MirrorFailed, event.Reset},
		"reset":          {func(p *peer) { p.head(); p.reset() }, event.MirrorFailed, event.Reset},
		"garbage":        {answers("SSH-2.0-OpenSSH_9\r\n"), event.MirrorFailed, event.ProtocolError},
		"unasked 101":    {answers("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), event.MirrorFailed, event.ProtocolError},
		"only interim":   {answers(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20)), event.MirrorFailed, event.ProtocolError},
		"truncated":      {func(p *peer) { p.head(); p.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") }, event.MirrorFailed, event.Truncated},
		"half a body":    {answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), event.MirrorSent, event.OK},
		"half of a 503":  {answers("HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nhalf"), event.MirrorSent, event.Failed},
		"503":            {answers("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), event.MirrorSent, event.Failed},
		"404":            {answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), event.MirrorSent, event.OK},
		"after hints":    {answers("HTTP/1.1 103 Early Hints\r\n\r\n" + ok), event.MirrorSent, event.OK},
		"endless answer": {func(p *peer) { p.head(); p.send("HTTP/1.1 200 OK\r\n\r\n"); io.Copy(p.TCPConn, endless{}) }, event.MirrorSent, event.OK},
	} {
		for kind, request := range map[string]string{
			"GET":     get,
			"POST":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
			"chunked": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				main, _ := watching(t)
				shadow := ""
				if x.script == nil {
					shadow = refusing(t)
				} else {
					shadow = once(t, x.script).addr
				}
				l := start(t, mirrored(main, shadow, "", "      timeouts: {request: 1s}\n"))
				c := l.dial()
				if r, body := c.answered(200, request); body != "ok" || r.Close {
					t.Errorf("%q %v", body, r)
				}
				if e := l.ended(1); e.Flags != 0 || e.Attempts != 1 || e.PoolName != "main" || e.Upstream != main {
					t.Errorf("event %+v", e)
				}
				if got := l.copied(1); len(got) != 1 || got[0] != x.result {
					t.Errorf("copy %v, want %v", got, x.result)
				}
				if got := l.copyAttempts(); len(got) != 1 || got[0].Result != x.attempt {
					t.Errorf("attempts %+v, want %v", got, x.attempt)
				}
				if l.count() != 1 || l.routed != 1 {
					t.Errorf("%d requests ended, %d routed", l.count(), l.routed)
				}
				l.stop(patience)
				for _, p := range l.Status().Pools {
					if p.Endpoints[0].InFlight != 0 {
						t.Errorf("pool %s has %d in flight", p.Name, p.Endpoints[0].InFlight)
					}
				}
			})
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestMirrorIsBounded: a mirror that never answers gets so many copies and no
// more, no request waits for it, and neither does the end of the balancer.
func TestMirrorIsBounded(t *testing.T) {
	main, _ := watching(t)
	shadow := listen(t, func(p *peer) { p.gone() })
	l := start(t, mirrored(main, shadow.addr, "", ""))
	const requests, bound = 100, 64
	var clients sync.WaitGroup
	for range requests {
		clients.Go(func() {
			c, err := net.Dial("tcp", l.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			p := newPeer(t, c)
			p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
			if r, body, err := p.tryResponse("POST"); err != nil || r.StatusCode != 200 || body != "ok" {
				t.Errorf("%v %v %q", r, err, body)
			}
		})
	}
	within(t, "the requests", clients.Wait)
	for _, r := range l.copied(requests - bound) {
		if r != event.MirrorOverflow {
			t.Errorf("a copy was %v", r)
		}
	}
	within(t, "shutdown", func() { l.stop(patience) })
	over := map[event.MirrorResult]int{}
	for _, r := range l.copied(requests) {
		over[r]++
	}
	if over[event.MirrorOverflow] != requests-bound || over[event.MirrorFailed] != bound {
		t.Errorf("%v", over)
	}
	for _, a := range l.copyAttempts() {
		if a.Result != event.ClientCanceled { // nobody's fault
			t.Errorf("attempt %+v", a)
		}
	}
}

// TestMirrorStopsWhileItConnects: nor does the end wait for a connection that
// does not come about.
func TestMirrorStopsWhileItConnects(t *testing.T) {
	main, _ := watching(t)
	dialing := make(chan struct{}, 1)
	const nowhere = "192.0.2.1:80"
	s := mirrored(main, nowhere, "", "")
	s.pools = strings.Replace(s.pools, "{name: shadow,", "{name: shadow, connectTimeout: 5m,", 1)
	l := start(t, s, func(o *balancer.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != nowhere {
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			dialing <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	l.dial().answered(200, get)
	await(t, dialing)
	within(t, "shutdown", func() { l.stop(patience) })
	if got := l.copied(1); got[0] != event.MirrorFailed {
		t.Error(got)
	}
}

// panicking is a connection whose Read panics.
type panicking struct{ net.Conn }

func (panicking) Read([]byte) (int, error) { panic("out of order") }

// TestMirrorPanics: a bug met by a copy ends that copy and nothing else, and is
// logged.
func TestMirrorPanics(t *testing.T) {
	main, shadow := answering(t, ok), answering(t, ok)
	var log lockedBuffer
	l := start(t, mirrored(main.addr, shadow.addr, "", ""), func(o *balancer.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if address == shadow.addr && err == nil {
				c = panicking{c}
			}
			return c, err
		}
	})
	c := l.dial()
	for n := range 2 {
		c.answered(200, get)
		if got := l.copied(n + 1); got[n] != event.MirrorFailed {
			t.Errorf("%v", got)
		}
	}
	l.stop(patience)
	if !strings.Contains(log.String(), "out of order") {
		t.Errorf("log: %s", log.String())
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

// TestMirrorBodies: what is larger than the bound, or does not come to its end, is
// not copied at all.
func TestMirrorBodies(t *testing.T) {
	const tooMuch = 64<<10 + 1
	for name, x := range map[string]struct {
		request []string
		leaves  bool
		want    event.MirrorResult
	}{
		"announced":   {[]string{fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", tooMuch), strings.Repeat("x", tooMuch)}, false, event.MirrorTooLarge},
		"chunked":     {[]string{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n", tooMuch), strings.Repeat("x", tooMuch), "\r\n0\r\n\r\n"}, false, event.MirrorTooLarge},
		"client left": {[]string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "half"}, true, event.MirrorIncomplete},
		"malformed":   {[]string{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"}, false, event.MirrorIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			begun := make(chan struct{}, 1)
			main := serve(t, func(w http.ResponseWriter, r *http.Request) {
				begun <- struct{}{}
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n)
			})
			shadow, got := watching(t)
			l := start(t, mirrored(main, shadow, "", ""))
			c := l.dial()
			c.send(x.request...)
			await(t, begun)
			if x.leaves {
				c.reset()
			} else if r, body := c.response("POST"); x.want == event.MirrorTooLarge && (r.StatusCode != 200 || body != fmt.Sprint(tooMuch)) {
				t.Errorf("%d %q", r.StatusCode, body)
			}
			l.ended(1)
			if r := l.copied(1); len(r) != 1 || r[0] != x.want {
				t.Errorf("%v, want %v", r, x.want)
			}
			if len(got) > 0 || len(l.copyAttempts()) > 0 {
				t.Error("a copy was sent")
			}
		})
	}
}

// TestMirrorMemoryIsBounded: of many bodies that stream at once, no more are copied
// than all copies together may hold; the requests go on.
func TestMirrorMemoryIsBounded(t *testing.T) {
	counting := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	l := start(t, mirrored(counting, counting, "", ""))
	const clients, size, held = 300, 60000, 16 << 20
	var uploads []*peer
	piece := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", size, strings.Repeat("x", size))
	for range clients {
		c := l.dial()
		c.send(piece)
		uploads = append(uploads, c)
	}
	for _, r := range l.copied(clients - held/size) {
		if r != event.MirrorOverflow {
			t.Errorf("a copy was %v", r)
		}
	}
	for _, c := range uploads {
		if _, body := c.answered(200, "0\r\n\r\n"); body != fmt.Sprint(size) {
			t.Errorf("%q", body)
		}
	}
	sent := 0
	for _, r := range l.copied(clients) {
		if r == event.MirrorSent {
			sent++
		}
	}
	if sent == 0 || sent > held/size {
		t.Errorf("%d copies were sent", sent)
	}
}

// TestMirrorOfAnEarlyAnswer: the endpoint answers before the body's end, so the
// body is not known.
func TestMirrorOfAnEarlyAnswer(t *testing.T) {
	early := once(t, func(p *peer) { p.head(); p.send(ok); p.gone() })
	shadow, _ := watching(t)
	l := start(t, mirrored(early.addr, shadow, "", ""))
	l.dial().answered(200, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	if r := l.copied(1); r[0] != event.MirrorIncomplete {
		t.Error(r)
	}
}

// TestMirrorPercent: the share that the policy asks for is copied, by the numbers
// of the random source.
func TestMirrorPercent(t *testing.T) {
	for percent, bounds := range map[string][2]int{"0": {0, 0}, "25": {57, 143}, "99.9": {390, 400}, "100": {400, 400}} {
		t.Run(percent, func(t *testing.T) {
			main, shadow := answering(t, ok), answering(t, ok)
			l := start(t, mirrored(main.addr, shadow.addr, ", percent: "+percent, ""), func(o *balancer.Options) { o.Rand = 42 })
			c := l.dial()
			for n := range 400 {
				c.answered(200, get)
				l.ended(n + 1)
			}
			l.stop(patience)
			// Five standard deviations of a binomial distribution.
			if n := len(l.copied(0)); n < bounds[0] || n > bounds[1] {
				t.Errorf("%d of 400 were copied, want %v", n, bounds)
			}
		})
	}
}

// TestMirrorObeysItsPool: copies go through their pool's breakers and weights and
// count there; an endpoint that is open or drains gets none. The request's own pool
// knows nothing of that.
func TestMirrorObeysItsPool(t *testing.T) {
	main := answering(t, ok)
	failing := answering(t, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
	s := mirrored(main.addr, failing.addr, "", "")
	s.pools = strings.Replace(s.pools, "{name: shadow,", "{name: shadow, circuitBreaker: {consecutiveFailures: 3, openDuration: 1h},", 1)
	l := start(t, s)
	c := l.dial()
	for n := range 6 {
		c.answered(200, get)
		l.copied(n + 1)
	}
	want := []event.MirrorResult{"sent", "sent", "sent", "no_endpoint", "no_endpoint", "no_endpoint"}
	if got := l.copied(6); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if n := len(failing.received()); n != 3 {
		t.Errorf("%d copies were sent", n)
	}
	for _, p := range l.Status().Pools {
		if state := p.Endpoints[0].Breaker.State; (state == "open") != (p.Name == "shadow") {
			t.Errorf("pool %s: %s", p.Name, state)
		}
	}
	s.pools = strings.Replace(s.pools, "endpoints: [{address: \""+failing.addr+"\"", "endpoints: [{drain: true, address: \""+failing.addr+"\"", 1)
	l.source.set(s.text())
	if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
		t.Fatal(r)
	}
	c.answered(200, get)
	if got := l.copied(7); got[6] != event.MirrorNoEndpoint {
		t.Errorf("%v", got)
	}
}

// TestMirrorsAreJudgedByTheHead: what is read of a copy's answer is our choice. An
// endpoint that streams, or has much to say, is as good to the pool's own requests
// as before, by its breaker and by how soon it answers.
func TestMirrorsAreJudgedByTheHead(t *testing.T) {
	for name, body := range map[string]func(*peer){
		"a stream":  func(p *peer) { p.gone() },
		"long":      func(p *peer) { io.Copy(p.TCPConn, endless{}) },
		"long, cut": func(p *peer) { p.send(strings.Repeat("x", 1<<19)); p.gone() },
	} {
		t.Run(name, func(t *testing.T) {
			main := answering(t, ok)
			shadow := listen(t, func(p *peer) {
				head, err := p.head()
				for ; err == nil && strings.HasPrefix(head, "GET /canary "); head, err = p.head() {
					p.send(ok)
				}
				if err == nil {
					p.send("HTTP/1.1 200 OK\r\n\r\n")
					body(p)
				}
			})
			s := mirrored(main.addr, shadow.addr, "", "      timeouts: {request: 100ms}\n")
			s.routes += "    - {name: canary, matches: [{path: {type: PathPrefix, value: /canary}}], backendRefs: [{pool: shadow}]}\n"
			s.pools = strings.Replace(s.pools, "{name: shadow,", "{name: shadow, circuitBreaker: {consecutiveFailures: 1, openDuration: 1h},", 1)
			l := start(t, s)
			c := l.dial()
			for n := range 3 {
				c.answered(200, get)
				if got := l.copied(n + 1); got[n] != event.MirrorSent {
					t.Errorf("copy %v", got[n])
				}
				c.answered(200, "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n")
			}
			for _, a := range l.copyAttempts() {
				if a.Result != event.OK {
					t.Errorf("attempt %+v", a)
				}
			}
		})
	}
}

// probing is a policy whose pool shadow has one endpoint that a failure takes out
// for a moment, and that one probe brings back.
func probing(main, shadow string) setup {
	s := mirrored(main, shadow, "", "")
	s.pools = strings.Replace(s.pools, "{name: shadow,", "{name: shadow, circuitBreaker: {consecutiveFailures: 1, openDuration: 1ms, halfOpenRequests: 1},", 1)
	return s
}

// turns waits until the breaker of shadow is found in a state.
func (l *lb) turns(state string) {
	l.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		is := l.Status().Pools[1].Endpoints[0].Breaker.State
		if is == state {
			return
		}
		if time.Now().After(late) {
			l.t.Fatalf("the breaker is %s, want %s", is, state)
		}
	}
}

// failingOnce answers 500 to the first request, and 200 from then on.
func failingOnce(t *testing.T) *backend {
	var asked atomic.Bool
	return listen(t, func(p *peer) {
		for _, err := p.head(); err == nil; _, err = p.head() {
			if asked.CompareAndSwap(false, true) {
				p.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
			} else {
				p.send(ok)
			}
		}
	})
}

// TestMirrorsLeaveProbesToRequests: a pool that serves requests is probed by those.
func TestMirrorsLeaveProbesToRequests(t *testing.T) {
	s := probing(answering(t, ok).addr, failingOnce(t).addr)
	s.routes += "    - {name: canary, matches: [{path: {type: PathPrefix, value: /canary}}], backendRefs: [{pool: shadow}]}\n"
	l := start(t, s)
	c := l.dial()
	const canary = "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"
	c.answered(500, canary)
	l.turns("half-open")
	c.answered(200, get)
	if got := l.copied(1); got[0] != event.MirrorNoEndpoint {
		t.Errorf("a copy was %v", got[0])
	}
	c.answered(200, canary)
	l.turns("closed")
	c.answered(200, get)
	if got := l.copied(2); got[1] != event.MirrorSent {
		t.Errorf("a copy was %v", got[1])
	}
}

// TestMirrorsProbeWhatOnlyTheyReach: there is nothing else that could show that
// such an endpoint is well again.
func TestMirrorsProbeWhatOnlyTheyReach(t *testing.T) {
	l := start(t, probing(answering(t, ok).addr, failingOnce(t).addr))
	c := l.dial()
	c.answered(200, get)
	l.copied(1)
	l.turns("half-open")
	c.answered(200, get)
	if got := l.copied(2); got[1] != event.MirrorSent {
		t.Errorf("a copy was %v", got[1])
	}
	l.turns("closed")
	l.until("the copy that is told to be a probe", func() bool {
		return slices.ContainsFunc(l.attempts, func(a event.Attempt) bool { return a.Mirror && a.Probe })
	})
}

// TestMirrorOutlivesItsPool: a reload that removes a pool lets the copies under
// way there finish, like any request.
func TestMirrorOutlivesItsPool(t *testing.T) {
	main := answering(t, ok)
	asked, answer := make(chan struct{}), make(chan struct{})
	shadow := once(t, func(p *peer) {
		p.head()
		close(asked)
		await(t, answer)
		p.send(ok)
		p.gone()
	})
	l := start(t, mirrored(main.addr, shadow.addr, "", ""))
	c := l.dial()
	c.answered(200, get)
	await(t, asked)
	after := setup{endpoints: []string{main.addr}}
	l.source.set(after.text())
	if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
		t.Fatal(r)
	}
	c.answered(200, get)
	l.ended(2)
	if n := len(l.copied(0)); n != 0 {
		t.Fatalf("%d copies were over", n)
	}
	close(answer)
	if got := l.copied(1); len(got) != 1 || got[0] != event.MirrorSent {
		t.Errorf("%v", got)
	}
}

// TestMirrorReusesItsConnections: copies one after the other go over one
// connection, and one that was closed meanwhile costs no copy.
func TestMirrorReusesItsConnections(t *testing.T) {
	main := answering(t, ok)
	shadow := once(t,
		func(p *peer) { p.head(); p.send(ok); p.head(); p.send(ok); p.head() },
		func(p *peer) { p.head(); p.send(ok); p.gone() })
	l := start(t, mirrored(main.addr, shadow.addr, "", ""))
	c := l.dial()
	for n := range 3 {
		c.answered(200, get)
		if got := l.copied(n + 1); got[n] != event.MirrorSent {
			t.Errorf("%v", got)
		}
	}
	if n := shadow.accepted(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestUpgradesAreNotMirrored: a tunnel has no copy.
func TestUpgradesAreNotMirrored(t *testing.T) {
	main := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		p.rest()
	})
	shadow := answering(t, ok)
	l := start(t, mirrored(main.addr, shadow.addr, "", ""))
	c := l.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if head, _ := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101") {
		t.Error(head)
	}
	c.CloseWrite()
	l.ended(1)
	l.stop(patience)
	if n := len(l.copied(0)); n > 0 || shadow.accepted() > 0 {
		t.Errorf("%d copies, %d connections", n, shadow.accepted())
	}
}

// TestMirrorAllocatesLittle: a copy is made in memory that is used again.
func TestMirrorAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget on purpose")
	}
	answering := func() string {
		return listen(t, func(p *peer) {
			in, out := make([]byte, 4096), []byte(ok)
			for {
				if _, err := p.TCPConn.Read(in); err != nil {
					return
				}
				if _, err := p.TCPConn.Write(out); err != nil {
					return
				}
			}
		}).addr
	}
	over := make(chan struct{}, 1)
	l := start(t, mirrored(answering(), answering(), "", ""), func(o *balancer.Options) {
		o.Events = &event.Listener{MirrorEnded: func(event.Mirror) { over <- struct{}{} }}
	})
	c := l.dial()
	in, out := make([]byte, 4096), []byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
	ask := func(times int) {
		for range times {
			if _, err := c.TCPConn.Write(out); err != nil {
				t.Fatal(err)
			}
			if _, err := c.TCPConn.Read(in); err != nil {
				t.Fatal(err)
			}
			<-over
		}
	}
	ask(200)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
	const times = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ask(times)
	runtime.ReadMemStats(&after)
	if each := float64(after.Mallocs-before.Mallocs) / times; each > 8 {
		t.Errorf("%.2f allocations a copied request", each)
	} else {
		t.Logf("%.2f allocations a copied request", each)
	}
}

// TestMirrorsDuringReloads: clients send bodies of every kind while the mirror
// comes, goes and misbehaves at random. Every request gets its own answer, and what
// is sent to the mirror is one of the bodies.
func TestMirrorsDuringReloads(t *testing.T) {
	content := func(id string, size int) string { return strings.Repeat("<"+id+">", size/(len(id)+2)+1)[:size] }
	echo := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	shadow := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if id := r.Header.Get("X-Id"); err == nil && string(body) != content(id, len(body)) {
			t.Errorf("copy %s came with another's body: %.60q", id, body)
		}
		switch rand.IntN(4) {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(503)
		}
		w.Write(body)
	})
	with := mirrored(echo, shadow, "", "")
	with.pools = strings.Replace(with.pools, "{name: shadow,", "{name: shadow, circuitBreaker: {openDuration: 20ms},", 1)
	without := setup{
		routes: "    - {name: all, backendRefs: [{pool: main}]}\n",
		pools:  fmt.Sprintf("    - {name: main, endpoints: [{address: %q}]}\n", echo),
	}
	l := start(t, with)
	const clients, each = 8, 60
	var sending sync.WaitGroup
	for k := range clients {
		sending.Go(func() {
			c := client(t)
			for n := range each {
				id := fmt.Sprintf("%d-%d", k, n)
				body := content(id, rand.IntN(3)*rand.IntN(50000))
				var from io.Reader = strings.NewReader(body)
				if n%2 == 0 {
					from = io.MultiReader(from) // of a length nobody knows
				}
				r, err := http.NewRequest("POST", "http://"+l.addr, from)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("X-Id", id)
				answer, err := c.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != 200 || string(got) != body {
					t.Errorf("%s: %v %v, %d bytes of %d", id, answer.Status, err, len(got), len(body))
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { sending.Wait(); close(done) }()
	for n := 0; ; n++ {
		s := []setup{without, with}[n%2]
		l.source.set(strings.Replace(s.text(), `version: "1"`, fmt.Sprintf(`version: "%d"`, n), 1))
		if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
			t.Fatal(r)
		}
		select {
		case <-done:
			l.stop(patience)
			if n := len(l.copied(1)); n > clients*each {
				t.Errorf("%d copies of %d requests", n, clients*each)
			}
			for _, p := range l.Status().Pools {
				for _, e := range p.Endpoints {
					if e.InFlight != 0 {
						t.Errorf("%s has %d in flight", e.Address, e.InFlight)
					}
				}
			}
			return
		default:
		}
	}
}
