package balancer_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/pipetest"
)

// virtually runs a client against a balancer whose endpoint is played by the
// script, in virtual time.
func virtually(t *testing.T, s setup, script, client func(t *testing.T, c net.Conn), check func(*lb)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := pipetest.Listen()
		var backends sync.WaitGroup
		s.endpoints = []string{"10.0.0.1:80"}
		l := start(t, s, func(o *balancer.Options) {
			o.Listen = func(context.Context, string, string) (net.Listener, error) { return network, nil }
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				backends.Go(func() {
					defer far.Close()
					script(t, far)
				})
				return near, nil
			}
		})
		far := network.Dial()
		client(t, far)
		far.Close()
		synctest.Wait()
		check(l)
		l.stop(patience)
		backends.Wait()
	})
}

// An upload that the endpoint stops taking is given up, and so is its client:
// the endpoint has had its time to take it, and its time to answer.
func TestStalledUpload(t *testing.T) {
	var took time.Duration
	virtually(t, setup{route: "request: 5s"}, func(t *testing.T, c net.Conn) {
		head(t, c)
		time.Sleep(time.Hour) // its buffers are full
	}, func(t *testing.T, c net.Conn) {
		began := time.Now()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
		go func() {
			for piece := make([]byte, 1000); ; {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		}()
		if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 504 ") {
			t.Errorf("got %q", h)
		}
		took = time.Since(began)
		io.Copy(io.Discard, c)
	}, func(l *lb) {
		if took < 35*time.Second || took > 40*time.Second {
			t.Errorf("answered after %v", took)
		}
		if e := l.ended(1); e.Status != 504 || e.RequestBytes > 1<<20 {
			t.Errorf("event %+v", e)
		}
		if why := l.reason(1); why != "reply" {
			t.Errorf("closed for %q", why)
		}
	})
}

// The least rate of a response does not hold for tunnels, whose talk has its own
// pace.
func TestSlowReaderOfATunnel(t *testing.T) {
	const n = 2000
	text := strings.Repeat("x", n)
	for _, tunnel := range []bool{false, true} {
		request, answer := get, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"
		if tunnel {
			request, answer = upgrade, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"
		}
		got := 0
		virtually(t, setup{timeouts: "write: 10s", limits: "responseRate: 100"}, func(t *testing.T, c net.Conn) {
			head(t, c)
			io.WriteString(c, answer)
			io.WriteString(c, text)
			if !tunnel {
				io.Copy(io.Discard, c)
			}
		}, func(t *testing.T, c net.Conn) {
			io.WriteString(c, request)
			for b := make([]byte, 20); ; time.Sleep(2 * time.Second) { // 10 bytes a second
				m, err := c.Read(b)
				if got += m; err != nil {
					return
				}
			}
		}, func(l *lb) {
			why := l.reason(1)
			if tunnel && (got < n || why != "tunnel") || !tunnel && (got >= n || why != "slow_reader") {
				t.Errorf("tunnel %t: %d bytes came, closed for %q", tunnel, got, why)
			}
		})
	}
}

// A body in drips is answered, and its endpoint is not blamed.
func TestDrippingBody(t *testing.T) {
	virtually(t, setup{breaker: "consecutiveFailures: 1, failurePercent: 0"}, func(t *testing.T, c net.Conn) {
		io.Copy(io.Discard, c)
	}, func(t *testing.T, c net.Conn) {
		began := time.Now()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for {
				time.Sleep(9 * time.Second)
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
			}
		})
		if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 408 ") {
			t.Errorf("got %q", h)
		}
		if took := time.Since(began); took > 35*time.Second {
			t.Errorf("answered after %v", took)
		}
		io.Copy(io.Discard, c)
		c.Close()
		dripping.Wait()
	}, func(l *lb) {
		if why := l.reason(1); why != "slow_body" {
			t.Errorf("closed for %q", why)
		}
		if e := l.ended(1); e.Status != 408 || e.Attempts != 1 {
			t.Errorf("event %+v", e)
		}
		if s := l.settled(); s.Breaker.State != "closed" {
			t.Errorf("endpoint %+v", s)
		}
	})
}

// An upload may take longer than its request may afterwards: its time is the client's. The
// wait for the answer is begun anew meanwhile, and not over and over again.
func TestUploadLongerThanTheTimeout(t *testing.T) {
	virtually(t, setup{route: "request: 2s", limits: "requestBodyRate: 0"}, func(t *testing.T, c net.Conn) {
		head(t, c)
		io.CopyN(io.Discard, c, 10)
		time.Sleep(1500 * time.Millisecond)
		io.WriteString(c, ok)
	}, func(t *testing.T, c net.Conn) {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		for range 10 {
			time.Sleep(time.Second)
			io.WriteString(c, "x")
		}
		if h := head(t, c); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
			t.Errorf("got %q", h)
		}
		io.CopyN(io.Discard, c, 2)
	}, func(l *lb) {
		if e := l.ended(1); e.Status != 200 || e.RequestBytes != 10 || e.Duration != 11500*time.Millisecond {
			t.Errorf("event %+v", e)
		}
	})
}

// A stream that has nothing to say for long is no slow reader, and neither is a
// body whose endpoint takes its time a slow body.
func TestPatience(t *testing.T) {
	const events = 5
	virtually(t, setup{timeouts: "write: 1s, requestBody: 1s", limits: "responseRate: 1000000, requestBodyRate: 1000000"}, func(t *testing.T, c net.Conn) {
		in := bufio.NewReader(c)
		for h := ""; h != "\r\n"; {
			h, _ = in.ReadString('\n')
		}
		for range 10 { // ten seconds for 100 kB of a body
			time.Sleep(time.Second)
			io.CopyN(io.Discard, in, 10_000)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
		for range events {
			time.Sleep(time.Minute)
			io.WriteString(c, "data: x\n\n")
		}
	}, func(t *testing.T, c net.Conn) {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
		io.WriteString(c, strings.Repeat("x", 100_000))
		head(t, c)
		for range events {
			want := "9\r\ndata: x\n\n\r\n"
			b := make([]byte, len(want))
			if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
				t.Fatalf("%q, %v", b, err)
			}
		}
	}, func(l *lb) {
		if e := l.ended(1); e.Status != 200 || e.RequestBytes != 100_000 {
			t.Errorf("event %+v", e)
		}
	})
}

// head reads a head byte by byte.
func head(t *testing.T, c net.Conn) string {
	t.Helper()
	var h []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(h), "\r\n\r\n"); {
		if _, err := c.Read(b); err != nil {
			t.Errorf("%q, %v", h, err)
			return string(h)
		}
		h = append(h, b[0])
	}
	return string(h)
}
