package proxy

import (
	"strconv"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/wire"
)

var (
	nameContentType  = []byte("Content-Type")
	nameCacheControl = []byte("Cache-Control")
	nameRetryAfter   = []byte("Retry-After")
	nameLocation     = []byte("Location")

	plainText = []byte("text/plain; charset=utf-8")
	noStore   = []byte("no-store")
	idIntro   = []byte("\nrequest id: ")
	newline   = []byte("\n")
)

// refuse answers in the balancer's own name: a line that says why, and the
// request's id, by which the log says the rest. It never names pools or
// endpoints: those are nobody's business outside.
func (c *call) refuse(status int, flag event.Flags, why string) {
	c.flag(flag)
	text := c.hold([]byte(why), idIntro, c.id, newline)
	c.answer(status, text)
}

// serveBad answers a request that could not be parsed.
func (c *call) serveBad(cause *wire.Error) {
	c.identify()
	c.client = c.x.Client().Peer.Addr()
	c.ev.PolicyHash = c.p.current.Load().Info.Hash
	flag := event.DownstreamProtocol
	if cause.Status == 408 {
		flag = event.DownstreamTimeout
	}
	c.refuse(cause.Status, flag, cause.Reason)
}

// answer sends a line of text.
func (c *call) answer(status int, text []byte) {
	fields := append(c.reply.Fields[:0],
		wire.Field{Name: nameContentType, Value: plainText},
		wire.Field{Name: nameCacheControl, Value: noStore},
		wire.Field{Name: nameXRequestID, Value: c.id},
		wire.Field{Name: nameDate, Value: c.p.date.now()})
	if status == 503 {
		fields = append(fields, wire.Field{Name: nameRetryAfter, Value: c.retryAfter()})
	}
	c.answerWith(status, fields, text)
}

// answerWith sends a complete response of the balancer's own.
func (c *call) answerWith(status int, fields wire.Fields, content []byte) {
	c.replied = true
	c.ev.Status = status
	c.reply = wire.Response{Status: status, Fields: fields, Framing: wire.Sized, Length: int64(len(content))}
	if c.explains {
		c.explainReply()
	}
	c.sendReply(content)
}

// retryAfter is when it is worth asking again, in whole seconds: when the next
// breaker of the pool lets a probe through, and never less than one.
func (c *call) retryAfter() []byte {
	wait := time.Second
	if c.pool != nil && c.ev.Flags&event.BreakersOpen != 0 {
		wait = max(wait, c.pool.RetryAfter())
	}
	return strconv.AppendInt(nil, int64((wait+time.Second-1)/time.Second), 10)
}

// sendReply sends c.reply with its content; a client that has left is remarked.
func (c *call) sendReply(content []byte) {
	c.unqueue() // where it kept its place for another policy, and that refuses it
	err := c.x.Reply(&c.reply)
	if err == nil {
		err = c.x.Write(content)
	}
	if err == nil {
		err = c.x.End(nil)
	}
	if err != nil {
		c.flag(event.DownstreamGone)
		return
	}
	if string(c.req.Method) != "HEAD" {
		c.ev.ResponseBytes = int64(len(content))
	}
}

// refuseUnpicked answers a request no endpoint may have.
func (c *call) refuseUnpicked(r pool.Refusal) {
	c.refuse(503, r.Flags(), r.String())
}

// refuseFailed answers a request whose last attempt failed before anything was
// replied.
func (c *call) refuseFailed(r event.Result, err error) {
	switch r {
	case event.ClientCanceled:
		if status, flag, why := clientFault(err); status > 0 && c.ev.Flags&event.DownstreamGone == 0 {
			c.refuse(status, flag, why)
			return
		}
		c.flag(event.DownstreamGone)
		c.x.Abort()
	case event.Exhausted:
		c.refuse(503, 0, "the balancer is out of resources")
	case event.Overflowed:
		c.refuse(503, 0, "the pool has as many connections as it may")
	case event.Aborted:
		c.refuse(503, 0, "the endpoint was taken out of service before it answered")
	case event.TimedOut:
		c.refuse(504, 0, "the endpoint did not answer in time")
	case event.ConnectFailed:
		if left, bounded := c.requestLeft(); bounded && left <= 0 {
			c.refuse(504, event.UpstreamTimeout, "no connection to the endpoint came about in time")
			return
		}
		c.refuse(502, 0, "the endpoint could not be reached")
	case event.ProtocolError:
		c.refuse(502, 0, "the endpoint's answer was not valid HTTP")
	default:
		c.refuse(502, 0, "the endpoint closed the connection before it answered")
	}
}
