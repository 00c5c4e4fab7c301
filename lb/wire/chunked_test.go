package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/wire"
)

// pieces is a connection that is read in given pieces and then ends, by EOF or
// by end. It is no socket.
type pieces struct {
	net.Conn // nil
	left     [][]byte
	end      error
	reads    int
}

func (p *pieces) Read(b []byte) (int, error) {
	p.reads++
	if len(p.left) == 0 {
		if p.end != nil {
			return 0, p.end
		}
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }
func (p *pieces) Close() error                    { return nil }

// cut cuts s at each of the places.
func cut(s string, at ...int) [][]byte {
	var all [][]byte
	from := 0
	for _, i := range append(at, len(s)) {
		if i = min(i, len(s)); i > from {
			all = append(all, []byte(s[from:i]))
			from = i
		}
	}
	return all
}

// readBody reads a body that comes in pieces, to its end.
func readBody(framing wire.Framing, length int64, in ...[]byte) (content, trailers string, rest []byte, err error) {
	source := &pieces{left: in}
	conn := wire.NewConn(source)
	defer conn.Close()
	var body wire.Body
	body.Reset(conn, framing, length)
	var got bytes.Buffer
	for {
		ready, reads := body.Buffered(), source.reads
		piece, err := body.Next()
		if ready != (source.reads == reads) {
			return "", "", nil, fmt.Errorf("Buffered said %v of piece %q, error %v", ready, piece, err)
		}
		got.Write(piece)
		if err == nil && len(piece) == 0 {
			return "", "", nil, errors.New("an empty piece without an error")
		}
		if err != nil && err != io.EOF {
			return got.String(), "", nil, err
		}
		if err == io.EOF {
			if int64(got.Len()) != body.BytesRead() {
				return "", "", nil, fmt.Errorf("BytesRead %d of %d", body.BytesRead(), got.Len())
			}
			break
		}
	}
	var lines []string
	for _, f := range body.Trailers() {
		lines = append(lines, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
	if _, err := body.Next(); err != io.EOF {
		return "", "", nil, fmt.Errorf("after the end: %v", err)
	}
	rest = append(rest, conn.Buffered()...)
	for _, p := range source.left {
		rest = append(rest, p...)
	}
	return got.String(), strings.Join(lines, ", "), rest, nil
}

var chunkedGood = []struct{ name, in, content, trailers, rest string }{
	{"empty", "0\r\n\r\n", "", "", ""},
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", "", ""},
	{"several", "1\r\nh\r\n4\r\nello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", "hello0123456789abcdef", "", ""},
	{"hexadecimal of either case", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", "", ""},
	{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello", "", ""},
	{"extensions", "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "hello", "", ""},
	{"white space in extensions", "5; a = b ;\tc\r\nhello\r\n0; d=\"\"\r\n\r\n", "hello", "", ""},
	{"quoted extension", "5;a=\";\\\"=\xe9\";b\r\nhello\r\n0\r\n\r\n", "hello", "", ""},
	{"data that looks like framing", "9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n\r\n", "", ""},
	{"trailers", "5\r\nhello\r\n0\r\nX-Sum: 12\r\nServer-Timing: a \r\n\r\n", "hello", "X-Sum: 12, Server-Timing: a", ""},
	{"something behind", "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "hello", "", "GET / HTTP/1.1\r\n"},
	{"something behind trailers", "0\r\nA: b\r\n\r\n\r\n0\r\n\r\n", "", "A: b", "\r\n0\r\n\r\n"},
	{"longest size", "000000000000005\r\nhello\r\n0\r\n\r\n", "hello", "", ""},
	{"longest size line", "5;" + strings.Repeat("a", 252) + "\r\nhello\r\n0\r\n\r\n", "hello", "", ""},
}

// TestChunkedSplits: wherever a body is cut, the content is the same, and so is
// what is left behind it.
func TestChunkedSplits(t *testing.T) {
	for _, c := range chunkedGood {
		t.Run(c.name, func(t *testing.T) {
			check := func(how string, in ...[]byte) {
				t.Helper()
				content, trailers, rest, err := readBody(wire.Chunked, 0, in...)
				if err != nil || content != c.content || trailers != c.trailers || string(rest) != c.rest {
					t.Fatalf("%s: %q, trailers %q, rest %q, %v", how, content, trailers, rest, err)
				}
			}
			check("whole", []byte(c.in))
			each := make([]int, len(c.in))
			for i := range each {
				each[i] = i
			}
			check("byte by byte", cut(c.in, each...)...)
			if len(c.in) > 100 {
				return
			}
			for i := 1; i < len(c.in); i++ {
				check(fmt.Sprintf("cut at %d", i), cut(c.in, i)...)
				for j := i + 1; j < len(c.in); j++ {
					check(fmt.Sprintf("cut at %d and %d", i, j), cut(c.in, i, j)...)
				}
			}
		})
	}
}

var chunkedBad = []struct{ name, in, want string }{
	{"no size", "\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"no digits", ";a\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"not a number", "g\r\n", "400 malformed chunk"},
	{"0x5", "0x5\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"+5", "+5\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"-5", "-5\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"space before", " 5\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"space behind", "5 \r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"underscore", "1_0\r\n", "400 malformed chunk"},
	{"size of 16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"size that overflows", "10000000000000005\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"size that turns negative", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"bare LF after the size", "5\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"bare CR after the size", "5\rhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"bare LF after the data", "5\r\nhello\n0\r\n\r\n", "400 malformed chunk"},
	{"bare CR after the data", "5\r\nhello\r0\r\n\r\n", "400 malformed chunk"},
	{"nothing after the data", "5\r\nhello0\r\n\r\n", "400 malformed chunk"},
	{"other bytes for a line end", "5\r\nhelloab0\r\n\r\n", "400 malformed chunk"},
	{"data longer than said", "4\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"NUL in an extension", "5;\x00\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"empty extension", "5;\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"empty extension among others", "5;a;;b\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"white space for an extension", "5; \r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"extension of no token", "5;a b\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"extension with two values", "5;a=b=c\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"white space behind an extension", "5;a \r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"white space behind a value", "5;a=b \r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"quote that is not closed", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"quote around a line end", "5;a=\"\r\nx\"\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"quote that ends in a backslash", "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"something behind a quote", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"quote for a name", "5;\"a\"\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"bare CR in a quote", "5;a=\"b\rc\"\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"bare LF in a quote", "5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"NUL in a quote", "5;a=\"\\\x00\"\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"comma for a semicolon", "5,a\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"size line too long", "5;" + strings.Repeat("a", 253) + "\r\nhello\r\n0\r\n\r\n", "400 malformed chunk"},
	{"size line that does not end", "5;" + strings.Repeat("a", 300), "400 malformed chunk"},
	{"bare LF after the last chunk", "0\n\r\n", "400 malformed chunk"},
	{"bare LF at the end", "0\r\n\n", "400 malformed trailer section"},
	{"malformed trailer", "0\r\nA : b\r\n\r\n", "400 malformed trailer section"},
	{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", "400 malformed trailer section"},
	{"trailer that frames", "0\r\nContent-Length: 5\r\n\r\n", "400 malformed trailer section"},
	{"trailer that frames, too", "0\r\ntransfer-encoding: chunked\r\n\r\n", "400 malformed trailer section"},
	{"trailer that routes", "0\r\nHost: h\r\n\r\n", "400 malformed trailer section"},
	{"trailer of the connection", "0\r\nConnection: close\r\n\r\n", "400 malformed trailer section"},
	{"trailer that authorizes", "0\r\nA: b\r\nAuthorization: c\r\n\r\n", "400 malformed trailer section"},
	{"trailer that sets a cookie", "0\r\nSet-Cookie: a=b\r\n\r\n", "400 malformed trailer section"},
	{"trailer that is a condition", "0\r\nIf-Match: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer that ranges", "0\r\nrange: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer that dates", "0\r\nDate: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer that redirects", "0\r\nLocation: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer of HTTP/2", "0\r\nHTTP2-Settings: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer in disguise", "0\r\ncontent.length: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer that asks for a password", "0\r\nWWW-Authenticate: a\r\n\r\n", "400 malformed trailer section"},
	{"trailer that says who the client is", "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", "400 malformed trailer section"},
	{"too many trailers", "0\r\n" + strings.Repeat("A: b\r\n", 33) + "\r\n", "400 malformed trailer section"},
	{"too long a trailer", "0\r\nA: " + strings.Repeat("b", 9000) + "\r\n\r\n", "400 malformed trailer section"},
	{"a trailer that does not end", "0\r\nA: " + strings.Repeat("b", 9000), "400 malformed trailer section"},
}

func TestChunkedMalformed(t *testing.T) {
	for _, c := range chunkedBad {
		t.Run(c.name, func(t *testing.T) {
			for _, every := range []int{len(c.in), 1} {
				var at []int
				for i := every; i < len(c.in); i += every {
					at = append(at, i)
				}
				_, _, _, err := readBody(wire.Chunked, 0, cut(c.in, at...)...)
				if got := refusal(err); got != c.want {
					t.Errorf("in pieces of %d: %q, want %q", every, got, c.want)
				}
			}
		})
	}
}

// TestChunkedTruncated: a body that ends before its end is never taken for
// whole.
func TestChunkedTruncated(t *testing.T) {
	const whole = "5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"
	for i := range len(whole) {
		content, _, _, err := readBody(wire.Chunked, 0, cut(whole[:i])...)
		if err != io.ErrUnexpectedEOF || !strings.HasPrefix("helloabc", content) {
			t.Errorf("cut at %d: %q, %v, want io.ErrUnexpectedEOF", i, content, err)
		}
	}
}

func TestAppendChunked(t *testing.T) {
	var b []byte
	want := ""
	for _, n := range []int{1, 9, 10, 15, 16, 255, 256, 4096, 65535} {
		data := strings.Repeat("x", n)
		b = append(append(wire.AppendChunkHeader(b, n), data...), "\r\n"...)
		want += data
	}
	b = wire.AppendLastChunk(b, fields("A", "b"))
	content, trailers, rest, err := readBody(wire.Chunked, 0, b)
	if err != nil || content != want || trailers != "A: b" || len(rest) > 0 {
		t.Errorf("%d bytes, want %d; trailers %q; rest %q; %v", len(content), len(want), trailers, rest, err)
	}
}

func TestChunkedAllocations(t *testing.T) {
	in := []byte("5\r\nhello\r\n400\r\n" + strings.Repeat("x", 1024) + "\r\n0\r\n\r\n")
	source := &pieces{}
	conn := wire.NewConn(source)
	defer conn.Close()
	var body wire.Body
	left := [1][]byte{}
	got := testing.AllocsPerRun(100, func() {
		left[0] = in
		source.left = left[:]
		body.Reset(conn, wire.Chunked, 0)
		for {
			body.Buffered()
			if _, err := body.Next(); err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				return
			}
		}
	})
	if got != 0 {
		t.Errorf("reading a chunked body allocates %v times, want 0", got)
	}
}
