//go:build linux

package wire_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"go-loadbalancer/lb/wire"
)

// carry splices a body from one connection to another until it ends.
func carry(body *wire.Body, dst *wire.Conn, pipe *wire.Pipe) error {
	for {
		if body.Spliceable() > 0 {
			if _, err := body.Splice(pipe); err != nil {
				return err
			}
			if err := dst.WritePipe(pipe); err != nil {
				return err
			}
			continue
		}
		piece, err := body.Next()
		if err != nil {
			return err
		}
		if err := dst.Write(piece); err != nil {
			return err
		}
	}
}

// TestSplice carries a body whose beginning is buffered already.
func TestSplice(t *testing.T) {
	var pipes wire.Pipes
	defer pipes.Close()
	content := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	near, source := tcpPair(t)
	sink, far := tcpPair(t)
	go func() {
		for rest := append(content, "next"...); len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(100_000))
			source.Write(rest[:n])
			rest = rest[n:]
		}
	}()
	received := make(chan []byte)
	go func() {
		b := make([]byte, len(content)+4)
		io.ReadFull(far, b)
		received <- b
	}()
	src, dst := wire.NewConn(near), wire.NewConn(sink)
	if err := src.Fill(); err != nil {
		t.Fatal(err)
	}
	dst.SetPending(append(dst.Pending(), "head"...))
	var body wire.Body
	body.Reset(src, wire.Sized, int64(len(content)))
	if n := body.Spliceable(); n != 0 {
		t.Errorf("%d bytes are spliceable before what is buffered was read", n)
	}
	pipe := pipes.Get()
	if err := carry(&body, dst, pipe); err != io.EOF {
		t.Fatal(err)
	}
	pipes.Put(pipe)
	if n := body.BytesRead(); n != int64(len(content)) {
		t.Errorf("%d bytes read, want %d", n, len(content))
	}
	if got := <-received; !bytes.Equal(got, append([]byte("head"), content...)) {
		t.Error("what came is not what was sent")
	}
	for len(src.Buffered()) < 4 {
		if err := src.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	if string(src.Buffered()) != "next" {
		t.Errorf("behind the body is %q", src.Buffered())
	}
}

// TestSpliceBreaks ends the source before the body's end, and has the sink take
// nothing.
func TestSpliceBreaks(t *testing.T) {
	var pipes wire.Pipes
	defer pipes.Close()
	const length = 64 << 20 // more than the sockets' buffers
	for _, c := range []struct {
		name string
		do   func(src, dst *wire.Conn, source, far *net.TCPConn)
		want error
	}{
		{"the source ends", func(_, _ *wire.Conn, source, far *net.TCPConn) {
			go io.Copy(io.Discard, far)
			source.Write(make([]byte, 1000))
			source.CloseWrite()
		}, io.ErrUnexpectedEOF},
		{"the source is silent", func(src, _ *wire.Conn, source, far *net.TCPConn) {
			go io.Copy(io.Discard, far)
			src.SetReadTimeout(time.Millisecond)
			source.Write(make([]byte, 1000))
		}, os.ErrDeadlineExceeded},
		{"the source is interrupted", func(src, _ *wire.Conn, _, _ *net.TCPConn) {
			src.Interrupt()
		}, os.ErrDeadlineExceeded},
		{"the sink takes nothing", func(_, dst *wire.Conn, source, _ *net.TCPConn) {
			dst.SetWriteTimeout(time.Millisecond)
			go source.Write(make([]byte, length))
		}, wire.ErrStalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, source := tcpPair(t)
			sink, far := tcpPair(t)
			src, dst := wire.NewConn(near), wire.NewConn(sink)
			c.do(src, dst, source, far)
			var body wire.Body
			body.Reset(src, wire.Sized, length)
			pipe := pipes.Get()
			defer pipes.Put(pipe)
			if err := carry(&body, dst, pipe); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestPipes: pipes are used again, unless something is left in them; there are
// only so many; and none is left open.
func TestPipes(t *testing.T) {
	before := descriptors(t)
	var pipes wire.Pipes
	var lent []*wire.Pipe
	for {
		pipe := pipes.Get()
		if pipe == nil {
			break
		}
		lent = append(lent, pipe)
	}
	if n := len(lent); n != 256 {
		t.Errorf("%d pipes were lent at once, want 256", n)
	}
	for i, pipe := range lent {
		if i == len(lent)/2 {
			if again := pipes.Get(); again != lent[i-1] {
				t.Error("a pipe is made where one could be lent again")
			}
			pipes.Put(lent[i-1])
		}
		pipes.Put(pipe)
	}
	if n := descriptors(t) - before; n != 2*4 {
		t.Errorf("%d descriptors are kept, want 8", n)
	}
	other, left := pipes.Get(), pipes.Get()
	near, source := tcpPair(t)
	source.Write([]byte("left"))
	var body wire.Body
	body.Reset(wire.NewConn(near), wire.Sized, 4)
	if n, err := body.Splice(left); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	pipes.Put(left)
	if pipe := pipes.Get(); pipe == left || pipe.Len() > 0 {
		t.Error("a pipe that was not empty is lent again")
	} else {
		pipes.Put(pipe)
	}
	pipes.Put(other)
	pipes.Close()
	if pipes.Get() != nil {
		t.Error("a pipe is lent once all is over")
	}
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
