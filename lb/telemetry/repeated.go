package telemetry

import (
	"bytes"
	"time"

	"go-loadbalancer/lb/event"
)

// repeated is what many lines have in common, as it is written: copying it is faster
// than writing it anew. It belongs to whoever writes lines, one after the other.
type repeated struct {
	clock clock
	asked [16]asked
	ways  [64]way
}

// asked is what requests wanted, but for their targets.
type asked struct {
	method, host  []byte // of maxMethod and maxHost bytes at most
	scheme, proto string
	text          []byte // how all that is written; nil: nothing is known yet
}

// appendAsked appends what a request wanted, but for its target.
func (r *repeated) appendAsked(b []byte, e *event.Request) []byte {
	if len(e.Method) > maxMethod || len(e.Host) > maxHost || len(e.Scheme) > maxMethod {
		return appendAsked(b, e)
	}
	place := 7*len(e.Method) + len(e.Host)
	if n := len(e.Host); n > 0 {
		place += 3*int(e.Host[0]) + 5*int(e.Host[n/8]) + 11*int(e.Host[n/2]) + 13*int(e.Host[n-1])
	}
	a := &r.asked[place%len(r.asked)]
	if a.text == nil || !bytes.Equal(a.method, e.Method) || !bytes.Equal(a.host, e.Host) || a.scheme != string(e.Scheme) || a.proto != e.Proto {
		a.method, a.host = append(a.method[:0], e.Method...), append(a.host[:0], e.Host...)
		if a.scheme != string(e.Scheme) { // so that a flood of hosts allocates nothing
			a.scheme = string(e.Scheme)
		}
		a.proto = e.Proto
		a.text = appendAsked(a.text[:0], e)
	}
	return append(b, a.text...)
}

func appendAsked(b []byte, e *event.Request) []byte {
	b = append(b, `,"http.request.method":`...)
	b = appendString(b, e.Method, maxMethod)
	if len(e.Scheme) > 0 {
		b = append(b, `,"url.scheme":`...)
		b = appendString(b, e.Scheme, maxMethod)
	}
	if len(e.Host) > 0 {
		b = appendHost(b, e.Host)
	}
	return appendName(b, `,"network.protocol.version":`, e.Proto)
}

// way is where requests went, by the names of the policy, and by which policy.
type way struct {
	wayNames
	text []byte // how that is written; nil: nothing is known yet
}

type wayNames struct{ listener, route, pool, upstream, hash string }

// appendWay appends where a request went.
func (r *repeated) appendWay(b []byte, e *event.Request) []byte {
	w := &r.ways[uint64(e.Endpoint+31*e.Route)%uint64(len(r.ways))]
	names := wayNames{e.Listener, e.RouteName, e.PoolName, e.Upstream, e.PolicyHash}
	if w.text == nil || w.wayNames != names {
		w.wayNames = names
		w.text = appendName(w.text[:0], `,"listener":`, names.listener)
		w.text = appendName(w.text, `,"route":`, names.route)
		w.text = appendName(w.text, `,"pool":`, names.pool)
		w.text = appendName(w.text, `,"upstream":`, names.upstream)
		w.text = append(append(append(w.text, `,"policy_hash":"`...), shortHash(names.hash)...), '"')
	}
	return append(b, w.text...)
}

// shortHash is as much of a policy's hash as lines and spans have, which is enough to
// know one policy from the other, and what the dashboard shows; it is hexadecimal.
func shortHash(hash string) string { return hash[:min(len(hash), 12)] }

// clock formats times as RFC 3339 in UTC with milliseconds, which is how a line begins.
// It keeps the last second's text, since a busy log needs the same many times over.
type clock struct {
	second int64
	text   []byte // of second, up to the decimal point
}

func (c *clock) append(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || c.text == nil {
		c.second = s
		c.text = t.UTC().AppendFormat(append(c.text[:0], `{"time":"`...), "2006-01-02T15:04:05.")
	}
	b = append(b, c.text...)
	ms := uint32(t.Nanosecond() / 1e6)
	tens := ms % 100 * 2
	return append(b, '0'+byte(ms/100), pairs[tens], pairs[tens+1], 'Z', '"')
}
