package impact

import (
	"cmp"
	"fmt"
	"iter"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/snapshot"
)

// Requests is what becomes of requests. They are made up from the matches of both
// policies, so that each match has some that it takes.
type Requests struct {
	// Probed is how many requests were matched by both policies, and All says that these
	// are every combination of host, path and conditions that the matches name.
	Probed int     `json:"probed"`
	All    bool    `json:"all"`
	Moved  []Moved `json:"moved"`
}

// Moved is requests that one route took, and another one takes now, or the same in
// another way.
type Moved struct {
	Old Outcome `json:"old"`
	New Outcome `json:"new"`
	// Differs is in what: route, answer (pools and their shares, redirect, status),
	// filters, timeouts, retry.
	Differs  []string `json:"differs"`
	Examples []string `json:"examples"` // at most three, the shortest
	Count    int      `json:"count"`    // of those probed; says nothing of how much traffic it is
}

// Outcome is where a request goes.
type Outcome struct {
	Route  string  `json:"route"`  // empty: no route takes it
	Answer string  `json:"answer"` // pools with their shares, a redirect, or a status of our own
	Pools  []Share `json:"pools"`
}

// Share is a pool's part of a route's requests.
type Share struct {
	Pool  string  `json:"pool"`
	Share float64 `json:"share"` // 0 to 1
}

// Probing ends at so many requests, or at so many that all patterns were tried so often.
const (
	mostProbes   = 20_000
	mostPatterns = 2_000_000
	leastProbes  = 200
)

// probe is a request that was made up.
type probe struct {
	host, path string // without host: one that no policy names
	condition
}

// condition is what of a request is not its target.
type condition struct {
	method, query string
	fields        string // "name: value" lines
}

func (p *probe) request() *snapshot.Request {
	return &snapshot.Request{Method: []byte(p.method), Host: []byte(p.host), Path: []byte(p.path), Query: []byte(p.query), Head: fields(p.fields)}
}

// fields are lines of "name: value".
type fields string

func (f fields) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range strings.Lines(string(f)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if strings.EqualFold(key, name) && !yield([]byte(value)) {
				return
			}
		}
	}
}

func (p *probe) String() string {
	s := p.method + " " + p.host + p.path
	if p.query != "" {
		s += "?" + p.query
	}
	if p.fields != "" {
		s += " with " + strings.ReplaceAll(strings.TrimSuffix(p.fields, "\n"), "\n", ", ")
	}
	if strings.ContainsFunc(s, unicode.IsControl) { // of a regular expression's making
		s = strconv.Quote(s)
	}
	return s
}

// requests matches requests by both policies. heirs is, for each old route, the new
// one that takes most of those that it took.
func requests(old, new *snapshot.Snapshot, t touched) (Requests, map[string]string) {
	type pair struct{ old, new *snapshot.Route }
	type group struct {
		Moved
		probes []probe
	}
	groups := map[pair]*group{}
	var order []pair
	out := Requests{Moved: []Moved{}}
	var probes iter.Seq[probe]
	probes, out.All = witnesses(old, new, t)
	heirs := map[string]map[string]int{}
	for p := range probes {
		out.Probed++
		q := p.request()
		at := pair{old.Match(q).Route, new.Match(q).Route}
		g := groups[at]
		if g == nil {
			g = &group{Moved: Moved{Old: outcome(at.old), New: outcome(at.new), Differs: differs(at.old, at.new)}}
			groups[at] = g
			order = append(order, at)
		}
		g.Count++
		if at.old != nil && at.new != nil {
			if heirs[at.old.Name] == nil {
				heirs[at.old.Name] = map[string]int{}
			}
			heirs[at.old.Name][at.new.Name]++
		}
		if len(g.Differs) > 0 {
			g.probes = shortest(append(g.probes, p))
		}
	}
	for _, at := range order {
		g := groups[at]
		if len(g.Differs) == 0 {
			continue
		}
		for i := range g.probes {
			g.Examples = append(g.Examples, g.probes[i].String())
		}
		out.Moved = append(out.Moved, g.Moved)
	}
	most := map[string]string{}
	for route, to := range heirs {
		for name, n := range to {
			if best := most[route]; best == "" || n > to[best] || n == to[best] && name < best {
				most[route] = name
			}
		}
	}
	return out, most
}

