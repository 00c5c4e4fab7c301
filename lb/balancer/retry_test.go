package balancer_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

// inTurn is a pool whose first endpoint is asked first, and the second only for
// want of it.
func inTurn(more string, endpoints ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    - name: main\n      circuitBreaker: {consecutiveFailures: 1000, failurePercent: 0}\n      %s\n      endpoints:\n", more)
	for i, e := range endpoints {
		fmt.Fprintf(&b, "        - {address: %q, priority: %d}\n", e, i)
	}
	return b.String()
}

const (
	put        = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
	putChunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
	post       = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
)

// taken reads a request with its body, and returns that.
func taken(p *peer) string {
	head, err := p.head()
	if err != nil {
		return ""
	}
	switch {
	case field(head, "Transfer-Encoding") != "":
		var body strings.Builder
		for {
			line, err := p.in.ReadString('\n')
			var n int
			if _, bad := fmt.Sscanf(line, "%x", &n); err != nil || bad != nil {
				return ""
			}
			if n == 0 {
				p.in.ReadString('\n')
				return body.String()
			}
			io.CopyN(&body, p.in, int64(n))
			p.in.ReadString('\n')
		}
	case field(head, "Content-Length") != "":
		var n int
		fmt.Sscanf(field(head, "Content-Length"), "%d", &n)
		b := make([]byte, n)
		if _, err := io.ReadFull(p.in, b); err != nil {
			return ""
		}
		return string(b)
	}
	return "-"
}

