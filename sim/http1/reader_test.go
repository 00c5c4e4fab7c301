package http1_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"go-loadbalancer/sim/http1"
)

// What a response is, is known however its bytes come.
func TestResponses(t *testing.T) {
	whole := string(http1.AppendPattern(nil, 0, 20))
	for name, tt := range map[string]struct {
		text, method string
		status       int
		size         int64
		err          error
		left         int
	}{
		"length":        {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + whole, "GET", 200, 20, nil, 0},
		"more":          {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + whole + "HTTP", "GET", 200, 20, nil, 4},
		"short":         {"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n" + whole, "GET", 200, 20, io.ErrUnexpectedEOF, 0},
		"chunks":        {"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n5;x\r\n" + whole[:5] + "\r\nF\r\n" + whole[5:] + "\r\n0\r\nA: b\r\n\r\n", "GET", 503, 20, nil, 0},
		"no last chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + whole + "\r\n", "GET", 200, 20, io.ErrUnexpectedEOF, 0},
		"bad chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET", 200, 0, http1.ErrMalformed, 0},
		"to the end":    {"HTTP/1.0 200 OK\r\n\r\n" + whole, "GET", 200, 20, nil, 0},
		"of a HEAD":     {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", "HEAD", 200, 0, nil, 0},
		"no content":    {"HTTP/1.1 204 No\r\n\r\n", "GET", 204, 0, nil, 0},
		"a large head":  {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 5000) + "\r\nContent-Length: 20\r\n\r\n" + whole, "GET", 200, 20, nil, 0},
		"half a head":   {"HTTP/1.1 200 OK\r\nContent", "GET", 0, 0, io.ErrUnexpectedEOF, 0},
		"nothing":       {"", "GET", 0, 0, io.EOF, 0},
		"no HTTP":       {"220 smtp ready\r\n\r\n", "GET", 0, 0, http1.ErrMalformed, 0},
		"an endless":    {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20_000), "GET", 0, 0, http1.ErrTooLarge, 0},
	} {
		for way, from := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			t.Run(name+" "+way, func(t *testing.T) {
				in := http1.NewReader(from(strings.NewReader(tt.text)))
				var check http1.Check
				status := 0
				head, err := in.Head()
				if err == nil {
					status, err = head.Status()
				}
				if err == nil {
					var framing http1.Framing
					if framing, err = head.ResponseBody(tt.method); err == nil {
						err = in.Body(framing, check.See)
					}
				}
				if status != tt.status || !errors.Is(err, tt.err) || check.Size != tt.size || check.Bad {
					t.Errorf("%d, %v, %+v", status, err, check)
				}
				if way == "at once" && err == nil && in.Buffered() != tt.left {
					t.Errorf("%d bytes are left", in.Buffered())
				}
			})
		}
	}
}

// A body that is not the pattern is seen, wherever it goes wrong.
func TestCheck(t *testing.T) {
	for at := range 50 {
		b := http1.AppendPattern(nil, 0, 50)
		b[at] ^= 1
		var check http1.Check
		check.See(b[:17])
		check.See(b[17:])
		if !check.Bad || check.Size != 50 {
			t.Errorf("wrong at %d: %+v", at, check)
		}
	}
}
