package wire_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

// FuzzRequest: parsing never panics; a head is understood alike at once and in two
// pieces; what it is understood to be survives being sent on; and where net/http
// accepts it too, both agree on what it says.
func FuzzRequest(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.head), 10)
	}
	f.Add(typicalRequest, 100)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"), 60)
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		var r, split wire.Request
		n, err := r.Parse(in, small)
		if n < 0 || n > len(in) || n > small.HeadBytes || err != nil && n != 0 {
			t.Fatalf("%d bytes of %d, %v", n, len(in), err)
		}
		at = max(0, min(at, len(in)))
		m, splitErr := split.Parse(in[:at:at], small)
		if splitErr == nil && m == 0 {
			m, splitErr = split.Parse(in, small)
		}
		if m != n || (splitErr == nil) != (err == nil) {
			t.Fatalf("at once %d, %v; cut at %d %d, %v", n, err, at, m, splitErr)
		}
		if n == 0 {
			return
		}
		got := describe(&r)
		if d := describe(&split); d != got {
			t.Fatalf("at once %s\ncut at %d %s", got, at, d)
		}

		// Sent on, without what is hop-by-hop, and without an expectation that is not
		// one, which the proxy does not pass on either.
		out := r
		out.Fields = nil
		for i := range r.Fields {
			if f := &r.Fields[i]; !r.HopByHop(f) && (f.ID != wire.Expect || r.ExpectContinue) {
				out.Fields = append(out.Fields, r.Fields[i])
			}
		}
		sent := wire.AppendRequest(nil, &out)
		var again wire.Request
		if k, err := again.Parse(sent, wire.Limits{HeadBytes: 1 << 16, Fields: 200}); k != len(sent) || err != nil {
			t.Fatalf("%q is sent on as %q: %d of %d, %v", in[:n], sent, k, len(sent), err)
		}
		again.Minor, again.KeepAlive = r.Minor, r.KeepAlive // the next hop's own affair
		r.Fields = out.Fields
		if d, got := describe(&again), describe(&r); d != got {
			t.Fatalf("received %s\n sent on %s", got, d)
		}

		agree(t, &r, in, n)
	})
}

// agree checks r against net/http's understanding of the same bytes.
func agree(t *testing.T, r *wire.Request, in []byte, n int) {
	head := bytes.TrimPrefix(in, []byte("\r\n"))
	std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return // it refuses more, here and there: the caller looks into what matters
	}
	if std.Method != string(r.Method) || std.RequestURI != string(r.Target) {
		t.Fatalf("%s %s, net/http: %s %s", r.Method, r.Target, std.Method, std.RequestURI)
	}
	if !strings.EqualFold(std.Host, string(r.Authority)) {
		t.Fatalf("host %q, net/http: %q", r.Authority, std.Host)
	}
	chunked := len(std.TransferEncoding) > 0
	if chunked != (r.Framing == wire.Chunked) || !chunked && std.ContentLength != r.Length {
		t.Fatalf("framing %d, %d bytes; net/http: chunked %v, %d bytes", r.Framing, r.Length, chunked, std.ContentLength)
	}
	ours, _, _, ourErr := readBody(r.Framing, r.Length, in[n:])
	theirs, theirErr := io.ReadAll(io.LimitReader(std.Body, 1<<20))
	if ourErr == nil && theirErr == nil && ours != string(theirs) {
		t.Fatalf("content %q, net/http: %q", ours, theirs)
	}
}

// FuzzResponse: parsing never panics, a head is understood alike at once and in
// two pieces, and where net/http accepts it too, both agree on what it says.
func FuzzResponse(f *testing.F) {
	for _, c := range responses {
		f.Add([]byte(c.head), 10, strings.HasPrefix(c.name, "HEAD"))
	}
	f.Add(typicalResponse, 100, false)
	f.Fuzz(func(t *testing.T, in []byte, at int, toHead bool) {
		var r, split wire.Response
		n, err := r.Parse(in, toHead, small)
		if n < 0 || n > len(in) || n > small.HeadBytes || err != nil && n != 0 {
			t.Fatalf("%d bytes of %d, %v", n, len(in), err)
		}
		at = max(0, min(at, len(in)))
		m, splitErr := split.Parse(in[:at:at], toHead, small)
		if splitErr == nil && m == 0 {
			m, splitErr = split.Parse(in, toHead, small)
		}
		if m != n || (splitErr == nil) != (err == nil) {
			t.Fatalf("at once %d, %v; cut at %d %d, %v", n, err, at, m, splitErr)
		}
		if n == 0 {
			return
		}
		got := describeResponse(&r)
		if d := describeResponse(&split); d != got {
			t.Fatalf("at once %s\ncut at %d %s", got, at, d)
		}
		out := r
		out.Fields = nil
		for i := range r.Fields {
			if !r.HopByHop(&r.Fields[i]) {
				out.Fields = append(out.Fields, r.Fields[i])
			}
		}
		sent := wire.AppendResponse(nil, &out, r.Minor)
		var again wire.Response
		if k, err := again.Parse(sent, toHead, wire.Limits{HeadBytes: 1 << 16, Fields: 200}); k != len(sent) || err != nil {
			t.Fatalf("%q is sent on as %q: %d of %d, %v", in[:n], sent, k, len(sent), err)
		}
		if again.Framing != r.Framing || again.Length != r.Length || again.Status != r.Status || again.Status >= 200 && again.KeepAlive != r.KeepAlive {
			t.Fatalf("received %s\n sent on %s", got, describeResponse(&again))
		}

		method := "GET"
		if toHead {
			method = "HEAD"
		}
		std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), &http.Request{Method: method})
		if err != nil || r.Status < 200 {
			return
		}
		if std.StatusCode != r.Status {
			t.Fatalf("status %d, net/http: %d", r.Status, std.StatusCode)
		}
		if toHead || r.Status == 304 {
			return
		}
		ours, _, _, ourErr := readBody(r.Framing, max(r.Length, 0), in[n:])
		theirs, theirErr := io.ReadAll(io.LimitReader(std.Body, 1<<20))
		if ourErr == nil && theirErr == nil && ours != string(theirs) {
			t.Fatalf("content %q, net/http: %q", ours, theirs)
		}
	})
}

