package main

import (
	"fmt"
	"slices"
	"strings"

	"go-loadbalancer/conformance/corpus"
)

// grade says how far an outcome is from what the corpus asks for, the best one
// first. A subject answers worse than another if its grade is the greater one.
type grade int

const (
	right     grade = iota // as the corpus says
	other                  // nothing wrong got through, but another status, or the connection goes on otherwise
	altered                // passed on, but with a field that must not be there, or without one that must
	refused                // not passed on though it is valid
	passed                 // passed on, or its connection used again, though it must not be
	malformed              // what reached the other end is no message, so that it depends on that end what is made of it
	smuggled               // the two ends understand different messages
)

var gradeNames = [...]string{"right", "other answer", "altered", "valid refused", "passed on", "malformed", "smuggled"}

func (g grade) String() string { return gradeNames[g] }

// verdict is a grade and the first thing that led to it; a right one has none.
type verdict struct {
	grade grade
	why   string
	open  bool // the connection went on though it must end
}

// worsen makes the verdict the worse one of it and another.
func (v *verdict) worsen(g grade, format string, args ...any) {
	if g > v.grade {
		v.grade, v.why = g, fmt.Sprintf(format, args...)
	}
}

// atWorst makes the verdict the worse one of it and that of another round.
func (v *verdict) atWorst(w verdict) {
	v.open = v.open || w.open
	if w.grade > v.grade {
		v.grade, v.why = w.grade, w.why
	}
}

// judgeRequest compares what came of a request case with what the corpus asks
// for.
func judgeRequest(q *corpus.Request, o *observed) verdict {
	var v verdict
	var whole []received
	partial := false
	for _, m := range o.got {
		switch {
		case m.malformed != "":
			v.worsen(malformed, "passed on to the backend: %s", m.malformed)
		case m.partial:
			partial = true
		default:
			whole = append(whole, m)
		}
	}
	n := len(q.Forward)
	want := q.Forward
	if !q.Valid() && len(q.Tolerated) > 0 && len(whole) > n {
		want = slices.Concat(q.Forward, q.Tolerated)
		v.worsen(other, "passed on as the RFC allows")
	}
	for i, m := range whole {
		if i >= len(want) {
			break
		}
		v.compare(&want[i], m.message)
	}
	switch extra := len(whole) - len(want); {
	case extra == 1 && !q.Valid():
		v.worsen(passed, "the backend got it")
	case extra > 0:
		v.worsen(smuggled, "the backend got %d requests, not %d", len(whole), len(want))
	case len(whole) < n:
		v.worsen(refused, "the backend got %d of %d requests", len(whole), n)
	}
	if partial && !q.Begun {
		v.worsen(other, "the backend got a part of it")
	}
	v.answers(q, o)
	return v
}

// answers judges what the client got.
func (v *verdict) answers(q *corpus.Request, o *observed) {
	for i := range max(q.Answers(), len(o.answers)) {
		switch {
		case i >= len(o.answers):
			v.worsen(other, "%d answers, not %d", len(o.answers), q.Answers())
		case o.answers[i].malformed != "" || o.answers[i].partial:
			v.worsen(other, "answer %d is none", i+1)
		case i >= q.Answers() && q.Silent && o.answers[i].status >= 400:
		case i >= q.Answers():
			v.worsen(other, "one answer more than %d: %d", q.Answers(), o.answers[i].status)
		case i < len(q.Forward):
			if s := o.answers[i].status; s != 200 {
				v.worsen(other, "answer %d is %d", i+1, s)
			}
		default:
			if want := slices.Concat(q.Refuse, q.Own); !slices.Contains(want, o.answers[i].status) {
				v.worsen(other, "answered by a %d, not a %s", o.answers[i].status, statuses(want))
			}
		}
	}
	want := kept
	if q.Closes() {
		want = closed
	}
	v.open = want == closed && o.end != closed
	if o.end != want {
		v.worsen(other, "the connection %s", o.end.said())
	}
}

// compare judges one request that was passed on.
func (v *verdict) compare(want *corpus.Forwarded, got *message) {
	if _, ok := values(got.fields, "Host"); !ok && got.start[2] == "HTTP/1.1" {
		v.worsen(altered, "no Host is passed on")
	}
	if target := got.start[1]; target != string(want.Target) {
		v.worsen(altered, "target %.40q, not %.40q", target, want.Target)
	}
	switch {
	case got.start[0] != want.Method:
		v.worsen(smuggled, "method %.20q, not %q", got.start[0], want.Method)
	case got.body != string(want.Body):
		v.worsen(smuggled, "content of %d bytes, %.20q, not of %d, %.20q", len(got.body), got.body, len(want.Body), want.Body)
	}
	v.fields(want.Fields, want.Absent, want.Trailers, got)
}

