package load

import (
	"errors"
	"fmt"
	"testing"
)

func TestFramerResponses(t *testing.T) {
	for _, c := range []struct {
		name   string
		text   string
		status int
		body   int64
		close  bool
		err    error
	}{
		{name: "length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: 5},
		{name: "no body", text: "HTTP/1.1 503 No\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n", status: 503, close: true},
		{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1A;x=1\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", status: 200, body: 31},
		{name: "trailers", text: "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", status: 200, body: 1},
		{name: "no framing", text: "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", err: errNoFraming},
		{name: "no HTTP", text: "SSH-2.0-OpenSSH\r\n\r\n", err: errBadHead},
		{name: "bad length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", err: errBadHead},
		{name: "bad chunk size", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", err: errBadChunk},
		{name: "chunk too long", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", err: errBadChunk},
	} {
		// However the stream is cut, the message is the same.
		for _, size := range []int{1, 2, 3, 7, len(c.text)} {
			t.Run(fmt.Sprintf("%s by %d", c.name, size), func(t *testing.T) {
				f := framer{response: true}
				const next = "HTTP/1.1 "
				stream := []byte(c.text + next)
				taken, done := 0, false
				for at := 0; at < len(stream) && !done; at = taken {
					n, d, err := f.feed(stream[at:min(at+size, len(stream))])
					if err != nil || c.err != nil && d {
						if !errors.Is(err, c.err) {
							t.Fatalf("error %v, want %v", err, c.err)
						}
						return
					}
					taken, done = taken+n, d
				}
				if c.err != nil {
					t.Fatalf("no error; want %v", c.err)
				}
				if !done || taken != len(c.text) {
					t.Fatalf("done %v after %d bytes of %d", done, taken, len(c.text))
				}
				if f.status != c.status || f.body != c.body || f.close != c.close {
					t.Errorf("status %d, body %d, close %v; want %d, %d, %v", f.status, f.body, f.close, c.status, c.body, c.close)
				}
			})
		}
	}
}

func TestFramerRequests(t *testing.T) {
	var f framer
	stream := []byte("GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
	var targets []string
	for len(stream) > 0 {
		n, done, err := f.feed(stream)
		if err != nil || !done {
			t.Fatalf("done %v, %v", done, err)
		}
		targets = append(targets, string(f.target))
		stream = stream[n:]
	}
	if fmt.Sprint(targets) != "[/a /b]" || f.body != 3 {
		t.Errorf("targets %v, last body %d", targets, f.body)
	}
}

func TestFramerComparesBodies(t *testing.T) {
	f := framer{response: true, payload: []byte("hello")}
	if _, done, err := f.feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")); !done || err != nil {
		t.Errorf("the right body: done %v, %v", done, err)
	}
	f.reset()
	f.payload = []byte("hello")
	if _, _, err := f.feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhullo")); !errors.Is(err, errBadBody) {
		t.Errorf("a wrong body: %v, want %v", err, errBadBody)
	}
}

func TestFramerBoundsHeads(t *testing.T) {
	f := framer{response: true}
	part := make([]byte, 1<<10)
	for i := range part {
		part[i] = 'a'
	}
	for range 2 * maxHead / len(part) {
		if _, _, err := f.feed(part); err != nil {
			if !errors.Is(err, errHeadTooLong) {
				t.Errorf("error %v, want %v", err, errHeadTooLong)
			}
			return
		}
	}
	t.Error("an endless head was buffered")
}
