package proxy

import (
	"strconv"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/wire"
)

var nameLBExplain = []byte("X-LB-Explain")

const (
	// maxExplained bounds the field's value in bytes, and maxLeftOut the endpoints that it
	// says were not eligible.
	maxExplained, maxLeftOut = 1024, 4
	// fewMembers is of how many endpoints each is looked at.
	fewMembers = 64
)

// explainReply adds to the reply what was decided, for a client that asked by
// X-LB-Explain: 1, and is a trusted address: its own one, and those of all proxies it is
// said to have come by. A proxy that is trusted passes its clients' fields on, and they
// must not learn of endpoints.
//
// The value is a dictionary of structured fields (RFC 9651 section 3.2). It says nothing
// of what clients send.
func (c *call) explainReply() {
	if !c.inside || c.snap == nil {
		return
	}
	d := dictionary{b: make([]byte, 0, 256)}
	d.text("policy", c.snap.Info.Hash[:min(12, len(c.snap.Info.Hash))])
	if c.route != nil {
		d.text("route", c.route.Name)
	}
	if c.pool != nil {
		d.text("pool", c.pool.Name)
		d.text("by", c.pool.Algorithm())
	}
	if c.ev.Session != event.NoSession {
		d.text("session", c.ev.Session.String())
	}
	if e := c.endpoint; e != nil && c.ev.Attempts > 0 {
		d.text("endpoint", endpointID(c.pool, e))
		d.text("address", e.Address)
		d.number("in-flight", int(e.InFlight()))
	}
	if c.ev.Attempts > 0 {
		d.number("attempts", c.ev.Attempts)
	}
	if c.pool != nil && len(c.pool.Members()) <= fewMembers {
		c.explainMembers(&d)
	}
	if c.ev.Flags != 0 {
		d.text("flags", c.ev.Flags.String())
	}
	c.reply.Fields = append(c.reply.Fields, wire.Field{ID: wire.LBExplain, Name: nameLBExplain, Value: d.b})
}

// explainMembers says how many endpoints of the pool are eligible by now, and why some
// are not.
func (c *call) explainMembers(d *dictionary) {
	members := c.pool.Members()
	eligible, left := 0, ""
	said := 0
	for i := range members {
		ok, why := c.pool.EligibleFor(&members[i], c.fit)
		if ok {
			eligible++
		} else if said++; said <= maxLeftOut {
			if left != "" {
				left += "; "
			}
			left += strconv.Itoa(i+1) + " " + why
		}
	}
	d.number("eligible", eligible)
	d.number("of", len(members))
	d.text("left-out", left)
}

// dictionary is a dictionary of structured fields, bounded: what does not fit is left out.
type dictionary struct{ b []byte }

func (d *dictionary) add(key, value string) {
	if len(d.b)+len(key)+len(value)+3 > maxExplained {
		return
	}
	if len(d.b) > 0 {
		d.b = append(d.b, ", "...)
	}
	d.b = append(append(append(d.b, key...), '='), value...)
}

func (d *dictionary) number(key string, n int) { d.add(key, strconv.Itoa(n)) }

// text adds a string, unless it is empty. What is not printable ASCII, which a string
// cannot hold, becomes "?".
func (d *dictionary) text(key, s string) {
	if s == "" {
		return
	}
	quoted := make([]byte, 0, len(s)+2)
	quoted = append(quoted, '"')
	for i := range len(s) {
		switch ch := s[i]; {
		case ch == '"' || ch == '\\':
			quoted = append(quoted, '\\', ch)
		case ch < ' ' || ch > '~':
			quoted = append(quoted, '?')
		default:
			quoted = append(quoted, ch)
		}
	}
	d.add(key, string(append(quoted, '"')))
}
