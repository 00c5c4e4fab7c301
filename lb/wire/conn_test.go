package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/wire"
)

// tcpPair is a TCP connection over loopback, both ends of it.
func tcpPair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, _ := l.Accept()
		accepted <- nc
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other := <-accepted
	if other == nil {
		t.Fatal("nothing was accepted")
	}
	t.Cleanup(func() { nc.Close(); other.Close() })
	return nc.(*net.TCPConn), other.(*net.TCPConn)
}

// both runs a test over a socket and over a connection that is none.
func both(t *testing.T, test func(t *testing.T, near, far net.Conn)) {
	t.Run("tcp", func(t *testing.T) {
		near, far := tcpPair(t)
		test(t, near, far)
	})
	t.Run("pipe", func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		test(t, near, far)
	})
}

// awaitReadable returns once a socket has something to read, or its end, and
// reads nothing of it.
func awaitReadable(t *testing.T, nc *net.TCPConn) {
	t.Helper()
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN && err != syscall.EINTR
	}); err != nil {
		t.Fatal(err)
	}
	nc.SetReadDeadline(time.Time{})
}

// TestUnasked: a connection whose peer has sent something, or has gone, is found
// out before anything is written to it.
func TestUnasked(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(far *net.TCPConn)
	}{
		{"bytes", func(far *net.TCPConn) { far.Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n")) }},
		{"end", func(far *net.TCPConn) { far.CloseWrite() }},
		{"bytes and end", func(far *net.TCPConn) { far.Write([]byte("x")); far.CloseWrite() }},
		{"reset", func(far *net.TCPConn) { far.SetLinger(0); far.Close() }},
	} {
		for _, by := range []string{"Ask", "Probe"} {
			t.Run(c.name+"/"+by, func(t *testing.T) {
				near, far := tcpPair(t)
				conn := wire.NewConn(near)
				conn.SetReadTimeout(10 * time.Second)
				conn.SetPending(append(conn.Pending(), "request"...))
				c.do(far)
				awaitReadable(t, near)
				err := conn.Probe()
				if by == "Ask" {
					near, far = tcpPair(t)
					conn.Close()
					conn = wire.NewConn(near)
					conn.SetPending(append(conn.Pending(), "request"...))
					c.do(far)
					awaitReadable(t, near)
					err = conn.Ask()
				}
				if err != wire.ErrUnasked {
					t.Errorf("%v, want ErrUnasked", err)
				}
				if !conn.HasPending() {
					t.Error("the request is not pending any more")
				}
				conn.Close()
				if got, _ := io.ReadAll(far); len(got) > 0 {
					t.Errorf("the peer was sent %q", got)
				}
			})
		}
	}
}

// TestUnaskedBuffered: what was read with the last answer counts as unasked too,
// on every kind of connection.
func TestUnaskedBuffered(t *testing.T) {
	both(t, func(t *testing.T, near, far net.Conn) {
		conn := wire.NewConn(near)
		go far.Write([]byte("more"))
		if err := conn.Fill(); err != nil {
			t.Fatal(err)
		}
		conn.Discard(1)
		if err := conn.Probe(); err != wire.ErrUnasked {
			t.Errorf("Probe: %v", err)
		}
		if err := conn.Ask(); err != wire.ErrUnasked {
			t.Errorf("Ask: %v", err)
		}
		conn.Close()
	})
}

// TestProbeIdle: a probe of a connection that is well finds nothing, takes
// nothing away, and does not mind a deadline that has passed since.
func TestProbeIdle(t *testing.T) {
	near, far := tcpPair(t)
	conn := wire.NewConn(near)
	defer conn.Close()
	conn.SetReadWindow(time.Millisecond, time.Millisecond)
	if err := conn.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	conn.SetReadWindow(0, 0)
	for range 3 {
		if err := conn.Probe(); err != nil {
			t.Fatal(err)
		}
	}
	far.Write([]byte("hello"))
	if err := conn.Fill(); err != nil || string(conn.Buffered()) != "hello" {
		t.Errorf("%q, %v", conn.Buffered(), err)
	}
}

// answer reads n bytes from nc and answers with reply.
func answer(nc net.Conn, n int, reply string) (got []byte, err error) {
	got = make([]byte, n)
	if _, err = io.ReadFull(nc, got); err == nil {
		_, err = nc.Write([]byte(reply))
	}
	return got, err
}

func TestAsk(t *testing.T) {
	both(t, func(t *testing.T, near, far net.Conn) {
		conn := wire.NewConn(near)
		defer conn.Close()
		for range 3 {
			done := make(chan string, 1)
			go func() {
				got, err := answer(far, 7, "reply")
				if err != nil {
					got = []byte(err.Error())
				}
				done <- string(got)
			}()
			conn.SetPending(append(conn.Pending(), "request"...))
			if err := conn.Ask(); err != nil {
				t.Fatal(err)
			}
			if got := <-done; got != "request" {
				t.Errorf("sent %q", got)
			}
			for len(conn.Buffered()) < 5 {
				if err := conn.Fill(); err != nil {
					t.Fatal(err)
				}
			}
			if got := string(conn.Buffered()); got != "reply" {
				t.Errorf("answered %q", got)
			}
			conn.Discard(5)
			conn.Release()
		}
	})
}

// TestAskTimeout: a timeout while the answer is waited for may be continued.
func TestAskTimeout(t *testing.T) {
	both(t, func(t *testing.T, near, far net.Conn) {
		conn := wire.NewConn(near)
		defer conn.Close()
		conn.SetReadWindow(time.Millisecond, 2*time.Millisecond)
		conn.SetPending(append(conn.Pending(), "request"...))
		got := make([]byte, 7)
		read := make(chan struct{})
		go func() {
			io.ReadFull(far, got)
			close(read)
		}()
		err := conn.Ask()
		for ; errors.Is(err, os.ErrDeadlineExceeded) && conn.HasPending(); err = conn.Ask() {
		}
		for range 2 {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%v, want a timeout", err)
			}
			err = conn.Fill()
		}
		<-read
		conn.SetReadTimeout(10 * time.Second)
		go far.Write([]byte("reply"))
		if err := conn.Fill(); err != nil || len(conn.Buffered()) == 0 {
			t.Errorf("after the timeout: %q, %v", conn.Buffered(), err)
		}
	})
}

