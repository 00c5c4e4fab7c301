package policy

import (
	"iter"
	"slices"
	"strings"

	"go-loadbalancer/lb/schema"
)

// What holds for sessions: in one pool, and between pools that meet in a route or
// in a cookie.

func checkSession(d *schema.Decoder, n *schema.Node, s *SessionPersistence) {
	switch {
	case s.Type == "Header" && s.HeaderName == "":
		d.FailAt(n, "header", CodeMissing, "is required with type: Header: write {name: X-Session}")
	case s.Type == "Header" && schema.Written(n, "cookie"):
		d.FailAt(n, "cookie", CodeConflict, "has no effect with type: Header: remove it")
	case s.Type == "Cookie" && schema.Written(n, "header"):
		d.FailAt(n, "header", CodeConflict, "has no effect with type: Cookie: remove it, or write type: Header")
	case s.Type == "Header" && s.Store == "Cookie":
		d.FailAt(n, "store", CodeConflict, "Cookie needs type: Cookie: a session carried by a header is kept in Redis or Memory")
	}
	if s.Store == "Memory" {
		d.WarnAt(n, "store", CodeSessionUnshared, "Memory is not shared: with several replicas, a client that reaches another one loses its endpoint; use Redis or Cookie")
	}
	if s.IdleTimeout <= s.AbsoluteTimeout {
		return
	}
	if !schema.Written(n, "idleTimeout") {
		s.IdleTimeout = s.AbsoluteTimeout
		return
	}
	d.FailAt(n, "idleTimeout", CodeConflict, "%s is longer than absoluteTimeout, %s%s",
		schema.FormatDuration(s.IdleTimeout), schema.FormatDuration(s.AbsoluteTimeout), byDefault(n, "absoluteTimeout"))
}

// checkSessionCookie reports a cookie that browsers would not take.
func checkSessionCookie(d *schema.Decoder, n *schema.Node, s *SessionPersistence) {
	has := func(prefix string) bool {
		return len(s.CookieName) >= len(prefix) && strings.EqualFold(s.CookieName[:len(prefix)], prefix)
	}
	for _, prefix := range []string{"__Host-", "__Secure-"} {
		if has(prefix) && s.CookieSecure != "Always" {
			d.FailAt(n, "secure", CodeConflict, "%s%s: browsers refuse a cookie whose name begins with %s unless it is Secure: write secure: Always",
				s.CookieSecure, byDefault(n, "secure"), prefix)
		}
	}
	if has("__Host-") && s.CookiePath != "/" {
		d.FailAt(n, "path", CodeConflict, "%s: browsers refuse a cookie whose name begins with __Host- unless its path is \"/\": write that, or use __Secure-", schema.Quote(s.CookiePath))
	}
	if s.CookieSameSite == "None" && s.CookieSecure == "Never" {
		d.FailAt(n, "sameSite", CodeConflict, "None with secure: Never: browsers refuse such a cookie: write secure: Always, or sameSite: Lax")
	}
}

// carriers are what the pools of a route must have in common, with the type of
// session that each belongs to, as each is compared.
var carriers = []struct {
	of, field string
	value     func(*SessionPersistence) string
	same      func(a, b string) bool
}{
	{"Cookie", "cookie.name", func(s *SessionPersistence) string { return s.CookieName }, identical},
	{"Cookie", "cookie.path", func(s *SessionPersistence) string { return s.CookiePath }, identical},
	{"Cookie", "cookie.sameSite", func(s *SessionPersistence) string { return s.CookieSameSite }, identical},
	{"Cookie", "cookie.secure", func(s *SessionPersistence) string { return s.CookieSecure }, identical},
	{"Cookie", "cookie.lifetime", func(s *SessionPersistence) string { return s.CookieLifetime }, identical},
	{"Cookie", "absoluteTimeout", (*SessionPersistence).maxAge, identical},
	{"Header", "header.name", func(s *SessionPersistence) string { return s.HeaderName }, strings.EqualFold},
}

// maxAge is the Max-Age of the cookie, as it is written; "" if it has none.
func (s *SessionPersistence) maxAge() string {
	if s.CookieLifetime != "Permanent" || s.AbsoluteTimeout == 0 {
		return ""
	}
	return schema.FormatDuration(s.AbsoluteTimeout)
}

func identical(a, b string) bool { return a == b }

// pair is two pools, in order.
type pair struct{ first, second int }

func pairOf(a, b int) pair { return pair{min(a, b), max(a, b)} }

// checkCarriers reports pools of one route that carry their sessions in different
// ways: a client has one session, which says first its pool and then its endpoint.
func (p *placed) checkCarriers(r *schema.Report, pools map[string]int) {
	compared := make(map[pair]bool)
	for i := range p.Routes {
		first := -1
		for _, ref := range p.Routes[i].BackendRefs {
			at, ok := pools[ref.Pool]
			if !ok || p.Pools[at].SessionPersistence == nil {
				continue
			}
			if first < 0 {
				first = at
			}
			both := pairOf(first, at)
			if at != first && !compared[both] {
				compared[both] = true
				p.compareCarriers(r, p.Routes[i].Name, both.first, both.second)
			}
		}
	}
}

