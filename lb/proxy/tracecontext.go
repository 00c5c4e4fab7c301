package proxy

import (
	"encoding/binary"
	"encoding/hex"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/wire"
)

// W3C Trace Context (https://www.w3.org/TR/trace-context/). Without a sampler the
// balancer takes no part in it: traceparent and tracestate are passed on as they came,
// as Baggage always is. With one each request has a span, and each try one below that,
// which the endpoint is told.

var nameTraceParent = []byte("traceparent")

const (
	// traceParentLen is the length of version 00: version-traceid-parentid-flags.
	traceParentLen = 2 + 1 + 32 + 1 + 16 + 1 + 2

	flagSampled = 1 << 0
	flagRandom  = 1 << 1 // the trace's id is; of level 2, and passed on

	// maxTraceState is how much of a client's tracestate a span shows. Whatever its
	// length, it is passed on.
	maxTraceState = 512
)

// trace is a request's trace context, beside its span.
type trace struct {
	flags  byte   // as passed on
	begins bool   // it has no parent: what the client's tracestate says is of no trace
	parent []byte // traceparent as sent upstream, in scratch; nil: as it came
}

// joinTrace makes the request part of the trace that the client's traceparent names,
// or the first of one. times is how often the client sent one.
func (c *call) joinTrace(traceParent []byte, times int) {
	s := &c.ev.Span
	c.trace = trace{}
	flags, ok := parseTraceParent(traceParent, s)
	if times != 1 || !ok {
		*s = event.Span{}
		ok = false
	}
	if c.p.sampler == nil {
		return
	}
	parent := event.NoTraceParent
	switch {
	case !ok:
		c.trace.begins = true
		for !s.Traced() {
			binary.BigEndian.PutUint64(s.Trace[:8], c.p.rand())
			binary.BigEndian.PutUint64(s.Trace[8:], c.p.rand())
		}
	case flags&flagSampled != 0:
		parent = event.ParentRecorded
	default:
		parent = event.ParentDropped
	}
	s.ID = c.p.spanID()
	s.Sampled = c.p.sampler(s.Trace, parent)
	c.trace.flags = flags & flagRandom
	if s.Sampled {
		c.trace.flags |= flagSampled
		if ok {
			s.State = c.traceState()
		}
	}
}

// traceState is what the client's tracestate fields say together, nil if that is too
// long to be shown.
func (c *call) traceState() (state []byte) {
	for i := range c.req.Fields {
		f := &c.req.Fields[i]
		if f.ID != wire.TraceState || len(f.Value) == 0 {
			continue
		}
		if len(state)+len(f.Value) >= maxTraceState {
			return nil
		}
		if state == nil {
			state = f.Value
		} else {
			state = c.hold(state, commaSpace[:1], f.Value)
		}
	}
	return state
}

// replacesTrace reports whether a field of the client's trace context is not passed on,
// since the balancer's own stands for it.
func (c *call) replacesTrace(id wire.FieldID) bool {
	if c.p.sampler == nil {
		return false
	}
	return id == wire.TraceParent || id == wire.TraceState && c.trace.begins
}

// addTraceParent adds the field by which an endpoint is told of the span above its own.
func (c *call) addTraceParent() {
	if c.p.sampler == nil {
		return
	}
	c.trace.parent = c.hold(blankTraceParent)
	c.out.Fields = append(c.out.Fields, wire.Field{Name: nameTraceParent, Value: c.trace.parent, ID: wire.TraceParent})
}

// nextSpan begins a span below the request's, and writes it into what is sent upstream.
// It is the zero value without a sampler.
func (c *call) nextSpan() (s event.Span) {
	if c.p.sampler == nil {
		return s
	}
	above := &c.ev.Span
	s = event.Span{Trace: above.Trace, ID: c.p.spanID(), Parent: above.ID, Sampled: above.Sampled, State: above.State}
	if b := c.trace.parent; b != nil {
		hex.Encode(b[3:], s.Trace[:])
		hex.Encode(b[36:], s.ID[:])
		b[54] = '0' + c.trace.flags
	}
	return s
}

var blankTraceParent = []byte("00-00000000000000000000000000000000-0000000000000000-00")

// spanID is a new id.
func (p *Proxy) spanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.BigEndian.PutUint64(id[:], p.rand())
	}
	return id
}

// parseTraceParent reads a traceparent into s (section 3.2). Of a later version than
// this one's 00 it reads what that has too (section 4.3).
func parseTraceParent(b []byte, s *event.Span) (flags byte, ok bool) {
	if len(b) < traceParentLen || b[2] != '-' || b[35] != '-' || b[52] != '-' {
		return 0, false
	}
	var version, f [1]byte
	if !unhex(version[:], b[:2]) || !unhex(s.Trace[:], b[3:35]) || !unhex(s.Parent[:], b[36:52]) || !unhex(f[:], b[53:55]) {
		return 0, false
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(b) != traceParentLen, len(b) > traceParentLen && b[traceParentLen] != '-':
		return 0, false
	case !s.Traced(), s.Parent == [8]byte{}:
		return 0, false
	}
	return f[0], true
}

// unhex decodes lower-case hexadecimal.
func unhex(dst, src []byte) bool {
	for _, c := range src {
		if 'A' <= c && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}