// TestAskBeforeItsDeadline: if the deadline passes before anything is written the
// request stays pending and can be asked again. (A stalled machine; here the
// connection's own setter of deadlines.)
func TestAskBeforeItsDeadline(t *testing.T) {
	near, far := tcpPair(t)
	conn := wire.NewConn(&late{near, true})
	defer conn.Close()
	conn.SetReadTimeout(time.Hour)
	conn.SetPending(append(conn.Pending(), "request"...))
	if err := conn.Ask(); !errors.Is(err, os.ErrDeadlineExceeded) || !conn.HasPending() {
		t.Fatalf("%v, pending %v; want a timeout with the request still pending", err, conn.HasPending())
	}
	conn.Net().(*late).stall = false
	conn.SetReadTimeout(time.Minute)
	go answer(far, 7, "reply")
	if err := conn.Ask(); err != nil || conn.HasPending() {
		t.Errorf("asked again: %v, pending %v", err, conn.HasPending())
	}
}

// late is a socket on which deadlines have passed once they are set.
type late struct {
	*net.TCPConn
	stall bool
}

func (l *late) SetReadDeadline(at time.Time) error {
	if l.stall {
		at = time.Unix(1, 0)
	}
	return l.TCPConn.SetReadDeadline(at)
}

// TestAskInPieces: a request that the socket does not take at once arrives whole
// and in order, and the answer is still heard.
func TestAskInPieces(t *testing.T) {
	request := make([]byte, 2<<20)
	for i := range request {
		request[i] = byte(i * 7 >> 3)
	}
	for range 5 {
		near, far := tcpPair(t)
		near.SetWriteBuffer(16 << 10)
		conn := wire.NewConn(near)
		conn.SetWriteTimeout(10 * time.Second)
		conn.SetReadTimeout(10 * time.Second)
		conn.SetPending(append(conn.Pending(), request...))
		done := make(chan bool, 1)
		go func() {
			got, err := answer(far, len(request), "reply")
			done <- err == nil && bytes.Equal(got, request)
		}()
		if err := conn.Ask(); err != nil {
			t.Fatal(err)
		}
		if !<-done {
			t.Error("the request did not arrive as it was sent")
		}
		if got := string(conn.Buffered()); !strings.HasPrefix("reply", got) || got == "" {
			t.Errorf("answered %q", got)
		}
		conn.Close()
	}
}

