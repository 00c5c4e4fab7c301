package policy

import "go-loadbalancer/lb/schema"

// lint warns of what is legal and hardly meant. It runs on a policy without
// errors, and says only what is certain.
func (p *placed) lint(r *schema.Report) {
	if len(p.Routes) == 0 {
		doc := p.listenersAt[0].doc
		d := &schema.Decoder{Report: r, File: doc.file}
		d.WarnAt(doc.root, "spec.routes", CodeNoRoutes, "no document has a route: every request is answered 404")
	}
	p.lintPools(r)
	p.lintSessions(r)
	p.lintReach(r)
}

// lintPools warns of pools that no route refers to.
func (p *placed) lintPools(r *schema.Report) {
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
			p.poolsAt[i].warn(r, "name", CodeUnusedPool, "no route refers to pool %s: remove it, or add it to a route's backendRefs", schema.Quote(pool.Name))
		}
	}
}
