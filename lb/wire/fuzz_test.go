package wire_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

// The fuzz targets compare this package with net/http: what both accept they must
// understand alike, where the message ends included, but for the differences named
// in transcript_test.go; and what this package accepts net/http must accept.
// What is understood must not depend on how the bytes come. `make fuzz` runs them.

// longest bounds what is fuzzed: below the limits of sizes, which are met by the
// tight ones, and below what net/http calls too much overhead of a chunked body.
const longest = 8000

// tight are limits that a fuzzer finds.
var tight = wire.Limits{HeadBytes: 120, TargetBytes: 30, Fields: 4}

// wide are limits that nothing here exceeds.
var wide = wire.Limits{HeadBytes: 1 << 16, TargetBytes: 1 << 15, Fields: 1 << 10}

// someCuts are fragmentations to begin with: whole, byte by byte, and others.
var someCuts = [][]byte{nil, {0}, {6}, {40, 1, 0}}

// FuzzRequest reads a stream of requests.
func FuzzRequest(f *testing.F) {
	for i, in := range requestStreams() {
		f.Add([]byte(in), someCuts[i%len(someCuts)])
	}
	corpus, _ := seeds(f)
	for i, message := range corpus {
		f.Add(message, someCuts[i%len(someCuts)])
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if in = expand(in, &requestWords); len(in) > longest {
			return
		}
		whole := readRequests(in, nil, wide, func(_ *reader, req *wire.Request) {
			if s := unsound(req); s != "" {
				t.Fatalf("%s: %s", describe(req), s)
			}
		})
		if !proper(whole) {
			t.Fatalf("refused by %#v", whole.err)
		}
		if cut := readRequests(in, cuts, wide, nil); !same(whole, cut, true) {
			t.Fatalf("at once\n%v\nin pieces\n%v", whole, cut)
		}
		limited := readRequests(in, nil, tight, nil)
		if cut := readRequests(in, cuts, tight, nil); !same(limited, cut, false) {
			t.Fatalf("with tight limits, at once\n%v\nin pieces\n%v", limited, cut)
		}
		if n := len(limited.messages); n > len(whole.messages) || !slices.Equal(limited.messages, whole.messages[:n]) {
			t.Fatalf("with tight limits\n%v\nwithout\n%v", limited, whole)
		}
		if d := disagreement(whole, stdRequests(in), requestDifferences); d != "" {
			t.Fatal(d)
		}
	})
}

// unsound says what an accepted request should have been refused for, which
// net/http would not have refused it for; "" if nothing.
func unsound(r *wire.Request) string {
	hosts := slices.Collect(r.Fields.Values("Host"))
	_, sized := r.Fields.Get("Content-Length")
	_, coded := r.Fields.Get("Transfer-Encoding")
	port := map[bool]string{true: ":443", false: ":80"}[strings.HasPrefix(strings.ToLower(string(r.Target)), "https")]
	withoutPort := func(b []byte) string { return strings.TrimSuffix(strings.ToLower(string(b)), port) }
	switch {
	case len(hosts) > 1, len(hosts) == 0 && r.Minor == 1:
		return "its Host fields"
	case len(r.Authority) > 0 && !wire.ValidHost(r.Authority):
		return "its host"
	case len(hosts) == 1 && withoutPort(hosts[0]) != withoutPort(r.Authority):
		return "a Host that differs from the target's"
	case sized && coded, coded && r.Minor == 0:
		return "its framing"
	case r.Upgrade != nil && (r.Minor == 0 || strings.HasPrefix(strings.ToLower(string(r.Upgrade)), "h2")):
		return "its upgrade"
	case bytes.ContainsAny(r.Target, "#\\<> \t\r\n"), string(r.Method) == "CONNECT", string(r.Path) == "*" && string(r.Method) != "OPTIONS":
		return "its target"
	}
	return ""
}

