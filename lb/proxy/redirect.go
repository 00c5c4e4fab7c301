package proxy

import (
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/wire"
)

// redirect answers with the place the route's redirect filter names.
func (c *call) redirect() {
	r := c.route.Redirect
	from := len(c.scratch)
	c.scratch = r.AppendLocation(c.scratch, c.x.Client().Scheme, c.req.Authority, c.path, c.req.Query, c.matched.PrefixLen)
	location := c.scratch[from:]
	c.flag(event.Redirected)
	c.replied = true
	c.ev.Status = r.StatusCode
	c.reply = wire.Response{Status: r.StatusCode, Framing: wire.Sized, Fields: append(c.reply.Fields[:0],
		wire.Field{Name: nameLocation, Value: location},
		wire.Field{Name: nameDate, Value: c.p.date.now()})}
	if m := c.route.ResponseHeaders; m != nil {
		c.reply.Fields = modify(c.reply.Fields, m)
	}
	if c.explains {
		c.explainReply()
	}
	c.sendReply(nil)
}
