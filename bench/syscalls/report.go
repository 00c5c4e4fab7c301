package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// cost is what one kind of call costs a request, and may cost.
type cost struct {
	call       string
	perRequest float64
	ceiling    float64
	// inOthers: it has no ceiling of its own, and counts among [others].
	inOthers bool
}

// exceeded reports whether it costs more than it may.
func (c cost) exceeded() bool { return !c.inOthers && c.perRequest > c.ceiling+edge }

// costs are sorted by what they cost; those with a ceiling come first, and
// [others] sums up the rest.
func costs(k kind, calls counts) []cost {
	var all []cost
	rest := cost{call: others, ceiling: k.ceilings[others]}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		c := cost{call: name, perRequest: float64(calls[name]) / float64(k.requests)}
		ceiling, own := k.ceilings[name]
		if c.ceiling = ceiling; !own {
			c.inOthers = true
			rest.perRequest += c.perRequest
		}
		all = append(all, c)
	}
	all = append(all, rest)
	slices.SortStableFunc(all, func(a, b cost) int {
		switch {
		case a.inOthers != b.inOthers && a.inOthers:
			return 1
		case a.inOthers != b.inOthers:
			return -1
		case a.perRequest > b.perRequest:
			return -1
		case a.perRequest < b.perRequest:
			return 1
		}
		return 0
	})
	return all
}

// report is the table, as Markdown.
type report struct{ rows strings.Builder }

func (r *report) add(k kind, calls counts) {
	total := 0
	for _, n := range calls {
		total += n
	}
	fmt.Fprintf(&r.rows, "\n## `%s`: %s\n\n%.1f calls a request, over %d requests.\n\n| call | a request | at most |\n|---|---:|---:|\n",
		k.name, k.what, float64(total)/float64(k.requests), k.requests)
	for _, c := range costs(k, calls) {
		switch {
		case c.inOthers:
			fmt.Fprintf(&r.rows, "| · %s | %.4f | |\n", c.call, c.perRequest)
		case c.exceeded():
			fmt.Fprintf(&r.rows, "| %s | %.3f | **%g, EXCEEDED** |\n", c.call, c.perRequest, c.ceiling)
		default:
			fmt.Fprintf(&r.rows, "| %s | %.3f | %g |\n", c.call, c.perRequest, c.ceiling)
		}
	}
}

func (r *report) markdown() string {
	return head + r.rows.String()
}

const head = `# System calls a request

Written by ` + "`go run ./bench/syscalls -out bench/SYSCALLS.md`" + `, not by hand; the ceilings are tested by ` + "`make test`" + `.

Each kind of request is sent to a fresh balancer that runs under strace, with one processor (GOMAXPROCS=1) and its access
log on. EAGAIN marks calls that were made in vain. What is marked by a dot has no ceiling of its own; "others" is its sum.
What Go's own monitor thread does by the clock, not by requests, is left out: its sleeps, and its signals to goroutines
that run for more than 10 ms. Under strace every call takes long,
so that what a call waits for is there more often than it would be otherwise: EAGAIN, epoll_pwait and futex are
flattered, and their ceilings generous; the rest is what a request costs anywhere.
`