// FuzzResponse reads a stream of responses to one request.
func FuzzResponse(f *testing.F) {
	for i, s := range responseStreams() {
		f.Add([]byte(s.in), someCuts[i%len(someCuts)], s.toHead)
	}
	_, corpus := seeds(f)
	for i, message := range corpus {
		f.Add(message, someCuts[i%len(someCuts)], false)
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte, toHead bool) {
		if in = expand(in, &responseWords); len(in) > longest {
			return
		}
		whole := readResponses(in, nil, wide, toHead, nil)
		if !proper(whole) {
			t.Fatalf("refused by %#v", whole.err)
		}
		if cut := readResponses(in, cuts, wide, toHead, nil); !same(whole, cut, true) {
			t.Fatalf("at once\n%v\nin pieces\n%v", whole, cut)
		}
		limited := readResponses(in, nil, tight, toHead, nil)
		if cut := readResponses(in, cuts, tight, toHead, nil); !same(limited, cut, false) {
			t.Fatalf("with tight limits, at once\n%v\nin pieces\n%v", limited, cut)
		}
		if d := disagreement(whole, stdResponses(in, toHead), responseDifferences); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzForward sends requests on as the proxy does: what the next reader makes of
// them, this package or net/http, must be what was received. Of a request that is
// not whole the next reader must not make a whole one.
func FuzzForward(f *testing.F) {
	for i, in := range requestStreams() {
		f.Add([]byte(in), someCuts[i%len(someCuts)])
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if in = expand(in, &requestWords); len(in) > longest {
			return
		}
		var sent []byte
		var want []message
		received := readRequests(in, cuts, wide, func(r *reader, req *wire.Request) {
			out := *req
			out.Fields = nil
			for _, f := range req.Fields {
				if !req.HopByHop(&f) && (f.ID != wire.Expect || req.ExpectContinue) {
					out.Fields = append(out.Fields, f)
				}
			}
			if out.Target = req.Path; req.Query != nil {
				out.Target = []byte(string(req.Path) + "?" + string(req.Query))
			}
			sent = wire.AppendRequest(sent, &out)
			want = append(want, message{
				start: fmt.Sprintf("%s %s", req.Method, out.Target), host: string(req.Authority), framing: framing(req.Framing, req.Length),
				fields: lines(out.Fields), connection: string(bytes.Join(slices.Collect(req.Fields.Values("Connection")), []byte{','})),
			})
			r.passOn(&sent, req.Framing, req.EndToEnd, &want[len(want)-1])
		})
		sentAlike(t, received, want, sent, readRequests(sent, nil, wide, nil), "again")
		sentAlike(t, received, want, sent, stdRequests(sent), "by net/http")
	})
}

// FuzzRelay passes responses on as the server does, to a client of HTTP/1.1.
func FuzzRelay(f *testing.F) {
	for i, s := range responseStreams() {
		f.Add([]byte(s.in), someCuts[i%len(someCuts)], s.toHead)
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte, toHead bool) {
		if in = expand(in, &responseWords); len(in) > longest {
			return
		}
		var sent []byte
		var want []message
		received := readResponses(in, cuts, wide, toHead, func(r *reader, resp *wire.Response) {
			out := *resp
			out.Fields = nil
			for _, f := range resp.Fields {
				if !resp.HopByHop(&f) {
					out.Fields = append(out.Fields, f)
				}
			}
			if resp.Framing == wire.UntilClose {
				out.Framing = wire.Chunked // so that its end can be told from a break
			}
			sent = wire.AppendResponse(sent, &out, 1)
			want = append(want, message{
				start: fmt.Sprintf("%03d ", resp.Status), framing: framing(out.Framing, out.Length), fields: lines(out.Fields),
				connection: string(bytes.Join(slices.Collect(resp.Fields.Values("Connection")), []byte{','})),
			})
			r.passOn(&sent, out.Framing, resp.EndToEnd, &want[len(want)-1])
		})
		for i := range received.messages {
			received.messages[i].keep = true // each was passed on by itself
		}
		sentAlike(t, received, want, sent, readResponses(sent, nil, wide, toHead, nil), "again")
		sentAlike(t, received, want, sent, stdResponses(sent, toHead), "by net/http")
	})
}

