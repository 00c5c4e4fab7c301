package telemetry

import (
	"net"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"go-loadbalancer/lb/event"
)

// record is what a span is made of, copied from an event, with what a client chose cut
// to the lengths of the access log: about 6 KiB at most.
type record struct {
	attempt bool
	request event.Request // its slices are those below
	try     event.Attempt

	method, host, path, query, userAgent, id, state []byte
	hasQuery                                        bool
	hidden                                          hiddenParams

	text []byte // backs them
}

func (r *record) ofRequest(e *event.Request, hidden hiddenParams) {
	r.attempt, r.request, r.hidden = false, *e, hidden
	r.method, r.host = r.keep(e.Method, maxMethod), r.keep(e.Host, maxHost)
	r.target(e.Target)
	r.userAgent, r.id, r.state = r.keep(e.UserAgent, maxUserAgent), r.keep(e.RequestID, maxID), r.keep(e.Span.State, len(e.Span.State))
	q := &r.request
	q.Method, q.Host, q.Target, q.UserAgent, q.RequestID, q.Span.State = nil, nil, nil, nil, nil, nil // theirs no longer
}

func (r *record) ofAttempt(a *event.Attempt, hidden hiddenParams) {
	r.attempt, r.try, r.hidden = true, *a, hidden
	r.method, r.id, r.state = r.keep(a.Method, maxMethod), r.keep(a.RequestID, maxID), r.keep(a.Span.State, len(a.Span.State))
	r.target(a.Target)
	t := &r.try
	t.Method, t.Target, t.RequestID, t.Span.State = nil, nil, nil, nil
}

func (r *record) target(target []byte) {
	path, query, has := splitTarget(target)
	r.path, r.query, r.hasQuery = r.keep(path, maxPath), r.keep(query, maxQuery), has
}

// keep copies what is shown of b, and one byte more if there is more, so that it is
// seen to be cut.
func (r *record) keep(b []byte, limit int) []byte {
	from := len(r.text)
	r.text = append(r.text, b[:min(len(b), limit+1)]...)
	return r.text[from:len(r.text):len(r.text)]
}

func (r *record) reset() { *r = record{text: r.text[:0]} }

// span says in the message what the record knows.
func (r *record) span(m *spanMessage) {
	at, kind := &r.request.Span, tracepb.Span_SPAN_KIND_SERVER
	start, took := r.request.Start, r.request.Duration
	describe := r.describeRequest
	if r.attempt {
		at, kind = &r.try.Span, tracepb.Span_SPAN_KIND_CLIENT
		start, took = r.try.Start, r.try.Duration
		describe = r.describeAttempt
	}
	const known = tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
	m.trace, m.id, m.parent = at.Trace, at.ID, at.Parent
	m.span.Kind, m.span.Flags = kind, uint32(trace.FlagsSampled)|uint32(known)
	m.span.StartTimeUnixNano = uint64(max(start.UnixNano(), 0))
	m.span.EndTimeUnixNano = uint64(max(start.Add(max(took, 0)).UnixNano(), 0))
	if m.parent != [8]byte{} {
		m.span.ParentSpanId = m.parent[:]
		if !r.attempt {
			m.span.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
		}
		if len(r.state) > 0 {
			state, _ := trace.ParseTraceState(string(r.state)) // empty if it is malformed
			m.span.TraceState = state.String()
		}
	}
	describe(m)
}

