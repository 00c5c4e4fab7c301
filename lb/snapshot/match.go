package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strings"

	"go-loadbalancer/lb/policy"
)

// Request is what a route is matched by. Nothing of it is kept.
type Request struct {
	Method []byte
	Host   []byte // with or without port
	Path   []byte // as received, without the query: see the package's doc
	Query  []byte // without "?"
	Head   Head   // nil: without fields
}

// Head gives the values of a head's fields by name, without regard to case and
// without surrounding white space. It is asked only if a rule matches headers.
type Head interface {
	Values(name string) iter.Seq[[]byte]
}

// Matched is the route of a request.
type Matched struct {
	Route *Route // nil: no rule matches
	// PrefixLen is how many bytes of the path the rule's prefix matched, a final
	// "/" not counted: 0 for the prefix "/". -1 if the rule has no prefix.
	PrefixLen int
	// Path is the rule's path as a template: an exact path or a regular expression as
	// written, a prefix with "/*" after it. Empty if no rule matches.
	Path string
}

// Match returns the most specific route that matches.
func (s *Snapshot) Match(q *Request) Matched {
	if r := s.hosts.match(q); r != nil {
		return Matched{r.route, r.prefixLen, r.template}
	}
	return Matched{nil, -1, ""}
}

// rule is one of a route's matches.
type rule struct {
	route     *Route
	template  string         // Matched.Path
	path      string         // of a prefix without final "/"; of a pattern as written
	prefixLen int            // -1: not a prefix
	pattern   *regexp.Regexp // nil: not a regular expression
	method    string
	headers   []condition
	query     []condition
}

func newRule(route *Route, m *policy.Match) (*rule, error) {
	r := &rule{route: route, template: m.Path, path: m.Path, prefixLen: -1, method: m.Method}
	switch m.PathType {
	case policy.PathExact:
	case policy.PathPrefix:
		r.path = strings.TrimRight(m.Path, "/")
		r.prefixLen = len(r.path)
		r.template = r.path + "/*"
	case policy.PathRegex:
		if m.PathRegex == nil {
			return nil, errors.New("its regular expression was not compiled")
		}
		r.pattern = m.PathRegex
	default:
		return nil, fmt.Errorf("its path type is %q: use Exact, PathPrefix or RegularExpression", m.PathType)
	}
	for i := range m.Headers {
		r.headers = append(r.headers, newCondition(&m.Headers[i]))
	}
	for i := range m.Query {
		r.query = append(r.query, newCondition(&m.Query[i]))
	}
	return r, nil
}

// compare orders rules of the same host and path; equal ones stay in file order.
func (r *rule) compare(s *rule) int {
	return cmp.Or(
		cmp.Compare(min(len(s.method), 1), min(len(r.method), 1)),
		cmp.Compare(len(s.headers), len(r.headers)),
		cmp.Compare(len(s.query), len(r.query)),
	)
}

// holds says whether everything but host and path matches.
func (r *rule) holds(q *Request) bool {
	unmet, _ := r.unmet(q)
	return unmet == none
}

// unmet is the first condition that a request does not meet, host and path left out;
// i is which of the rule's headers or parameters it is.
func (r *rule) unmet(q *Request) (what Condition, i int) {
	if r.method != "" && r.method != string(q.Method) {
		return ByMethod, 0
	}
	for i := range r.headers {
		if !r.headers[i].holdsInHead(q.Head) {
			return ByHeader, i
		}
	}
	for i := range r.query {
		if !r.query[i].holdsInQuery(q.Query) {
			return ByQuery, i
		}
	}
	return none, 0
}