// FuzzChunked: cut anywhere, a body is what a plain decoder of the same grammar
// says it is, and so is what follows it.
func FuzzChunked(f *testing.F) {
	for _, c := range chunkedGood {
		f.Add([]byte(c.in), 3, 9)
	}
	for _, c := range chunkedBad {
		f.Add([]byte(c.in), 3, 9)
	}
	f.Fuzz(func(t *testing.T, in []byte, i, j int) {
		i = max(0, min(i, len(in)))
		j = max(i, min(j, len(in)))
		want, rest, wantErr := plainChunked(in)
		got, _, left, err := readBody(wire.Chunked, 0, cut(string(in), i, j)...)
		var malformed *wire.Error
		if err != nil && err != io.ErrUnexpectedEOF && !errors.As(err, &malformed) {
			t.Fatal(err)
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, plainly %v", err, wantErr)
		}
		if err == nil && (got != want || string(left) != rest) {
			t.Fatalf("%q and then %q, plainly %q and then %q", got, left, want, rest)
		}
		if err != nil && !strings.HasPrefix(want, got) && !strings.HasPrefix(got, want) {
			t.Fatalf("before its error %q, plainly %q", got, want)
		}
	})
}

// plainChunked decodes the chunked coding (RFC 9112 section 7.1) in the most
// obvious way, with the limits and the strictness of the package.
func plainChunked(in []byte) (content, rest string, err error) {
	s := string(in)
	line := func() (string, bool) {
		before, after, ok := strings.Cut(s, "\r\n")
		if !ok || strings.ContainsAny(before, "\r\n") {
			return "", false
		}
		s = after
		return before, true
	}
	clean := func(text string) bool {
		for _, c := range []byte(text) {
			if c < ' ' && c != '\t' || c == 0x7f {
				return false
			}
		}
		return true
	}
	bad := errors.New("bad")
	for {
		l, ok := line()
		if !ok || len(l)+2 > 256 || !clean(l) {
			return content, "", bad
		}
		digits, _, _ := strings.Cut(l, ";")
		if len(digits) == 0 || len(digits) > 15 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
			return content, "", bad
		}
		size, _ := strconv.ParseInt(digits, 16, 64)
		if size == 0 {
			break
		}
		if int64(len(s)) < size+2 || s[size:size+2] != "\r\n" {
			return content + s[:min(int64(len(s)), size)], "", bad
		}
		content += s[:size]
		s = s[size+2:]
	}
	section := s
	for n := 0; ; n++ {
		l, ok := line()
		if !ok {
			return content, "", bad
		}
		if l == "" {
			if len(section)-len(s) > 8<<10 {
				return content, "", bad
			}
			return content, s, nil
		}
		name, value, ok := strings.Cut(l, ":")
		if !ok || n == 32 || !wire.ValidToken([]byte(name)) || !clean(value) || forbidden[strings.ToLower(name)] ||
			strings.HasPrefix(strings.ToLower(name), "x-forwarded-") {
			return content, "", bad
		}
	}
}

// forbidden are the fields that may not be in a trailer section (RFC 9110 section
// 6.5.1).
var forbidden = map[string]bool{
	"host": true, "connection": true, "content-length": true, "transfer-encoding": true, "upgrade": true, "expect": true,
	"te": true, "trailer": true, "keep-alive": true, "proxy-connection": true, "proxy-authorization": true,
	"proxy-authenticate": true, "forwarded": true, "x-real-ip": true, "authorization": true, "cookie": true,
	"set-cookie": true, "content-type": true, "content-encoding": true, "content-range": true, "cache-control": true,
	"max-forwards": true,
}
