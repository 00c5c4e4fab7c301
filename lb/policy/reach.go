package policy

import (
	"slices"
	"strings"

	"go-loadbalancer/lb/schema"
)

// claim is one match of one route, for one host.
type claim struct {
	route, match int
	m            *Match
}

// claimKey is what two matches share if file order decides between them.
type claimKey struct {
	host, path, method string
	pathType           PathType
	headers, query     int
}

// reach finds the matches that no request can reach, because another match
// comes first wherever they hold. A match that takes more requests is mostly
// less specific and comes later, which leaves two cases: matches of equal
// precedence, decided by file order, and a prefix beside a regular expression
// that matches every path, since expressions come before prefixes.
type reach struct {
	claims map[claimKey][]claim
	every  map[string][]claim // by host, expressions that match every path
}

// lintReach warns of routes and matches that no request can reach.
func (p *placed) lintReach(r *schema.Report) {
	seen := reach{map[claimKey][]claim{}, map[string][]claim{}}
	p.eachClaim(func(host string, c claim) {
		if c.m.PathType == PathRegex && (c.m.Path == ".*" || c.m.Path == "/.*") {
			seen.every[host] = append(seen.every[host], c)
		}
	})
	hidden := make(map[*Match]*claim) // by which; nil: some host can reach it
	p.eachClaim(func(host string, c claim) {
		by := seen.before(host, c)
		if earlier, again := hidden[c.m]; !again || earlier != nil {
			hidden[c.m] = by
		}
	})
	for i := range p.Routes {
		p.warnHidden(r, i, hidden)
	}
}

// eachClaim calls visit for every host of every match, in file order.
func (p *placed) eachClaim(visit func(host string, c claim)) {
	for i := range p.Routes {
		hosts := p.Routes[i].Hostnames
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for j := range p.Routes[i].Matches {
			for _, host := range hosts {
				visit(host, claim{i, j, &p.Routes[i].Matches[j]})
			}
		}
	}
}

// before returns a claim that takes every request c could have, or nil; then c
// takes its place among the claims.
func (s *reach) before(host string, c claim) *claim {
	m := c.m
	if m.PathType == PathPrefix {
		for i, every := range s.every[host] {
			if (every.m.Method == "" || every.m.Method == m.Method) && every.m.covers(m) {
				return &s.every[host][i]
			}
		}
	}
	key := claimKey{host, m.Path, m.Method, m.PathType, len(m.Headers), len(m.Query)}
	if m.PathType == PathPrefix {
		key.path = strings.TrimSuffix(m.Path, "/")
	}
	for i, other := range s.claims[key] {
		if other.m.covers(m) {
			return &s.claims[key][i]
		}
	}
	s.claims[key] = append(s.claims[key], c)
	return nil
}

// warnHidden warns of a route as a whole, or of some of its matches.
func (p *placed) warnHidden(r *schema.Report, i int, hidden map[*Match]*claim) {
	matches := p.Routes[i].Matches
	why := func(m *Match, by *claim) string {
		if m.PathType == PathPrefix && by.m.PathType == PathRegex {
			return ", as regular expressions come before prefixes"
		}
		return ""
	}
	reached := 0
	for j := range matches {
		if hidden[&matches[j]] == nil {
			reached++
		}
	}
	if reached == 0 {
		by := hidden[&matches[0]]
		p.routesAt[i].warn(r, "name", CodeUnreachable, "no request can reach this route: route %s at %s takes them first%s",
			schema.Quote(p.Routes[by.route].Name), p.routesAt[by.route], why(&matches[0], by))
		return
	}
	for j := range matches {
		if by := hidden[&matches[j]]; by != nil {
			p.routesAt[i].warn(r, index("matches", j), CodeUnreachable, "no request can reach this match: matches[%d] of route %s at %s takes them first%s",
				by.match, schema.Quote(p.Routes[by.route].Name), p.routesAt[by.route], why(&matches[j], by))
		}
	}
}

// covers reports whether the headers and parameters that other asks for imply
// those that m asks for.
func (m *Match) covers(other *Match) bool {
	all := func(mine, theirs []ValueMatch, same func(a, b string) bool) bool {
		for i := range mine {
			if !slices.ContainsFunc(theirs, func(v ValueMatch) bool { return same(mine[i].Name, v.Name) && mine[i].covers(&v) }) {
				return false
			}
		}
		return true
	}
	return all(m.Headers, other.Headers, strings.EqualFold) &&
		all(m.Query, other.Query, func(a, b string) bool { return a == b })
}

func (v *ValueMatch) covers(other *ValueMatch) bool {
	if v.Regex != nil && other.Regex == nil {
		return v.Regex.MatchString(other.Value)
	}
	return v.Type == other.Type && v.Value == other.Value
}