// passOn appends what follows as content, in the framing given, to what is sent,
// and notes which trailers went with it.
func (r *reader) passOn(sent *[]byte, framing wire.Framing, endToEnd func(wire.Fields) wire.Fields, m *message) {
	chunked := framing == wire.Chunked
	r.data = func(piece []byte) {
		if chunked {
			*sent = wire.AppendChunkHeader(*sent, len(piece))
		}
		if *sent = append(*sent, piece...); chunked {
			*sent = append(*sent, "\r\n"...)
		}
	}
	r.done = func(trailers wire.Fields) {
		if chunked {
			kept := endToEnd(slices.Clone(trailers))
			for i := range trailers {
				f := &trailers[i]
				if gone := !slices.ContainsFunc(kept, func(k wire.Field) bool { return &k.Name[0] == &f.Name[0] }); gone != m.nominated(f.Name) {
					panic(fmt.Sprintf("trailer %s: gone %v", f.Name, gone))
				}
			}
			m.trailers = lines(kept)
			*sent = wire.AppendLastChunk(*sent, kept)
		}
	}
}

// sentAlike checks what a next reader made of what was sent on.
func sentAlike(t *testing.T, received transcript, want []message, sent []byte, got transcript, who string) {
	t.Helper()
	fail := func(what string) {
		t.Helper()
		t.Fatalf("%s\nreceived\n%v\nsent on as\n  %q\nread %s\n%v", what, received, sent, who, got)
	}
	if len(got.messages) != len(received.messages) {
		fail("another number of messages")
	}
	for i, m := range got.messages {
		from := received.messages[i]
		if !strings.HasPrefix(m.start, want[i].start) || m.host != want[i].host || m.framing != want[i].framing || m.body != from.body {
			fail(fmt.Sprintf("message %d is another one", i))
		}
		for _, l := range split(want[i].fields) {
			if !strings.HasPrefix(l, "Trailer: ") && !slices.Contains(split(m.fields), l) {
				fail(fmt.Sprintf("message %d has lost %q", i, l))
			}
		}
		for _, l := range split(m.fields) {
			switch name, _, _ := strings.Cut(l, ":"); name {
			case "Content-Length", "Connection", "Upgrade", "Te", "Cache-Control", "Transfer-Encoding", "Host": // the next hop's own
			default:
				if !slices.Contains(split(want[i].fields), l) {
					fail(fmt.Sprintf("message %d has gained %q", i, l))
				}
			}
		}
		if m.trailers != want[i].trailers {
			fail(fmt.Sprintf("message %d has other trailers than %q", i, want[i].trailers))
		}
	}
	expected := ended
	if len(want) > len(received.messages) {
		expected = short // the last one broke off
	}
	if got.verdict != expected {
		fail(fmt.Sprintf("what was sent is %s, want %s", got.verdict, expected))
	}
}

// FuzzChunked: however a body comes, it is what a plain decoder of the same
// grammar says it is, and so is what follows it; and where it is accepted, net/http
// says the same of it.
func FuzzChunked(f *testing.F) {
	for i, c := range chunkedGood {
		f.Add([]byte(c.in), someCuts[i%len(someCuts)])
	}
	for i, c := range chunkedBad {
		f.Add([]byte(c.in), someCuts[i%len(someCuts)])
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if len(in) > longest {
			return
		}
		want, wantTrailers, wantRest, wantErr := plainChunked(string(in))
		for _, pieces := range [][][]byte{fragments(in, nil), fragments(in, cuts)} {
			got, trailers, rest, err := readBody(wire.Chunked, 0, pieces...)
			if err != wantErr && (refusal(err) != refusal(wantErr) || wantErr == nil) {
				t.Fatalf("%v, plainly %v", err, wantErr)
			}
			if got != want || trailers != wantTrailers || string(rest) != wantRest {
				t.Fatalf("%q, trailers %q, then %q; plainly %q, trailers %q, then %q", got, trailers, rest, want, wantTrailers, wantRest)
			}
		}
		if wantErr != nil {
			return
		}
		br := bufio.NewReaderSize(bytes.NewReader(in), 64<<10)
		theirs, err := io.ReadAll(httputil.NewChunkedReader(br))
		if err != nil || string(theirs) != want {
			t.Fatalf("%q; net/http: %q, %v", want, theirs, err)
		}
		header, err := textproto.NewReader(br).ReadMIMEHeader()
		rest, _ := io.ReadAll(br)
		if err != nil || string(rest) != wantRest {
			t.Fatalf("then %q; net/http: %q, %v", wantRest, rest, err)
		}
		var fields wire.Fields
		for _, l := range strings.Split(wantTrailers, ", ") {
			if name, value, ok := strings.Cut(l, ": "); ok {
				fields = append(fields, wire.Field{Name: []byte(name), Value: []byte(value)})
			}
		}
		if !strings.Contains(wantTrailers, ",") && lines(fields) != stdLines(map[string][]string(header)) {
			t.Fatalf("trailers %q; net/http: %v", wantTrailers, header)
		}
	})
}

