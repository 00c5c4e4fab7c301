package stage

import (
	"slices"
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/scenario"
)

// hosts are what the requests of the loads say as Host; empty: the address that they
// go to.
func hosts(p *policy.Policy, loads []scenario.Load) map[*scenario.Request]string {
	all := map[*scenario.Request]string{}
	for i := range loads {
		l := &loads[i]
		for k := range l.Requests {
			r := &l.Requests[k]
			if all[r] = l.Host; l.Host == "" {
				all[r] = hostOf(p, r)
			}
		}
	}
	return all
}

// hostOf is the first hostname of the route that a request's path and method match best;
// empty: it has none.
func hostOf(p *policy.Policy, r *scenario.Request) (host string) {
	best := -1
	for i := range p.Routes {
		route := &p.Routes[i]
		for k := range route.Matches {
			n := fits(&route.Matches[k], r)
			if n <= best {
				continue
			}
			if best, host = n, ""; len(route.Hostnames) > 0 {
				host = strings.Replace(route.Hostnames[0], "*", "x", 1)
			}
		}
	}
	return host
}

// fits says how well a match fits a request: the longer the path the better, and an
// exact one best; -1: not at all.
func fits(m *policy.Match, r *scenario.Request) int {
	path, _, _ := strings.Cut(r.Path, "?")
	if m.Method != "" && m.Method != r.Method {
		return -1
	}
	for _, h := range m.Headers {
		has := slices.ContainsFunc(r.Headers, func(f scenario.Header) bool { return strings.EqualFold(f.Name, h.Name) })
		if !has {
			return -1
		}
	}
	switch m.PathType {
	case policy.PathExact:
		if path == m.Path {
			return 1 << 20
		}
	case policy.PathPrefix:
		prefix := strings.TrimSuffix(m.Path, "/")
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
			return len(prefix)
		}
	case policy.PathRegex:
		if m.PathRegex.MatchString(path) {
			return len(m.Path)
		}
	}
	return -1
}

// listenerOf is the listener of a name; the first one if there is no name.
func listenerOf(p *policy.Policy, name string) *policy.Listener {
	for i := range p.Listeners {
		if p.Listeners[i].Name == name {
			return &p.Listeners[i]
		}
	}
	return &p.Listeners[0]
}

// sessionsOf says what a policy's sessions need: Redis, and the field that carries them
// if that is no cookie.
func sessionsOf(p *policy.Policy) (redis bool, header string) {
	for i := range p.Pools {
		if s := p.Pools[i].SessionPersistence; s != nil {
			redis = redis || s.Store == "Redis"
			if s.Type == "Header" && header == "" {
				header = s.HeaderName
			}
		}
	}
	return redis, header
}
