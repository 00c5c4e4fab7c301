package health

import "time"

// maxKept bounds how many removed endpoints are remembered.
const maxKept = 4096

// place is what an endpoint is known by, whether it is there or not.
type place struct{ pool, address string }

// memory is what is known of endpoints that were removed and may be back soon: a
// name server that leaves an address out of one answer must not clear its record.
// The zero memory is empty.
type memory struct {
	kept  map[place]*past
	order []*past // the oldest first
}

// past is the record of an endpoint that was removed.
type past struct {
	at     place
	record record
	until  time.Time // it is forgotten then
}

// keep remembers a record until then. The oldest gives way.
func (m *memory) keep(at place, r record, until time.Time) {
	if m.kept == nil {
		m.kept = map[place]*past{}
	}
	if len(m.order) == maxKept {
		m.drop()
	}
	p := &past{at, r, until}
	m.kept[at] = p
	m.order = append(m.order, p)
}

// recall returns what is remembered of a place, and forgets it.
func (m *memory) recall(at place, now time.Time) (r record, ok bool) {
	for len(m.order) > 0 && (m.kept[m.order[0].at] != m.order[0] || !m.order[0].until.After(now)) {
		m.drop()
	}
	p := m.kept[at]
	delete(m.kept, at)
	if p == nil || !p.until.After(now) {
		return record{}, false
	}
	return p.record, true
}

// drop forgets the oldest.
func (m *memory) drop() {
	p := m.order[0]
	m.order[0] = nil
	m.order = m.order[1:]
	if m.kept[p.at] == p {
		delete(m.kept, p.at)
	}
}
