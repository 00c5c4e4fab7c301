package telemetry

import (
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

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

// span makes the span.
func (r *record) span(from *origin) *finishedSpan {
	at, kind := &r.request.Span, trace.SpanKindServer
	start, took := r.request.Start, r.request.Duration
	describe := r.describeRequest
	if r.attempt {
		at, kind = &r.try.Span, trace.SpanKindClient
		start, took = r.try.Start, r.try.Duration
		describe = r.describeAttempt
	}
	name, attributes, status := describe()
	context := trace.SpanContextConfig{TraceID: at.Trace, SpanID: at.ID, TraceFlags: trace.FlagsSampled}
	var parent trace.SpanContext
	if at.Parent != [8]byte{} {
		context.TraceState, _ = trace.ParseTraceState(string(r.state)) // empty if it is malformed
		above := context
		above.SpanID, above.Remote = at.Parent, !r.attempt
		parent = trace.NewSpanContext(above)
	}
	s := &finishedSpan{
		origin: from, name: name, kind: kind, context: trace.NewSpanContext(context), parent: parent,
		start: start, end: start.Add(max(took, 0)), attributes: attributes, status: sdktrace.Status{Code: status},
	}
	s.limit()
	return s
}

// describeRequest says what the conventions for HTTP servers want, and what the
// balancer decided
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span).
func (r *record) describeRequest() (name string, as []attribute.KeyValue, status codes.Code) {
	e := &r.request
	name, as = r.describeMethod(make([]attribute.KeyValue, 0, 32))
	text := func(key attribute.Key, value string) {
		if value != "" {
			as = append(as, key.String(value))
		}
	}
	if e.RoutePath != "" {
		route := shown(e.RoutePath, maxPath)
		name += " " + route
		text(semconv.HTTPRouteKey, route)
	}
	text(semconv.URLSchemeKey, shown(e.Scheme, maxMethod))
	text(semconv.URLPathKey, shown(r.path, maxPath))
	if r.hasQuery {
		as = append(as, semconv.URLQuery(r.shownQuery()))
	}
	host, port := splitHost(r.host)
	text(semconv.ServerAddressKey, shown(host, maxHost))
	if n, err := strconv.Atoi(string(port)); err == nil {
		as = append(as, semconv.ServerPort(n))
	}
	text(semconv.NetworkProtocolVersionKey, e.Proto)
	if e.Client.IsValid() {
		text(semconv.ClientAddressKey, e.Client.Unmap().WithZone("").String())
	}
	if a := e.Peer.Addr(); a.IsValid() {
		as = append(as, semconv.NetworkPeerAddress(a.Unmap().WithZone("").String()), semconv.NetworkPeerPort(int(e.Peer.Port())))
	}
	text(semconv.UserAgentOriginalKey, shown(r.userAgent, maxUserAgent))
	if e.Status != 0 {
		as = append(as, semconv.HTTPResponseStatusCode(e.Status))
	}
	as = append(as, semconv.HTTPRequestBodySizeKey.Int64(e.RequestBytes), semconv.HTTPResponseBodySizeKey.Int64(e.ResponseBytes))
	switch {
	case e.Status >= 500:
		status = codes.Error
		text(semconv.ErrorTypeKey, strconv.Itoa(e.Status))
	case failed(e):
		status = codes.Error
		text(semconv.ErrorTypeKey, (e.Flags & failure).String())
	}
	text("lb.listener", shown(e.Listener, maxName))
	text("lb.route", e.RouteName)
	text("lb.pool", e.PoolName)
	text("lb.upstream", e.Upstream)
	as = append(as, attribute.Int("lb.attempts", e.Attempts))
	text("lb.response_flags", e.Flags.String())
	if e.Session < event.SessionUses {
		text("lb.session.use", e.Session.String())
	}
	text("lb.request_id", shown(r.id, maxID))
	text("lb.policy.hash", e.PolicyHash)
	return name, as, status
}

// describeAttempt says what the conventions for HTTP clients want, and what the
// breaker decided
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span).
func (r *record) describeAttempt() (name string, as []attribute.KeyValue, status codes.Code) {
	a := &r.try
	name, as = r.describeMethod(make([]attribute.KeyValue, 0, 20))
	if host, port, err := net.SplitHostPort(a.Upstream); err == nil {
		as = append(as, semconv.ServerAddress(host))
		if n, err := strconv.Atoi(port); err == nil {
			as = append(as, semconv.ServerPort(n))
		}
	}
	url := "http://" + a.Upstream
	if len(r.path) > 0 && r.path[0] == '/' {
		url += shown(r.path, maxPath)
	}
	if r.hasQuery {
		url += "?" + r.shownQuery()
	}
	as = append(as, semconv.URLFull(url))
	if a.Number > 1 {
		as = append(as, semconv.HTTPRequestResendCount(a.Number-1))
	}
	if a.Status != 0 {
		as = append(as, semconv.HTTPResponseStatusCode(a.Status))
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
		status = codes.Error
		as = append(as, semconv.ErrorTypeKey.String(wrong))
	}
	state := event.BreakerClosed
	if a.Probe {
		state = event.BreakerHalfOpen
	}
	as = append(as,
		attribute.String("lb.pool", a.PoolName),
		attribute.String("lb.attempt.result", string(a.Result)),
		attribute.String("lb.breaker.state", string(state)),
		attribute.String("lb.breaker.verdict", string(a.Verdict)),
		attribute.Bool("lb.connection.reused", a.Reused))
	if a.Mirror {
		as = append(as, attribute.Bool("lb.mirror", true))
	}
	if len(r.id) > 0 {
		as = append(as, attribute.String("lb.request_id", shown(r.id, maxID)))
	}
	return name, as, status
}

// describeMethod gives the method, and by it the beginning of the span's name. There
// are as many names as methods that the conventions know, whatever clients make up.
func (r *record) describeMethod(as []attribute.KeyValue) (string, []attribute.KeyValue) {
	switch m := string(r.method); m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return m, append(as, semconv.HTTPRequestMethodKey.String(m))
	case "":
		return "HTTP", append(as, semconv.HTTPRequestMethodOther)
	default:
		return "HTTP", append(as, semconv.HTTPRequestMethodOther, semconv.HTTPRequestMethodOriginal(shown(r.method, maxMethod)))
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
