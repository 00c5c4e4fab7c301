package policy

import "go-loadbalancer/lb/schema"

// Written is a policy with where each of its values was written: see [Files.Read].
type Written struct {
	*Policy
	at *placed
}

// plain is the policy as one document that has all of it.
func (w *Written) plain() any {
	p := w.Policy
	return documentKind().Plain(document{
		apiVersion: "lb/v1", kind: "Policy", name: p.Name, version: p.Version, trustedProxies: p.TrustedProxies,
		accessLog: &p.AccessLog, listeners: p.Listeners, routes: p.Routes, pools: p.Pools,
	})
}

// find returns where a value was written: of a default, where what it is the default in
// was, for which ok is false. Indexes are those of the whole policy.
func (w *Written) find(path []schema.Step) (at Pos, ok bool) {
	if len(path) == 0 {
		return Pos{}, false
	}
	if len(path) >= 3 && path[0].Key == "spec" && path[2].Key == "" {
		list := map[string][]place{"listeners": w.at.listenersAt, "routes": w.at.routesAt, "pools": w.at.poolsAt}[path[1].Key]
		if i := path[2].Index; i < len(list) {
			n, ok := innermost(list[i].node, path[3:])
			return list[i].doc.file.Pos(n), ok
		}
	}
	for _, doc := range w.at.docs {
		if n, ok := innermost(doc.root, path); ok {
			return doc.file.Pos(n), true
		}
	}
	if len(w.at.docs) == 0 {
		return Pos{}, false
	}
	doc := w.at.docs[0]
	n, _ := innermost(doc.root, path)
	return doc.file.Pos(n), false
}

// innermost walks from n down a path as far as it was written; ok says that this was all
// of it. A key looked up in a list stands for the item that has it: that is how filters
// are written.
func innermost(n *schema.Node, path []schema.Step) (at *schema.Node, ok bool) {
	for _, step := range path {
		var next *schema.Node
		switch {
		case step.Key == "" && n.Kind == schema.SequenceNode && step.Index < len(n.Content):
			next = n.Content[step.Index]
		case step.Key == "":
		case n.Kind == schema.SequenceNode:
			for _, item := range n.Content {
				if _, next = schema.Entry(item, step.Key); next != nil {
					break
				}
			}
		default:
			_, next = schema.Entry(n, step.Key)
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}