func TestRetry(t *testing.T) {
	says := func(answer string) func(*peer) {
		return func(p *peer) {
			for taken(p) != "" {
				p.send(answer)
			}
		}
	}
	busy := "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
	closes := func(p *peer) { taken(p) }
	const large = 70 << 10
	for name, x := range map[string]struct {
		request string
		first   func(*peer) // the first endpoint; nil: it refuses
		retry   string
		status  int
		flags   event.Flags
		refusal event.RetryRefusal
	}{
		"a code":                       {get, says(busy), "", 200, event.Retried, ""},
		"a code, with a body":          {put, says(busy), "", 200, event.Retried, ""},
		"a code, with a chunked body":  {putChunked, says(busy), "", 200, event.Retried, ""},
		"another code":                 {get, says(strings.Replace(busy, "503", "500", 1)), "", 500, 0, ""},
		"no connection":                {get, nil, "", 200, event.ConnectFailure | event.Retried, ""},
		"closed":                       {get, closes, "", 200, event.UpstreamReset | event.Retried, ""},
		"closed, with a body":          {put, closes, "", 200, event.UpstreamReset | event.Retried, ""},
		"closed within a body":         {strings.Replace(put, "4\r\n\r\nbody", "65536\r\n\r\n"+strings.Repeat("x", 65536), 1), func(p *peer) { p.head(); p.exactly(10); p.reset() }, "", 200, event.UpstreamReset | event.Retried, ""},
		"silent":                       {get, func(p *peer) { p.head(); p.gone() }, "", 200, event.UpstreamTimeout | event.Retried, ""},
		"garbage":                      {get, says("SSH-2.0\r\n"), "", 200, event.UpstreamProtocol | event.Retried, ""},
		"POST, a code":                 {post, says(busy), "", 503, 0, ""},
		"POST, closed":                 {post, closes, "", 502, event.UpstreamReset, ""},
		"POST, no connection":          {post, nil, "", 200, event.ConnectFailure | event.Retried, ""},
		"POST by the policy":           {post, closes, "methods: [POST]", 200, event.UpstreamReset | event.Retried, ""},
		"PUT not by the policy":        {put, closes, "methods: [POST]", 502, event.UpstreamReset, ""},
		"none":                         {get, says(busy), "attempts: 0", 503, 0, ""},
		"Retry-After, now":             {get, says(strings.Replace(busy, "Content", "Retry-After: 0\r\nContent", 1)), "", 200, event.Retried, ""},
		"Retry-After, past":            {get, says(strings.Replace(busy, "Content", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent", 1)), "", 200, event.Retried, ""},
		"Retry-After, too late":        {get, says(strings.Replace(busy, "Content", "Retry-After: 3600\r\nContent", 1)), "", 503, 0, event.RetryTooLate},
		"Retry-After, for ages":        {get, says(strings.Replace(busy, "Content", "Retry-After: 99999999999999999999\r\nContent", 1)), "", 503, 0, event.RetryTooLate},
		"Retry-After, not a time":      {get, says(strings.Replace(busy, "Content", "Retry-After: -5 or so\r\nContent", 1)), "", 200, event.Retried, ""},
		"Retry-After, a date too late": {get, says(strings.Replace(busy, "Content", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent", 1)), "", 503, 0, event.RetryTooLate},
		"an answer had begun":          {get, func(p *peer) { taken(p); p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok") }, "", 0, event.UpstreamReset, ""},
		"an interim answer was given":  {get, func(p *peer) { taken(p); p.send("HTTP/1.1 103 Early Hints\r\n\r\n") }, "", 502, event.UpstreamReset, ""},
		"the body was invited":         {strings.Replace(put, "Host", "Expect: 100-continue\r\nHost", 1), func(p *peer) { p.head(); p.send("HTTP/1.1 100 Continue\r\n\r\n"); p.exactly(4); p.reset() }, "", 200, event.UpstreamReset | event.Retried, ""},
		"too large to be kept": {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", large, strings.Repeat("x", large)),
			says(busy), "", 503, 0, event.RetryBodyGone},
		"trailers are not kept": {strings.Replace(putChunked, "0\r\n\r\n", "0\r\nX-Sum: 1\r\n\r\n", 1), says(busy), "", 503, 0, event.RetryBodyGone},
	} {
		t.Run(name, func(t *testing.T) {
			bodies := make(chan string, 10)
			second := listen(t, func(p *peer) {
				for body := taken(p); body != ""; body = taken(p) {
					bodies <- body
					p.send(ok)
				}
			})
			addr := ""
			if x.first != nil {
				addr = listen(t, x.first).addr
			} else {
				addr = refusing(t)
			}
			retry := "attempts: 2, backoff: 1ms"
			if x.retry != "" {
				retry = "backoff: 1ms, " + x.retry
			}
			l := start(t, setup{pools: inTurn("retryBudget: {percent: 100}", addr, second.addr), route: "backendRequest: 150ms", retry: retry})
			c := l.dial()
			head, body, _ := strings.Cut(x.request, "\r\n\r\n")
			c.send(head, "\r\n\r\n")
			if body != "" {
				time.Sleep(5 * time.Millisecond) // so that it is no part of what the head brings
				c.send(body)
			}
			r, _, err := c.tryResponse("GET")
			for err == nil && r.StatusCode < 200 {
				r, _, err = c.tryResponse("GET")
			}
			if (err != nil) != (x.status == 0) || err == nil && r.StatusCode != x.status {
				t.Errorf("%v, %v", r, err)
			}
			e := l.ended(1)
			attempts := 1
			if x.flags&event.Retried != 0 {
				attempts = 2
				want := "-"
				if body != "" {
					want = "body"
					if len(body) > 1000 {
						want = body
					}
				}
				select {
				case got := <-bodies:
					if got != want {
						t.Errorf("the second endpoint got %d bytes %.20q", len(got), got)
					}
				default: // it says what it got before it answers
					t.Error("the second endpoint was not asked")
				}
				if e.Upstream != second.addr {
					t.Errorf("answered by %s", e.Upstream)
				}
			}
			if e.Flags != x.flags || e.Attempts != attempts || len(l.attempts) != attempts {
				t.Errorf("flags %q, want %q; %d attempts, event %+v", e.Flags, x.flags, len(l.attempts), e)
			}
			var refusals []event.RetryRefusal
			if x.refusal != "" {
				refusals = append(refusals, x.refusal)
			}
			if !slices.Equal(l.refusals, refusals) {
				t.Errorf("refused for %v, want %v", l.refusals, refusals)
			}
			for i, a := range l.attempts {
				if a.Number != i+1 || a.Duration <= 0 || i > 0 && a.Start.Before(l.attempts[i-1].Start.Add(l.attempts[i-1].Duration)) {
					t.Errorf("attempt %+v", a)
				}
			}
			for _, s := range l.Status().Pools[0].Endpoints {
				if s.InFlight != 0 && l.settled().InFlight != 0 {
					t.Errorf("endpoint %+v", s)
				}
			}
		})
	}
}

// Every try goes to another endpoint, as long as there is one.
func TestRetryElsewhere(t *testing.T) {
	busy := "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
	var backends []*backend
	var addrs []string
	for range 3 {
		backends = append(backends, answering(t, busy))
		addrs = append(addrs, backends[len(backends)-1].addr)
	}
	l := start(t, setup{endpoints: addrs, retry: "attempts: 2, backoff: 1ms", breaker: "consecutiveFailures: 0, failurePercent: 0"})
	c := l.dial()
	for n := range 3 {
		if _, body := c.answered(503, get); body != "busy" {
			t.Errorf("got %q", body) // the endpoint's own answer, at last
		}
		for i, b := range backends {
			if got := len(b.received()); got != n+1 {
				t.Errorf("endpoint %d was asked %d times by %d requests of three tries", i+1, got, n+1)
			}
		}
	}
	one := answering(t, busy)
	l = start(t, setup{endpoints: []string{one.addr}, retry: "attempts: 2, backoff: 1ms", breaker: "consecutiveFailures: 0, failurePercent: 0"})
	l.dial().answered(503, get)
	if got := len(one.received()); got != 3 {
		t.Errorf("the only endpoint was asked %d times by a request of three tries", got)
	}
}

// The pause before a retry doubles, is cut by half at most, and ends with the
// client's patience.
func TestBackoff(t *testing.T) {
	const base = 4 * time.Second
	for _, leaves := range []bool{false, true} {
		var began time.Time
		virtually(t, setup{retry: "attempts: 3, backoff: 4s", route: "request: 1m", pool: "retryBudget: {percent: 100}", breaker: "consecutiveFailures: 0, failurePercent: 0"},
			func(t *testing.T, c net.Conn) {
				for in := bufio.NewReader(c); ; {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					io.WriteString(c, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
				}
			}, func(t *testing.T, c net.Conn) {
				began = time.Now()
				io.WriteString(c, get)
				if leaves {
					time.Sleep(time.Second)
				} else if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 503 ") {
					t.Errorf("got %q", h)
				}
			}, func(l *lb) {
				e := l.ended(1)
				if leaves {
					if e.Attempts != 1 || e.Flags != event.DownstreamGone || e.Status != 0 || e.Duration != time.Second {
						t.Errorf("event %+v", e)
					}
					return
				}
				if e.Attempts != 4 || e.Flags != event.Retried {
					t.Errorf("event %+v", e)
				}
				end := began
				for i, a := range l.attempts {
					pause, most := a.Start.Sub(end), time.Duration(0)
					if i > 0 {
						most = base << (i - 1)
					}
					if pause < most/2 || pause > most {
						t.Errorf("try %d came after a pause of %v, want %v to %v", i+1, pause, most/2, most)
					}
					end = a.Start.Add(a.Duration)
				}
			})
	}
}

// An answer is worth more than a refusal of ours: it is not thrown away if there is nobody
// left to ask, since the others drain, and with it the breaker opens.
func TestAnswerWithNobodyElseToAsk(t *testing.T) {
	busy := answering(t, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
	other := answering(t, ok)
	l := start(t, setup{
		retry: "attempts: 2, backoff: 0s",
		pools: fmt.Sprintf("    - name: main\n      circuitBreaker: {consecutiveFailures: 1, openDuration: 1h, maxOpenDuration: 1h}\n      endpoints: [{address: %q}, {address: %q, drain: true}]\n", busy.addr, other.addr),
	})
	if _, body := l.dial().answered(503, get); body != "busy" {
		t.Errorf("got %q", body)
	}
	if e := l.ended(1); e.Attempts != 1 || e.Flags != 0 {
		t.Errorf("event %+v", e)
	}
	if n := len(other.received()); n > 0 {
		t.Errorf("an endpoint that drains got %d", n)
	}
}

// Requests that failed together do not come back together: their pauses lie all over the
// half that chance has.
func TestBackoffIsJittered(t *testing.T) {
	const base, requests = 4 * time.Second, 40
	virtually(t, setup{retry: "attempts: 1, backoff: 4s", pool: "retryBudget: {percent: 100}", breaker: "consecutiveFailures: 0, failurePercent: 0"},
		busyScript(0, busyAns), func(t *testing.T, c net.Conn) {
			for range requests {
				io.WriteString(c, get)
				head(t, c)
			}
		}, func(l *lb) {
			short, long := 0, 0
			for i := 1; i < len(l.attempts); i += 2 {
				switch pause := l.attempts[i].Start.Sub(l.attempts[i-1].Start); {
				case pause < base*3/4:
					short++
				case pause > base*3/4:
					long++
				}
			}
			// Each half of it is missed by chance once in 10^12 runs.
			if short == 0 || long == 0 {
				t.Errorf("%d short pauses and %d long ones, of %d requests", short, long, requests)
			}
		})
}

// A pause that would be over when the request's time is, is not begun: the client has the
// answer there is, at once.
func TestPauseThatDoesNotFit(t *testing.T) {
	after := func(seconds string) string {
		return strings.Replace(busyAns, "Content", "Retry-After: "+seconds+"\r\nContent", 1)
	}
	for name, x := range map[string]struct {
		answer, backoff string
		took            time.Duration
		attempts        int
	}{
		"Retry-After fits":     {after("4"), "1ms", 4 * time.Second, 2},
		"Retry-After does not": {after("5"), "1ms", 0, 1},
		"backoff does not":     {busyAns, "11s", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, setup{retry: "attempts: 1, backoff: " + x.backoff, route: "request: 5s", breaker: "consecutiveFailures: 0, failurePercent: 0"},
				busyScript(0, x.answer), func(t *testing.T, c net.Conn) {
					io.WriteString(c, get)
					if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 503 Busy") {
						t.Errorf("got %q", h)
					}
				}, func(l *lb) {
					e := l.ended(1)
					if e.Attempts != x.attempts || e.Duration != x.took || e.Flags&event.UpstreamTimeout != 0 {
						t.Errorf("event %+v", e)
					}
					if refused := len(l.refusals) == 1 && l.refusals[0] == event.RetryTooLate; refused != (x.attempts == 1) {
						t.Errorf("refusals %v", l.refusals)
					}
				})
		})
	}
}

// Retries do not disturb the rotation: an endpoint that fails gets its part of the
// first tries and no more, and those that are well share the rest.
func TestRetriesKeepTheRotation(t *testing.T) {
	bad := answering(t, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
	first, second := answering(t, ok), answering(t, ok)
	l := start(t, setup{endpoints: []string{bad.addr, first.addr, second.addr}, balance: "type: RoundRobin",
		retry: "attempts: 1, backoff: 0s", pool: "retryBudget: {percent: 100}", breaker: "consecutiveFailures: 0, failurePercent: 0"})
	c := l.dial()
	for range 60 {
		c.answered(200, get)
	}
	if b, x, y := len(bad.received()), len(first.received()), len(second.received()); b > 31 || x < 20 || y < 20 {
		t.Errorf("the failing endpoint got %d, the others %d and %d of 60 requests and their retries", b, x, y)
	}
}

// What a drain breaks off is nobody's fault: neither the endpoint's, whose breaker
// hears nothing, nor does the log say so.
func TestCutByTheDrain(t *testing.T) {
	arrived := make(chan struct{})
	b := listen(t, func(p *peer) { p.head(); close(arrived); p.gone() })
	other := answering(t, ok)
	pool := func(endpoints string) string {
		return fmt.Sprintf("    - {name: main, drainTimeout: 50ms, circuitBreaker: {consecutiveFailures: 1}, endpoints: [%s]}\n", endpoints)
	}
	with := setup{pools: pool(fmt.Sprintf("{address: %q}, {address: %q, priority: 1}", b.addr, other.addr))}
	without := setup{pools: pool(fmt.Sprintf("{address: %q, drain: true}, {address: %q, priority: 1}", b.addr, other.addr))}
	l := start(t, with)
	c := l.dial()
	c.send(post)
	await(t, arrived)
	l.source.set(without.text())
	l.Reload(t.Context())
	r, body := c.response("POST")
	if r.StatusCode != 503 || !strings.Contains(body, "taken out of service") {
		t.Errorf("%d %q", r.StatusCode, body)
	}
	if e := l.ended(1); e.Flags != event.Draining {
		t.Errorf("flags %q", e.Flags)
	}
	if a := l.lastAttempt(); a.Result != event.Aborted {
		t.Errorf("result %q", a.Result)
	}
	if s := l.settled(); s.Breaker.State != "closed" {
		t.Errorf("endpoint %+v", s)
	}
}
