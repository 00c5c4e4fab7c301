package wire

import (
	"net/http"
	"strconv"
)

// AppendRequest appends the head of a request to be sent in HTTP/1.1: its line,
// its Host, Fields as they are (which must be end-to-end ones), and what its
// framing and its connection need.
func AppendRequest(b []byte, r *Request) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Authority...)
	b = append(b, "\r\n"...)
	for i := range r.Fields {
		b = AppendField(b, r.Fields[i].Name, r.Fields[i].Value)
	}
	switch r.Framing {
	case Sized:
		b = appendLength(b, r.Length)
	case Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case r.Upgrade != nil:
		b = append(b, "Connection: upgrade\r\nUpgrade: "...)
		b = append(b, r.Upgrade...)
		b = append(b, "\r\n"...)
	case r.Trailers:
		b = append(b, "Connection: te\r\nTE: trailers\r\n"...)
	}
	return append(b, "\r\n"...)
}

// AppendResponse appends the head of a response to be sent in HTTP/1.1: its
// line, Fields as they are (which must be end-to-end ones), and what its framing
// and its connection need. A response without a body announces Length unless
// that is negative; one that cannot have a body, an interim one or a 204, never
// does. minor is the client's version, HTTP/1.minor.
func AppendResponse(b []byte, r *Response, minor uint8) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	if len(r.Reason) > 0 {
		b = append(b, r.Reason...)
	} else {
		b = append(b, reason(r.Status)...)
	}
	b = append(b, "\r\n"...)
	for i := range r.Fields {
		b = AppendField(b, r.Fields[i].Name, r.Fields[i].Value)
	}
	switch {
	case r.Status < 200 || r.Status == 204: // RFC 9112 sections 6.1 and 6.2
	case r.Framing == Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Framing == Sized, r.Framing == NoBody && r.Length >= 0:
		b = appendLength(b, r.Length)
	}
	switch {
	case r.Upgrade != nil:
		b = append(b, "Connection: upgrade\r\nUpgrade: "...)
		b = append(b, r.Upgrade...)
		b = append(b, "\r\n"...)
	case r.Status < 200:
	case !r.KeepAlive:
		b = append(b, "Connection: close\r\n"...)
	case minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

func appendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// reason is a status's phrase as RFC 9110 section 15 has it, which is newer than
// what net/http has for some.
func reason(status int) string {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return "Content Too Large"
	case http.StatusRequestURITooLong:
		return "URI Too Long"
	case http.StatusRequestedRangeNotSatisfiable:
		return "Range Not Satisfiable"
	case http.StatusUnprocessableEntity:
		return "Unprocessable Content"
	}
	return http.StatusText(status)
}