func (v *verdict) fields(want map[string]corpus.Bytes, absent []string, trailers map[string]corpus.Bytes, got *message) {
	for _, name := range sorted(want) {
		value, ok := values(got.fields, name)
		asked := string(want[name])
		if name != "Set-Cookie" { // the one field whose lines may not be joined (RFC 9110 section 5.3)
			value, asked = joined(value), joined(asked)
		}
		if !ok || value != asked {
			v.worsen(altered, "field %s is %.40q, not %.40q", name, value, asked)
		}
	}
	for _, name := range absent {
		if value, ok := values(got.fields, name); ok {
			v.worsen(altered, "field %s: %.40s is passed on", name, value)
		}
	}
	for _, name := range sorted(trailers) {
		if value, ok := values(got.trailers, name); !ok || value != string(trailers[name]) {
			v.worsen(altered, "trailer %s is %.40q, not %.40q", name, value, trailers[name])
		}
	}
}

// joined is what several field lines of a name say in one.
func joined(lines string) string { return strings.ReplaceAll(lines, " | ", ", ") }

// judgeResponse compares what came of a response case with what the corpus asks
// for.
func judgeResponse(p *corpus.Response, o *observed) verdict {
	var v verdict
	tolerated := p.Tolerated != nil && len(o.answers) > 0 && o.answers[0].status == p.Tolerated.Status && !o.answers[0].partial
	v.response(p, o, tolerated)
	if (p.Bad || p.Once) && o.reused && !tolerated {
		v.worsen(passed, "the connection to the backend is used again")
	}
	switch m := o.next; {
	case m == nil:
		v.worsen(other, "the next request is not answered")
	case m.malformed != "" || m.status == 200 && m.body != sentinelBody:
		v.worsen(smuggled, "the next request gets another answer")
	case m.status != 200:
		v.worsen(other, "the next request gets a %d", m.status)
	}
	return v
}

// response judges what the client gets.
func (v *verdict) response(p *corpus.Response, o *observed, tolerated bool) {
	if len(o.answers) == 0 {
		if p.Bad {
			v.worsen(other, "no answer, the connection %s", o.end.said())
		} else {
			v.worsen(refused, "no answer, the connection %s", o.end.said())
		}
		return
	}
	m := o.answers[0]
	if m.malformed != "" {
		v.worsen(malformed, "passed on to the client: %s", m.malformed)
		return
	}
	switch {
	case tolerated:
		v.worsen(other, "passed on as the RFC allows")
		v.see(p.Tolerated, m)
	case p.Bad:
		v.broken(p, m)
	default:
		v.see(&p.See, m)
		if !slices.Equal(o.interim, p.Interim) {
			v.worsen(other, "interim responses %v, not %v", o.interim, p.Interim)
		}
	}
}

// see judges a response that is to be passed on.
func (v *verdict) see(want *corpus.See, m *message) {
	switch {
	case m.partial:
		v.worsen(refused, "it breaks")
	case m.status >= 400 && m.status != want.Status:
		v.worsen(refused, "answered by a %d", m.status)
	case m.status != want.Status:
		v.worsen(smuggled, "%d, not %d", m.status, want.Status)
	case m.body != string(want.Body):
		v.worsen(smuggled, "content of %d bytes, %.20q, not of %d, %.20q", len(m.body), m.body, len(want.Body), want.Body)
	default:
		v.fields(want.Fields, want.Absent, want.Trailers, m)
	}
}

// broken judges the answer to a client when the backend's was none.
func (v *verdict) broken(p *corpus.Response, m *message) {
	want := p.Refuse
	if len(want) == 0 {
		want = []int{502}
	}
	switch {
	case m.partial && p.Broken && m.status == p.See.Status:
		if !strings.HasPrefix(string(p.See.Body), m.body) {
			v.worsen(smuggled, "content %.20q before it breaks, not %.20q", m.body, p.See.Body)
		}
	case m.partial:
		v.worsen(passed, "its beginning is passed on")
	case slices.Contains(want, m.status):
	case m.status >= 500:
		v.worsen(other, "%d, not %s", m.status, statuses(want))
	default:
		v.worsen(passed, "it is passed on as whole: %d", m.status)
	}
}

func sorted(m map[string]corpus.Bytes) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// statuses is a list of alternatives.
func statuses(all []int) string {
	text := make([]string, len(all))
	for i, s := range all {
		text[i] = fmt.Sprint(s)
	}
	return strings.Join(text, " or ")
}

// detail is everything that was observed, for people who look into it.
func (o *observed) detail() string {
	var b strings.Builder
	fmt.Fprintf(&b, "interim %v, then %s", o.interim, o.end)
	for i, m := range o.answers {
		fmt.Fprintf(&b, "\nanswer %d: %.200q content %.100q malformed %q partial %v", i+1, m.raw, m.body, m.malformed, m.partial)
	}
	for _, m := range o.got {
		fmt.Fprintf(&b, "\nbackend, connection %d: %.600q content %.100q malformed %q partial %v", m.line, m.raw, m.body, m.malformed, m.partial)
	}
	if o.next != nil {
		fmt.Fprintf(&b, "\nnext: %.200q content %.100q, reused %v", o.next.raw, o.next.body, o.reused)
	}
	return b.String()
}
