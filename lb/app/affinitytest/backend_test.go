package affinitytest

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// backend answers every request with its name.
type backend struct {
	name, addr string
	takes      atomic.Int64 // nanoseconds, for each answer
}

func newBackend(t testing.TB, name string) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{name: name, addr: ln.Addr().String()}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(name), name)
	serve(t, ln, func(conn net.Conn) {
		for r := bufio.NewReader(conn); ; {
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break // the head's end; none of our requests has a body
				}
			}
			if takes := b.takes.Load(); takes > 0 {
				time.Sleep(time.Duration(takes))
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
	return b
}

// serve has each connection handled until the test ends, when all are closed.
func serve(t testing.TB, ln net.Listener, handle func(net.Conn)) {
	var (
		mu      sync.Mutex
		closed  bool
		open    = map[net.Conn]bool{}
		handled sync.WaitGroup
	)
	handled.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if closed {
				mu.Unlock()
				conn.Close()
				return
			}
			open[conn] = true
			handled.Go(func() {
				handle(conn)
				conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		closed = true
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		handled.Wait()
	})
}
