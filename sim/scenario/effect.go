package scenario

import (
	"fmt"
	"slices"
	"strings"

	"go-loadbalancer/lb/schema"
)

// checkFault reports a fault that does nothing, that cannot happen to what it is on, or
// whose kinds leave nothing to one another.
func checkFault(d *schema.Decoder, n *schema.Node, f *Fault) {
	var found []effect
	for _, e := range effects() {
		if schema.Written(n, e.field.Name) {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		d.Fail(n, schema.CodeMissing, "says nothing that goes wrong: %s can have %s", f.On, strings.Join(kindsOn(f.On.Kind), ", "))
		return
	}
	for _, e := range found {
		name := e.field.Name
		switch {
		case !slices.Contains(e.on, f.On.Kind):
			d.FailAt(n, name, CodeWrongTarget, "cannot happen to %s, only to %s: %s can have %s", f.On, targets(e.on), f.On, strings.Join(kindsOn(f.On.Kind), ", "))
		case name == "scale" && f.On.Index > 0:
			d.FailAt(n, "on", CodeWrongTarget, "scale is about all balancers: write on: lb")
		case e.momentary && f.For > 0:
			d.FailAt(n, "for", schema.CodeConflict, "has no effect with %s, which happens at once", name)
		}
	}
	first := slices.IndexFunc(found, func(e effect) bool { return e.group != changes })
	if first < 0 {
		return
	}
	for i, e := range found {
		if i != first && (e.group != changes || found[first].group == alone) {
			d.FailAt(n, e.field.Name, schema.CodeConflict, "does not go with %s in one fault: give each a fault of its own", found[first].field.Name)
		}
	}
}

// kindsOn returns the kinds of faults that can happen to something.
func kindsOn(kind TargetKind) []string {
	var names []string
	for _, e := range effects() {
		if slices.Contains(e.on, kind) {
			names = append(names, e.field.Name)
		}
	}
	return names
}

func targets(kinds []TargetKind) string {
	written := map[TargetKind]string{OnEndpoint: "endpoints (POOL/N)", OnRedis: "redis", OnBalancer: "lb", OnPolicy: "policy"}
	var names []string
	for _, k := range kinds {
		names = append(names, written[k])
	}
	return strings.Join(names, " and ")
}

// momentary reports whether the fault happens at once: it has no time that it lasts.
func (f *Fault) momentary() bool {
	return f.Restart || f.Flush || f.Apply != nil || f.Scale > 0 || f.Failover && f.For == 0
}

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
