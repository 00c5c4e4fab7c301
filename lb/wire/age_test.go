package wire_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/wire"
)

// moved counts how often a read deadline was set.
type moved struct {
	net.Conn
	times int
}

func (m *moved) SetReadDeadline(at time.Time) error {
	m.times++
	return m.Conn.SetReadDeadline(at)
}

// A read ends at the connection's age if that comes before its timeout, and each
// may take the shortest time nevertheless.
func TestReadEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		nc := &moved{Conn: near}
		c := wire.NewConn(nc)
		defer c.Close()
		times := func(what string, want time.Duration) {
			t.Helper()
			began, age := time.Now(), c.Age()
			if err := c.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("%s: waited %v, want %v", what, took, want)
			}
			if c.AgeAtRead() != age {
				t.Errorf("%s: read at the age of %v, want %v", what, c.AgeAtRead(), age)
			}
		}
		c.SetReadWindow(20*time.Second, 20*time.Second)
		c.SetReadEnd(time.Minute, time.Second)
		times("far from the end", 20*time.Second)
		times("far from the end", 20*time.Second)
		times("at the end", 20*time.Second)
		times("behind the end", time.Second)
		c.SetReadEnd(0, 0)
		times("without an end", 20*time.Second)

		c.SetReadTimeout(time.Minute)
		c.SetReadEnd(2*time.Minute, time.Second)
		before := nc.times
		for c.Age() < 119*time.Second {
			go far.Write([]byte{'x'})
			if err := c.Fill(); err != nil {
				t.Fatal(err)
			}
			c.Discard(1)
			time.Sleep(10 * time.Millisecond)
		}
		if n := nc.times - before; n > 40 {
			t.Errorf("the deadline was moved %d times", n)
		}
	})
}
