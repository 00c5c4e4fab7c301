package telemetry

import (
	"bytes"
	"time"

	"go-loadbalancer/lb/event"
)

// repeated is what many lines have in common, as it is written. It belongs to whoever
// writes lines, one after the other.
type repeated struct {
	clock clock
	host  []byte // the last one, of maxHost bytes at most
	shown []byte // how it is written
	ways  [64]way
}

// way is where requests went, by the names of the policy.
type way struct {
	wayNames
	text []byte // how that is written; nil: nothing is known yet
}

type wayNames struct{ listener, route, pool, upstream string }

// appendWay appends where a request went.
func (r *repeated) appendWay(b []byte, e *event.Request) []byte {
	w := &r.ways[uint64(e.Endpoint+31*e.Route)%uint64(len(r.ways))]
	names := wayNames{e.Listener, e.RouteName, e.PoolName, e.Upstream}
	if w.text == nil || w.wayNames != names {
		w.wayNames = names
		w.text = appendName(w.text[:0], `,"listener":`, names.listener)
		w.text = appendName(w.text, `,"route":`, names.route)
		w.text = appendName(w.text, `,"pool":`, names.pool)
		w.text = appendName(w.text, `,"upstream":`, names.upstream)
	}
	return append(b, w.text...)
}

// appendHost appends a Host field as address and port.
func (r *repeated) appendHost(b, host []byte) []byte {
	switch {
	case len(host) == 0:
		return b
	case len(host) > maxHost:
		return appendHost(b, host)
	case !bytes.Equal(host, r.host):
		r.host = append(r.host[:0], host...)
		r.shown = appendHost(r.shown[:0], host)
	}
	return append(b, r.shown...)
}

// clock formats times as RFC 3339 in UTC with milliseconds. It keeps the last
// second's text, since a busy log needs the same many times over.
type clock struct {
	second int64
	text   []byte // of second, up to the decimal point
}

func (c *clock) append(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || c.text == nil {
		c.second = s
		c.text = t.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05.")
	}
	b = append(b, c.text...)
	b = appendDigits(b, int64(t.Nanosecond()/1e6), 3)
	return append(b, 'Z')
}
