package schema

import (
	"slices"
	"strings"
)

// Change is one thing in which two documents of a language differ.
type Change struct {
	Kind ChangeKind
	// Path leads to the field, or to the item of a list: by what the item is called, by
	// its place if it is called nothing; the place among the old items if it was removed.
	Path Path
	// Old and New are plain values (see [Kind]); nil: none. Of items in another order
	// they are what the items are called.
	Old, New any
	// OldAt and NewAt lead to the same places by indexes: for what knows where each was
	// written. An item that is new has no OldAt, one that was removed no NewAt.
	OldAt, NewAt []Step
	Shape        *Shape
}

// ChangeKind says what became of a value.
type ChangeKind string

const (
	Changed   ChangeKind = "changed"
	Added     ChangeKind = "added"
	Removed   ChangeKind = "removed"
	Renamed   ChangeKind = "renamed"   // everything but the name is as it was
	Reordered ChangeKind = "reordered" // a list whose order matters; its items may have changes of their own
)

// Compare returns the differences of two plain values of a shape, in the order of the
// table and of the new list, removed items last. Items of lists that are called
// something (name, pool or address) are compared by that, wherever they stand; others
// with those most like them. It takes time about linear in what the two hold.
func Compare(s *Shape, old, new any) []Change {
	c := comparison{}
	c.value(s, place{}, old, new)
	return c.found
}

// place is where a comparison stands: in both values at once.
type place struct {
	path     Path
	old, new []Step
}

func (p place) enter(key string) place {
	step := Step{Key: key}
	return place{append(slices.Clip(p.path), Selector{Key: key}), append(slices.Clip(p.old), step), append(slices.Clip(p.new), step)}
}

// item goes to an item of both lists; an index of -1 is in none.
func (p place) item(s Selector, old, new int) place {
	in := func(at []Step, i int) []Step {
		if i < 0 {
			return nil
		}
		return append(slices.Clip(at), Step{Index: i})
	}
	return place{append(slices.Clip(p.path), s), in(p.old, old), in(p.new, new)}
}

type comparison struct{ found []Change }

func (c *comparison) add(kind ChangeKind, s *Shape, at place, old, new any) {
	c.found = append(c.found, Change{kind, at.path, old, new, at.old, at.new, s})
}

func (c *comparison) value(s *Shape, at place, old, new any) {
	a, oldMapping := old.(Members)
	b, newMapping := new.(Members)
	switch {
	case oldMapping && newMapping && s.rows() == nil:
		c.free(s, at, a, b)
	case oldMapping && newMapping:
		for i, row := range s.rows() {
			c.value(row.Shape, at.enter(row.Name), a[i].Value, b[i].Value)
		}
	case s.Item != nil && s.Rows == nil && !oldMapping && !newMapping:
		x, _ := old.([]any)
		y, _ := new.([]any)
		c.list(s, at, x, y)
	case same(old, new):
	case old == nil && newMapping:
		c.add(Added, s, at, nil, new)
	case new == nil && oldMapping:
		c.add(Removed, s, at, old, nil)
	default:
		c.add(Changed, s, at, old, new)
	}
}

// free compares mappings whose keys are free.
func (c *comparison) free(s *Shape, at place, old, new Members) {
	before := make(map[string]any, len(old))
	for _, m := range old {
		before[m.Name] = m.Value
	}
	inner := &Shape{}
	if s.Values != nil {
		inner = s.Values
	}
	for _, m := range new {
		was, known := before[m.Name]
		delete(before, m.Name)
		switch {
		case !known:
			c.add(Added, inner, at.enter(m.Name), nil, m.Value)
		default:
			c.value(inner, at.enter(m.Name), was, m.Value)
		}
	}
	for _, m := range old {
		if _, left := before[m.Name]; left {
			c.add(Removed, inner, at.enter(m.Name), m.Value, nil)
		}
	}
}

func (c *comparison) list(s *Shape, at place, old, new []any) {
	if s.Item.Rows == nil { // of scalars: it is one value
		if sameItems(s, old, new) {
			return
		}
		none := func(v []any) any {
			if v == nil {
				return nil
			}
			return v
		}
		c.add(Changed, s, at, none(old), none(new))
		return
	}
	l := align(s.Item, old, new)
	for i := range new {
		switch j := l.partner[i]; {
		case j < 0:
			c.add(Added, s.Item, at.item(l.callNew(i), -1, i), nil, new[i])
		case l.renamed[i]:
			key := l.key
			here := at.item(l.callNew(i), j, i).enter(key)
			c.add(Renamed, s.Item, here, l.old[j], l.new[i])
		case !same(old[j], new[i]): // or else there is no need to look at each field
			c.value(s.Item, at.item(l.callNew(i), j, i), old[j], new[i])
		}
	}
	for j := range old {
		if !l.taken[j] {
			c.add(Removed, s.Item, at.item(l.callOld(j), j, -1), old[j], nil)
		}
	}
	if !s.AnyOrder && l.reordered() {
		c.add(Reordered, s, at, names(l.old, len(old)), names(l.new, len(new)))
	}
}

