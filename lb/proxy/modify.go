package proxy

import (
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// modify applies a header filter to a list of fields, in place.
func modify(fields wire.Fields, m *snapshot.HeaderModifier) wire.Fields {
	kept := fields[:0]
	for i := range fields {
		if !m.Drops(fields[i].Name) {
			kept = append(kept, fields[i])
		}
	}
	for i := range m.Set {
		kept = append(kept, wire.Field{Name: m.Set[i].Name, Value: m.Set[i].Value})
	}
	for i := range m.Add {
		kept = append(kept, wire.Field{Name: m.Add[i].Name, Value: m.Add[i].Value})
	}
	return kept
}
