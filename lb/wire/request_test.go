package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

// small are limits that cases can break without being long.
var small = wire.Limits{HeadBytes: 200, TargetBytes: 50, Fields: 4}

// describe says what a request was understood to be, in one line.
func describe(r *wire.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s path=%s", r.Method, r.Path)
	if r.Query != nil {
		fmt.Fprintf(&b, " query=%s", r.Query)
	}
	fmt.Fprintf(&b, " authority=%s 1.%d", r.Authority, r.Minor)
	switch r.Framing {
	case wire.Sized:
		fmt.Fprintf(&b, " sized %d", r.Length)
	case wire.Chunked:
		b.WriteString(" chunked")
	}
	for _, remark := range []struct {
		holds bool
		text  string
	}{
		{!r.KeepAlive, "close"}, {r.ExpectContinue, "expect"}, {r.Trailers, "trailers"},
		{r.Upgrade != nil, "upgrade=" + string(r.Upgrade)},
	} {
		if remark.holds {
			b.WriteString(" " + remark.text)
		}
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; !r.HopByHop(f) {
			fmt.Fprintf(&b, " [%s: %s]", f.Name, f.Value)
		}
	}
	return b.String()
}

// refusal is an error of a parser, in one line.
func refusal(err error) string {
	var e *wire.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("not a wire.Error: %v", err)
	}
	return fmt.Sprintf("%d %s", e.Status, e.Reason)
}

// parseRequest parses what is a whole head, or not one.
func parseRequest(head string, lim wire.Limits) (string, int) {
	var r wire.Request
	n, err := r.Parse([]byte(head), lim)
	switch {
	case err != nil:
		return refusal(err), 0
	case n == 0:
		return "more", 0
	}
	return describe(&r), n
}

// dripRequest is parseRequest of a head that arrives byte by byte.
func dripRequest(head string, lim wire.Limits) (string, int) {
	var r wire.Request
	b := []byte(head)
	for i := range len(b) + 1 {
		n, err := r.Parse(b[:i:i], lim)
		if err != nil {
			return refusal(err), 0
		}
		if n > 0 {
			return describe(&r), n
		}
	}
	return "more", 0
}