// plainChunked decodes the chunked coding (RFC 9112 section 7.1) in the most
// obvious way, with the limits and the strictness of the package.
func plainChunked(s string) (content, trailers, rest string, err error) {
	chunk := &wire.Error{Status: 400, Reason: "malformed chunk"}
	section := &wire.Error{Status: 400, Reason: "malformed trailer section"}
	// line cuts a line off s, which may take up to limit bytes.
	line := func(limit int) (string, int) {
		end := strings.IndexByte(s, '\n')
		switch {
		case end < 0 && len(s) > limit, end >= limit:
			return "", malformed
		case end < 0:
			return "", incomplete
		case end == 0 || s[end-1] != '\r':
			return "", malformed
		}
		l := s[:end-1]
		s = s[end+1:]
		if !clean(l) {
			return "", malformed
		}
		return l, 0
	}
	for {
		l, wrong := line(256)
		if wrong == incomplete {
			return content, "", "", io.ErrUnexpectedEOF
		}
		digits, extensions, extended := strings.Cut(l, ";")
		if wrong != 0 || len(digits) == 0 || len(digits) > 15 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" ||
			extended && !plainExtensions(extensions) {
			return content, "", "", chunk
		}
		size, _ := strconv.ParseInt(digits, 16, 64)
		if size == 0 {
			break
		}
		n := int(min(size, int64(len(s))))
		content += s[:n]
		s = s[n:]
		if int64(n) < size || s == "" || s == "\r" {
			return content, "", "", io.ErrUnexpectedEOF
		}
		if !strings.HasPrefix(s, "\r\n") {
			return content, "", "", chunk
		}
		s = s[2:]
	}
	before, bad := len(s), false
	var all []string
	for {
		l, wrong := line(8<<10 - (before - len(s)))
		if wrong == incomplete {
			return content, "", "", io.ErrUnexpectedEOF
		}
		if wrong != 0 {
			return content, "", "", section
		}
		if l == "" && bad {
			return content, "", "", section
		}
		if l == "" {
			return content, strings.Join(all, ", "), s, nil
		}
		name, value, ok := strings.Cut(l, ":")
		if !ok || len(all) == 32 || !wire.ValidToken([]byte(name)) {
			return content, "", "", section
		}
		bad = bad || forbidden(name)
		all = append(all, name+": "+strings.Trim(value, " \t"))
	}
}

const (
	malformed = 1 + iota
	incomplete
)

// clean reports whether a text is free of control bytes, but for tabs.
func clean(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// plainExtensions reports whether a text, which is clean, is chunk extensions
// without the first ";". It takes quoted strings out first, so that the rest can
// be split.
func plainExtensions(s string) bool {
	plain := ""
	for {
		before, quoted, ok := strings.Cut(s, `"`)
		plain += before
		if !ok {
			break
		}
		end := 0
		for end < len(quoted) && quoted[end] != '"' {
			if quoted[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(quoted) {
			return false
		}
		plain += "\x00" // which no token holds
		s = quoted[end+1:]
	}
	if plain != strings.TrimRight(plain, " \t") {
		return false
	}
	for extension := range strings.SplitSeq(plain, ";") {
		name, value, valued := strings.Cut(extension, "=")
		if value = strings.Trim(value, " \t"); !wire.ValidToken([]byte(strings.Trim(name, " \t"))) ||
			valued && value != "\x00" && !wire.ValidToken([]byte(value)) {
			return false
		}
	}
	return true
}

// forbidden reports whether a field may not be in a trailer section (RFC 9110
// section 6.5.1).
func forbidden(name string) bool {
	name = strings.ToLower(name)
	if slices.Contains(notTrailers, name) || strings.HasPrefix(name, "x-forwarded-") {
		return true
	}
	// In disguise: what CGI would make a variable of the same name of.
	plain := strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			return c
		}
		return '-'
	}, name)
	return plain != name && (slices.Contains(known, plain) || strings.HasPrefix(plain, "x-forwarded-"))
}

