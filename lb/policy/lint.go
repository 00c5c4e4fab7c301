package policy

import (
	"slices"
	"strings"
)

// lint warns of what is legal and hardly meant. It runs on a policy without
// errors, and says only what is certain.
func (p *placed) lint(r *report) {
	if len(p.Routes) == 0 {
		r.add(Diagnostic{Severity: SeverityWarning, Code: CodeNoRoutes, Path: "spec.routes",
			Message: "no document has a route: every request is answered 404"})
	}
	p.lintPools(r)
	p.lintRoutes(r)
}

// lintPools warns of pools that no route refers to.
func (p *placed) lintPools(r *report) {
	used := make(map[string]bool, len(p.Pools))
	for i := range p.Routes {
		for _, ref := range p.Routes[i].BackendRefs {
			used[ref.Pool] = true
		}
		if m := p.Routes[i].Filters.Mirror; m != nil {
			used[m.Pool] = true
		}
	}
	for i, pool := range p.Pools {
		if !used[pool.Name] {
			p.poolsAt[i].warn(r, "name", CodeUnusedPool, "no route refers to pool %s: remove it, or add it to a route's backendRefs", quote(pool.Name))
		}
	}
}

// claim is one match of one route, for one host.
type claim struct {
	route, match int
	m            *Match
}

// claimKey is what two matches must share for the earlier one to come first
// wherever both fit: precedence looks at these before it looks at file order.
type claimKey struct {
	host, path, method string
	pathType           PathType
	headers, query     int
}

// lintRoutes warns of matches whose every request an earlier match of equal
// precedence takes. A match that is less specific than another comes later, so
// it can be hidden only by one of the same kind that takes the same requests or
// more.
func (p *placed) lintRoutes(r *report) {
	claims := make(map[claimKey][]claim)
	for i := range p.Routes {
		route := &p.Routes[i]
		hosts := route.Hostnames
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		hidden := make([]*claim, len(route.Matches)) // by which claim
		for j := range route.Matches {
			m := &route.Matches[j]
			everywhere := true
			for _, host := range hosts {
				key := claimKey{host, m.Path, m.Method, m.PathType, len(m.Headers), len(m.Query)}
				if m.PathType == PathPrefix {
					key.path = strings.TrimSuffix(m.Path, "/")
				}
				at := slices.IndexFunc(claims[key], func(c claim) bool { return c.m.covers(m) })
				if at < 0 {
					everywhere = false
					claims[key] = append(claims[key], claim{i, j, m})
				} else if hidden[j] == nil {
					hidden[j] = &claims[key][at]
				}
			}
			if !everywhere {
				hidden[j] = nil
			}
		}
		p.warnHidden(r, i, hidden)
	}
}

func (p *placed) warnHidden(r *report, i int, hidden []*claim) {
	if !slices.Contains(hidden, nil) {
		by := hidden[0]
		p.routesAt[i].warn(r, "name", CodeUnreachable, "no request can reach this route: route %s at %s takes them first",
			quote(p.Routes[by.route].Name), p.routesAt[by.route])
		return
	}
	for j, by := range hidden {
		if by != nil {
			p.routesAt[i].warn(r, index("matches", j), CodeUnreachable, "no request can reach this match: matches[%d] of route %s at %s takes them first",
				by.match, quote(p.Routes[by.route].Name), p.routesAt[by.route])
		}
	}
}

// covers reports whether every request that fits other fits m, given that the
// two share a claimKey.
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
