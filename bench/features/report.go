package main

import (
	"fmt"
	"strings"

	"go-loadbalancer/bench/machine"
)

// markdown is the report.
func markdown(counted map[string][]float64, times []used) string {
	var b strings.Builder
	b.WriteString(head)
	m := machine.Describe()
	fmt.Fprintf(&b, "\nMachine: %s, %d cores; %s; load before %s.\n", m.CPU, m.Cores, m.Kernel, m.Load)

	b.WriteString("\n## Instructions\n\n| build | instructions a request (range) |\n|---|---:|\n")
	for _, build := range builds() {
		middle, spread := median(counted[build.name])
		fmt.Fprintf(&b, "| %s | %.0f (%.0f) |\n", build.name, middle, spread)
	}
	with, _ := median(counted["lb"])
	without, _ := median(counted["plain"])
	fmt.Fprintf(&b, "\nBreaker and metrics: %.0f instructions a request, %.1f%% of those outside the kernel.\n", with-without, 100*(with/without-1))

	b.WriteString("\n## Two processors at one endpoint\n\n| feature | one processor (range) | two at once (range) |\n|---|---:|---:|\n")
	var one, two float64
	for _, u := range times {
		a, spread := median(u.one)
		c, spread2 := median(u.two)
		one, two = one+a, two+c
		fmt.Fprintf(&b, "| %s | %.0f (%.0f) ns | %.0f (%.0f) ns |\n", u.feature, a, spread, c, spread2)
	}
	fmt.Fprintf(&b, "| all | %.0f ns | %.0f ns |\n", one, two)
	return b.String()
}

const head = `# What breaker, retry budget, limits and metrics cost

Written by ` + "`go run ./bench/features -out bench/FEATURES.md`" + `, not by hand. Row ` + "`features`" + ` of RESULTS.md has the same by
processor time of whole requests, kernel included, which a busy machine blurs.

Instructions are counted by callgrind, so those of the kernel are not among them: it is where most of a small request's
time is spent. The load is that of row small64, and the access log is on. ` + "`plain`" + ` is the balancer without metrics, by a policy
without breaker; limits and retry budget are in both, since no policy is without them.

The second table is of processor time per request, of each feature by itself, which is used as fast as can be: by one processor, and by two at
the same endpoint, which never happens so densely where there are sockets to be read between two uses.
`
