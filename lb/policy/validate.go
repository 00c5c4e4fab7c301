package policy

import (
	"net/netip"
	"slices"

	"go-loadbalancer/lb/schema"
)

// validate checks what holds between the parts of a policy. It runs on what
// could be decoded, so it passes over names that are empty: they were reported.
func (p *placed) validate(r *schema.Report, docs []*document) {
	p.checkListeners(r, docs)
	uniqueNames(r, p.Listeners, p.listenersAt, func(l *Listener) string { return l.Name })
	uniqueNames(r, p.Routes, p.routesAt, func(l *Route) string { return l.Name })
	pools := uniqueNames(r, p.Pools, p.poolsAt, func(l *Pool) string { return l.Name })
	p.checkOverlap(r)
	p.checkReferences(r, pools)
	p.checkCarriers(r, pools)
}

// checkListeners reports a policy that nothing can reach.
func (p *placed) checkListeners(r *schema.Report, docs []*document) {
	tried := func(doc *document) bool { // a list is there and wrong, or what it would stand in is
		_, spec := schema.Entry(doc.root, "spec")
		if spec == nil || spec.Kind == 0 {
			return true
		}
		_, list := schema.Entry(spec, "listeners")
		return list != nil && !(list.Kind == schema.SequenceNode && len(list.Content) == 0)
	}
	if len(p.Listeners) == 0 && !r.Incomplete && len(docs) > 0 && !slices.ContainsFunc(docs, tried) {
		docs[0].fail(r, "spec.listeners", CodeMissing, "no document has a listener: give the policy an address to serve on, such as {name: http, address: \":8000\"}")
	}
}

// uniqueNames reports names that are defined twice, and returns where each was
// defined first, as an index.
func uniqueNames[T any](r *schema.Report, items []T, at []place, name func(*T) string) map[string]int {
	first := make(map[string]int, len(items))
	for i := range items {
		n := name(&items[i])
		if n == "" {
			continue
		}
		if j, taken := first[n]; taken {
			at[i].fail(r, "name", CodeDuplicateName, "%s is defined twice: it is also at %s", schema.Quote(n), at[j])
			continue
		}
		first[n] = i
	}
	return first
}

// checkOverlap reports listeners that cannot both be opened.
func (p *placed) checkOverlap(r *schema.Report) {
	type socket struct {
		host string
		at   int
	}
	byPort := make(map[int][]socket)
	for i, l := range p.Listeners {
		host, port, complaint := splitAddress(l.Address, 0)
		if complaint != "" || port == 0 { // 0: the system chooses a free one
			continue
		}
		for _, other := range byPort[port] {
			if overlap(host, other.host) {
				p.listenersAt[i].fail(r, "address", CodeOverlap, "%s overlaps %s of listener %s at %s: one port can be opened once",
					schema.Quote(l.Address), schema.Quote(p.Listeners[other.at].Address), schema.Quote(p.Listeners[other.at].Name), p.listenersAt[other.at])
				break
			}
		}
		byPort[port] = append(byPort[port], socket{host, i})
	}
}

// overlap reports whether sockets on the two hosts want the same address. An
// unspecified IPv6 address listens on IPv4 as well.
func overlap(a, b string) bool {
	covers := func(wide, narrow string) bool {
		w, err := netip.ParseAddr(wide)
		switch {
		case wide == "" || err == nil && w.Is6() && w.IsUnspecified():
			return true
		case err == nil && w.IsUnspecified(): // IPv4 only
			n, err := netip.ParseAddr(narrow)
			return err != nil || n.Unmap().Is4()
		case wide == "localhost":
			n, err := netip.ParseAddr(narrow)
			return err == nil && n.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		n, errNarrow := netip.ParseAddr(narrow)
		return err == nil && errNarrow == nil && w.Unmap() == n.Unmap()
	}
	return a == b || covers(a, b) || covers(b, a)
}

// checkReferences reports pools that routes name and nobody defines.
func (p *placed) checkReferences(r *schema.Report, pools map[string]int) {
	known := make([]string, 0, len(pools))
	for i := range p.Pools {
		known = append(known, p.Pools[i].Name)
	}
	if r.Incomplete || slices.Contains(known, "") {
		return // the pool may stand in what could not be read
	}
	check := func(at place, below, pool string) {
		if _, ok := pools[pool]; ok || pool == "" {
			return
		}
		hint := schema.DidYouMean(schema.Nearest(pool, known), known)
		if len(known) == 0 {
			hint = ": the policy has no pools"
		}
		at.fail(r, below, CodeUnknownPool, "there is no pool %s%s", schema.Quote(pool), hint)
	}
	for i := range p.Routes {
		route := &p.Routes[i]
		for j, ref := range route.BackendRefs {
			check(p.routesAt[i], index("backendRefs", j)+".pool", ref.Pool)
		}
		if m := route.Filters.Mirror; m != nil {
			check(p.routesAt[i], "filters.requestMirror.pool", m.Pool)
		}
	}
}
