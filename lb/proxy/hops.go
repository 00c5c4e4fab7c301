package proxy

import (
	"strconv"

	"go-loadbalancer/lb/wire"
)

// countHops obeys Max-Forwards, by which OPTIONS and TRACE ask each proxy on their
// way for an answer, nearest first (RFC 9110 section 7.6.2). It reports whether
// this one is asked; else it notes what the next one is to be told. A value that
// is no number is nobody's, and passed on as it is.
func (c *call) countHops() (here bool) {
	switch string(c.req.Method) {
	case "OPTIONS", "TRACE":
	default:
		return false
	}
	value, ok := c.req.Fields.Get("Max-Forwards")
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(string(value), 10, 31)
	switch {
	case err != nil:
		return false
	case n == 0:
		return true
	}
	c.hopsLeft = strconv.AppendUint(nil, n-1, 10)
	return false
}

// answerHop answers as the final recipient. A TRACE would be answered by the
// request itself, credentials included: it is not.
func (c *call) answerHop() {
	if string(c.req.Method) == "TRACE" {
		c.refuse(501, 0, "TRACE is not answered here")
		return
	}
	c.answer(200, nil)
}

// tellHops puts what is left of Max-Forwards into the head to be sent upstream.
func (c *call) tellHops() {
	if c.hopsLeft == nil {
		return
	}
	for i := range c.out.Fields {
		if wire.EqualFold(c.out.Fields[i].Name, "Max-Forwards") {
			c.out.Fields[i].Value = c.hopsLeft
		}
	}
}
