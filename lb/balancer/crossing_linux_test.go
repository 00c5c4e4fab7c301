package balancer_test

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

// A request that crosses the endpoint's closing of the kept connection, so that nobody
// reads it, is sent once more whatever its method, and takes nothing out of the retry
// budget.
func TestRequestThatCrossesAClose(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
	// What is held back goes after 200 ms on its own (tcp(7), TCP_CORK): where the machine
	// stands still for longer the request reaches the endpoint before it closes.
	for try := 1; ; try++ {
		var kept *net.TCPConn // the first
		leave, left := make(chan struct{}), make(chan struct{})
		read := make(chan string, 2)
		answer := func(p *peer) bool {
			head, err := p.head()
			if err != nil {
				return false
			}
			p.expect("body")
			read <- head
			p.send(ok)
			return true
		}
		b := once(t, func(p *peer) {
			answer(p)
			await(t, leave)
			p.Close()
			close(left)
		}, func(p *peer) {
			for answer(p) {
			}
		})
		l := start(t, setup{
			endpoints: []string{b.addr}, breaker: "consecutiveFailures: 1, failurePercent: 0",
			pool: "retryBudget: {percent: 0, minRetriesPerSecond: 0}",
		}, func(o *balancer.Options) {
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, address)
				if err == nil && kept == nil {
					kept = nc.(*net.TCPConn)
				}
				return nc, err
			}
		})
		c := l.dial()
		c.answered(200, post)
		l.ended(1)
		<-read
		cork(t, kept, 1)
		var before uint64
		awaitSocket(t, kept, func(i *unix.TCPInfo) bool { before = i.Bytes_sent; return true })
		c.send(post)
		awaitSocket(t, kept, func(i *unix.TCPInfo) bool { return i.Notsent_bytes > 0 || i.Bytes_sent > before })
		close(leave)
		await(t, left)
		awaitSocket(t, kept, func(i *unix.TCPInfo) bool { return i.State != unix.BPF_TCP_ESTABLISHED })
		cork(t, kept, 0)
		r, _ := c.response("POST")
		e, a := l.ended(2), l.lastAttempt()
		if r.StatusCode == 502 && try < 20 {
			continue
		}
		if r.StatusCode != 200 || e.Attempts != 1 || e.Flags != event.Resent || a.Resend != event.ResentUnread || a.Reused {
			t.Errorf("status %d, request %+v, attempt %+v", r.StatusCode, e, a)
		}
		if <-read; len(read) > 0 {
			t.Error("the endpoint read it twice")
		}
		if s := l.settled(); s.Breaker.State != "closed" {
			t.Errorf("endpoint %+v", s)
		}
		return
	}
}

// cork has the system hold back what is written to a socket, or send it.
func cork(t *testing.T, c *net.TCPConn, on int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) })
}

// awaitSocket waits until the system says something of a socket, or that it is closed.
func awaitSocket(t *testing.T, c *net.TCPConn, is func(*unix.TCPInfo) bool) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		var info *unix.TCPInfo
		var infoErr error
		if err := raw.Control(func(fd uintptr) { info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); err != nil {
			return
		}
		if infoErr == nil && is(info) {
			return
		}
	}
	t.Fatal("the socket does not get so far")
}
