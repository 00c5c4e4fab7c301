package impact

import (
	"fmt"
	"slices"
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Reload is what a balancer that serves the old policy keeps when it is given the new
// one. An endpoint by host name counts as one, however many addresses it has.
type Reload struct {
	// Endpoints that are kept go on with their breaker, health, requests in flight,
	// latency and connections; those that are removed drain.
	Kept    int `json:"kept"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
	// WindowsReset is how many of the kept ones forget what failurePercent had counted,
	// as its interval is another one; HealthReset how many count as healthy at once, as
	// there are no active checks any more.
	WindowsReset int `json:"windowsReset"`
	HealthReset  int `json:"healthReset"`
	// RateLimitsReset is the routes whose clients have their whole burst again.
	RateLimitsReset []string `json:"rateLimitsReset"`
	// Addresses that are opened, and those that are given up: their connections end.
	Opened []string `json:"opened"`
	Closed []string `json:"closed"`
}

func reloaded(old, new *policy.Policy, c pool.Changes) Reload {
	r := Reload{
		Kept: c.Kept, Added: c.Added, Removed: c.Removed, WindowsReset: c.WindowsReset, HealthReset: c.HealthReset,
		RateLimitsReset: []string{}, Opened: missing(new.Listeners, old.Listeners), Closed: missing(old.Listeners, new.Listeners),
	}
	was := byName(old.Routes, func(r *policy.Route) string { return r.Name })
	for i := range new.Routes {
		is, before := new.Routes[i].Filters.RateLimit, was[new.Routes[i].Name]
		if is == nil || before == nil || before.Filters.RateLimit == nil {
			continue
		}
		if !strings.EqualFold(before.Filters.RateLimit.Header, is.Header) {
			r.RateLimitsReset = append(r.RateLimitsReset, new.Routes[i].Name)
		}
	}
	return r
}

// missing are the addresses of listeners that others do not have.
func missing(of, among []policy.Listener) []string {
	have := byName(among, func(l *policy.Listener) string { return l.Address })
	out := []string{}
	for i := range of {
		if have[of[i].Address] == nil {
			out = append(out, of[i].Address)
		}
	}
	return out
}

func (r *Reload) lines() (out []string) {
	kept := fmt.Sprintf("%s kept, with breaker, health and connections", count(r.Kept, "endpoint is", "endpoints are"))
	if r.Added > 0 {
		kept += fmt.Sprintf("; %d added", r.Added)
	}
	if r.Removed > 0 {
		kept += fmt.Sprintf("; %d removed", r.Removed)
	}
	out = append(out, kept)
	if r.WindowsReset > 0 {
		out = append(out, count(r.WindowsReset, "of them forgets", "of them forget")+" what failurePercent had counted: its interval is another one")
	}
	if r.HealthReset > 0 {
		out = append(out, count(r.HealthReset, "of them counts", "of them count")+" as healthy at once: there are no active checks any more")
	}
	if len(r.RateLimitsReset) > 0 {
		out = append(out, "rate limits begin anew, as they count by something else: "+routesOf(r.RateLimitsReset))
	}
	if len(r.Opened) > 0 {
		out = append(out, "listens on "+strings.Join(r.Opened, ", "))
	}
	if len(r.Closed) > 0 {
		out = append(out, "gives up "+strings.Join(r.Closed, ", ")+": its connections end")
	}
	return out
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// routesOf names a few routes, and says how many more there are.
func routesOf(names []string) string {
	const most = 3
	switch {
	case len(names) == 1:
		return "route " + names[0]
	case len(names) <= most:
		return "routes " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("routes %s and %d more", strings.Join(slices.Clone(names[:most]), ", "), len(names)-most)
}