// shortest keeps the three shortest.
func shortest(probes []probe) []probe {
	slices.SortStableFunc(probes, func(a, b probe) int { return cmp.Compare(len(a.String()), len(b.String())) })
	return probes[:min(3, len(probes))]
}

func outcome(r *snapshot.Route) Outcome {
	if r == nil {
		return Outcome{Answer: "404, as no route matches", Pools: []Share{}}
	}
	o := Outcome{Route: r.Name, Pools: []Share{}}
	if to := r.Policy.Filters.Redirect; to != nil {
		o.Answer = redirect(to)
		return o
	}
	sum := 0
	for _, b := range r.Backends {
		sum += b.Weight
	}
	if sum == 0 {
		o.Answer = "503, as every weight is 0"
		return o
	}
	var words []string
	for _, b := range r.Backends {
		if b.Weight == 0 {
			continue
		}
		share := float64(b.Weight) / float64(sum)
		o.Pools = append(o.Pools, Share{b.Pool.Name, round(share)})
		if b.Weight == sum {
			words = append(words, b.Pool.Name)
		} else {
			words = append(words, b.Pool.Name+" "+percent(share))
		}
	}
	o.Answer = strings.Join(words, ", ")
	return o
}

// redirect is where a redirect leads, with what it keeps of the request in brackets.
func redirect(r *policy.Redirect) string {
	path := "[path]"
	switch r.PathType {
	case "ReplaceFullPath":
		path = r.Path
	case "ReplacePrefixMatch":
		path = strings.TrimSuffix(r.Path, "/") + "[rest]"
	}
	port := ""
	if r.Port != 0 {
		port = fmt.Sprintf(":%d", r.Port)
	}
	return fmt.Sprintf("redirect %d to %s://%s%s%s", r.StatusCode, cmp.Or(r.Scheme, "[scheme]"), cmp.Or(r.Hostname, "[host]"), port, path)
}

func differs(old, new *snapshot.Route) []string {
	in := []string{}
	if old == nil && new == nil {
		return in
	}
	if old == nil || new == nil {
		return []string{"route", "answer"}
	}
	note := func(what string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			in = append(in, what)
		}
	}
	a, b := old.Policy, new.Policy
	note("route", a.Name, b.Name)
	note("answer", outcome(old).Answer, outcome(new).Answer)
	x, y := a.Filters, b.Filters
	x.Redirect, y.Redirect = nil, nil // the answer
	note("filters", x, y)
	note("timeouts", a.Timeouts, b.Timeouts)
	note("retry", a.Retry, b.Retry)
	return in
}

