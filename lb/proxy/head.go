package proxy

import (
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/wire"
)

// Names and values of the fields a proxy adds. They are never written to.
var (
	nameXForwardedFor   = []byte("X-Forwarded-For")
	nameXForwardedHost  = []byte("X-Forwarded-Host")
	nameXForwardedProto = []byte("X-Forwarded-Proto")
	nameXRequestID      = []byte("X-Request-Id")
	nameVia             = []byte("Via")
	nameDate            = []byte("Date")

	via10, via11, via20 = []byte("1.0 lb"), []byte("1.1 lb"), []byte("2.0 lb")

	schemeHTTP, schemeHTTPS = []byte("http"), []byte("https")
	commaSpace              = []byte(", ")
	question                = []byte("?")
	slash                   = []byte("/")
)

// identify gives the request its id: the client's, if it is fit to be logged and
// passed on, else a new one of 64 random bits in hexadecimal. It gives it its place in
// a trace, too.
func (c *call) identify() {
	var traceParent []byte
	traceParents := 0
	for i := range c.req.Fields {
		f := &c.req.Fields[i]
		switch f.ID {
		case wire.XRequestID:
			if len(f.Value) > 0 && len(f.Value) <= 128 && wire.ValidToken(f.Value) {
				c.id = f.Value
			}
		case wire.TraceParent:
			traceParent = f.Value
			traceParents++
		case wire.LBExplain:
			c.explains = len(f.Value) == 1 && f.Value[0] == '1'
		}
	}
	c.joinTrace(traceParent, traceParents)
	if c.id != nil {
		return
	}
	const digits = "0123456789abcdef"
	var hex [16]byte
	for i, r := 0, c.p.rand(); i < len(hex); i, r = i+1, r>>4 {
		hex[i] = digits[r&15]
	}
	c.id = c.hold(hex[:])
}

// scheme is the scheme the client used.
func (c *call) scheme() []byte {
	if c.x.Client().Scheme == "https" {
		return schemeHTTPS
	}
	return schemeHTTP
}

// buildHead makes the head to be sent upstream out of the one received: without
// what belongs to the client's connection (RFC 9110 section 7.6.1), with what
// the next hop should know of it, and changed by the route's filters.
func (c *call) buildHead() {
	out := &c.out
	*out = wire.Request{
		Method: c.req.Method, Target: c.target(), Authority: c.req.Authority,
		Fields: out.Fields[:0], Framing: c.req.Framing, Length: c.req.Length,
		Upgrade: c.req.Upgrade, Trailers: c.req.Trailers,
	}
	var forwardedFor []byte
	knowsHost, knowsProto := false, false
	for i := range c.req.Fields {
		f := &c.req.Fields[i]
		if f.ID != wire.Other {
			switch f.ID {
			case wire.XForwardedFor:
				if c.trusted {
					if forwardedFor != nil {
						forwardedFor = c.hold(forwardedFor, commaSpace, f.Value)
					} else {
						forwardedFor = f.Value
					}
				}
				continue
			case wire.XForwardedHost:
				knowsHost = c.trusted
			case wire.XForwardedProto:
				knowsProto = c.trusted
			case wire.XRequestID, wire.LBExplain:
				continue
			case wire.TraceParent, wire.TraceState:
				if c.replacesTrace(f.ID) {
					continue
				}
			case wire.Expect:
				// Passed on only while the client still waits for the answer to it.
				if _, whole := c.x.Body().Whole(); whole || !c.req.ExpectContinue {
					continue
				}
			case wire.Trailer:
				if c.req.Framing != wire.Chunked {
					continue
				}
			}
			if !c.trusted && spoofable(f.ID) {
				continue
			}
		}
		if c.req.HopByHop(f) {
			continue
		}
		out.Fields = append(out.Fields, *f)
	}
	client := c.x.Client()
	if forwardedFor != nil {
		forwardedFor = c.hold(forwardedFor, commaSpace, client.PeerText)
	} else {
		forwardedFor = client.PeerText
	}
	out.Fields = append(out.Fields, wire.Field{Name: nameXForwardedFor, Value: forwardedFor})
	if !knowsProto {
		out.Fields = append(out.Fields, wire.Field{Name: nameXForwardedProto, Value: c.scheme()})
	}
	if !knowsHost && len(c.req.Authority) > 0 {
		out.Fields = append(out.Fields, wire.Field{Name: nameXForwardedHost, Value: c.req.Authority})
	}
	via := via11
	switch client.Proto {
	case "1.0":
		via = via10
	case "2":
		via = via20
	}
	out.Fields = append(out.Fields,
		wire.Field{Name: nameXRequestID, Value: c.id},
		wire.Field{Name: nameVia, Value: via})
	c.addTraceParent()
	if w := c.route.Rewrite; w != nil && len(w.Hostname) > 0 {
		out.Authority = w.Hostname
	}
	c.hostless = len(out.Authority) == 0
	if m := c.route.RequestHeaders; m != nil {
		out.Fields = modify(out.Fields, m)
	}
}

// spoofable reports whether a field speaks of the client and is believed of
// trusted proxies only.
func spoofable(id wire.FieldID) bool {
	switch id {
	case wire.Forwarded, wire.XForwarded, wire.XForwardedFor, wire.XForwardedHost, wire.XForwardedProto, wire.XRealIP:
		return true
	}
	return false
}

// asterisk reports whether the request is an OPTIONS that speaks of the server as
// a whole (RFC 9110 section 9.3.7).
func (c *call) asterisk() bool { return len(c.req.Path) == 1 && c.req.Path[0] == '*' }

// target is the request target sent upstream, always in origin-form (or "*").
func (c *call) target() []byte {
	r := c.req
	if c.asterisk() {
		return r.Path
	}
	if w := c.route.Rewrite; w != nil {
		from := len(c.scratch)
		c.scratch = w.AppendTarget(c.scratch, c.path, r.Query, c.matched.PrefixLen)
		return c.scratch[from:len(c.scratch):len(c.scratch)]
	}
	if r.Target[0] == '/' && len(c.path) == len(r.Path) {
		return r.Target
	}
	if r.Query == nil {
		return c.path
	}
	return c.hold(c.path, question, r.Query)
}

// buildReply makes the head to be sent to the client out of the endpoint's.
func (c *call) buildReply(resp *wire.Response) {
	reply := &c.reply
	*reply = wire.Response{
		Status: resp.Status, Reason: resp.Reason, Fields: reply.Fields[:0],
		Framing: resp.Framing, Length: resp.Length, Upgrade: resp.Upgrade,
	}
	dated := resp.Status < 200
	for i := range resp.Fields {
		f := &resp.Fields[i]
		if f.ID != wire.Other {
			switch f.ID {
			case wire.Date:
				dated = true
			case wire.LBExplain: // it is ours to say
				continue
			}
			if resp.HopByHop(f) {
				continue
			}
		} else if resp.Nominates() && resp.HopByHop(f) {
			continue
		}
		reply.Fields = append(reply.Fields, *f)
	}
	if !dated { // RFC 9110 section 6.6.1
		reply.Fields = append(reply.Fields, wire.Field{Name: nameDate, Value: c.p.date.now()})
	}
	if m := c.route.ResponseHeaders; m != nil && resp.Status >= 200 {
		reply.Fields = modify(reply.Fields, m)
	}
	if c.explains && resp.Status >= 200 {
		c.explainReply()
	}
}

// flag adds a remark on how the request went.
func (c *call) flag(f event.Flags) { c.ev.Flags |= f }
