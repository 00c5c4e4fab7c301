package balancer_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
)

const (
	theirTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	theirSpan   = "00f067aa0ba902b7"
	theirParent = "00-" + theirTrace + "-" + theirSpan + "-01"
)

// asked is what a sampler was asked last.
type asked struct {
	mu     sync.Mutex
	trace  string
	parent event.TraceParent
	times  int
}

func (a *asked) sampler(wanted bool) func(*balancer.Options) {
	return func(o *balancer.Options) {
		o.Trace = func(trace [16]byte, parent event.TraceParent) bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.trace, a.parent = hex.EncodeToString(trace[:]), parent
			a.times++
			return wanted
		}
	}
}

func (a *asked) last() (trace string, parent event.TraceParent, times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.trace, a.parent, a.times
}

// attemptsOf are copies of the first n attempts, which it waits for.
func (l *lb) attemptsOf(n int) (out []event.Attempt) {
	l.t.Helper()
	l.until(fmt.Sprintf("the end of %d attempts", n), func() bool { return len(l.attempts) >= n })
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(out, l.attempts...)
}

func spanText(s event.Span) string {
	flags := 0
	if s.Sampled {
		flags = 1
	}
	return fmt.Sprintf("00-%x-%x-%02x", s.Trace, s.ID, flags)
}

// Without a sampler what clients send of their traces is passed on as it came, good or
// bad, and the event names the trace if it can be read.
func TestTraceContextIsPassedOn(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	for i, tt := range []struct {
		fields, traceParent string
		known               bool
	}{
		{"traceparent: " + theirParent + "\r\ntracestate: a=1\r\ntracestate: b=2\r\nbaggage: user=7\r\n", theirParent, true},
		{"Traceparent: nonsense\r\ntracestate: a=1\r\ntracestate: b=2\r\nbaggage: user=7\r\n", "nonsense", false},
		{"traceparent: " + theirParent + "\r\ntraceparent: " + theirParent + "\r\ntracestate: a=1 \r\ntracestate: b=2\r\nbaggage: user=7\r\n", theirParent + " | " + theirParent, false},
		{"tracestate: a=1\r\ntracestate: b=2\r\nbaggage: user=7\r\n", "", false},
	} {
		c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\n"+tt.fields+"\r\n")
		sent, e := b.received()[i], l.ended(i+1)
		if field(sent, "traceparent") != tt.traceParent || field(sent, "tracestate") != "a=1 | b=2" || field(sent, "baggage") != "user=7" {
			t.Errorf("%q was sent on as %q", tt.fields, sent)
		}
		if e.Span.Traced() != tt.known || e.Span.Sampled || e.Span.ID != [8]byte{} {
			t.Errorf("%q: the event says %+v", tt.fields, e.Span)
		}
	}
}

// With a sampler a request joins the trace of its client, and its endpoint is told of
// a span below the balancer's own.
func TestTraceIsJoined(t *testing.T) {
	for _, tt := range []struct {
		name, flags string
		wanted      bool
		parent      event.TraceParent
		sent        string // flags
	}{
		{"recorded, wanted", "01", true, event.ParentRecorded, "01"},
		{"recorded, not wanted", "01", false, event.ParentRecorded, "00"},
		{"dropped, not wanted", "00", false, event.ParentDropped, "00"},
		{"dropped, wanted", "00", true, event.ParentDropped, "01"},
		{"random ids", "03", true, event.ParentRecorded, "03"},
		{"random ids, not wanted", "02", false, event.ParentDropped, "02"},
		{"flags of a later version", "fd", true, event.ParentRecorded, "01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := answering(t, ok)
			var a asked
			l := start(t, setup{endpoints: []string{b.addr}}, a.sampler(tt.wanted))
			l.dial().answered(200, "GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: 00-"+theirTrace+"-"+theirSpan+"-"+tt.flags+
				"\r\ntracestate: a=1\r\ntracestate: b=2\r\nbaggage: user=7\r\n\r\n")
			sent, e, try := b.received()[0], l.ended(1), l.attemptsOf(1)[0]
			if trace, parent, times := a.last(); times != 1 || parent != tt.parent || trace != theirTrace {
				t.Errorf("the sampler was asked %d times, with %s and %d", times, trace, parent)
			}
			if hex.EncodeToString(e.Span.Trace[:]) != theirTrace || hex.EncodeToString(e.Span.Parent[:]) != theirSpan ||
				e.Span.ID == [8]byte{} || e.Span.Sampled != tt.wanted {
				t.Errorf("the request's span is %+v", e.Span)
			}
			if try.Span.Trace != e.Span.Trace || try.Span.Parent != e.Span.ID || try.Span.ID == e.Span.ID || try.Span.Sampled != tt.wanted {
				t.Errorf("the attempt's span is %+v, the request's %+v", try.Span, e.Span)
			}
			if got, want := field(sent, "traceparent"), fmt.Sprintf("00-%s-%x-%s", theirTrace, try.Span.ID, tt.sent); got != want {
				t.Errorf("the endpoint got traceparent %q, want %q", got, want)
			}
			if field(sent, "tracestate") != "a=1 | b=2" || field(sent, "baggage") != "user=7" {
				t.Errorf("the endpoint got %q", sent)
			}
			if state := map[bool]string{true: "a=1,b=2"}[tt.wanted]; e.traceState != state {
				t.Errorf("the event has tracestate %q, want %q", e.traceState, state)
			}
			if named := try.Upstream != ""; named != tt.wanted || tt.wanted && (try.Upstream != b.addr || try.PoolName != "main") {
				t.Errorf("the attempt says %q of %q", try.Upstream, try.PoolName)
			}
		})
	}
}