// requests are heads, and what has to be understood of them or the refusal.
var requests = []struct {
	name, head, want string
}{
	// Methods and targets.
	{"simplest", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"query", "GET /a/b?c=d&e HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/a/b query=c=d&e authority=h 1.1"},
	{"empty query", "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/a query= authority=h 1.1"},
	{"two question marks", "GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/a query=b?c authority=h 1.1"},
	{"path like an authority", "GET //x/y HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=//x/y authority=h 1.1"},
	{"percent-encoding is left alone", "GET /%2e%2E/%C3%a9%00?%zz% HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/%2e%2E/%C3%a9%00 query=%zz% authority=h 1.1"},
	{"characters of real clients", "GET /\"{a|b}^`c HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/\"{a|b}^`c authority=h 1.1"},
	{"unknown method", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH path=/ authority=h 1.1"},
	{"methods have case", "get / HTTP/1.1\r\nHost: h\r\n\r\n", "get path=/ authority=h 1.1"},
	{"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS path=* authority=h 1.1"},
	{"absolute-form", "GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/a query=b authority=h 1.1"},
	{"absolute-form, other case", "GET HTTPS://H:443/a HTTP/1.1\r\nHost: h:443\r\n\r\n", "GET path=/a authority=H:443 1.1"},
	{"absolute-form without a path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"absolute-form with a query alone", "GET http://h?a=b HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/ query=a=b authority=h 1.1"},
	{"absolute-form in a query", "GET /?u=http://x/ HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/ query=u=http://x/ authority=h 1.1"},
	{"one empty line before", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"later minor version", "GET / HTTP/1.7\r\nHost: h\r\n\r\n", "GET path=/ authority=h 1.1"},

	// Hosts.
	{"host with a port", "GET / HTTP/1.1\r\nHost: shop.example.com:8080\r\n\r\n", "GET path=/ authority=shop.example.com:8080 1.1"},
	{"host with an empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "GET path=/ authority=h: 1.1"},
	{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET path=/ authority= 1.1"},
	{"underscore", "GET / HTTP/1.1\r\nHost: a_b\r\n\r\n", "GET path=/ authority=a_b 1.1"},
	{"IPv6", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", "GET path=/ authority=[2001:db8::1] 1.1"},
	{"IPv6 with a port", "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:80\r\n\r\n", "GET path=/ authority=[::ffff:1.2.3.4]:80 1.1"},
	{"dot at the end of a name", "GET / HTTP/1.1\r\nHost: example.com.:80\r\n\r\n", "GET path=/ authority=example.com.:80 1.1"},
	{"HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n", "GET path=/ authority= 1.0 close"},

	// Fields.
	{"white space around a value", "GET / HTTP/1.1\r\nHost:\t h \t\r\nA:b\r\n\r\n", "GET path=/ authority=h 1.1 [A: b]"},
	{"empty value", "GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB: \t \r\n\r\n", "GET path=/ authority=h 1.1 [A: ] [B: ]"},
	{"white space inside a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b \tc\r\n\r\n", "GET path=/ authority=h 1.1 [A: b \tc]"},
	{"obs-text", "GET / HTTP/1.1\r\nHost: h\r\nA: caf\xe9\xff\r\n\r\n", "GET path=/ authority=h 1.1 [A: caf\xe9\xff]"},
	{"colon in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: :b:\r\n\r\n", "GET path=/ authority=h 1.1 [A: :b:]"},
	{"a name of every kind of tchar", "GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~9z: b\r\n\r\n", "GET path=/ authority=h 1.1 [!#$%&'*+-.^_`|~9z: b]"},
	{"repeated fields keep their order", "GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\nB: 2\r\na: 3\r\n\r\n", "GET path=/ authority=h 1.1 [A: 1] [B: 2] [a: 3]"},

	// Framing.
	{"content-length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "POST path=/ authority=h 1.1 sized 5"},
	{"content-length of 0", "POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 0\r\n\r\n", "POST path=/ authority=h 1.1 sized 0"},
	{"content-length with leading zeros", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\n\r\n", "POST path=/ authority=h 1.1 sized 5"},
	{"the longest content-length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999999\r\n\r\n", "POST path=/ authority=h 1.1 sized 999999999999999999"},
	{"no content", "POST / HTTP/1.1\r\nHost: h\r\n\r\n", "POST path=/ authority=h 1.1"},
	{"content of a GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", "GET path=/ authority=h 1.1 sized 5"},
	{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n", "POST path=/ authority=h 1.1 chunked"},
	{"content in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "POST path=/ authority= 1.0 sized 5 close"},
	{"pipelined", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/1 authority=h 1.1"},

	// The connection.
	{"close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", "GET path=/ authority=h 1.1 close"},
	{"close in a list", "GET / HTTP/1.1\r\nHost: h\r\nConnection: , x ,close,\r\nX: 1\r\n\r\n", "GET path=/ authority=h 1.1 close"},
	{"keep-alive says nothing new", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n", "GET path=/ authority=h 1.0"},
	{"close wins over keep-alive", "GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", "GET path=/ authority= 1.0 close"},
	{"close wins in another field", "GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", "GET path=/ authority= 1.0 close"},
	{"nominated fields are hop-by-hop", "GET / HTTP/1.1\r\nHost: h\r\nConnection: X-a, b\r\nx-A: 1\r\nB: 2\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"known hop-by-hop fields", "GET / HTTP/1.1\r\nHost: h\r\nKeep-Alive: 1\r\nProxy-Connection: a\r\nProxy-Authorization: b\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET path=/ authority=h 1.1 upgrade=websocket"},
	{"upgrade that Connection does not name", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET path=/ authority= 1.0 close"},
	{"upgrade to HTTP/2", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to HTTP/2 by its long name", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to HTTP/2 by the name of a draft", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: H2C-14\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to TLS", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"settings of HTTP/2", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"settings of HTTP/2 that Connection does not name", "GET / HTTP/1.1\r\nHost: h\r\nHTTP2-Settings: AAMAAABkAAQ\r\nHTTP2_Settings: a\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to a version", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket/13\r\n\r\n", "GET path=/ authority=h 1.1 upgrade=websocket/13"},
	{"upgrade to a malformed version", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket/13 h2c\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to an empty version", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket/\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to one of several", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"upgrade to one of several fields", "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"expect", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n", "POST path=/ authority=h 1.1 sized 5 expect [Expect: 100-Continue]"},
	{"expect with no content", "GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", "GET path=/ authority=h 1.1 [Expect: 100-continue]"},
	{"expect in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "POST path=/ authority= 1.0 sized 5 close [Expect: 100-continue]"},
	{"trailers", "GET / HTTP/1.1\r\nHost: h\r\nConnection: te\r\nTE: gzip;q=0.5, Trailers\r\n\r\n", "GET path=/ authority=h 1.1 trailers"},

	// Not whole yet.
	{"nothing", "", "more"},
	{"half an empty line", "\r", "more"},
	{"an empty line", "\r\n", "more"},
	{"half a line", "GET / HTT", "more"},
	{"half a line end", "GET / HTTP/1.1\r", "more"},
	{"fields missing", "GET / HTTP/1.1\r\n", "more"},
	{"last line missing", "GET / HTTP/1.1\r\nHost: h\r\n", "more"},
	{"half of the last line", "GET / HTTP/1.1\r\nHost: h\r\n\r", "more"},

	// Malformed request lines.
	{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"no spaces", "GET\r\n\r\n", "400 malformed request line"},
	{"HTTP/0.9", "GET /\r\n", "400 malformed request line"},
	{"empty target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"space in a target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"tab for a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed method"},
	{"empty method", " / HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed method"},
	{"NUL in a method", "GE\x00T / HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed method"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n", "400 malformed method"},
	{"bare LF after the line", "GET / HTTP/1.1\nHost: h\r\n\r\n", "400 a line ends in LF without CR"},
	{"bare LF before", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 a line ends in LF without CR"},
	{"two CR", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"CR in a target", "GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"NUL in a target", "GET /a\x00b HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"raw UTF-8 in a target", "GET /caf\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"fragment in absolute-form", "GET http://h#/ HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"backslash", "GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"percent without digits", "GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"percent with one digit", "GET /a%2 HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"percent and a query", "GET /%?41 HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"percent at the end of an absolute-form", "GET http://h/% HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"angle brackets", "GET /<a> HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"DEL in a target", "GET /a\x7fb HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"tab in a target", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"authority-form but not CONNECT", "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"asterisk and more", "OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"port out of range in absolute-form", "GET http://h:65536/ HTTP/1.1\r\nHost: h:65536\r\n\r\n", "400 malformed request target"},
	{"no leading slash", "GET a/b HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"asterisk but not OPTIONS", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"no host in absolute-form", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"user in absolute-form", "GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "501 CONNECT is not served"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 not HTTP/1.0 or HTTP/1.1"},
	{"HTTP/2 preface in HTTP/1.1", "PRI * HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"},
	{"CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", "501 CONNECT is not served"},
	{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", "505 not HTTP/1.0 or HTTP/1.1"},
	{"HTTP/0.8", "GET / HTTP/0.8\r\nHost: h\r\n\r\n", "505 not HTTP/1.0 or HTTP/1.1"},
	{"version without a minor", "GET / HTTP/1\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"version of two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n", "400 malformed request line"},
	{"version with a letter", "GET / HTTP/1.x\r\nHost: h\r\n\r\n", "400 malformed request line"},

	// Malformed fields.
	{"space before a colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400 malformed field name"},
	{"tab before a colon", "GET / HTTP/1.1\r\nHost: h\r\nA\t: b\r\n\r\n", "400 malformed field name"},
	{"empty name", "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", "400 malformed field name"},
	{"no colon", "GET / HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", "400 malformed field name"},
	{"space in a name", "GET / HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n", "400 malformed field name"},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: h\r\nA\x00: c\r\n\r\n", "400 malformed field name"},
	{"obs-text in a name", "GET / HTTP/1.1\r\nHost: h\r\n\xe9: c\r\n\r\n", "400 malformed field name"},
	{"fold", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", "400 a field is folded over several lines"},
	{"fold by a tab", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc: d\r\n\r\n", "400 a field is folded over several lines"},
	{"fold before the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "400 a field is folded over several lines"},
	{"bare LF after a field", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", "400 a line ends in LF without CR"},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", "400 a line ends in LF without CR"},
	{"CR in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", "400 a field value holds a control byte"},
	{"CR at a value's end", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\r\n\r\n", "400 a field value holds a control byte"},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n", "400 a field value holds a control byte"},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\x7f\r\n\r\n", "400 a field value holds a control byte"},

	// Malformed Host.
	{"no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", "400 no Host field"},
	{"no host beside absolute-form", "GET http://h/ HTTP/1.1\r\n\r\n", "400 no Host field"},
	{"two hosts", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", "400 more than one Host field"},
	{"two hosts, the first one empty", "GET / HTTP/1.1\r\nHost:\r\nhost: h\r\n\r\n", "400 more than one Host field"},
	{"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n", "400 more than one Host field"},
	{"space in a host", "GET / HTTP/1.1\r\nHost: h h\r\n\r\n", "400 malformed Host"},
	{"list of hosts", "GET / HTTP/1.1\r\nHost: h,i\r\n\r\n", "400 malformed Host"},
	{"user in a host", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "400 malformed Host"},
	{"path in a host", "GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", "400 malformed Host"},
	{"percent-encoding in a host", "GET / HTTP/1.1\r\nHost: h%2e\r\n\r\n", "400 malformed Host"},
	{"port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "400 malformed Host"},
	{"port of letters", "GET / HTTP/1.1\r\nHost: h:http\r\n\r\n", "400 malformed Host"},
	{"two ports", "GET / HTTP/1.1\r\nHost: h:1:2\r\n\r\n", "400 malformed Host"},
	{"port 65536", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", "400 malformed Host"},
	{"port of six digits", "GET / HTTP/1.1\r\nHost: h:000080\r\n\r\n", "400 malformed Host"},
	{"bracket not closed", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400 malformed Host"},
	{"bracket in a name", "GET / HTTP/1.1\r\nHost: a[::1]\r\n\r\n", "400 malformed Host"},
	{"something behind brackets", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "400 malformed Host"},
	{"a name in brackets", "GET / HTTP/1.1\r\nHost: [host]\r\n\r\n", "400 malformed Host"},
	{"empty brackets", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", "400 malformed Host"},
	{"IPv6 of too many groups", "GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n", "400 malformed Host"},
	{"IPv6 of colons", "GET / HTTP/1.1\r\nHost: [:::::]\r\n\r\n", "400 malformed Host"},
	{"IPv6 with a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", "400 malformed Host"},
	{"IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", "400 malformed Host"},
	{"future address", "GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n", "400 malformed Host"},
	{"a dot", "GET / HTTP/1.1\r\nHost: .\r\n\r\n", "400 malformed Host"},
	{"two dots", "GET / HTTP/1.1\r\nHost: ..\r\n\r\n", "400 malformed Host"},
	{"dot before a name", "GET / HTTP/1.1\r\nHost: .h\r\n\r\n", "400 malformed Host"},
	{"empty label", "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", "400 malformed Host"},
	{"tilde and colon", "GET / HTTP/1.1\r\nHost: ~:a\r\n\r\n", "400 malformed Host"},
	{"NUL in a host", "GET / HTTP/1.1\r\nHost: h\x00\r\n\r\n", "400 a field value holds a control byte"},
	{"tab in a host", "GET / HTTP/1.1\r\nHost: h\ti\r\n\r\n", "400 malformed Host"},
	{"quoted host", "GET / HTTP/1.1\r\nHost: \"h\"\r\n\r\n", "400 malformed Host"},
	{"obs-text in a host", "GET / HTTP/1.1\r\nHost: h\xe9\r\n\r\n", "400 malformed Host"},
	{"absolute-form with another port than Host", "GET http://h:81/ HTTP/1.1\r\nHost: h:82\r\n\r\n", "400 the Host field differs from the target's authority"},
	{"absolute-form disagrees", "GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n", "400 the Host field differs from the target's authority"},
	{"absolute-form disagrees on the port", "GET http://h/ HTTP/1.1\r\nHost: h:81\r\n\r\n", "400 the Host field differs from the target's authority"},
	{"absolute-form beside an empty host", "GET http://h/ HTTP/1.1\r\nHost:\r\n\r\n", "400 the Host field differs from the target's authority"},

	// Malformed framing: how requests are smuggled.
	{"length and coding", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Content-Length beside Transfer-Encoding"},
	{"coding and length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "400 Content-Length beside Transfer-Encoding"},
	{"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "400 more than one Content-Length"},
	{"the same length twice", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "400 more than one Content-Length"},
	{"list of lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5,5\r\n\r\n", "400 malformed Content-Length"},
	{"+5", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", "400 malformed Content-Length"},
	{"-5", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", "400 malformed Content-Length"},
	{"0x5", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n", "400 malformed Content-Length"},
	{"5 5", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\n", "400 malformed Content-Length"},
	{"\"5\"", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \"5\"\r\n\r\n", "400 malformed Content-Length"},
	{"1e3", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1e3\r\n\r\n", "400 malformed Content-Length"},
	{"1_0", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1_0\r\n\r\n", "400 malformed Content-Length"},
	{"empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", "400 malformed Content-Length"},
	{"a length that overflows", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551621\r\n\r\n", "400 malformed Content-Length"},
	{"another coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"identity", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"empty coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"quoted coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"coding with a parameter", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;a=b\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"vertical tab before a coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "400 a field value holds a control byte"},
	{"two codings", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501 a transfer coding other than chunked"},
	{"two coding fields", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", "400 something behind the chunked transfer coding"},
	{"a coding behind chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "400 something behind the chunked transfer coding"},
	{"chunked twice", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "400 something behind the chunked transfer coding"},
	{"chunked in two fields", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400 something behind the chunked transfer coding"},
	{"gzip and chunked in two fields", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", "501 a transfer coding other than chunked"},
	{"gzip beside a length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"identity before chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity, chunked\r\n\r\n", "501 a transfer coding other than chunked"},
	{"comma behind chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked,\r\n\r\n", "400 malformed Transfer-Encoding"},
	{"comma before chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ,chunked\r\n\r\n", "400 malformed Transfer-Encoding"},
	{"xchunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"chunked behind a space", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x chunked\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"chunked behind obs-text", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \xa0chunked\r\n\r\n", "400 the last transfer coding is not chunked"},
	{"space before the colon of a coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n", "400 malformed field name"},
	{"coding in a fold", "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\n Transfer-Encoding: chunked\r\n\r\n", "400 a field is folded over several lines"},
	{"coding behind a bare CR", "POST / HTTP/1.1\r\nHost: h\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n", "400 a field value holds a control byte"},
	{"coding and length in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Transfer-Encoding in HTTP/1.0"},
	{"unknown coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", "400 Transfer-Encoding in HTTP/1.0"},
	{"tab before a coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\tchunked \t\r\n\r\n", "POST path=/ authority=h 1.1 chunked"},
	{"disguised coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "POST path=/ authority=h 1.1 sized 5"},
	{"disguised length", "POST / HTTP/1.1\r\nHost: h\r\nContent.Length: 5\r\ncontent!length: 6\r\n\r\n", "POST path=/ authority=h 1.1"},
	{"form feed before a length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \x0c5\r\n\r\n", "400 a field value holds a control byte"},
	{"length behind obs-text", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \xa05\r\n\r\n", "400 malformed Content-Length"},
	{"list of lengths with a space", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", "400 malformed Content-Length"},
	{"announced length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-A, Content-Length\r\n\r\n", "400 malformed Trailer, or it announces what may not be a trailer"},
	{"announced coding", "POST / HTTP/1.1\r\nHost: h\r\nTrailer: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n", "400 malformed Trailer, or it announces what may not be a trailer"},
	{"announced authorization", "POST / HTTP/1.1\r\nHost: h\r\nTrailer: a\r\nTrailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n", "400 malformed Trailer, or it announces what may not be a trailer"},
	{"announcement of no token", "POST / HTTP/1.1\r\nHost: h\r\nTrailer: a b\r\nTransfer-Encoding: chunked\r\n\r\n", "400 malformed Trailer, or it announces what may not be a trailer"},
	{"announcement that means nothing", "POST / HTTP/1.1\r\nHost: h\r\nTrailer: Content-Length\r\nContent-Length: 5\r\n\r\n", "POST path=/ authority=h 1.1 sized 5"},
	{"announcement", "POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-A, , Server-Timing\r\nTransfer-Encoding: chunked\r\n\r\n", "POST path=/ authority=h 1.1 chunked [Trailer: X-A, , Server-Timing]"},
	{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Transfer-Encoding in HTTP/1.0"},

	// The rest.
	{"connection names no token", "GET / HTTP/1.1\r\nHost: h\r\nConnection: a b\r\n\r\n", "400 malformed Connection field"},
	{"connection nominates Host", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Host\r\nA: b\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates content-length", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, content-length\r\ncontent-length: 5\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates Authorization", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Authorization\r\nAuthorization: 5\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates Cookie", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Cookie\r\nCookie: 5\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates Cache-Control", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Cache-Control\r\nCache-Control: 5\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates X-Forwarded-For", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Forwarded-For\r\nX-Forwarded-For: 5\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates Expect", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, Expect\r\nExpect: 5\r\n\r\n", "400 the Connection field nominates an end-to-end field"},
	{"connection nominates hop-by-hop fields", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive, Proxy-Connection, Transfer-Encoding, Trailer, TE, HTTP2-Settings, Connection\r\nTrailer: a\r\n\r\n", "GET path=/ authority=h 1.1"},
	{"connection names too many", "GET / HTTP/1.1\r\nHost: h\r\nConnection: a,b,c,d,e,f,g,h,i\r\n\r\n", "400 malformed Connection field"},
	{"another expectation", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n", "417 an expectation other than 100-continue"},

	// Limits.
	{"longest target", "GET /" + strings.Repeat("a", 49) + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/" + strings.Repeat("a", 49) + " authority=h 1.1"},
	{"longest target of a long method", strings.Repeat("M", 80) + " /" + strings.Repeat("a", 49) + " HTTP/1.1\r\nHost: h\r\n\r\n", strings.Repeat("M", 80) + " path=/" + strings.Repeat("a", 49) + " authority=h 1.1"},
	{"target too long", "GET /" + strings.Repeat("a", 50) + " HTTP/1.1\r\nHost: h\r\n\r\n", "414 the request target is too long"},
	{"endless target", "GET /" + strings.Repeat("a", 150), "414 the request target is too long"},
	{"endless target and no line end", "GET /" + strings.Repeat("a", 50) + " HTTP/1.1", "414 the request target is too long"},
	{"endless target of HTTP/0.9", "GET /" + strings.Repeat("a", 50) + "\r\n", "414 the request target is too long"},
	{"most fields", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nA: 2\r\nA: 3\r\n\r\n", "GET path=/ authority=h 1.1 [A: 1] [A: 2] [A: 3]"},
	{"too many fields", "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\n\r\n", "431 too many fields"},
	{"endless method", strings.Repeat("M", 200), "431 the head is too large"},
	{"endless field", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("a", 173), "431 the head is too large"},
	{"largest head", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("a", 168) + "\r\n\r\n", "GET path=/ authority=h 1.1 [A: " + strings.Repeat("a", 168) + "]"},
	{"head too large by a byte", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("a", 169) + "\r\n\r\n", "431 the head is too large"},
}

// TestRequest parses each head at once and byte by byte, which must not differ.
func TestRequest(t *testing.T) {
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			got, n := parseRequest(c.head, small)
			if got != c.want {
				t.Errorf("at once: %q\n   want: %q", got, c.want)
			}
			if whole := strings.Index(c.head, "\r\n\r\n") + 4; n > 0 && n != whole && !strings.HasPrefix(c.head, "\r\n") {
				t.Errorf("the head was taken to have %d bytes, it has %d", n, whole)
			}
			drip, dripped := dripRequest(c.head, small)
			if drip != c.want || dripped != n {
				t.Errorf("byte by byte: %q (%d bytes)\n        want: %q (%d bytes)", drip, dripped, c.want, n)
			}
		})
	}
}

// TestRequestDefaultLimits: zero limits are the defaults, not none and not zero.
func TestRequestDefaultLimits(t *testing.T) {
	field := "A: " + strings.Repeat("a", 1000) + "\r\n"
	for _, c := range []struct{ name, head, want string }{
		{"usual", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET path=/ authority=h 1.1"},
		{"target", "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", "414 the request target is too long"},
		{"fields", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n", "431 too many fields"},
		{"head", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat(field, 33) + "\r\n", "431 the head is too large"},
	} {
		if got, _ := parseRequest(c.head, wire.Limits{}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestRequestReused: what one head left must not show in the next one.
func TestRequestReused(t *testing.T) {
	var r wire.Request
	first := []byte("POST http://h/a?b HTTP/1.1\r\nHost: h\r\nConnection: upgrade, X-A\r\nUpgrade: websocket\r\n" +
		"TE: trailers\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if n, err := r.Parse(first, wire.Limits{}); n != len(first) || err != nil {
		t.Fatal(n, err)
	}
	for _, c := range []struct{ head, want string }{
		{"GET / HTTP/1.0\r\nX-A: 1\r\n\r\n", "GET path=/ authority= 1.0 close [X-A: 1]"},
		{"GET", ""},
	} {
		if _, err := r.Parse([]byte(c.head), wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		if c.want == "" {
			if len(r.Method)+len(r.Target)+len(r.Authority)+len(r.Fields) > 0 {
				t.Errorf("of %q was understood: %s", c.head, describe(&r))
			}
		} else if got := describe(&r); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestFields(t *testing.T) {
	var r wire.Request
	head := []byte("GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nACCEPT: b\r\naccept-x: c\r\n\r\n")
	if _, err := r.Parse(head, wire.Limits{}); err != nil {
		t.Fatal(err)
	}
	if got := string(bytes.Join(slicesOf(r.Fields, "accept"), []byte("|"))); got != "a|b" {
		t.Errorf("Values: %q", got)
	}
	for range r.Fields.Values("accept") {
		break // must not go on
	}
	if v, ok := r.Fields.Get("accept"); !ok || string(v) != "a" {
		t.Errorf("Get: %q %v", v, ok)
	}
	if _, ok := r.Fields.Get("acce"); ok {
		t.Error("Get found a field that is not there")
	}
}

func slicesOf(f wire.Fields, name string) (all [][]byte) {
	for v := range f.Values(name) {
		all = append(all, v)
	}
	return all
}

var typicalRequest = []byte("GET /cart/items?page=2&sort=price HTTP/1.1\r\nHost: shop.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: lb_session=0123456789abcdef\r\n" +
	"TE: trailers\r\nContent-Length: 5\r\n\r\nhello")

func TestRequestAllocations(t *testing.T) {
	var r wire.Request
	encoded := make([]byte, 0, 2048)
	got := testing.AllocsPerRun(100, func() {
		if n, err := r.Parse(typicalRequest, wire.DefaultLimits); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		for i := range r.Fields {
			r.HopByHop(&r.Fields[i])
		}
		encoded = wire.AppendRequest(encoded[:0], &r)
	})
	if got != 0 {
		t.Errorf("parsing and encoding a typical request allocates %v times, want 0", got)
	}
}

func BenchmarkRequest(b *testing.B) {
	var r wire.Request
	for b.Loop() {
		r.Parse(typicalRequest, wire.DefaultLimits)
	}
}
