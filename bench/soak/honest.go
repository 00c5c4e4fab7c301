package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// requestTimeout is how long an honest client waits for an answer.
const requestTimeout = 10 * time.Second

// honestKind is a kind of honest requests, sent at even intervals whether or not
// earlier ones were answered: an open loop.
type honestKind struct {
	name  string
	share float64 // of the rate
	head  string  // request line and fields, without Host and the empty line
	body  string
	size  int64 // of the response's body
	// perConnection: each request on a connection of its own.
	perConnection bool
	// mayFail: the endpoint is faulty. Any answer will do, and any end, but not
	// silence.
	mayFail bool
	// direct: past the balancer, to a backend. What these suffer is not the
	// balancer's doing, but that of the core that clients and backends share.
	direct bool
}

// directKind is the name of the one kind that goes past the balancer.
const directKind = "direct"

func honestKinds() []honestKind {
	return []honestKind{
		{name: directKind, share: 0.02, head: "GET /small HTTP/1.1\r\n", size: smallBody, direct: true},
		{name: "get", share: 0.66, head: "GET /small HTTP/1.1\r\n", size: smallBody},
		{name: "post", share: 0.15, head: "POST /small HTTP/1.1\r\nContent-Length: 4096\r\n", body: strings.Repeat("b", 4096), size: smallBody},
		{name: "chunked", share: 0.10, head: "POST /chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
			body: "400\r\n" + strings.Repeat("c", 1024) + "\r\n400\r\n" + strings.Repeat("d", 1024) + "\r\n0\r\n\r\n", size: chunkedBody},
		{name: "connection", share: 0.05, head: "GET /small HTTP/1.1\r\nConnection: close\r\n", size: smallBody, perConnection: true},
		{name: "download", share: 0.01, head: "GET /large HTTP/1.1\r\n", size: largeBody},
		{name: "faulty", share: 0.01, head: "GET /faulty HTTP/1.1\r\n", mayFail: true},
	}
}

// honest is the honest side: requests at a rate, event streams and tunnels.
type honest struct {
	target  string
	kinds   []*sender
	streams []*tally // by kind of stream
	late    *tally   // how late requests were sent
	done    sync.WaitGroup
}

// sender sends requests of a kind.
type sender struct {
	honestKind
	*tally
	target   string
	request  []byte
	interval time.Duration
	next     time.Time
	idle     chan *honestConn // in turn, so that none gets old
}

type honestConn struct {
	net.Conn
	in *bufio.Reader
}

// newHonest prepares requests to the balancer and, directly, to a backend, at a
// rate a second, all kinds together.
func newHonest(target, backend string, rate int) *honest {
	h := &honest{target: target, late: newTally(), streams: []*tally{newTally(), newTally()}}
	for _, k := range honestKinds() {
		perSecond, to := k.share*float64(rate), target
		if k.direct {
			to = backend
		}
		h.kinds = append(h.kinds, &sender{
			honestKind: k, tally: newTally(), target: to,
			request:  []byte(k.head + "Host: soak.example.com\r\nUser-Agent: honest\r\n\r\n" + k.body),
			interval: time.Duration(float64(time.Second) / perSecond),
			// Each is used once a second, well within what the balancer keeps.
			idle: make(chan *honestConn, max(1, min(32, int(perSecond)))),
		})
	}
	return h
}

// run sends until ctx ends, and returns once everything was answered.
func (h *honest) run(ctx context.Context) {
	ended := h.stream(ctx)
	h.dispatch(ctx)
	h.done.Wait()
	<-ended
	for _, s := range h.kinds {
		for len(s.idle) > 0 {
			(<-s.idle).Close()
		}
	}
}

// dispatch sends every request when it is due. It sleeps in the kernel, since
// Go's timers come up to a millisecond late.
func (h *honest) dispatch(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for i, s := range h.kinds {
		s.next = start.Add(s.interval * time.Duration(i) / time.Duration(len(h.kinds)))
	}
	for ctx.Err() == nil {
		due := h.kinds[0]
		for _, s := range h.kinds[1:] {
			if s.next.Before(due.next) {
				due = s
			}
		}
		if left := time.Until(due.next); left > 0 {
			ts := unix.NsecToTimespec(int64(left))
			unix.Nanosleep(&ts, nil)
			continue
		}
		at := due.next
		due.next = at.Add(due.interval)
		h.late.answered(time.Since(at))
		h.done.Go(func() { due.send(at) })
	}
}

// send makes one request that was due at an instant.
func (s *sender) send(due time.Time) {
	c, err := s.connect()
	if err != nil {
		s.fail("%v", err)
		return
	}
	keep, err := s.exchange(c)
	switch {
	case err == nil:
		s.answered(time.Since(due))
	case s.mayFail && !isTimeout(err):
		s.answered(time.Since(due))
		s.outcome("broken")
	default:
		s.fail("%v", err)
	}
	if keep && err == nil {
		select {
		case s.idle <- c:
			return
		default:
		}
	}
	c.Close()
}

func (s *sender) connect() (*honestConn, error) {
	if !s.perConnection {
		select {
		case c := <-s.idle:
			return c, nil
		default:
		}
	}
	c, err := net.DialTimeout("tcp4", s.target, requestTimeout)
	if err != nil {
		return nil, err
	}
	return &honestConn{c, bufio.NewReaderSize(c, 8<<10)}, nil
}

// exchange sends the request and checks the answer.
func (s *sender) exchange(c *honestConn) (keep bool, err error) {
	c.SetDeadline(time.Now().Add(requestTimeout))
	if _, err := c.Write(s.request); err != nil {
		return false, err
	}
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return false, err
	}
	n, err := io.Copy(io.Discard, r.Body)
	r.Body.Close()
	if err != nil {
		return false, fmt.Errorf("within the body: %w", err)
	}
	if s.mayFail {
		if r.StatusCode != http.StatusOK {
			s.outcome(fmt.Sprint(r.StatusCode))
		}
		return !r.Close, nil
	}
	if r.StatusCode != http.StatusOK || n != s.size {
		return false, fmt.Errorf("status %d and %d bytes, want 200 and %d", r.StatusCode, n, s.size)
	}
	if r.Close != s.perConnection {
		return false, fmt.Errorf("connection to be closed: %v, want %v", r.Close, s.perConnection)
	}
	return !r.Close, nil
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}
