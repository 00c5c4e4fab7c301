package snapshot

import (
	"fmt"
	"strings"

	"go-loadbalancer/lb/policy"
)

// Condition is what of a match, or of the order of matches, decided.
type Condition string

const (
	none     Condition = ""
	ByHost   Condition = "host"
	ByPath   Condition = "path"
	ByMethod Condition = "method"
	ByHeader Condition = "header"
	ByQuery  Condition = "query"
	ByOrder  Condition = "order" // both match and are equally specific: the first in the files is taken
)

// Considered is one match of a route, and why it is not the one that was chosen.
type Considered struct {
	Route *Route
	Match int // which of the route's, from 1
	// Holds says whether the request meets all of its conditions.
	Holds bool
	// By is the first condition that the request does not meet; or if it meets all,
	// that by which the chosen match is the more specific one. Empty: it is the chosen one.
	By  Condition
	Why string // the same in words
}

// Explain is Match with the reasons: one of the considered is the match of the route
// that was chosen, unless none matches. They are in file order.
//
// Each match is put to the very tables that serve, alone in them. It takes time with the
// number of matches of the policy, and is not meant for each request.
func (s *Snapshot) Explain(q *Request) (Matched, []Considered) {
	chosen := s.hosts.match(q)
	var out []Considered
	var first rank // of the chosen one
	if chosen != nil {
		first = chosen.rank(q)
	}
	for _, route := range s.Routes {
		for i, r := range route.rules {
			c := Considered{Route: route, Match: i + 1}
			if c.By, c.Why = r.unmetOf(q); c.By == none {
				c.Holds = true
				if r != chosen {
					c.By, c.Why = first.before(r.rank(q))
				}
			}
			out = append(out, c)
		}
	}
	return s.Match(q), out
}

// Text is what the match asks for, in words.
func (c *Considered) Text() string {
	m := &c.Route.Policy.Matches[c.Match-1]
	parts := []string{"any host"}
	if names := c.Route.Policy.Hostnames; len(names) > 0 {
		parts[0] = "host " + strings.Join(names, " or ")
	}
	parts = append(parts, pathText(m))
	if m.Method != "" {
		parts = append(parts, "method "+m.Method)
	}
	for i := range m.Headers {
		parts = append(parts, "header "+valueText(&m.Headers[i]))
	}
	for i := range m.Query {
		parts = append(parts, "query parameter "+valueText(&m.Query[i]))
	}
	return strings.Join(parts, ", ")
}

func pathText(m *policy.Match) string {
	switch m.PathType {
	case policy.PathExact:
		return "path " + m.Path + " exactly"
	case policy.PathRegex:
		return "path like " + m.Path
	}
	return "path prefix " + m.Path
}

func valueText(v *policy.ValueMatch) string {
	if v.Regex != nil {
		return v.Name + " like " + v.Value
	}
	return v.Name + ": " + v.Value
}

// unmetOf is unmet of all conditions, host and path first.
func (r *rule) unmetOf(q *Request) (by Condition, why string) {
	m := r.source()
	if r.hostname(q) == "" {
		return ByHost, fmt.Sprintf("the host is none of %s", strings.Join(r.route.Policy.Hostnames, ", "))
	}
	bare := &rule{route: r.route, path: r.path, prefixLen: r.prefixLen, pattern: r.pattern}
	var alone paths
	alone.add(bare)
	if alone.match(&Request{Path: q.Path}) == nil {
		switch m.PathType {
		case policy.PathExact:
			return ByPath, "the path is not " + m.Path
		case policy.PathRegex:
			return ByPath, "the path is not like " + m.Path
		}
		return ByPath, "the path is not under " + m.Path
	}
	switch by, i := r.unmet(q); by {
	case ByMethod:
		return by, "the method is not " + m.Method
	case ByHeader:
		return by, "the request has no header " + valueText(&m.Headers[i])
	case ByQuery:
		return by, "the request has no query parameter " + valueText(&m.Query[i])
	}
	return none, ""
}

