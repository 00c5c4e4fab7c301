package scenario

import (
	"reflect"
	"slices"
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

// Check holds a scenario that was read against the policy that its balancers begin with:
// its pools, endpoints, listeners and items must be there; those that expectations name are
// looked for where these are compiled. What only a policy that is
// applied later may have is warned of, and so is what has no effect.
func Check(s *Scenario, p *policy.Policy) Diagnostics {
	a := against{s: s, p: p, r: &schema.Report{Noun: "scenario"}}
	a.later = slices.ContainsFunc(s.Timeline, func(f Fault) bool { return f.Apply != nil })
	for _, m := range s.Topology.Pools {
		a.target(m.Pos, "", Target{Kind: OnEndpoint, Pool: m.Name})
	}
	for i := range s.Load {
		a.load(&s.Load[i])
	}
	for i := range s.Timeline {
		a.fault(&s.Timeline[i])
	}
	if len(s.Expect) == 0 {
		s.warn(a.r, s.Pos, "spec", CodeNothingExpected, "expects nothing: the scenario passes if the invariants hold, whatever else comes to pass")
	}
	for _, m := range s.Mutations {
		for _, set := range m.Set {
			a.item(m.Pos, set)
		}
	}
	return a.r.Diagnostics()
}

// against is a scenario and the policy it is held against.
type against struct {
	s     *Scenario
	p     *policy.Policy
	r     *schema.Report
	later bool // other policies are applied, which may have more
}

// lack reports something that the policy does not have.
func (a *against) lack(at Pos, below, code, format string, args ...any) {
	if a.later {
		a.s.warn(a.r, at, below, code, format+" (a policy that is applied later may have it)", args...)
		return
	}
	a.s.fail(a.r, at, below, code, format, args...)
}

// target reports a pool or an endpoint that the policy does not have.
func (a *against) target(at Pos, below string, t Target) {
	i := slices.IndexFunc(a.p.Pools, func(p policy.Pool) bool { return p.Name == t.Pool })
	if i < 0 {
		known := names(a.p.Pools, func(p *policy.Pool) string { return p.Name })
		a.lack(at, below, CodeUnknownPool, "the policy has no pool %s%s", schema.Quote(t.Pool), schema.DidYouMean(schema.Nearest(t.Pool, known), known))
		return
	}
	if n := len(a.p.Pools[i].Endpoints); t.Index > n {
		a.lack(at, below, CodeUnknownEndpoint, "there is no %s: pool %s has %d of them, from %s/1 to %s/%d", t, schema.Quote(t.Pool), n, t.Pool, t.Pool, n)
	}
}

func (a *against) fault(f *Fault) {
	switch {
	case f.On.Kind == OnEndpoint:
		a.target(f.Pos, "on", f.On)
		a.health(f)
	case f.On.Kind == OnRedis && a.s.Topology.Redis == nil && !a.later && !needsRedis(a.p):
		a.s.fail(a.r, f.Pos, "on", CodeWrongTarget, "there is no Redis: no pool of the policy has sessionPersistence with store: Redis; write topology.redis: true to have one")
	}
}

// health reports that an endpoint fails checks which nobody makes.
func (a *against) health(f *Fault) {
	i := slices.IndexFunc(a.p.Pools, func(p policy.Pool) bool { return p.Name == f.On.Pool })
	if f.Health != "fail" || i < 0 || a.p.Pools[i].HealthCheck.Active != nil {
		return
	}
	const why = "pool %s has no healthCheck.active: nobody asks for the health of its endpoints, so that this does nothing"
	only := Fault{Pos: f.Pos, Name: f.Name, At: f.At, For: f.For, On: f.On, Repeat: f.Repeat, Health: f.Health}
	if reflect.DeepEqual(*f, only) {
		a.lack(f.Pos, "health", CodeWrongTarget, why, schema.Quote(f.On.Pool))
	} else if !a.later {
		a.s.warn(a.r, f.Pos, "health", CodeWithoutEffect, why, schema.Quote(f.On.Pool))
	}
}

// needsRedis reports whether a pool keeps its sessions in Redis.
func needsRedis(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Pools, func(p policy.Pool) bool {
		return p.SessionPersistence != nil && p.SessionPersistence.Store == "Redis"
	})
}

