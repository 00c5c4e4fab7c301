package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

// describeResponse says what a response was understood to be, in one line.
func describeResponse(r *wire.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q 1.%d", r.Status, r.Reason, r.Minor)
	switch r.Framing {
	case wire.NoBody:
		if r.Length >= 0 {
			fmt.Fprintf(&b, " announces %d", r.Length)
		}
	case wire.Sized:
		fmt.Fprintf(&b, " sized %d", r.Length)
	case wire.Chunked:
		b.WriteString(" chunked")
	case wire.UntilClose:
		b.WriteString(" until close")
	}
	if !r.KeepAlive {
		b.WriteString(" close")
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&b, " upgrade=%s", r.Upgrade)
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; !r.HopByHop(f) {
			fmt.Fprintf(&b, " [%s: %s]", f.Name, f.Value)
		}
	}
	return b.String()
}

func parseResponse(head string, toHead bool, lim wire.Limits) (string, int) {
	var r wire.Response
	n, err := r.Parse([]byte(head), toHead, lim)
	switch {
	case err != nil:
		return refusal(err), 0
	case n == 0:
		return "more", 0
	}
	return describeResponse(&r), n
}

func dripResponse(head string, toHead bool, lim wire.Limits) (string, int) {
	var r wire.Response
	b := []byte(head)
	for i := range len(b) + 1 {
		n, err := r.Parse(b[:i:i], toHead, lim)
		if err != nil {
			return refusal(err), 0
		}
		if n > 0 {
			return describeResponse(&r), n
		}
	}
	return "more", 0
}

