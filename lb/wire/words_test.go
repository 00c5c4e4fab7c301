package wire_test

// A fuzzer that knows bytes alone seldom comes upon a whole field. In what it makes,
// the bytes from 0x80 to 0x9f stand for words of HTTP; all others for themselves.

// expand puts the words in.
func expand(in []byte, words *[32]string) []byte {
	out := make([]byte, 0, 2*len(in))
	for _, c := range in {
		if 0x80 <= c && c <= 0x9f {
			out = append(out, words[c-0x80]...)
		} else {
			out = append(out, c)
		}
	}
	return out
}

var requestWords = [32]string{
	"\r\n", "\r\n\r\n", "\n", "\r", "\t", "\x00", ", ", "%2e",
	"GET / HTTP/1.1\r\nHost: h\r\n", "POST /a HTTP/1.1\r\nHost: h\r\n", " HTTP/1.0\r\n", " HTTP/1.1\r\n", "http://h", "OPTIONS ",
	"Host: h\r\n", "Host: ", "[::1]:80",
	"Content-Length: ", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: ", "chunked",
	"Connection: ", "close", "keep-alive", "Upgrade: websocket\r\n", "Trailer: X-A\r\n", "Expect: 100-continue\r\n", "X-A: b\r\n",
	"0\r\n", "5\r\nhello\r\n", `;a="`,
}

var responseWords = [32]string{
	"\r\n", "\r\n\r\n", "\n", "\r", "\t", "\x00", ", ", "hello",
	"HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 \r\n\r\n", "HTTP/1.1 101 x\r\n", "HTTP/1.1 204\r\n", "HTTP/1.1 304 x\r\n", "HTTP/1.0 ",
	"HTTP/1.1 ", "103 ", "Set-Cookie: a=b\r\n", "Pragma: no-cache\r\n",
	"Content-Length: ", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: ", "chunked",
	"Connection: ", "close\r\n", "keep-alive", "Upgrade: websocket\r\n", "Trailer: X-A\r\n", "X-A: b\r\n",
	"0\r\n", "5\r\nhello\r\n", `;a="`,
}

// requestHints and responseHints are streams of words, for the fuzzer to begin
// with.
var requestHints = []string{
	"\x88\x80\x88\x80",
	"\x89\x92\x80hello\x88\x80",
	"\x89\x93\x80\x9e\x9d\x80\x88\x80",
	"\x89\x93\x9a\x80\x9e\x9d\x9c\x80\x88\x80",
	"\x89\x92\x93\x80\x9d\x80\x88\x80",
	"\x89\x94gzip\x86\x95\x80\x80\x9d\x80",
	"\x89\x93\x80\x35\x9fb\"\x80hello\x80\x9d\x80",
	"GET /\x8a\x96\x98\x80\x80GET /\x8a\x80",
	"\x8d*\x8b\x8e\x80\x88\x80",
	"GET \x8c/\x8b\x8e\x80\x8d\x8c\x8b\x8e\x80",
	"GET /\x87\x8b\x8f\x90\x80\x80",
	"\x88\x96Upgrade\x80\x99\x80",
	"\x89\x92\x9b\x80hello",
	"\x88\x96X-A\x86\x97\x80\x9c\x80",
	"\x80\x88\x80\x80\x88\x80",
}

var responseHints = []string{
	"\x88\x93\x80hello\x88",
	"\x89\x8e\x8f\x80\x9c\x80\x88\x93\x80hello",
	"\x88\x94\x80\x9e\x9d\x80",
	"\x88\x94\x9b\x80\x9e\x9d\x9c\x80",
	"\x88\x80hello",
	"\x88\x97\x98\x93\x80hello",
	"\x8d200\x80\x97\x99\x80\x93\x80hello",
	"\x8a\x97Upgrade\x80\x9a\x80hello",
	"\x8b\x80", "\x8c\x93\x80", "\x88\x93\x94\x80",
	"\x88\x90\x91\x93\x80hello",
}
