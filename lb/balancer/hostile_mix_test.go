//go:build unix

package balancer_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// perConnection bounds what one client connection may cost the balancer, its
// upstream connection included: in each direction of each of the two a gathering
// buffer (16 KiB) and a reading one (64 KiB at most, and 16 KiB for a head set
// aside), two goroutines with stacks that grow to 32 KiB, and small change.
const perConnection = 2*(16+64+16)<<10 + 2*32<<10 + 16<<10

// leftPerConnection bounds what is left of a connection that has ended: what the
// runtime keeps to remember its goroutines.
const leftPerConnection = 4 << 10

// Hostile clients of every kind at once: an honest one is served throughout, the
// memory stays within what so many connections may cost, each kind is cut for a
// reason of its own, and nothing is left of them afterwards.
func TestHostileMix(t *testing.T) {
	const each = 60
	flood := strings.Repeat("x", 64<<10)
	var upstream atomic.Int64
	leave := make(chan struct{})
	b := listen(t, func(p *peer) {
		upstream.Add(1)
		defer upstream.Add(-1)
		for {
			h, err := p.head()
			if err != nil {
				return
			}
			_, path, _ := strings.Cut(h, " ")
			path, _, _ = strings.Cut(path, " ")
			switch path {
			case "/large":
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
				for p.send(flood) == nil {
				}
				return
			case "/tunnel":
				p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n")
				for p.send(flood) == nil {
				}
				return
			case "/page":
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", flood)
				continue
			case "/stuck":
				await(t, leave)
				return
			case "/drip":
				p.gone()
				return
			}
			p.send(ok)
		}
	})
	policy := setup{
		endpoints: []string{b.addr}, breaker: "consecutiveFailures: 0, failurePercent: 0",
		timeouts: "idle: 4s, requestHeader: 3s, requestBody: 3s, write: 2s", limits: "connections: 5000, connectionsPerAddress: 5000",
		route: "request: 0s, streamIdle: 3s",
	}
	c := startChild(t, policy, 0)
	l := &lb{t: t, addr: c.says("listening ")}
	honest := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: patience}
	serve := func() {
		t.Helper()
		resp, err := honest.Get("http://" + l.addr + "/")
		if err != nil {
			t.Fatalf("an honest client: %v", err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "ok" || err != nil {
			t.Fatalf("an honest client: %d, %q, %v", resp.StatusCode, body, err)
		}
	}
	serve()
	before := c.state()

	// pour writes until the other side takes no more for a while.
	pour := func(c net.Conn, text string) {
		for {
			c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
	attacks := []struct {
		reason string // of its end
		run    func(net.Conn)
	}{
		{"silent", func(net.Conn) {}},
		{"idle", func(c net.Conn) {
			io.WriteString(c, get)
			io.ReadFull(c, make([]byte, 50))
		}},
		{"slow_head", func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: "+flood[:30<<10]) }},
		{"slow_body", func(c net.Conn) {
			io.WriteString(c, "POST /drip HTTP/1.1\r\nHost: a\r\nX: "+flood[:30<<10]+"\r\nContent-Length: 1000000000\r\n\r\nx")
		}},
		{"slow_reader", func(c net.Conn) { io.WriteString(c, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n") }},
		{"slow_reader", func(c net.Conn) { io.WriteString(c, strings.Repeat("GET /page HTTP/1.1\r\nHost: a\r\n\r\n", 1000)) }},
		{"tunnel", func(c net.Conn) {
			io.WriteString(c, strings.Replace(upgrade, "/t", "/tunnel", 1))
			pour(c, flood)
		}},
		{"", func(c net.Conn) { // the endpoint decides when it ends
			io.WriteString(c, "POST /stuck HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			pour(c, "10000\r\n"+flood+"\r\n")
		}},
	}
	var pouring, ending sync.WaitGroup
	expected := map[string]int{}
	for _, attack := range attacks {
		expected[attack.reason] += each
		for range each {
			conn, err := net.Dial("tcp", l.addr)
			if err != nil {
				t.Fatal(err)
			}
			conn.(*net.TCPConn).SetReadBuffer(16 << 10)
			pouring.Add(1)
			ending.Go(func() {
				defer conn.Close()
				attack.run(conn)
				pouring.Done()
				// It reads nothing, and sees its end by writing nothing either: when the
				// balancer has told of it.
				await(t, leave)
			})
		}
		serve()
	}
	served := make(chan struct{})
	go func() { defer close(served); pouring.Wait() }()
	// On a busy machine the first ones are cut before the last ones have begun.
	peak := before
	for over := false; !over; {
		select {
		case <-served:
			over = true
		default:
			serve()
		}
		if s := c.state(); s.memory > peak.memory {
			peak = s
		}
	}
	n := each * len(attacks)
	t.Logf("%d connections: %d KiB each; before %+v, at the peak %+v", n, (peak.memory-before.memory)/n>>10, before, peak)
	if most := before.memory + n*perConnection; peak.memory > most {
		t.Errorf("%d bytes of memory, want at most %d", peak.memory, most)
	}
	for reason, n := range expected {
		if reason != "" {
			c.counts("closed "+reason, n)
		}
		serve()
	}
	close(leave)
	ending.Wait()
	honest.CloseIdleConnections()
	c.counts("closed ", n+1) // or more: the honest one may have been idle
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		after := c.state()
		// Idle connections to the endpoint are kept for a while, and 32 pipes for good.
		if after.goroutines <= before.goroutines && after.descriptors <= before.descriptors+int(upstream.Load())+2*32 && after.memory < before.memory+n*leftPerConnection {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("before %+v, afterwards %+v, with %d upstream connections", before, after, upstream.Load())
		}
	}
	for _, reason := range []string{"bad_request", "over_limit", "over_address_limit", "drain"} {
		if n := c.count("closed " + reason); n > 0 {
			t.Errorf("%d connections were closed for %s", n, reason)
		}
	}
	if c.count("panic") > 0 {
		t.Error("something panicked")
	}
}
