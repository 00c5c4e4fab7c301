package proxy

import (
	"strconv"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

const overRate = "more requests came than this route lets through"

// limited answers a request that is one too many for its route's rate limit,
// and reports whether it did. A request that starts over with another policy has
// taken its token already.
func (c *call) limited(limit *snapshot.RateLimit) bool {
	if c.metered {
		return false
	}
	c.metered = true
	wait := limit.Take(c.rateKey(limit))
	if wait == 0 {
		return false
	}
	c.routed()
	c.flag(event.RateLimited)
	seconds := (wait + time.Second - 1) / time.Second
	c.answerWith(429, append(c.reply.Fields[:0], // RFC 6585 section 4
		wire.Field{Name: nameContentType, Value: plainText},
		wire.Field{Name: nameCacheControl, Value: noStore},
		wire.Field{Name: nameRetryAfter, Value: strconv.AppendInt(nil, int64(seconds), 10)},
		wire.Field{Name: nameXRequestID, Value: c.id},
		wire.Field{Name: nameDate, Value: c.p.date.now()}), c.hold([]byte(overRate), idIntro, c.id, newline))
	return true
}

// rateKey is what the request is counted by. Those without the field that is
// asked for share one bucket with those in which it is empty, and with those that
// have it several times: which of its values the endpoint goes by is not known, and
// counting by any of them, or by all together, would give a client that puts
// something new before or behind its own a new bucket each time.
func (c *call) rateKey(limit *snapshot.RateLimit) snapshot.RateKey {
	if limit.Header == "" {
		return limit.Address(c.client)
	}
	var only []byte
	n := 0
	for value := range c.req.Fields.Values(limit.Header) {
		only = value
		n++
	}
	if n > 1 {
		only = nil
	}
	return limit.Value(only)
}
