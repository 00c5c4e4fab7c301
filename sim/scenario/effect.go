package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

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
		case name == "clock" && f.Clock == 0:
			d.FailAt(n, name, schema.CodeBadValue, "0s is no jump: leave it out, or choose how far")
		case e.momentary && f.For > 0:
			d.FailAt(n, "for", schema.CodeConflict, "has no effect with %s, which happens at once", name)
		}
	}
	checkRepeat(d, n, f, found)
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

// checkRepeat reports a fault that begins anew before it is over, or that has no turns
// for what is to happen in turn.
func checkRepeat(d *schema.Decoder, n *schema.Node, f *Fault, found []effect) {
	if f.Repeat == nil {
		if len(f.Apply) > 1 {
			d.FailAt(n, "apply", schema.CodeConflict, "only one of several policies would be applied: write repeat, which takes them in turn")
		}
		return
	}
	momentary := !slices.ContainsFunc(found, func(e effect) bool { return !e.momentary }) || f.Failover
	switch {
	case f.For == 0 && !momentary:
		d.FailAt(n, "repeat", schema.CodeConflict, "needs for: a fault that lasts to the end of the run happens once")
	case f.For >= f.Repeat.Every && f.Repeat.Every > 0:
		d.FailAt(n, "for", schema.CodeConflict, "%s is not shorter than repeat.every, %s: it would begin again before it is over", schema.FormatDuration(f.For), schema.FormatDuration(f.Repeat.Every))
	case len(f.Apply) > f.Repeat.Times:
		d.FailAt(n, "apply", schema.CodeConflict, "has %d policies for %d times: the last ones are never applied", len(f.Apply), f.Repeat.Times)
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

// Momentary reports whether the fault happens at once, and once: it has no time that it
// lasts.
func (f *Fault) Momentary() bool {
	return f.Repeat == nil && (f.Restart || f.Flush || f.Apply != nil || f.Scale > 0 || f.Failover && f.For == 0)
}

// Lasts is how long it is from the fault's first beginning to its last end; 0: it
// happens at once, or goes on to the end of the run.
func (f *Fault) Lasts() time.Duration {
	if f.Repeat == nil {
		return f.For
	}
	return time.Duration(f.Repeat.Times-1)*f.Repeat.Every + f.For
}

// Times are the faults, each of which happens once, that a fault with Repeat stands for;
// without it, the fault itself.
func (f *Fault) Times() []*Fault {
	if f.Repeat == nil {
		return []*Fault{f}
	}
	all := make([]*Fault, f.Repeat.Times)
	for i := range all {
		one := *f
		one.Repeat = nil
		one.At += time.Duration(i) * f.Repeat.Every
		if len(f.Apply) > 0 {
			one.Apply = f.Apply[i%len(f.Apply):][:1]
		}
		all[i] = &one
	}
	return all
}

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