func (a *against) load(l *Load) {
	if l.Listener != "" && !slices.ContainsFunc(a.p.Listeners, func(p policy.Listener) bool { return p.Name == l.Listener }) {
		known := names(a.p.Listeners, func(p *policy.Listener) string { return p.Name })
		a.s.fail(a.r, l.Pos, "listener", CodeUnknownListener, "the policy has no listener %s%s", schema.Quote(l.Listener), schema.DidYouMean(schema.Nearest(l.Listener, known), known))
	}
	if a.later {
		return
	}
	kept := false
	for i := range l.Requests {
		routes := takers(a.p, l.Host, &l.Requests[i])
		if len(routes) == 0 {
			host := ""
			if l.Host != "" {
				host = " at " + l.Host
			}
			a.s.warn(a.r, l.Pos, index("requests", i), CodeNoRoute, "no route takes %s %s%s: it is answered 404", l.Requests[i].Method, schema.Quote(l.Requests[i].Path), host)
		}
		kept = kept || slices.ContainsFunc(routes, func(r *policy.Route) bool { return keepsSessions(a.p, r) })
	}
	if l.Sessions > 0 && !kept {
		a.s.warn(a.r, l.Pos, "sessions", CodeWithoutEffect, "has no effect: no pool that these requests go to has sessionPersistence with a cookie")
	}
}

// takers returns the routes that may take a request, as far as its host, path and method
// say.
func takers(p *policy.Policy, host string, q *Request) (routes []*policy.Route) {
	path, _, _ := strings.Cut(q.Path, "?")
	for i := range p.Routes {
		r := &p.Routes[i]
		if host != "" && len(r.Hostnames) > 0 && !slices.ContainsFunc(r.Hostnames, func(h string) bool { return answersFor(h, host) }) {
			continue
		}
		if slices.ContainsFunc(r.Matches, func(m policy.Match) bool {
			return (m.Method == "" || m.Method == q.Method) && matches(&m, path)
		}) {
			routes = append(routes, r)
		}
	}
	return routes
}

// answersFor reports whether a hostname of a route stands for a host.
func answersFor(hostname, host string) bool {
	if suffix, wild := strings.CutPrefix(hostname, "*"); wild {
		return strings.HasSuffix(host, suffix) && host != suffix
	}
	return hostname == host
}

func matches(m *policy.Match, path string) bool {
	switch m.PathType {
	case policy.PathExact:
		return path == m.Path
	case policy.PathRegex:
		return m.PathRegex.MatchString(path)
	}
	rest, within := strings.CutPrefix(path, strings.TrimSuffix(m.Path, "/"))
	return within && (rest == "" || rest[0] == '/')
}

func keepsSessions(p *policy.Policy, r *policy.Route) bool {
	return slices.ContainsFunc(r.BackendRefs, func(ref policy.BackendRef) bool {
		return slices.ContainsFunc(p.Pools, func(pool policy.Pool) bool {
			return pool.Name == ref.Pool && pool.SessionPersistence != nil && pool.SessionPersistence.Type == "Cookie"
		})
	})
}

// item reports a listener, route, pool or endpoint that a mutation changes and the policy
// does not have.
func (a *against) item(at Pos, set Assignment) {
	path, err := schema.ParsePath(set.Path)
	if err != nil || len(path) < 3 || !path[2].Item {
		return
	}
	check := func(step schema.Selector, list schema.Path, known []string) int {
		i := step.Index
		if i < 0 {
			i = slices.Index(known, step.Key)
		}
		if i >= 0 && i < len(known) {
			return i
		}
		hint := ""
		if step.Index < 0 {
			hint = schema.DidYouMean(schema.Nearest(step.Key, known), known)
		}
		if !a.later { // else whoever makes the mutation looks at all policies
			a.s.failSet(a.r, at, set, "%s of the policy has no item %s%s", list, step, hint)
		}
		return -1
	}
	switch path[1].Key {
	case "listeners":
		check(path[2], path[:2], names(a.p.Listeners, func(l *policy.Listener) string { return l.Name }))
	case "routes":
		check(path[2], path[:2], names(a.p.Routes, func(r *policy.Route) string { return r.Name }))
	case "pools":
		i := check(path[2], path[:2], names(a.p.Pools, func(p *policy.Pool) string { return p.Name }))
		if i >= 0 && len(path) > 4 && path[3].Key == "endpoints" && path[4].Item {
			check(path[4], path[:4], names(a.p.Pools[i].Endpoints, func(e *policy.Endpoint) string { return e.Address }))
		}
	}
}

func names[T any](items []T, name func(*T) string) []string {
	all := make([]string, len(items))
	for i := range items {
		all[i] = name(&items[i])
	}
	return all
}
