package wire_test

import (
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

func fields(pairs ...string) (f wire.Fields) {
	for i := 0; i < len(pairs); i += 2 {
		f = append(f, wire.Field{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return f
}

func TestAppendRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		r    wire.Request
		want string
	}{
		{"plain", wire.Request{Fields: fields("A", "b", "C", "")}, "M /t HTTP/1.1|Host: h|A: b|C: |"},
		{"sized", wire.Request{Framing: wire.Sized, Length: 12345678901}, "M /t HTTP/1.1|Host: h|Content-Length: 12345678901|"},
		{"an explicit zero", wire.Request{Framing: wire.Sized}, "M /t HTTP/1.1|Host: h|Content-Length: 0|"},
		{"chunked", wire.Request{Framing: wire.Chunked}, "M /t HTTP/1.1|Host: h|Transfer-Encoding: chunked|"},
		{"upgrade", wire.Request{Upgrade: []byte("websocket")}, "M /t HTTP/1.1|Host: h|Connection: upgrade|Upgrade: websocket|"},
		{"trailers", wire.Request{Trailers: true}, "M /t HTTP/1.1|Host: h|Connection: te|TE: trailers|"},
	} {
		c.r.Method, c.r.Target, c.r.Authority = []byte("M"), []byte("/t"), []byte("h")
		if got := strings.ReplaceAll(string(wire.AppendRequest([]byte("|"), &c.r)), "\r\n", "|"); got != "|"+c.want+"|" {
			t.Errorf("%s:\n got %s\nwant |%s|", c.name, got, c.want)
		}
	}
}

func TestAppendResponse(t *testing.T) {
	ok := func(f wire.Framing, length int64) wire.Response {
		return wire.Response{Status: 200, Framing: f, Length: length, KeepAlive: true}
	}
	with := func(r wire.Response, change func(*wire.Response)) wire.Response {
		change(&r)
		return r
	}
	for _, c := range []struct {
		name  string
		r     wire.Response
		minor uint8
		want  string
	}{
		{"sized", ok(wire.Sized, 5), 1, "HTTP/1.1 200 OK|Content-Length: 5|"},
		{"reason and fields", with(ok(wire.Sized, 0), func(r *wire.Response) { r.Reason = []byte("Fine"); r.Fields = fields("A", "b") }), 1,
			"HTTP/1.1 200 Fine|A: b|Content-Length: 0|"},
		{"chunked", ok(wire.Chunked, -1), 1, "HTTP/1.1 200 OK|Transfer-Encoding: chunked|"},
		{"until close", with(ok(wire.UntilClose, -1), func(r *wire.Response) { r.KeepAlive = false }), 0, "HTTP/1.1 200 OK|Connection: close|"},
		{"HTTP/1.0 keep-alive", ok(wire.Sized, 5), 0, "HTTP/1.1 200 OK|Content-Length: 5|Connection: keep-alive|"},
		{"to HEAD", ok(wire.NoBody, 5), 1, "HTTP/1.1 200 OK|Content-Length: 5|"},
		{"to HEAD, length not known", ok(wire.NoBody, -1), 1, "HTTP/1.1 200 OK|"},
		{"304", with(ok(wire.NoBody, -1), func(r *wire.Response) { r.Status = 304 }), 1, "HTTP/1.1 304 Not Modified|"},
		{"204 never has a length", with(ok(wire.NoBody, 0), func(r *wire.Response) { r.Status = 204 }), 1, "HTTP/1.1 204 No Content|"},
		{"interim", wire.Response{Status: 103, Fields: fields("A", "b")}, 1, "HTTP/1.1 103 Early Hints|A: b|"},
		{"switching", wire.Response{Status: 101, Upgrade: []byte("websocket")}, 1, "HTTP/1.1 101 Switching Protocols|Connection: upgrade|Upgrade: websocket|"},
		{"unknown status", with(ok(wire.Sized, 0), func(r *wire.Response) { r.Status = 299 }), 1, "HTTP/1.1 299 |Content-Length: 0|"},
	} {
		if got := strings.ReplaceAll(string(wire.AppendResponse(nil, &c.r, c.minor)), "\r\n", "|"); got != c.want+"|" {
			t.Errorf("%s:\n got %s\nwant %s|", c.name, got, c.want)
		}
	}
}
