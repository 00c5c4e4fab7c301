package wire_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

// TestBody reads bodies of each framing out of connections that end, or do not.
func TestBody(t *testing.T) {
	reset := errors.New("connection reset")
	for _, c := range []struct {
		name    string
		framing wire.Framing
		length  int64
		in      string
		end     error // of the connection
		want    string
		err     error
	}{
		{"none", wire.NoBody, 0, "next", nil, "", io.EOF},
		{"sized", wire.Sized, 5, "hello", nil, "hello", io.EOF},
		{"sized, more behind", wire.Sized, 5, "hello, next", nil, "hello", io.EOF},
		{"sized 0", wire.Sized, 0, "next", nil, "", io.EOF},
		{"sized, ends early", wire.Sized, 6, "hello", nil, "hello", io.ErrUnexpectedEOF},
		{"sized, ends at once", wire.Sized, 6, "", nil, "", io.ErrUnexpectedEOF},
		{"sized, broken", wire.Sized, 6, "hello", reset, "hello", reset},
		{"sized, broken at its end", wire.Sized, 5, "hello", reset, "hello", io.EOF},
		{"until close", wire.UntilClose, -1, "hello", nil, "hello", io.EOF},
		{"until close, empty", wire.UntilClose, -1, "", nil, "", io.EOF},
		{"until close, broken", wire.UntilClose, -1, "hello", reset, "hello", reset},
		{"chunked, broken", wire.Chunked, -1, "5\r\nhello\r\n0\r\n", reset, "hello", reset},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := wire.NewConn(&pieces{left: cut(c.in, 1, 3), end: c.end})
			defer conn.Close()
			var body wire.Body
			body.Reset(conn, c.framing, c.length)
			var got []byte
			var err error
			for err == nil {
				var piece []byte
				piece, err = body.Next()
				got = append(got, piece...)
			}
			if string(got) != c.want || err != c.err {
				t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
			}
			if body.Done() != (c.err == io.EOF) {
				t.Errorf("Done: %v", body.Done())
			}
			if _, again := body.Next(); again != c.err {
				t.Errorf("the error does not stick: %v after %v", again, c.err)
			}
		})
	}
}

// TestBodyZero: the zero value is an empty body.
func TestBodyZero(t *testing.T) {
	var body wire.Body
	if !body.Done() || !body.Buffered() || body.Trailers() != nil || body.Length() != 0 {
		t.Error("the zero body is not empty")
	}
	if content, ok := body.Whole(); !ok || len(content) > 0 {
		t.Error("the zero body is not whole")
	}
	if _, err := body.Next(); err != io.EOF {
		t.Error(err)
	}
}

// TestBodyTimeout: after a timeout the body goes on where it was.
func TestBodyTimeout(t *testing.T) {
	for _, framing := range []wire.Framing{wire.Sized, wire.Chunked, wire.UntilClose} {
		first, second := "hel", "lo"
		if framing == wire.Chunked {
			first, second = "5\r\nhel", "lo\r\n0\r\n\r\n"
		}
		source := &pieces{left: cut(first), end: os.ErrDeadlineExceeded}
		conn := wire.NewConn(source)
		var body wire.Body
		body.Reset(conn, framing, 5)
		got, err := body.Next()
		if string(got) != "hel" || err != nil {
			t.Fatalf("framing %d: %q, %v", framing, got, err)
		}
		for range 2 {
			if _, err = body.Next(); !errors.Is(err, os.ErrDeadlineExceeded) || body.Done() {
				t.Fatalf("framing %d: %v, done %v", framing, err, body.Done())
			}
		}
		source.left, source.end = cut(second), io.EOF
		if got, err = body.Next(); string(got) != "lo" || err != nil {
			t.Errorf("framing %d, after the timeout: %q, %v", framing, got, err)
		}
		if _, err = body.Next(); err != io.EOF {
			t.Errorf("framing %d, at the end: %v", framing, err)
		}
		conn.Close()
	}
}

func TestBodyWhole(t *testing.T) {
	for _, c := range []struct {
		name    string
		framing wire.Framing
		length  int64
		in      string
		whole   bool
	}{
		{"all of it", wire.Sized, 5, "hello", true},
		{"more than that", wire.Sized, 5, "hello, next", true},
		{"less", wire.Sized, 5, "hell", false},
		{"empty", wire.Sized, 0, "hell", true},
		{"none", wire.NoBody, 0, "hell", true},
		{"chunked", wire.Chunked, 0, "5\r\nhello\r\n0\r\n\r\n", false},
	} {
		conn := wire.NewConn(&pieces{left: cut("x" + c.in)})
		if err := conn.Fill(); err != nil {
			t.Fatal(err)
		}
		conn.Discard(1)
		var body wire.Body
		body.Reset(conn, c.framing, c.length)
		content, whole := body.Whole()
		if want := c.in[:min(len(c.in), int(c.length))]; whole != c.whole || whole && string(content) != want {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, content, whole, want, c.whole)
		}
		if again, _ := body.Whole(); !bytes.Equal(again, content) {
			t.Errorf("%s: Whole consumes: %q, then %q", c.name, content, again)
		}
		body.Next()
		if _, whole := body.Whole(); whole || !body.Started() {
			t.Errorf("%s: still whole once begun", c.name)
		}
		conn.Close()
	}
}

