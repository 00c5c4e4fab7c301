package policy

import "go-loadbalancer/lb/schema"

// Change is one thing in which two policies differ, with every default filled in: what
// is written out in one and left to its default in the other is no change, and neither
// is another order where order means nothing.
type Change struct {
	schema.Change
	// Where the old and the new value were written; zero where there is none. Of a
	// default it is what the field would stand in, and OldWritten or NewWritten is false.
	OldPos, NewPos         Pos
	OldWritten, NewWritten bool
}

// Diff returns the differences of two policies, in the order of the language's table and
// of the new policy. It takes time about linear in their size.
func Diff(old, new *Written) []Change {
	found := schema.Compare(documentKind().Shape(), old.plain(), new.plain())
	changes := make([]Change, len(found))
	for i, c := range found {
		changes[i].Change = c
		changes[i].OldPos, changes[i].OldWritten = old.find(c.OldAt)
		changes[i].NewPos, changes[i].NewWritten = new.find(c.NewAt)
	}
	return changes
}