// known are the fields the proxy has rules for.
var known = []string{
	"host", "connection", "content-length", "transfer-encoding", "upgrade", "expect", "te", "trailer", "keep-alive",
	"proxy-connection", "proxy-authorization", "proxy-authenticate", "http2-settings", "forwarded", "x-real-ip", "via",
	"x-request-id", "traceparent", "tracestate", "date", "user-agent",
}

var notTrailers = append([]string{
	"authorization", "www-authenticate", "cookie", "set-cookie", "content-type", "content-encoding", "content-range",
	"cache-control", "pragma", "age", "expires", "vary", "max-forwards", "range", "if-match", "if-none-match",
	"if-modified-since", "if-unmodified-since", "if-range", "location", "retry-after",
}, slices.DeleteFunc(slices.Clone(known), func(name string) bool { return name == "user-agent" })...)

// requestStreams are streams of requests to begin with: every head of the tables,
// alone, with a body and with a request behind it.
func requestStreams() (all []string) {
	const next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range requests {
		all = append(all, c.head, c.head+next)
		switch {
		case strings.Contains(c.want, " chunked"):
			all = append(all, c.head+"5;a=\"b\"\r\nhello\r\n0\r\nX-A: b\r\n\r\n"+next)
		case strings.Contains(c.want, " sized 5"):
			all = append(all, strings.TrimSuffix(c.head, "hello")+"hello"+next)
		}
	}
	for _, d := range requestDifferences {
		all = append(all, d.example)
	}
	all = append(all, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0012\r\n\r\nhello, world"+next,
		"POST / HTTP/1.1\r\nHost: h\r\nConnection: X-A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"+next)
	for _, c := range chunkedGood {
		all = append(all, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+c.in+next)
	}
	all = append(all, string(typicalRequest)+string(typicalRequest))
	return append(all, requestHints...)
}

// responseStreams are streams of responses to begin with.
func responseStreams() (all []struct {
	in     string
	toHead bool
}) {
	add := func(in string, toHead bool) {
		all = append(all, struct {
			in     string
			toHead bool
		}{in, toHead})
	}
	for _, c := range responses {
		toHead := strings.HasPrefix(c.name, "HEAD")
		add(c.head, toHead)
		add(c.head, !toHead)
		add("HTTP/1.1 103 x\r\nLink: a\r\n\r\n"+c.head, toHead)
		switch {
		case strings.Contains(c.want, " chunked"):
			add(c.head+"5;a=\"b\"\r\nhello\r\n0\r\nX-A: b\r\n\r\nHTTP/1.1 200 OK\r\n", toHead)
		case strings.Contains(c.want, " sized 5"), strings.Contains(c.want, " until close"):
			add(strings.TrimSuffix(c.head, "hello")+"hello, next", toHead)
		}
	}
	for _, d := range responseDifferences {
		add(d.example, false)
	}
	add(string(typicalResponse), false)
	for _, h := range responseHints {
		add(h, false)
		add(h, true)
	}
	return all
}

// TestDifferences: every deliberate difference from net/http is one still.
func TestDifferences(t *testing.T) {
	check := func(d difference, all []difference, ours, theirs transcript) {
		t.Helper()
		if s := disagreement(ours, theirs, all); s != "" {
			t.Errorf("%s: %s", d.name, s)
		}
		others := slices.DeleteFunc(slices.Clone(all), func(o difference) bool { return o.name == d.name })
		if s := disagreement(ours, theirs, others); s == "" {
			t.Errorf("%s: it is none in the example", d.name)
		}
	}
	for _, d := range requestDifferences {
		check(d, requestDifferences, readRequests([]byte(d.example), nil, wide, nil), stdRequests([]byte(d.example)))
	}
	for _, d := range responseDifferences {
		check(d, responseDifferences, readResponses([]byte(d.example), nil, wide, false, nil), stdResponses([]byte(d.example), false))
	}
}