// TestHold: a held head stays as it is while a body larger than every buffer is
// read behind it, wherever in the buffer the head ends, its very end included.
func TestHold(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 300<<10)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	const small, large = 16 << 10, 64 << 10
	for _, before := range []int{0, 100} { // a head that was served before
		for _, size := range []int{1, 100, small - leastRoomAbout, small - 101, small - 100, small - 2, small - 1, small,
			small + 1, large - 5000, large - 101, large - 100, large - 1, large} {
			if before+size > large {
				continue
			}
			head := bytes.Repeat([]byte{'h'}, size)
			stream := append(append(bytes.Repeat([]byte{'b'}, before), head...), content...)
			conn := wire.NewConn(&pieces{left: [][]byte{stream[:before+size], stream[before+size:]}})
			for len(conn.Buffered()) < before+size {
				if err := conn.Fill(); err != nil {
					t.Fatalf("head of %d behind %d: %v", size, before, err)
				}
			}
			conn.Discard(before)
			held := conn.Buffered()[:size]
			conn.Discard(size)
			var body wire.Body
			body.Reset(conn, wire.Sized, int64(len(content)))
			conn.Hold()
			var got []byte
			reads := 0
			for {
				piece, err := body.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("head of %d behind %d, after %d bytes: %v", size, before, len(got), err)
				}
				got = append(got, piece...)
				reads++
			}
			if !bytes.Equal(got, content) {
				t.Errorf("head of %d behind %d: the content has changed", size, before)
			}
			if !bytes.Equal(held, head) {
				t.Errorf("head of %d behind %d: the held head has changed", size, before)
			}
			if most := len(content)/(2<<10) + 1; reads > most {
				t.Errorf("head of %d behind %d: content read in %d pieces, want at most %d", size, before, reads, most)
			}
			conn.Unhold()
			conn.Close()
		}
	}
}

// leastRoomAbout is about what has to be left behind a held head to be read into.
const leastRoomAbout = 4 << 10

// TestWholeBehindHeldHead: a body that is whole stays where it is, behind a held
// head, while more is read, so that it can be sent a second time; and it is still
// there to be read.
func TestWholeBehindHeldHead(t *testing.T) {
	for _, size := range []int{1, 9000, 12288, 12289, 16000} {
		for _, length := range []int{1, 16<<10 - 16000, 3000, 16 << 10, 40 << 10} {
			content := bytes.Repeat([]byte("0123456789"), length/10+1)[:length]
			more := bytes.Repeat([]byte{'m'}, 10000)
			source := &pieces{left: [][]byte{append(bytes.Repeat([]byte{'h'}, size), content...)}}
			conn := wire.NewConn(source)
			for len(conn.Buffered()) < size+length {
				if err := conn.Fill(); err != nil {
					t.Fatal(err)
				}
			}
			held := conn.Buffered()[:size]
			conn.Discard(size)
			var body wire.Body
			body.Reset(conn, wire.Sized, int64(length))
			first, whole := body.Whole()
			conn.Hold()
			if !whole {
				t.Fatalf("%d bytes behind a head of %d are not whole", length, size)
			}
			check := func(when string) {
				t.Helper()
				if !bytes.Equal(first, content) || len(bytes.Trim(held, "h")) > 0 {
					t.Errorf("%d bytes behind a head of %d have changed %s", length, size, when)
				}
			}
			source.end = os.ErrDeadlineExceeded
			if err := conn.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			check("when a read timed out")
			if again, _ := body.Whole(); !bytes.Equal(again, content) {
				t.Errorf("%d bytes behind a head of %d are not whole any more", length, size)
			}
			source.left = [][]byte{more}
			if err := conn.Fill(); err != nil {
				t.Fatal(err)
			}
			check("when more was read")
			if err := compare(&body, content); err != nil {
				t.Errorf("%d bytes behind a head of %d: %v", length, size, err)
			}
			check("when they were read")
			if rest := conn.Buffered(); len(rest) == 0 || len(bytes.Trim(rest, "m")) > 0 {
				t.Errorf("behind %d bytes behind a head of %d: %d others", length, size, len(rest))
			}
			conn.Unhold()
			conn.Close()
		}
	}
}

// TestTrailersBehindHeldHead: what must be whole in memory finds room though a
// held head fills most of the buffer.
func TestTrailersBehindHeldHead(t *testing.T) {
	for _, size := range []int{100, 9000, 12000, 16000} {
		trailer := "A: " + strings.Repeat("t", 7000)
		in := "0\r\n" + trailer + "\r\n\r\n"
		var at []int
		for i := 500; i < len(in); i += 500 {
			at = append(at, i)
		}
		conn := wire.NewConn(&pieces{left: append([][]byte{bytes.Repeat([]byte{'h'}, size)}, cut(in, at...)...)})
		if err := conn.Fill(); err != nil {
			t.Fatal(err)
		}
		conn.Discard(size)
		conn.Hold()
		var body wire.Body
		body.Reset(conn, wire.Chunked, 0)
		if _, err := body.Next(); err != io.EOF {
			t.Fatalf("head of %d: %v", size, err)
		}
		f := body.Trailers()
		if len(f) != 1 || len(f[0].Value) != 7000 || strings.Trim(string(f[0].Value), "t") != "" {
			t.Errorf("head of %d: trailers %v", size, f)
		}
		conn.Unhold()
		conn.Close()
	}
}

// TestBufferFull: what does not fit the large buffer is refused, not grown for.
func TestBufferFull(t *testing.T) {
	conn := wire.NewConn(&pieces{left: [][]byte{make([]byte, 1<<20)}})
	defer conn.Close()
	for {
		err := conn.Fill()
		if err == wire.ErrBufferFull {
			break
		}
		if err != nil || len(conn.Buffered()) > 64<<10 {
			t.Fatalf("%d bytes, %v", len(conn.Buffered()), err)
		}
	}
	if len(conn.Buffered()) != 64<<10 {
		t.Errorf("full with %d bytes", len(conn.Buffered()))
	}
}