// sameItems reports whether two lists of scalars mean the same.
func sameItems(s *Shape, old, new []any) bool {
	if !s.AnyOrder {
		return slices.EqualFunc(old, new, same)
	}
	within := func(a, b []any) bool {
		have := make(map[any]bool, len(b))
		for _, v := range b {
			have[v] = true
		}
		return !slices.ContainsFunc(a, func(v any) bool { return !have[v] })
	}
	return within(old, new) && within(new, old)
}

// alignment is which items of two lists belong together.
type alignment struct {
	key      string   // the field that items are called by; "": none
	old, new []string // what they are called, if there is a key
	partner  []int    // of each new item, among the old ones; -1: none
	taken    []bool   // of each old item: it is somebody's partner
	renamed  map[int]bool
	twice    map[string]bool // names that several items have
}

// callNames are the fields that items of lists are called by, the first that they have.
var callNames = []string{"name", "pool", "address"}

func align(item *Shape, old, new []any) *alignment {
	l := &alignment{partner: make([]int, len(new)), taken: make([]bool, len(old)), renamed: map[int]bool{}, twice: map[string]bool{}}
	for i := range new {
		l.partner[i] = -1
	}
	for _, key := range callNames {
		if slices.ContainsFunc(item.Rows, func(r Row) bool { return r.Name == key && r.Required }) {
			l.key = key
			break
		}
	}
	if l.key == "" {
		first := func(v any) string { return flow(v.(Members)[0].Value) }
		l.match(old, new, flow)
		l.match(old, new, first)
		l.match(old, new, func(any) string { return "" }) // in order
		return l
	}
	name := func(v any) string { return flow(v.(Members).Get(l.key)) }
	l.old, l.new = l.callAll(old, name), l.callAll(new, name)
	l.match(old, new, name)
	if l.key == "name" {
		before := slices.Clone(l.partner)
		l.match(old, new, func(v any) string { return withoutName(v.(Members)) })
		for i := range new {
			l.renamed[i] = before[i] < 0 && l.partner[i] >= 0
		}
	}
	return l
}

// withoutName is all there is to an item but its name, and is the item's own if that is
// nothing.
func withoutName(m Members) string {
	rest := slices.DeleteFunc(slices.Clone(m), func(f Member) bool { return f.Name == "name" })
	return flow(rest)
}

func (l *alignment) callAll(items []any, name func(any) string) []string {
	called := make([]string, len(items))
	seen := make(map[string]bool, len(items))
	for i := range items {
		called[i] = name(items[i])
		l.twice[called[i]] = l.twice[called[i]] || seen[called[i]]
		seen[called[i]] = true
	}
	return called
}

// match makes partners of items that have none, and whose keys are equal, in order.
func (l *alignment) match(old, new []any, key func(any) string) {
	free := map[string][]int{}
	for j := range old {
		if !l.taken[j] {
			k := key(old[j])
			free[k] = append(free[k], j)
		}
	}
	if len(free) == 0 {
		return
	}
	for i := range new {
		if l.partner[i] >= 0 {
			continue
		}
		k := key(new[i])
		if queue := free[k]; len(queue) > 0 {
			l.partner[i], l.taken[queue[0]] = queue[0], true
			free[k] = queue[1:]
		}
	}
}

func (l *alignment) callNew(i int) Selector { return l.call(l.new, i) }
func (l *alignment) callOld(j int) Selector { return l.call(l.old, j) }

func (l *alignment) call(names []string, i int) Selector {
	if l.key == "" || l.twice[names[i]] {
		return Selector{Item: true, Index: i}
	}
	return Selector{Key: names[i], Item: true, Index: -1}
}

// reordered reports whether the items that both lists have stand in another order.
func (l *alignment) reordered() bool {
	last := -1
	for _, j := range l.partner {
		if j < 0 {
			continue
		}
		if j < last {
			return true
		}
		last = j
	}
	return false
}

// names are what the items of a list are called; where they are called nothing, how many
// there are.
func names(called []string, n int) any {
	if called == nil {
		return n
	}
	items := make([]any, len(called))
	for i, name := range called {
		items[i] = name
	}
	return items
}

// Field is the path without which item of each list it is about, as the reference has
// it: spec.pools[].circuitBreaker.failurePercent.
func (p Path) Field() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Item:
			b.WriteString("[]")
			continue
		case i > 0:
			b.WriteByte('.')
		}
		b.WriteString(s.Key)
	}
	return b.String()
}