// What is no traceparent begins a trace, and the tracestate of none is not passed on
// (W3C Trace Context section 4.3).
func TestTraceBegins(t *testing.T) {
	b := answering(t, ok)
	var a asked
	l := start(t, setup{endpoints: []string{b.addr}}, a.sampler(true))
	c := l.dial()
	seen := map[[16]byte]bool{}
	n := 0
	for _, tt := range []struct {
		fields string
		joins  bool
	}{
		{"", false},
		{"traceparent:\r\n", false},
		{"traceparent: " + theirParent + "\r\ntraceparent: " + theirParent + "\r\n", false},
		{"traceparent: " + theirParent[:54] + "\r\n", false},
		{"traceparent: " + theirParent + "-\r\n", false}, // version 00 has no more
		{"traceparent: " + theirParent + "0\r\n", false},
		{"traceparent: ff" + theirParent[2:] + "\r\n", false},
		{"traceparent: 0x" + theirParent[2:] + "\r\n", false},
		{"traceparent: " + strings.ToUpper(theirParent) + "\r\n", false},
		{"traceparent: 00-" + strings.Repeat("0", 32) + "-" + theirSpan + "-01\r\n", false},
		{"traceparent: 00-" + theirTrace + "-" + strings.Repeat("0", 16) + "-01\r\n", false},
		{"traceparent: 00-" + theirTrace + "-" + theirSpan + "-0g\r\n", false},
		{"traceparent: 00_" + theirTrace + "-" + theirSpan + "-01\r\n", false},
		{"traceparent: " + strings.Repeat("0", 5000) + "\r\n", false},
		{"traceparent: cc" + theirParent[2:] + "x\r\n", false},
		{"traceparent: cc" + theirParent[2:] + "\r\n", true}, // a later version
		{"traceparent: cc" + theirParent[2:] + "-what-it-adds\r\n", true},
	} {
		c.answered(200, "GET / HTTP/1.1\r\nHost: a\r\n"+tt.fields+"tracestate: a=1\r\nbaggage: user=7\r\n\r\n")
		n++
		sent, e, try := b.received()[n-1], l.ended(n), l.attemptsOf(n)[n-1]
		_, parent, _ := a.last()
		if joins := hex.EncodeToString(e.Span.Trace[:]) == theirTrace; joins != tt.joins || (parent == event.NoTraceParent) == joins {
			t.Errorf("%.80q: span %+v, parent %d", tt.fields, e.Span, parent)
		}
		if field(sent, "traceparent") != spanText(try.Span) {
			t.Errorf("%.80q: sent %q, span %s", tt.fields, field(sent, "traceparent"), spanText(try.Span))
		}
		state := ""
		if tt.joins {
			state = "a=1"
		} else {
			if seen[e.Span.Trace] || !e.Span.Traced() || e.Span.Parent != [8]byte{} {
				t.Errorf("%.80q: the trace that begins is %+v", tt.fields, e.Span)
			}
			seen[e.Span.Trace] = true
		}
		if field(sent, "tracestate") != state || e.traceState != state || field(sent, "baggage") != "user=7" {
			t.Errorf("%.80q: sent %q, event's tracestate %q", tt.fields, sent, e.traceState)
		}
	}
}