// witnesses makes up requests. First come those that the matches of routes with changes
// take, then those of the others, then every combination of what they name, if those
// are few enough.
func witnesses(old, new *snapshot.Snapshot, t touched) (iter.Seq[probe], bool) {
	sides := [2]*snapshot.Snapshot{old, new}
	patterns := 0
	for _, s := range sides {
		for i := range s.Policy.Routes {
			for _, m := range s.Policy.Routes[i].Matches {
				if m.PathRegex != nil {
					patterns++
				}
			}
		}
	}
	limit := min(mostProbes, max(leastProbes, mostPatterns/(1+patterns)))
	named := namedHosts(sides)
	plain := condition{method: "GET"}
	hosts, paths, conditions := newSet(limit, ""), newSet(limit, "/"), newSet(limit, plain)
	own := newSet[probe](limit)
	whole := true
	take := func(r *policy.Route) {
		at := hostsOf(r, named)
		for j := range r.Matches {
			below, ok := pathsOf(&r.Matches[j])
			c, fits := conditionOf(&r.Matches[j])
			if !ok || !fits {
				whole = false // nothing was found that it takes
				continue
			}
			conditions.add(c)
			for _, path := range below {
				paths.add(path)
				for _, host := range at {
					hosts.add(host)
					if !own.add(probe{host, path, c}) {
						return
					}
				}
			}
		}
	}
	for _, changed := range []bool{true, false} {
		for i := range max(len(old.Routes), len(new.Routes)) {
			for _, s := range sides { // by turns, so that neither takes all the room
				if i < len(s.Routes) && t.routes[s.Routes[i].Name] == changed && !own.full {
					take(s.Routes[i].Policy)
				}
			}
		}
	}
	all := len(hosts.items) * len(paths.items) * len(conditions.items)
	whole = whole && !own.full && !hosts.full && !paths.full && !conditions.full && all <= limit
	return func(yield func(probe) bool) {
		for _, p := range own.items {
			if !yield(p) {
				return
			}
		}
		if !whole {
			return
		}
		for _, host := range hosts.items {
			for _, path := range paths.items {
				for _, c := range conditions.items {
					if p := (probe{host, path, c}); !own.has[p] && !yield(p) {
						return
					}
				}
			}
		}
	}, whole
}

// set keeps the first items that are added, up to a limit, each once.
type set[T comparable] struct {
	items []T
	has   map[T]bool
	limit int
	full  bool
}

func newSet[T comparable](limit int, items ...T) *set[T] {
	s := &set[T]{has: map[T]bool{}, limit: limit}
	for _, item := range items {
		s.add(item)
	}
	return s
}

// add is false if there is no room for the item.
func (s *set[T]) add(item T) bool {
	if s.has[item] {
		return true
	}
	if len(s.items) == s.limit {
		s.full = true
		return false
	}
	s.has[item] = true
	s.items = append(s.items, item)
	return true
}

func namedHosts(sides [2]*snapshot.Snapshot) map[string]bool {
	named := map[string]bool{}
	for _, s := range sides {
		for i := range s.Policy.Routes {
			for _, h := range s.Policy.Routes[i].Hostnames {
				named[h] = true
			}
		}
	}
	return named
}

// hostsOf are hosts that a route answers for: for a wildcard one that is not named
// itself.
func hostsOf(r *policy.Route, named map[string]bool) []string {
	if len(r.Hostnames) == 0 {
		return []string{""}
	}
	hosts := make([]string, len(r.Hostnames))
	for i, h := range r.Hostnames {
		if below, wildcard := strings.CutPrefix(h, "*"); wildcard {
			h = "any" + below
			for n := 2; named[h]; n++ {
				h = fmt.Sprintf("any%d%s", n, below)
			}
		}
		hosts[i] = h
	}
	return hosts
}

// pathsOf are paths that a match takes.
func pathsOf(m *policy.Match) ([]string, bool) {
	switch m.PathType {
	case policy.PathExact:
		return []string{m.Path}, true
	case policy.PathPrefix:
		below := strings.TrimRight(m.Path, "/") + "/any"
		return []string{m.Path, below}, true
	}
	text, ok := sample(m.Path, m.PathRegex, "/")
	return []string{text}, ok
}

// conditionOf is what a match asks for beside host and path.
func conditionOf(m *policy.Match) (condition, bool) {
	c := condition{method: cmp.Or(m.Method, "GET")}
	value := func(v *policy.ValueMatch) (string, bool) {
		if v.Regex == nil {
			return v.Value, true
		}
		return sample(v.Value, v.Regex, "")
	}
	for i := range m.Headers {
		text, ok := value(&m.Headers[i])
		if !ok || strings.ContainsAny(text, "\r\n") {
			return c, false
		}
		c.fields += m.Headers[i].Name + ": " + text + "\n"
	}
	for i := range m.Query {
		text, ok := value(&m.Query[i])
		if !ok {
			return c, false
		}
		if c.query != "" {
			c.query += "&"
		}
		c.query += url.QueryEscape(m.Query[i].Name) + "=" + url.QueryEscape(text)
	}
	return c, true
}