// compareCarriers compares two pools of a route. A value that is empty was
// reported before.
func (p *placed) compareCarriers(r *schema.Report, route string, first, second int) {
	compare := func(field, a, b string, same func(a, b string) bool) {
		if a == "" || b == "" || same(a, b) {
			return
		}
		field = "sessionPersistence." + field
		p.poolsAt[second].fail(r, field, CodeCarriers, "%s%s, but pool %s at %s has %s%s: route %s has both pools, and a client has one session for all pools of a route; write the same for both",
			schema.Quote(b), p.poolsAt[second].byDefault(field), schema.Quote(p.Pools[first].Name), p.poolsAt[first], schema.Quote(a), p.poolsAt[first].byDefault(field), schema.Quote(route))
	}
	a, b := p.Pools[first].SessionPersistence, p.Pools[second].SessionPersistence
	compare("type", a.Type, b.Type, identical)
	for _, c := range carriers {
		if a.Type == c.of && b.Type == c.of {
			compare(c.field, c.value(a), c.value(b), c.same)
		}
	}
}

// byDefault is a remark for the value of a field below the item.
func (p place) byDefault(field string) string {
	dot := strings.LastIndexByte(field, '.')
	section, _ := (&schema.Decoder{}).Find(p.node, field[:dot])
	return byDefault(section, field[dot+1:])
}

// lintSessions warns of pools between which sessions get lost.
func (p *placed) lintSessions(r *schema.Report) {
	pools := make(map[string]int, len(p.Pools))
	for i := range p.Pools {
		pools[p.Pools[i].Name] = i
	}
	for i := range p.Routes {
		p.lintPartly(r, i, pools)
	}
	p.lintCookies(r, pools)
}

// lintPartly warns of pools of a route that have no sessions beside one that has.
func (p *placed) lintPartly(r *schema.Report, route int, pools map[string]int) {
	refs := p.Routes[route].BackendRefs
	with := -1
	for i, ref := range refs {
		if ref.Weight > 0 && p.Pools[pools[ref.Pool]].SessionPersistence != nil {
			with = i
			break
		}
	}
	if with < 0 {
		return
	}
	for i, ref := range refs {
		if ref.Weight > 0 && p.Pools[pools[ref.Pool]].SessionPersistence == nil {
			p.routesAt[route].warn(r, index("backendRefs", i)+".pool", CodeSessionPartly,
				"pool %s has no sessionPersistence, and backendRefs[%d], pool %s, has: a session that is sent here stays in the pool, at no endpoint of it; give it the same sessionPersistence",
				schema.Quote(ref.Pool), with, schema.Quote(refs[with].Pool))
		}
	}
}

// maxJar is how many pools each pool is compared with, for each cookie and host: so
// the work grows with a policy's size and not with its square.
const maxJar = 100

// jar is where a browser keeps one cookie.
type jar struct{ host, name, path string }

func (s *SessionPersistence) jar(host string) jar { return jar{host, s.CookieName, s.CookiePath} }

// visit is how clients come to a pool that keeps its sessions in their cookies.
type visit struct {
	routes []int    // that have the pool, in order
	hosts  []string // of those that send new clients there; "" is any host
}

// lintCookies warns of pools that keep their sessions in one cookie and share no
// route. The cookie holds one home, so a client of both loses one. A browser sends a
// cookie only to the host it is from, so pools that no host leads to both of are
// well apart.
func (p *placed) lintCookies(r *schema.Report, pools map[string]int) {
	visits := make([]visit, len(p.Pools))
	jars := make(map[jar][]int) // pools
	for i := range p.Routes {
		hosts := p.Routes[i].Hostnames
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, ref := range p.Routes[i].BackendRefs {
			at := pools[ref.Pool]
			s := p.Pools[at].SessionPersistence
			if s == nil || s.Store != "Cookie" {
				continue
			}
			visits[at].routes = append(visits[at].routes, i)
			if ref.Weight == 0 {
				continue
			}
			visits[at].hosts = append(visits[at].hosts, hosts...)
			for _, host := range hosts {
				if in := s.jar(host); len(jars[in]) < maxJar {
					jars[in] = append(jars[in], at)
				}
			}
		}
	}
	told := make(map[pair]bool)
	for at := range visits {
		other := p.replacing(at, visits, jars)
		if other < 0 || told[pairOf(at, other)] {
			continue
		}
		told[pairOf(at, other)] = true
		field := "sessionPersistence.cookie.name"
		p.poolsAt[at].warn(r, field, CodeSessionReplaced, "%s%s also holds the sessions of pool %s at %s, and no route has both pools: a cookie holds one home, so a client of both loses one whenever it visits the other; give each pool a cookie name of its own",
			schema.Quote(p.Pools[at].SessionPersistence.CookieName), p.poolsAt[at].byDefault(field), schema.Quote(p.Pools[other].Name), p.poolsAt[other])
	}
}

// replacing returns a pool that shares a cookie and no route with the given one, or
// -1. Of two pools of the same host, only the second one finds the other.
func (p *placed) replacing(at int, visits []visit, jars map[jar][]int) int {
	for _, host := range visits[at].hosts {
		for wide := range covering(host) {
			for _, other := range jars[p.Pools[at].SessionPersistence.jar(wide)] {
				if other != at && (wide != host || other < at) && !visits[at].meets(visits[other]) {
					return other
				}
			}
		}
	}
	return -1
}

// meets reports whether a route has both pools.
func (v visit) meets(other visit) bool {
	return slices.ContainsFunc(v.routes, func(route int) bool {
		_, found := slices.BinarySearch(other.routes, route)
		return found
	})
}

// covering yields the host names of routes that stand for every host that the given
// one does: itself, the wildcards, and "" for any host.
func covering(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if host != "" && !yield(host) {
			return
		}
		_, above, found := strings.Cut(strings.TrimPrefix(host, "*."), ".")
		for ; found; _, above, found = strings.Cut(above, ".") {
			if !yield("*." + above) {
				return
			}
		}
		yield("")
	}
}