// TestWrite: whatever the sizes, what is written arrives whole and in order.
func TestWrite(t *testing.T) {
	both(t, func(t *testing.T, near, far net.Conn) {
		conn := wire.NewConn(near)
		conn.SetWriteTimeout(10 * time.Second)
		var want []byte
		got := make(chan []byte, 1)
		go func() {
			all, _ := io.ReadAll(far)
			got <- all
		}()
		for i, n := range []int{1, 100, wire.GatherLimit - 101, 1, wire.GatherLimit, wire.GatherLimit + 1, 0, 300 << 10, 5} {
			p := bytes.Repeat([]byte{byte('a' + i)}, n)
			want = append(want, p...)
			if err := conn.Write(p); err != nil {
				t.Fatal(err)
			}
			clear(p) // it is the caller's again
			if i%3 == 2 {
				if err := conn.Flush(); err != nil || conn.HasPending() {
					t.Fatal(err, conn.HasPending())
				}
			}
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if all := <-got; !bytes.Equal(all, want) {
			t.Errorf("%d bytes arrived, want %d; or others", len(all), len(want))
		}
	})
}

// TestDeadlines: timeouts fall into their windows, and need no new deadline while
// the one in force will do.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		conn := wire.NewConn(near)
		defer conn.Close()
		fill := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			if err := conn.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("timed out after %v, want %v", took, want)
			}
		}
		say := func() {
			t.Helper()
			go far.Write([]byte("x"))
			if err := conn.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		conn.SetReadWindow(10*time.Second, 15*time.Second)
		fill(15 * time.Second) // a new deadline is set as late as may be
		fill(15 * time.Second)
		say()
		time.Sleep(4 * time.Second)
		fill(11 * time.Second) // the one in force
		say()
		time.Sleep(6 * time.Second)
		fill(15 * time.Second) // it would be too early
		say()
		conn.SetReadWindow(time.Second, 2*time.Second)
		fill(2 * time.Second) // it would be too late
		conn.SetReadTimeout(20 * time.Second)
		fill(21 * time.Second)
		conn.SetReadTimeout(time.Hour)
		fill(time.Hour + time.Second)

		conn.SetReadTimeout(0)
		time.Sleep(time.Hour) // long after the last deadline
		say()
		conn.SetReadTimeout(1<<63 - 1) // must not overflow into the past
		say()

		conn.SetWriteTimeout(20 * time.Second)
		start := time.Now()
		conn.Write(make([]byte, 10))
		if err := conn.Flush(); err != wire.ErrStalled {
			t.Errorf("a write nobody reads: %v, want ErrStalled", err)
		}
		if took := time.Since(start); took != 21*time.Second {
			t.Errorf("the write timed out after %v", took)
		}
		if conn.HasPending() {
			t.Error("what was written in part is still pending")
		}

		// A peer that is slow, but takes some of it each time, is waited for.
		want := bytes.Repeat([]byte("0123456789"), 4000)
		got := make(chan []byte, 1)
		go func() {
			var all []byte
			b := make([]byte, len(want)/4)
			for len(all) < 2*len(want) {
				time.Sleep(20 * time.Second)
				n, _ := far.Read(b)
				all = append(all, b[:n]...)
			}
			got <- all
		}()
		conn.Write(want[:10]) // gathered, and sent with the rest
		if err := conn.Write(want[10:]); err != nil {
			t.Errorf("a write that gets on, of two parts: %v", err)
		}
		if err := conn.Write(want); err != nil {
			t.Errorf("a write that gets on: %v", err)
		}
		if all := <-got; !bytes.Equal(all, append(want, want...)) {
			t.Errorf("what a slow peer took is not what was written: %d bytes", len(all))
		}
	})
}

// slow is a socket whose first deadline for writing passes soon; its peer takes a
// little meanwhile. Once another one is set, its peer reads on.
type slow struct {
	*net.TCPConn
	sip, read func()
	set       int
}

func (s *slow) SetWriteDeadline(at time.Time) error {
	if s.set++; s.set == 1 {
		s.sip()
		at = time.Now().Add(20 * time.Millisecond)
	} else if s.set == 2 {
		s.read()
	}
	return s.TCPConn.SetWriteDeadline(at)
}

