package snapshot

import (
	"bytes"
	"slices"
	"strings"
)

// paths finds the rules for a path, among those of one host.
type paths struct {
	exact    map[string][]*rule
	prefixes map[string][]*rule // without final "/"; "" is the prefix "/"
	patterns []*rule
	depth    int // most elements of a prefix
	longest  int // most bytes of a prefix
}

func (p *paths) add(r *rule) {
	switch {
	case r.pattern != nil:
		p.patterns = append(p.patterns, r)
	case r.prefixLen < 0:
		if p.exact == nil {
			p.exact = map[string][]*rule{}
		}
		p.exact[r.path] = append(p.exact[r.path], r)
	default:
		if p.prefixes == nil {
			p.prefixes = map[string][]*rule{}
		}
		p.prefixes[r.path] = append(p.prefixes[r.path], r)
		p.depth = max(p.depth, strings.Count(r.path, "/"))
		p.longest = max(p.longest, len(r.path))
	}
}

func (p *paths) sort() {
	for _, rules := range p.exact {
		slices.SortStableFunc(rules, (*rule).compare)
	}
	for _, rules := range p.prefixes {
		slices.SortStableFunc(rules, (*rule).compare)
	}
	slices.SortStableFunc(p.patterns, func(a, b *rule) int {
		if d := len(b.path) - len(a.path); d != 0 {
			return d
		}
		return a.compare(b)
	})
}

// match returns the first rule that holds, most specific path first; nil if
// none does, or p is nil.
func (p *paths) match(q *Request) *rule {
	if p == nil {
		return nil
	}
	if p.exact != nil {
		if r := first(p.exact[string(q.Path)], q); r != nil {
			return r
		}
	}
	for _, r := range p.patterns {
		if r.pattern.Match(q.Path) && r.holds(q) {
			return r
		}
	}
	if p.prefixes != nil && len(q.Path) > 0 && q.Path[0] == '/' {
		return p.matchPrefix(q)
	}
	return nil
}

// matchPrefix tries the path's leading elements, longest first, beginning with
// as many as the longest prefix has: what a hostile path may cost depends on
// the policy and not on the path.
func (p *paths) matchPrefix(q *Request) *rule {
	end, depth := 0, 0
	for i, c := range q.Path {
		end = i
		if c == '/' {
			if depth++; depth > p.depth {
				break
			}
		}
		end = i + 1
	}
	for {
		if end <= p.longest {
			if r := first(p.prefixes[string(q.Path[:end])], q); r != nil {
				return r
			}
		}
		if end == 0 {
			return nil
		}
		end = bytes.LastIndexByte(q.Path[:end], '/')
	}
}

// first returns the first rule whose other conditions hold.
func first(rules []*rule, q *Request) *rule {
	for _, r := range rules {
		if r.holds(q) {
			return r
		}
	}
	return nil
}
