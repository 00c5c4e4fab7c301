package scenario

import (
	"fmt"
	"strings"
	"time"

	"go-loadbalancer/lb/schema"
)

// How requests of an open loop come.
const (
	Poisson  = "Poisson"  // each by itself
	Constant = "Constant" // evenly
)

func loadKind() *schema.Object[Load] {
	moment := schema.Duration(0, maxDuration)
	return &schema.Object[Load]{Pos: func(l *Load) *Pos { return &l.Pos }, Check: checkLoad, Fields: []schema.Field[Load]{
		schema.Optional("rate", acts, schema.Number(0, 1_000_000), 0, func(l *Load) *float64 { return &l.Rate },
			"Requests a second of an open loop: they come whatever the answers do, and their latency counts from when they should have begun. Required, except with users.").DefaultsTo(nil),
		schema.Optional("rateEnd", acts, schema.Number(0, 1_000_000), 0, func(l *Load) *float64 { return &l.RateEnd },
			"What the rate grows or falls to, evenly, over the time of the load. None: it stays.").DefaultsTo(nil),
		schema.Optional("users", acts, schema.Integer(1, 100_000), 0, func(l *Load) *int { return &l.Users },
			"How many users a closed loop has. Each makes a request, waits for its end, thinks, and makes the next. None: an open loop.").DefaultsTo(nil),
		schema.Optional("think", acts, schema.Duration(0, time.Hour), 0, func(l *Load) *time.Duration { return &l.Think },
			"How long a user waits between the end of a request and the next one."),
		schema.Optional("from", acts, moment, 0, func(l *Load) *time.Duration { return &l.From },
			"When the load begins."),
		schema.Optional("to", acts, moment, 0, func(l *Load) *time.Duration { return &l.To },
			"When it ends. None: with the scenario.").DefaultsTo(nil),
		schema.Optional("arrivals", acts, schema.OneOf(Poisson, Constant), Poisson, func(l *Load) *string { return &l.Arrivals },
			"How the requests of an open loop come. Poisson: each by itself, as those of many people do. Constant: evenly."),
		schema.Optional("sessions", acts, schema.Integer(0, 1_000_000), 0, func(l *Load) *int { return &l.Sessions },
			"How many clients there are that keep the cookies they are given, and take turns at random. 0: nobody keeps any."),
		schema.Optional("deadline", acts, schema.Duration(time.Millisecond, time.Hour), 10*time.Second, func(l *Load) *time.Duration { return &l.Deadline },
			"How long a request may take."),
		schema.Optional("host", acts, schema.PlainHostname(), "", func(l *Load) *string { return &l.Host },
			"The Host of the requests. None: the first hostname of the route that takes them, with x for *, or else the address."),
		schema.Optional("listener", acts, schema.Name(), "", func(l *Load) *string { return &l.Listener },
			"The listener that they come in by. None: the first."),
		schema.Optional("replica", acts, schema.Integer(1, maxReplicas), 0, func(l *Load) *int { return &l.Replica },
			"The number of the balancer they are sent to. None: each in turn.").DefaultsTo(nil),
		schema.Section("retries", acts, clientRetriesKind(), func(l *Load) *ClientRetries { return &l.Retries },
			"What clients do about failed requests."),
		schema.Section("pace", acts, paceKind(), func(l *Load) *Pace { return &l.Pace },
			"How slow clients are, on purpose or by their network: they send and read a tenth of it each 100 ms, or else one byte at a time."),
		schema.Required("requests", acts, schema.SomeOf(requestKind()), func(l *Load) *[]Request { return &l.Requests },
			"What is asked. Each request is one of these, at random by weight."),
	}}
}

func clientRetriesKind() *schema.Object[ClientRetries] {
	return &schema.Object[ClientRetries]{Fields: []schema.Field[ClientRetries]{
		schema.Optional("attempts", acts, schema.Integer(0, 100), 0, func(r *ClientRetries) *int { return &r.Attempts },
			"Tries after the first one."),
		schema.Optional("backoff", acts, schema.Duration(0, time.Hour), 0, func(r *ClientRetries) *time.Duration { return &r.Backoff },
			"The pause before the first of them. It doubles each time, and is cut at random by up to half."),
	}}
}

func paceKind() *schema.Object[Pace] {
	rate := schema.Integer(0, 1<<30)
	return &schema.Object[Pace]{Fields: []schema.Field[Pace]{
		schema.Optional("head", acts, rate, 0, func(p *Pace) *int { return &p.Head },
			"Bytes a second of the head of a request. 0: all at once."),
		schema.Optional("body", acts, rate, 0, func(p *Pace) *int { return &p.Body },
			"Bytes a second of its body. 0: as fast as it is taken."),
		schema.Optional("read", acts, rate, 0, func(p *Pace) *int { return &p.Read },
			"Bytes a second that are read of the answer. 0: as fast as it comes."),
	}}
}