// describeRequest says what the conventions for HTTP servers want, and what the
// balancer decided
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span).
func (r *record) describeRequest(m *spanMessage) {
	e := &r.request
	r.describeMethod(m)
	if e.RoutePath != "" {
		route := shown(e.RoutePath, maxPath)
		m.span.Name += " " + route
		m.text(semconv.HTTPRouteKey, route)
	}
	m.text(semconv.URLSchemeKey, shown(e.Scheme, maxMethod))
	m.text(semconv.URLPathKey, shown(r.path, maxPath))
	if r.hasQuery {
		m.string(semconv.URLQueryKey, r.shownQuery()) // which may be empty
	}
	host, port := splitHost(r.host)
	m.text(semconv.ServerAddressKey, shown(host, maxHost))
	if n, err := strconv.Atoi(string(port)); err == nil {
		m.number(semconv.ServerPortKey, int64(n))
	}
	m.text(semconv.NetworkProtocolVersionKey, e.Proto)
	if e.Client.IsValid() {
		m.text(semconv.ClientAddressKey, e.Client.Unmap().WithZone("").String())
	}
	if a := e.Peer.Addr(); a.IsValid() {
		m.text(semconv.NetworkPeerAddressKey, a.Unmap().WithZone("").String())
		m.number(semconv.NetworkPeerPortKey, int64(e.Peer.Port()))
	}
	m.text(semconv.UserAgentOriginalKey, shown(r.userAgent, maxUserAgent))
	if e.Status != 0 {
		m.number(semconv.HTTPResponseStatusCodeKey, int64(e.Status))
	}
	m.number(semconv.HTTPRequestBodySizeKey, e.RequestBytes)
	m.number(semconv.HTTPResponseBodySizeKey, e.ResponseBytes)
	switch {
	case e.Status >= 500:
		m.failed()
		m.text(semconv.ErrorTypeKey, strconv.Itoa(e.Status))
	case failed(e):
		m.failed()
		m.text(semconv.ErrorTypeKey, (e.Flags & failure).String())
	}
	m.text("lb.listener", shown(e.Listener, maxName))
	m.text("lb.route", e.RouteName)
	m.text("lb.pool", e.PoolName)
	m.text("lb.upstream", e.Upstream)
	m.number("lb.attempts", int64(e.Attempts))
	m.text("lb.response_flags", e.Flags.String())
	if e.Session < event.SessionUses {
		m.text("lb.session.use", e.Session.String())
	}
	m.text("lb.request_id", shown(r.id, maxID))
	m.text("lb.policy.hash", shortHash(e.PolicyHash))
}

// describeAttempt says what the conventions for HTTP clients want, and what the
// breaker decided
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span).
func (r *record) describeAttempt(m *spanMessage) {
	a := &r.try
	r.describeMethod(m)
	if host, port, err := net.SplitHostPort(a.Upstream); err == nil {
		m.text(semconv.ServerAddressKey, host)
		if n, err := strconv.Atoi(port); err == nil {
			m.number(semconv.ServerPortKey, int64(n))
		}
	}
	url := "http://" + a.Upstream
	if len(r.path) > 0 && r.path[0] == '/' {
		url += shown(r.path, maxPath)
	}
	if r.hasQuery {
		url += "?" + r.shownQuery()
	}
	m.text(semconv.URLFullKey, url)
	if a.Number > 1 {
		m.number(semconv.HTTPRequestResendCountKey, int64(a.Number-1))
	}
	if a.Status != 0 {
		m.number(semconv.HTTPResponseStatusCodeKey, int64(a.Status))
	}
	wrong := ""
	switch {
	case a.Result == event.ClientCanceled: // nothing went wrong here
	case a.Result != event.OK && a.Result != event.Failed:
		wrong = string(a.Result)
	case a.Status >= 400:
		wrong = strconv.Itoa(a.Status)
	}
	if wrong != "" {
		m.failed()
		m.text(semconv.ErrorTypeKey, wrong)
	}
	state := event.BreakerClosed
	if a.Probe {
		state = event.BreakerHalfOpen
	}
	m.text("lb.pool", a.PoolName)
	m.text("lb.attempt.result", string(a.Result))
	m.text("lb.breaker.state", string(state))
	m.text("lb.breaker.verdict", string(a.Verdict))
	m.truth("lb.connection.reused", a.Reused)
	m.text("lb.attempt.resend", string(a.Resend))
	if a.Mirror {
		m.truth("lb.mirror", true)
	}
	m.text("lb.request_id", shown(r.id, maxID))
}

// describeMethod gives the method, and by it the beginning of the span's name. There
// are as many names as methods that the conventions know, whatever clients make up.
func (r *record) describeMethod(m *spanMessage) {
	switch name := string(r.method); name {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		m.span.Name = name
		m.text(semconv.HTTPRequestMethodKey, name)
	default:
		m.span.Name = "HTTP"
		m.text(semconv.HTTPRequestMethodKey, semconv.HTTPRequestMethodOther.Value.AsString())
		m.text(semconv.HTTPRequestMethodOriginalKey, shown(r.method, maxMethod))
	}
}

// shown is a text as spans show it: as in the access log, printable ASCII, the inside
// of a JSON string, whatever was in it. Besides, what is not UTF-8 would cost the whole
// batch.
func shown[S string | []byte](s S, limit int) string {
	if len(s) <= limit && plain(s) == len(s) {
		return string(s)
	}
	quoted := appendString(nil, s, limit)
	return string(quoted[1 : len(quoted)-1])
}

func (r *record) shownQuery() string { return string(appendQuery(nil, r.query, r.hidden)) }
