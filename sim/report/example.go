package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go-loadbalancer/sim/history"
)

const (
	maxExamples = 5  // requests shown of an expectation or invariant
	maxTrail    = 16 // attempts shown of a request
)

// example is a request with its attempts, in the order they began.
type example struct {
	*history.Request
	trail []*history.Attempt
	more  int // attempts beyond maxTrail
}

// examples finds the requests that the run's failures name, by id.
func examples(r *Run) map[string]*example {
	found := map[string]*example{}
	if r.History == nil {
		return found
	}
	for _, e := range r.Failed() {
		for _, id := range shown(e.Evidence) {
			found[id] = nil
		}
	}
	for _, i := range r.Broken() {
		for _, id := range shown(i.Evidence) {
			found[id] = nil
		}
	}
	for i := range r.History.Requests {
		q := &r.History.Requests[i]
		if known, wanted := found[q.ID]; wanted && known == nil {
			found[q.ID] = &example{Request: q}
		}
	}
	for i := range r.History.Attempts {
		a := &r.History.Attempts[i]
		e := found[a.Request]
		switch {
		case e == nil:
		case len(e.trail) == maxTrail:
			e.more++
		default:
			e.trail = append(e.trail, a)
		}
	}
	for id, e := range found {
		if e == nil { // named, but not of this run
			delete(found, id)
		}
	}
	return found
}

// shown returns the ids of the examples that are shown.
func shown(e Evidence) []string {
	return e.Examples[:min(maxExamples, len(e.Examples))]
}

// answer says what the client got, and of whom.
func (e *example) answer() string {
	var b strings.Builder
	if e.Status == 0 {
		b.WriteString("no answer")
	} else {
		b.WriteString(strconv.Itoa(e.Status))
	}
	if e.Status > 0 {
		by := e.By
		if by == "" {
			by = "the balancer"
		}
		b.WriteString(" by " + visible(by))
	}
	if e.Status > 0 && !e.Whole {
		b.WriteString(", broken off")
	}
	return b.String()
}

// remarks are what else is known of it.
func (e *example) remarks() string {
	var all []string
	for _, r := range []struct{ name, value string }{
		{"via", e.Replica}, {"route", e.Route}, {"flags", flags(e.Flags)}, {"session", cmp.Or(sessionWords[e.Sticky], e.Sticky)}, {"error", e.Err},
	} {
		if r.value != "" {
			all = append(all, r.name+" "+visible(r.value))
		}
	}
	return strings.Join(all, ", ")
}

// result says what an attempt came to.
func result(a *history.Attempt) string {
	words := []string{cmp.Or(resultWords[a.Result], visible(a.Result))}
	if a.Status > 0 {
		words = slices.Insert(words, 0, strconv.Itoa(a.Status))
	}
	for _, w := range []struct {
		so   bool
		word string
	}{
		{a.Probe, "probe"}, {a.Mirror, "mirror"}, {a.Home, "at its home"}, {a.Draining, "to a draining endpoint"},
		{a.Breaker != "" && a.Breaker != "closed", "breaker " + visible(a.Breaker)},
	} {
		if w.so {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// inOrder returns the examples by when they should have begun.
func inOrder(found map[string]*example) []*example {
	return slices.SortedFunc(maps.Values(found), func(a, b *example) int {
		return cmp.Or(cmp.Compare(a.Intended, b.Intended), cmp.Compare(a.ID, b.ID))
	})
}