func checkLoad(d *schema.Decoder, n *schema.Node, l *Load) {
	has := func(key string) bool { return schema.Written(n, key) }
	switch {
	case has("rate") && has("users"):
		d.FailAt(n, "users", schema.CodeConflict, "a load with rate is an open loop, and one with users a closed one: remove the one or the other")
	case has("users"):
		for _, key := range []string{"rateEnd", "arrivals"} {
			if has(key) {
				d.FailAt(n, key, schema.CodeConflict, "has no effect with users: a closed loop has no rate of its own")
			}
		}
	case !has("rate"):
		d.Fail(n, schema.CodeMissing, "needs rate, requests a second, or users, who wait for their answers")
	case has("think"):
		d.FailAt(n, "think", schema.CodeConflict, "has no effect without users: an open loop waits for nobody")
	}
	if !has("rateEnd") {
		l.RateEnd = l.Rate
	}
	if l.Users == 0 && l.Rate == 0 && l.RateEnd == 0 && has("rate") {
		d.FailAt(n, "rate", schema.CodeOutOfRange, "0 is no load: choose a higher rate, or give rateEnd")
	}
	if has("to") && l.To <= l.From {
		d.FailAt(n, "to", schema.CodeConflict, "%s is not after from, %s", schema.FormatDuration(l.To), schema.FormatDuration(l.From))
	}
	weight := 0
	for _, r := range l.Requests {
		weight += r.Weight
	}
	if weight == 0 {
		d.FailAt(n, "requests", schema.CodeConflict, "every weight is 0: there is nothing to ask")
	}
}

// methods are the keys that a request may have: its method, in lower case.
var methods = []string{"get", "head", "post", "put", "patch", "delete", "options", "trace"}

func requestKind() *schema.Object[Request] {
	o := &schema.Object[Request]{Pos: func(r *Request) *Pos { return &r.Pos }, Check: checkRequest}
	for _, method := range methods {
		o.Fields = append(o.Fields, schema.Section(method, acts, asked{strings.ToUpper(method)}, schema.Same[Request],
			"Asks by "+strings.ToUpper(method)+": a path, and a query if there is one. Each request has exactly one method.").DefaultsTo(nil))
	}
	o.Fields = append(o.Fields,
		schema.Optional("weight", acts, schema.Integer(0, 1_000_000), 1, func(r *Request) *int { return &r.Weight },
			"Its share, relative to the other weights of the load."),
		schema.Optional("body", acts, schema.Integer(0, 64<<20), 0, func(r *Request) *int { return &r.Body },
			"Bytes of its body."),
		schema.Section("headers", acts, schema.Headers(complainHeader), func(r *Request) *[]Header { return &r.Headers },
			"Header fields that it has besides."),
	)
	return o
}

func checkRequest(d *schema.Decoder, n *schema.Node, r *Request) {
	first := ""
	for _, method := range methods {
		switch {
		case !schema.Written(n, method):
		case first == "":
			first = method
		default:
			d.FailAt(n, method, schema.CodeConflict, "is a second method, beside %s: begin each request with its own \"-\"", first)
		}
	}
	if first == "" {
		d.Fail(n, schema.CodeMissing, "needs a method with its path, such as get: /cart")
	}
}

func complainHeader(name string) string {
	switch {
	case strings.EqualFold(name, "Host"):
		return "Host is not written as a header: use the load's host"
	case schema.IsFraming(name):
		return name + " belongs to the connection or to the framing of a message: the client writes it itself"
	}
	return schema.ComplainToken(name)
}

// asked is the target of a request, under the key that is its method.
type asked struct{ method string }

func (asked) Fill(*Request)           {}
func (asked) Clone(r Request) Request { return r }
func (asked) Plain(Request) any       { return nil }
func (k asked) Shape() *schema.Shape  { return target().Shape() }
func (k asked) Read(d *schema.Decoder, n *schema.Node, r *Request) {
	r.Method = k.method
	target().Read(d, n, &r.Path)
}

// maxTarget is how long a path with its query may be, in bytes.
const maxTarget = 8192

// target is a path, and a query if there is one. It may be as odd as clients' are.
func target() *schema.Scalar[string] {
	return schema.Checked("path", "^/", func(s string) string {
		if !strings.HasPrefix(s, "/") {
			return schema.Quote(s) + " is not a path: it begins with \"/\""
		}
		if len(s) > maxTarget {
			return fmt.Sprintf("is longer than %d bytes", maxTarget)
		}
		for i := range len(s) {
			if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' {
				return fmt.Sprintf("byte 0x%02x cannot stand in a request: percent-encode it as %%%02X", c, c)
			}
		}
		return ""
	})
}