// responses are heads, and what has to be understood of them or the refusal.
// Those whose name begins with HEAD answer a HEAD request.
var responses = []struct {
	name, head, want string
}{
	{"content-length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", `200 "OK" 1.1 sized 5 [A: b]`},
	{"content-length of 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.1 sized 0`},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", `200 "OK" 1.1 chunked`},
	{"until close", "HTTP/1.1 200 OK\r\n\r\n", `200 "OK" 1.1 until close close`},
	{"until close, whatever is promised", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", `200 "OK" 1.1 until close close`},
	{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.1 sized 5 close`},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.0 sized 5 close`},
	{"HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.0 sized 5`},
	{"close wins", "HTTP/1.0 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.0 sized 5 close`},
	{"later minor version", "HTTP/1.3 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.1 sized 5`},
	{"no reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", `200 "" 1.1 sized 5`},
	{"no reason and no space", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", `200 "" 1.1 sized 5`},
	{"reason of several words", "HTTP/1.1 404 Not \tfo\xfcnd\r\nContent-Length: 5\r\n\r\n", `404 "Not \tfo\xfcnd" 1.1 sized 5`},
	{"unknown status", "HTTP/1.1 599 x\r\nContent-Length: 5\r\n\r\n", `599 "x" 1.1 sized 5`},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", `204 "No Content" 1.1`},
	{"204 with a length of 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", `204 "No Content" 1.1`},
	{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", `304 "Not Modified" 1.1`},
	{"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", `304 "Not Modified" 1.1 announces 5`},
	{"304 with a coding", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", `304 "Not Modified" 1.1`},
	{"HEAD", "HTTP/1.1 200 OK\r\n\r\n", `200 "OK" 1.1`},
	{"HEAD with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.1 announces 5`},
	{"HEAD with a coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `200 "OK" 1.1`},
	{"HEAD in HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.0 announces 5 close`},
	{"100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", `100 "Continue" 1.1`},
	{"103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", `103 "Early Hints" 1.1 [Link: </a>]`},
	{"101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", `101 "Switching Protocols" 1.1 upgrade=websocket`},
	{"101 without a connection field", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", `101 "x" 1.1`},
	{"101 to two protocols", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n", `101 "x" 1.1`},
	{"101 to HTTP/2", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", `101 "x" 1.1`},
	{"101 in HTTP/1.0", "HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", `101 "x" 1.0 close`},
	{"upgrade offered", "HTTP/1.1 426 x\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n", `426 "x" 1.1 sized 5`},
	{"nominated fields", "HTTP/1.1 200 OK\r\nConnection: X-a\r\nx-A: b\r\nC: d\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.1 sized 5 [C: d]`},
	{"known hop-by-hop fields", "HTTP/1.1 200 OK\r\nKeep-Alive: a\r\nProxy-Connection: b\r\nProxy-Authenticate: c\r\nContent-Length: 5\r\n\r\n", `200 "OK" 1.1 sized 5`},

	{"nothing", "", "more"},
	{"the first letters", "HTTP/", "more"},
	{"half a line", "HTTP/1.1 20", "more"},
	{"fields missing", "HTTP/1.1 200 OK\r\nA: b\r\n", "more"},

	{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "400 malformed status line"},
	{"another protocol, no line end", "\x15\x03\x01", "400 malformed status line"},
	{"empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", "400 malformed status line"},
	{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", "400 malformed status line"},
	{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "400 malformed status line"},
	{"lower case", "http/1.1 200 OK\r\n\r\n", "400 malformed status line"},
	{"two digits", "HTTP/1.1 20 OK\r\n\r\n", "400 malformed status line"},
	{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", "400 malformed status line"},
	{"letters", "HTTP/1.1 abc OK\r\n\r\n", "400 malformed status line"},
	{"status 99", "HTTP/1.1 099 OK\r\n\r\n", "400 malformed status line"},
	{"status 600", "HTTP/1.1 600 OK\r\n\r\n", "400 malformed status line"},
	{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", "400 malformed status line"},
	{"no space before the reason", "HTTP/1.1 200OK\r\n\r\n", "400 malformed status line"},
	{"CR in a reason", "HTTP/1.1 200 O\rK\r\n\r\n", "400 malformed status line"},
	{"NUL in a reason", "HTTP/1.1 200 O\x00K\r\n\r\n", "400 malformed status line"},
	{"bare LF after the line", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", "400 a line ends in LF without CR"},
	{"bare LF after a field", "HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n", "400 a line ends in LF without CR"},
	{"fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "400 a field is folded over several lines"},
	{"space before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", "400 malformed field name"},
	{"NUL in a value", "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", "400 a field value holds a control byte"},
	{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Content-Length beside Transfer-Encoding"},
	{"HEAD with length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Content-Length beside Transfer-Encoding"},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "400 more than one Content-Length"},
	{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "400 malformed Content-Length"},
	{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"two coding fields", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", "501 a transfer coding other than chunked"},
	{"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400 something behind the chunked transfer coding"},
	{"announcement that means nothing", "HTTP/1.1 200 OK\r\nTrailer: Content-Length\r\n\r\n", `200 "OK" 1.1 until close close`},
	{"announcement", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n", `200 "OK" 1.1 chunked [Trailer: X-A]`},
	{"two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", `501 a transfer coding other than chunked`},
	{"announced length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n", `400 malformed Trailer, or it announces what may not be a trailer`},
	{"connection nominates an end-to-end field", "HTTP/1.1 200 OK\r\nConnection: Set-Cookie\r\nContent-Length: 5\r\n\r\n", `400 the Connection field nominates an end-to-end field`},
	{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Transfer-Encoding in HTTP/1.0"},
	{"malformed connection", "HTTP/1.1 200 OK\r\nConnection: a/b\r\n\r\n", "400 malformed Connection field"},
	{"100 with content", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", "400 content is announced in a response that has none"},
	{"101 with content", "HTTP/1.1 101 x\r\nTransfer-Encoding: chunked\r\n\r\n", "400 content is announced in a response that has none"},
	{"204 with content", "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", "400 content is announced in a response that has none"},
	{"204 with a coding", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", "400 content is announced in a response that has none"},
	{"too many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 5) + "\r\n", "431 too many fields"},
	{"endless reason", "HTTP/1.1 200 " + strings.Repeat("a", 187), "431 the head is too large"},
	{"head too large", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 177) + "\r\n\r\n", "431 the head is too large"},
}

// TestResponse parses each head at once and byte by byte, which must not differ.
func TestResponse(t *testing.T) {
	for _, c := range responses {
		t.Run(c.name, func(t *testing.T) {
			toHead := strings.HasPrefix(c.name, "HEAD")
			got, n := parseResponse(c.head, toHead, small)
			if got != c.want {
				t.Errorf("at once: %q\n   want: %q", got, c.want)
			}
			if whole := strings.Index(c.head, "\r\n\r\n") + 4; n > 0 && n != whole {
				t.Errorf("the head was taken to have %d bytes, it has %d", n, whole)
			}
			drip, dripped := dripResponse(c.head, toHead, small)
			if drip != c.want || dripped != n {
				t.Errorf("byte by byte: %q (%d bytes)\n        want: %q (%d bytes)", drip, dripped, c.want, n)
			}
		})
	}
}

var typicalResponse = []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 18:00:00 GMT\r\n" +
	"Content-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\nConnection: keep-alive\r\n" +
	"Vary: Accept-Encoding\r\nCache-Control: private, max-age=0\r\nX-Frame-Options: DENY\r\n\r\nhello")

func TestResponseAllocations(t *testing.T) {
	var r wire.Response
	encoded := make([]byte, 0, 2048)
	got := testing.AllocsPerRun(100, func() {
		if n, err := r.Parse(typicalResponse, false, wire.DefaultLimits); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		for i := range r.Fields {
			r.HopByHop(&r.Fields[i])
		}
		encoded = wire.AppendResponse(encoded[:0], &r, 1)
	})
	if got != 0 {
		t.Errorf("parsing and encoding a typical response allocates %v times, want 0", got)
	}
}

func BenchmarkResponse(b *testing.B) {
	var r wire.Response
	for b.Loop() {
		r.Parse(typicalResponse, false, wire.DefaultLimits)
	}
}
