package wire_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/wire"
)

// readAt reads a body of a peer that sends each piece after a pause, and returns
// how much came, after how long, and how it ended.
func readAt(t *testing.T, framing wire.Framing, length int64, rate int, invited bool, pause time.Duration, piece string) (n int, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := wire.NewConn(near)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				time.Sleep(pause)
				if _, err := io.WriteString(far, piece); err != nil {
					return
				}
			}
		}()
		var b wire.Body
		b.Reset(conn, framing, length)
		b.SetPace(30*time.Second, rate, invited)
		start := time.Now()
		for err == nil {
			var p []byte
			p, err = b.Next()
			n += len(p)
		}
		took = time.Since(start)
		conn.Close()
		<-done
	})
	return n, took, err
}

// TestPace: a body that drips is given up, one that keeps the rate is not.
func TestPace(t *testing.T) {
	kilobyte := strings.Repeat("x", 1000)
	for _, c := range []struct {
		what    string
		framing wire.Framing
		length  int64
		rate    int
		pause   time.Duration
		piece   string
		took    time.Duration // about; 0: it comes whole
	}{
		{"silence", wire.Sized, 100, 240, time.Hour, "x", 30 * time.Second},
		{"silence, no rate", wire.Sized, 100, 0, time.Hour, "x", 30 * time.Second},
		{"a byte now and then", wire.Sized, 100, 240, 9 * time.Second, "x", 30 * time.Second},
		{"a byte now and then, no rate", wire.Sized, 100, 0, 29 * time.Second, "x", 0},
		{"a byte a second", wire.Sized, 100_000, 240, time.Second, "x", 30 * time.Second},
		{"at half the rate", wire.Sized, 1_000_000, 190, 10 * time.Second, kilobyte, 55 * time.Second},
		{"just above the rate", wire.Sized, 1_000_000, 99, 10 * time.Second, kilobyte, 0},
		{"a small body in drips", wire.Sized, 25, 240, time.Second, "x", 0},
		{"the framing of a chunk in drips", wire.Chunked, 0, 240, 5 * time.Second, "0", 30 * time.Second},
	} {
		n, took, err := readAt(t, c.framing, c.length, c.rate, false, c.pause, c.piece)
		if c.took == 0 {
			if err != io.EOF || int64(n) != c.length {
				t.Errorf("%s: %d bytes, %v after %v", c.what, n, err, took)
			}
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || took < c.took || took > c.took+2*time.Second {
			t.Errorf("%s: %v after %v, want a timeout after %v", c.what, err, took, c.took)
		}
	}
}

// TestPaceOfTheInvited: how long a peer is kept waiting for a 100 is not its own
// doing.
func TestPaceOfTheInvited(t *testing.T) {
	for _, c := range []struct {
		invited bool
		n       int
	}{{false, 1}, {true, 2}} {
		n, _, err := readAt(t, wire.Sized, 100, 1, c.invited, 16700*time.Millisecond, "x")
		if n != c.n || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("invited %t: %d bytes, %v", c.invited, n, err)
		}
	}
}

// TestPaceCountsWaitingAlone: the time a body is not read is not the peer's.
func TestPaceCountsWaitingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := wire.NewConn(near)
		go func() {
			for range 10 {
				io.WriteString(far, "x")
			}
		}()
		var b wire.Body
		b.Reset(conn, wire.Sized, 10)
		b.SetPace(time.Second, 100, false)
		for range 10 {
			time.Sleep(time.Minute) // the endpoint takes its time
			if _, err := b.Next(); err != nil {
				t.Fatal(err)
			}
		}
		conn.Close()
	})
}

// sipping is a socket on which writing times out soon, with a peer that does each
// time what the test says.
type sipping struct {
	*net.TCPConn
	set  int
	next func(set int)
}

func (s *sipping) SetWriteDeadline(at time.Time) error {
	s.set++
	s.next(s.set)
	return s.TCPConn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
}

// TestLeastRate: what counts is what the peer has acknowledged. One that has
// taken much of what the kernel holds has got on, though nothing more could be
// handed to the kernel; one that takes a little now and then is stalled.
func TestLeastRate(t *testing.T) {
	for _, c := range []struct {
		what        string
		sip         int // bytes taken each time
		rate        int // bytes a second, asked over a second
		least, most int // times that the deadline is set
	}{
		{"nothing, any would do", 0, 0, 1, 2},
		{"more than asked", 512 << 10, 1000, 5, 99},
		{"less than asked", 512 << 10, 100 << 20, 1, 1},
	} {
		near, far := tcpPair(t)
		near.SetWriteBuffer(4 << 20)
		far.SetReadBuffer(32 << 10)
		s := &sipping{TCPConn: near}
		s.next = func(set int) {
			if set <= 5 {
				io.CopyN(io.Discard, far, int64(c.sip))
			}
		}
		conn := wire.NewConn(s)
		conn.SetWriteTimeout(time.Second)
		conn.SetLeastRate(c.rate)
		// The first time may pass though the peer takes nothing, if the kernels still move
		// what they have taken; the last one is when they do not any more.
		if err := conn.Write(make([]byte, 64<<20)); err != wire.ErrStalled {
			t.Errorf("%s: %v, want ErrStalled", c.what, err)
		}
		if s.set < c.least || s.set > c.most {
			t.Errorf("%s: the deadline was set %d times, want %d to %d", c.what, s.set, c.least, c.most)
		}
		conn.Close()
	}
}