// Every try has a span of its own, all below the request's; so has a request that is
// never tried, and one that is malformed.
func TestSpanOfEachTry(t *testing.T) {
	bad, good := answering(t, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), answering(t, ok)
	var a asked
	l := start(t, setup{
		routes: "    - name: all\n      matches: [{path: {value: /a}}]\n      backendRefs: [{pool: main}]\n      retry: {attempts: 1, backoff: 1ms}\n",
		pools:  inTurn("", bad.addr, good.addr),
	}, a.sampler(true))
	c := l.dial()
	c.answered(200, "GET /a?q=1 HTTP/1.1\r\nHost: a\r\n\r\n")
	e, tries := l.ended(1), l.attemptsOf(2)
	if e.RoutePath != "/a/*" {
		t.Errorf("the route's path is %q", e.RoutePath)
	}
	for i, b := range []*backend{bad, good} {
		if got := field(b.received()[0], "traceparent"); got != spanText(tries[i].Span) || tries[i].Span.Parent != e.Span.ID {
			t.Errorf("try %d was told %q; its span is %+v, the request's %+v", i+1, got, tries[i].Span, e.Span)
		}
	}
	if tries[0].Span.ID == tries[1].Span.ID || tries[0].Verdict != event.VerdictFailure || tries[1].Verdict != event.VerdictSuccess {
		t.Errorf("tries %+v", tries)
	}
	c.answered(404, "GET /none HTTP/1.1\r\nHost: a\r\ntraceparent: "+theirParent+"\r\n\r\n")
	if e := l.ended(2); !e.Span.Sampled || hex.EncodeToString(e.Span.Parent[:]) != theirSpan || e.RoutePath != "" {
		t.Errorf("without a route: %+v", e.Span)
	}
	c.answered(400, "GET / HTTP/1.1\r\n\r\n")
	if e := l.ended(3); !e.Span.Sampled || e.Span.ID == [8]byte{} {
		t.Errorf("malformed: %+v", e.Span)
	}
	if _, _, times := a.last(); times != 3 {
		t.Errorf("the sampler was asked %d times", times)
	}
}

// A copy for another pool has a span below the request's, too.
func TestSpanOfAMirror(t *testing.T) {
	b, shadow := answering(t, ok), answering(t, ok)
	var a asked
	l := start(t, mirrored(b.addr, shadow.addr, "", ""), a.sampler(true))
	l.dial().answered(200, "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: "+theirParent+"\r\ntracestate: a=1\r\n\r\n")
	l.copied(1)
	e := l.ended(1)
	for _, try := range l.attemptsOf(2) {
		to := b
		if try.Mirror {
			to = shadow
		}
		got := to.received()[0]
		if field(got, "traceparent") != spanText(try.Span) || try.Span.Parent != e.Span.ID || try.Upstream != to.addr || field(got, "tracestate") != "a=1" {
			t.Errorf("mirror %t: %q, span %+v to %q, the request's %+v", try.Mirror, got, try.Span, try.Upstream, e.Span)
		}
	}
}

// The policy has the last word: it may hide traces from endpoints.
func TestTraceParentIsRemovedByAFilter(t *testing.T) {
	b := answering(t, ok)
	var a asked
	l := start(t, setup{endpoints: []string{b.addr}, filters: "{requestHeaderModifier: {remove: [traceparent, tracestate, baggage]}}"}, a.sampler(true))
	l.dial().answered(200, "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: "+theirParent+"\r\ntracestate: a=1\r\nbaggage: b=1\r\n\r\n")
	if sent := b.received()[0]; strings.Contains(strings.ToLower(sent), "trace") || strings.Contains(sent, "baggage") {
		t.Errorf("sent %q", sent)
	}
}

// A tracestate of any size is passed on, and never shown beyond 512 bytes.
func TestLongTraceState(t *testing.T) {
	b := answering(t, ok)
	var a asked
	l := start(t, setup{endpoints: []string{b.addr}}, a.sampler(true))
	long := "a=" + strings.Repeat("x", 700)
	l.dial().answered(200, "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: "+theirParent+"\r\ntracestate: b=1\r\ntracestate: "+long+"\r\n\r\n")
	if got := field(b.received()[0], "tracestate"); got != "b=1 | "+long {
		t.Errorf("passed on %q", got)
	}
	if e := l.ended(1); e.traceState != "" {
		t.Errorf("shown %q", e.traceState)
	}
}
