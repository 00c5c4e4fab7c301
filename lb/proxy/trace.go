package proxy

import (
	"strconv"

	"go-loadbalancer/lb/wire"
)

// TRACE and OPTIONS may be asked of a proxy itself, by a count of hops: every
// proxy takes one off Max-Forwards, and answers where it is 0 (RFC 9110 section
// 7.6.2). TRACE shows its sender what reaches the end of the way, which is an
// intruder's tool as much as an operator's: a listener has to allow it.

var (
	nameAllow   = []byte("Allow")
	messageHTTP = []byte("message/http")
	// passedOn are the methods that are passed on whatever a listener allows.
	// Others are too, but have no standing.
	passedOn = []byte("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
)

const (
	noHops = -1
	// maxHops is the most that is passed on as Max-Forwards: more than any way has
	// proxies.
	maxHops = 255
)

// finalHere answers a TRACE or OPTIONS that must not go further, and reports
// whether it did.
func (c *call) finalHere() bool {
	c.hops = noHops
	switch string(c.req.Method) {
	case "TRACE":
		if c.req.Framing == wire.Chunked || c.req.Length > 0 {
			// RFC 9110 section 9.3.8. What follows is not taken for a request.
			c.req.KeepAlive = false
			c.routed()
			c.refuse(400, 0, "a TRACE request has content")
			return true
		}
		if !c.x.Client().AllowTrace {
			c.routed()
			c.permit(405, "TRACE is not allowed")
			return true
		}
	case "OPTIONS":
	default:
		return false
	}
	left, ok := c.maxForwards()
	switch {
	case !ok:
		c.routed()
		c.refuse(400, 0, "malformed Max-Forwards")
		return true
	case left > 0:
		c.hops = left - 1
		return false
	case left == noHops:
		return false
	}
	c.routed()
	if len(c.req.Method) == len("TRACE") {
		c.reflect()
	} else {
		c.permit(200, "")
	}
	return true
}

// maxForwards is the request's Max-Forwards, and no more than is passed on;
// noHops if it has none. It is not ok if the field is no number, or is repeated.
func (c *call) maxForwards() (n int, ok bool) {
	n = noHops
	for value := range c.req.Fields.Values("Max-Forwards") {
		if n != noHops || len(value) == 0 {
			return 0, false
		}
		n = 0
		for _, digit := range value {
			if digit < '0' || digit > '9' {
				return 0, false
			}
			n = min(10*n+int(digit-'0'), maxHops+1)
		}
	}
	return n, true
}

// spendHop takes a hop off what is sent upstream, and the client's secrets out of
// a TRACE, which is going to be shown.
func (c *call) spendHop() {
	if c.hops != noHops {
		for i := range c.out.Fields {
			if f := &c.out.Fields[i]; wire.EqualFold(f.Name, "max-forwards") {
				f.Value = strconv.AppendInt(nil, int64(c.hops), 10)
			}
		}
	}
	if string(c.req.Method) == "TRACE" {
		kept := c.out.Fields[:0]
		for i := range c.out.Fields {
			if !secret(c.out.Fields[i].Name) {
				kept = append(kept, c.out.Fields[i])
			}
		}
		c.out.Fields = kept
	}
}

// secret reports whether a field is likely to hold what only its sender may know
// (RFC 9110 section 9.3.8).
func secret(name []byte) bool {
	return wire.EqualFold(name, "authorization") || wire.EqualFold(name, "proxy-authorization") || wire.EqualFold(name, "cookie")
}

// permit answers with the methods that may be used.
func (c *call) permit(status int, why string) {
	fields := append(c.reply.Fields[:0],
		wire.Field{Name: nameAllow, Value: passedOn},
		wire.Field{Name: nameXRequestID, Value: c.id},
		wire.Field{Name: nameDate, Value: c.p.date.now()})
	if why == "" {
		c.answerWith(status, fields, nil)
		return
	}
	fields = append(fields, wire.Field{Name: nameContentType, Value: plainText}, wire.Field{Name: nameCacheControl, Value: noStore})
	c.answerWith(status, fields, c.hold([]byte(why), idIntro, c.id, newline))
}

// reflect answers a TRACE with the request as it came, but for secrets.
func (c *call) reflect() {
	r := c.req
	text := make([]byte, 0, 512)
	text = append(append(append(text, r.Method...), ' '), r.Target...)
	text = append(append(text, " HTTP/1."...), '0'+r.Minor, '\r', '\n')
	for i := range r.Fields {
		if f := &r.Fields[i]; !secret(f.Name) {
			text = append(append(append(append(text, f.Name...), ": "...), f.Value...), "\r\n"...)
		}
	}
	text = append(text, "\r\n"...)
	c.answerWith(200, append(c.reply.Fields[:0],
		wire.Field{Name: nameContentType, Value: messageHTTP},
		wire.Field{Name: nameCacheControl, Value: noStore},
		wire.Field{Name: nameXRequestID, Value: c.id},
		wire.Field{Name: nameDate, Value: c.p.date.now()}), text)
}