// TestWriteGoesOn: a write whose time passes goes on if the peer took some of it,
// and nothing is lost or sent twice; if it took nothing the write has failed.
func TestWriteGoesOn(t *testing.T) {
	content := make([]byte, 16<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	for _, gathered := range []int{0, 100} {
		near, far := tcpPair(t)
		got := make(chan []byte, 1)
		sip := make([]byte, 1<<20)
		conn := wire.NewConn(&slow{TCPConn: near, sip: func() { io.ReadFull(far, sip) }, read: func() {
			go func() {
				rest, _ := io.ReadAll(far)
				got <- append(sip, rest...)
			}()
		}})
		conn.SetWriteTimeout(10 * time.Second)
		if gathered > 0 {
			conn.Write(content[:gathered])
		}
		if err := conn.Write(content[gathered:]); err != nil {
			t.Fatalf("with %d bytes gathered: %v", gathered, err)
		}
		if set := conn.Net().(*slow).set; set < 2 {
			t.Errorf("with %d bytes gathered: the write did not time out", gathered)
		}
		conn.Close()
		if all := <-got; !bytes.Equal(all, content) {
			t.Errorf("with %d bytes gathered: %d bytes arrived, want %d; or others", gathered, len(all), len(content))
		}
	}

	near, _ := tcpPair(t)
	conn := wire.NewConn(near)
	conn.SetWriteTimeout(20 * time.Millisecond)
	if err := conn.Write(content); err != wire.ErrStalled {
		t.Errorf("a peer that never reads: %v, want ErrStalled", err)
	}
	conn.Close()
}

// overtaken is a connection on which every deadline is set just after an
// Interrupt, and so undoes it.
type overtaken struct {
	net.Conn
	interrupt func()
}

func (o *overtaken) SetReadDeadline(at time.Time) error {
	if at.After(time.Unix(1, 0)) && o.interrupt != nil {
		interrupt := o.interrupt
		o.interrupt = nil
		interrupt()
	}
	return o.Conn.SetReadDeadline(at)
}

// TestInterruptOvertaken: an Interrupt holds until Rearm even if a deadline is
// set at the same moment.
func TestInterruptOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		o := &overtaken{Conn: near}
		conn := wire.NewConn(o)
		defer conn.Close()
		o.interrupt = conn.Interrupt
		conn.SetReadTimeout(time.Hour)
		start := time.Now()
		for range 3 {
			if err := conn.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("interrupted reads waited %v", took)
		}
		conn.Rearm()
		go far.Write([]byte("x"))
		if err := conn.Fill(); err != nil {
			t.Errorf("after Rearm: %v", err)
		}
	})
}

// TestInterrupt: whenever it comes, the read that waits fails, so does the next
// one, and after Rearm reading goes on.
func TestInterrupt(t *testing.T) {
	both(t, func(t *testing.T, near, far net.Conn) {
		conn := wire.NewConn(near)
		defer conn.Close()
		rounds := 2000
		if testing.Short() {
			rounds = 200
		}
		var far1 sync.WaitGroup
		for i := range rounds {
			// Each second round has to move the deadline.
			conn.SetReadTimeout(time.Duration(1+i%2) * time.Hour)
			var interrupting sync.WaitGroup
			interrupting.Go(func() {
				for range i % 50 {
					runtime.Gosched()
				}
				conn.Interrupt()
			})
			for range 2 {
				if err := conn.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("round %d: %v", i, err)
				}
			}
			interrupting.Wait()
			conn.Rearm()
			far1.Go(func() { far.Write([]byte{'x'}) })
			if err := conn.Fill(); err != nil || string(conn.Buffered()) != "x" {
				t.Fatalf("round %d, after Rearm: %q, %v", i, conn.Buffered(), err)
			}
			conn.Discard(1)
			far1.Wait()
		}
	})
}

// TestIdleMemory: a connection that waits costs next to nothing: no buffer.
func TestIdleMemory(t *testing.T) {
	const n = 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*n+100 {
		t.Skipf("%d file descriptors are too few", limit.Cur)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what a pool keeps survives one
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var waiting sync.WaitGroup
	var conns []*wire.Conn
	var far []net.Conn
	before := heap()
	for range n {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		far = append(far, accepted)
		conn := wire.NewConn(nc)
		conns = append(conns, conn)
		waiting.Go(func() {
			if err := conn.Fill(); err != nil { // one byte comes and goes
				t.Error(err)
				return
			}
			conn.Discard(1)
			conn.Release()
			conn.Fill() // until it is closed
		})
		accepted.Write([]byte("x"))
	}
	const most = 4 << 10 // both ends' structures; a buffer alone is 16 KiB
	var each int64
	for range 50 {
		if each = (heap() - before) / n; each < most {
			break
		}
		time.Sleep(100 * time.Millisecond) // not all of them wait yet
	}
	if each >= most {
		t.Errorf("a waiting connection costs %d bytes of heap, want less than %d", each, most)
	}
	t.Logf("%d bytes of heap per connection, both ends", each)
	for _, nc := range far {
		nc.Close()
	}
	waiting.Wait()
	for _, conn := range conns {
		conn.Close()
	}
}

// TestRoundTripAllocations: asking and being answered over a socket allocates
// nothing.
func TestRoundTripAllocations(t *testing.T) {
	near, far := tcpPair(t)
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 100)
		for {
			if _, err := far.Read(b); err != nil {
				return
			}
			far.Write(b[:5])
		}
	})
	conn := wire.NewConn(near)
	conn.SetReadTimeout(time.Minute)
	conn.SetWriteTimeout(time.Minute)
	got := testing.AllocsPerRun(200, func() {
		conn.SetPending(append(conn.Pending(), "request"...))
		if err := conn.Ask(); err != nil {
			t.Fatal(err)
		}
		conn.Discard(len(conn.Buffered()))
		conn.Release()
	})
	conn.Close()
	serving.Wait()
	if got >= 1 {
		t.Errorf("a round trip allocates %v times, want 0", got)
	}
}