// source is what the rule was compiled from.
func (r *rule) source() *policy.Match {
	for i, x := range r.route.rules {
		if x == r {
			return &r.route.Policy.Matches[i]
		}
	}
	panic("snapshot: a rule that is not of its route")
}

// hostname is the most specific of its route's hostnames that the request's host meets:
// "*" is any host, "" none.
func (r *rule) hostname(q *Request) string {
	names := r.route.Policy.Hostnames
	if len(names) == 0 {
		return "*"
	}
	best := ""
	for _, name := range names {
		var alone hosts
		alone.add([]string{name}, &rule{route: r.route})
		if alone.match(&Request{Host: q.Host, Path: []byte{'/'}}) == nil {
			continue
		}
		if best == "" || hostRank(name) > hostRank(best) {
			best = name
		}
	}
	return best
}

// hostRank orders the hostnames that a host meets: the exact one, then the longest wildcard, then any.
func hostRank(name string) int {
	switch {
	case name == "*":
		return 0
	case strings.HasPrefix(name, "*."):
		return len(name)
	}
	return 1 << 16
}

// rank is how specific a rule is to a request that it matches.
type rank struct {
	rule     *rule
	hostname string
	match    *policy.Match
}

func (r *rule) rank(q *Request) rank { return rank{r, r.hostname(q), r.source()} }

// before says what makes a the more specific one.
func (a rank) before(b rank) (by Condition, why string) {
	name := a.rule.route.Name
	switch {
	case hostRank(a.hostname) > hostRank(b.hostname):
		return ByHost, fmt.Sprintf("less specific than %s: by host, %s is before %s", name, hostText(a.hostname), hostText(b.hostname))
	case a.pathRank() > b.pathRank():
		return ByPath, fmt.Sprintf("less specific than %s: by path, %s is before %s", name, pathText(a.match), pathText(b.match))
	}
	switch d := a.rule.compare(b.rule); {
	case d == 0:
		return ByOrder, fmt.Sprintf("as specific as %s, which is written before it", name)
	case (a.rule.method == "") != (b.rule.method == ""):
		return ByMethod, fmt.Sprintf("less specific than %s: that asks for a method", name)
	case len(a.rule.headers) != len(b.rule.headers):
		return ByHeader, fmt.Sprintf("less specific than %s: that asks for more headers (%d, not %d)", name, len(a.rule.headers), len(b.rule.headers))
	}
	return ByQuery, fmt.Sprintf("less specific than %s: that asks for more query parameters (%d, not %d)", name, len(a.rule.query), len(b.rule.query))
}

func hostText(name string) string {
	if name == "*" {
		return "any host"
	}
	return name
}

// pathRank orders paths that one path meets: exact, then the longest expression, then the
// longest prefix.
func (a rank) pathRank() int {
	const kind = 1 << 24 // more than any is long
	switch {
	case a.rule.pattern != nil:
		return kind + len(a.rule.path)
	case a.rule.prefixLen >= 0:
		return a.rule.prefixLen
	}
	return 2 * kind
}

// FilterTexts says in words what a route's filters do, those that answer by themselves
// included.
func (r *Route) FilterTexts() (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	f := &r.Policy.Filters
	for _, side := range []struct {
		of string
		m  *policy.HeaderModifier
	}{{"request", f.RequestHeaders}, {"response", f.ResponseHeaders}} {
		if side.m == nil {
			continue
		}
		// Names only: a value may be a secret of the endpoint's.
		var parts []string
		for _, l := range []struct {
			verb string
			of   []policy.HeaderValue
		}{{"set", side.m.Set}, {"add", side.m.Add}} {
			for _, v := range l.of {
				parts = append(parts, l.verb+" "+v.Name)
			}
		}
		for _, name := range side.m.Remove {
			parts = append(parts, "remove "+name)
		}
		add("%s headers: %s", side.of, strings.Join(parts, ", "))
	}
	if w := f.Rewrite; w != nil && w.Hostname != "" {
		add("rewrite: the host is %s", w.Hostname)
	}
	return out
}
