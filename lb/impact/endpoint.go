package impact

import (
	"fmt"
	"math"
	"strconv"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

// Endpoint is what becomes of an endpoint.
type Endpoint struct {
	Pool     string `json:"pool"`
	Address  string `json:"address"`
	Change   string `json:"change"` // added, removed, drains, returns, weight, priority
	Weight   [2]int `json:"weight"` // old and new; 0 of what is not there
	Priority [2]int `json:"priority"`
	// Share is the expected part of the pool's requests while all of its endpoints are
	// eligible, old and new, 0 to 1.
	Share [2]float64 `json:"share"`
	// DrainSeconds is how long what is there may go on at most; 0 if it does not leave.
	DrainSeconds float64 `json:"drainSeconds"`
}

// endpoints are those that come, go, or get another share by what is written of them.
func endpoints(old, new *policy.Policy) []Endpoint {
	out := []Endpoint{}
	was := byName(old.Pools, func(p *policy.Pool) string { return p.Name })
	is := byName(new.Pools, func(p *policy.Pool) string { return p.Name })
	for i := range new.Pools {
		before := was[new.Pools[i].Name]
		if before == nil {
			before = &policy.Pool{Name: new.Pools[i].Name}
		}
		out = append(out, endpointsOf(before, &new.Pools[i])...)
	}
	for i := range old.Pools {
		if p := &old.Pools[i]; is[p.Name] == nil {
			out = append(out, endpointsOf(p, &policy.Pool{Name: p.Name})...)
		}
	}
	return out
}

func byName[T any](items []T, name func(*T) string) map[string]*T {
	m := make(map[string]*T, len(items))
	for i := range items {
		m[name(&items[i])] = &items[i]
	}
	return m
}

func endpointsOf(old, new *policy.Pool) (out []Endpoint) {
	address := func(e *policy.Endpoint) string { return e.Address }
	was, is := byName(old.Endpoints, address), byName(new.Endpoints, address)
	share := [2]map[string]float64{shares(old), shares(new)}
	note := func(address, change string, a, b *policy.Endpoint, drain float64) {
		e := Endpoint{Pool: new.Name, Address: address, Change: change, DrainSeconds: drain}
		for i, side := range []*policy.Endpoint{a, b} {
			if side != nil {
				e.Weight[i], e.Priority[i], e.Share[i] = side.Weight, side.Priority, round(share[i][address])
			}
		}
		out = append(out, e)
	}
	for i := range new.Endpoints {
		b := &new.Endpoints[i]
		a := was[b.Address]
		switch {
		case a == nil:
			note(b.Address, "added", nil, b, 0)
		case !a.Drain && b.Drain:
			note(b.Address, "drains", a, b, seconds(new.DrainTimeout))
		case a.Drain && !b.Drain:
			note(b.Address, "returns", a, b, 0)
		case a.Weight != b.Weight:
			note(b.Address, "weight", a, b, 0)
		case a.Priority != b.Priority:
			note(b.Address, "priority", a, b, 0)
		}
	}
	for i := range old.Endpoints {
		if a := &old.Endpoints[i]; is[a.Address] == nil {
			note(a.Address, "removed", a, nil, seconds(old.DrainTimeout))
		}
	}
	return out
}

// shares are the expected shares of a pool's endpoints while all are eligible: by weight
// among those of the lowest priority number.
func shares(p *policy.Pool) map[string]float64 {
	first, sum := math.MaxInt, 0
	counts := func(e *policy.Endpoint) bool { return !e.Drain && e.Weight > 0 }
	for i := range p.Endpoints {
		if e := &p.Endpoints[i]; counts(e) {
			first = min(first, e.Priority)
		}
	}
	for i := range p.Endpoints {
		if e := &p.Endpoints[i]; counts(e) && e.Priority == first {
			sum += e.Weight
		}
	}
	out := make(map[string]float64, len(p.Endpoints))
	for i := range p.Endpoints {
		if e := &p.Endpoints[i]; counts(e) && e.Priority == first {
			out[e.Address] = float64(e.Weight) / float64(sum)
		}
	}
	return out
}

func (e *Endpoint) String() string {
	s := fmt.Sprintf("%s %s", e.Pool, e.Address)
	shares := ""
	if e.Share[0] != e.Share[1] {
		shares = fmt.Sprintf(": %s → %s of the pool's requests", percent(e.Share[0]), percent(e.Share[1]))
	}
	leaves := fmt.Sprintf("; what is there may go on for %s", schema.FormatDuration(duration(e.DrainSeconds)))
	switch e.Change {
	case "added":
		return fmt.Sprintf("%s is added, weight %d%s%s", s, e.Weight[1], priority(e.Priority[1]), shares)
	case "removed":
		return s + " is removed" + shares + leaves
	case "drains":
		return s + " drains" + shares + leaves
	case "returns":
		return s + " no longer drains" + shares
	case "priority":
		return fmt.Sprintf("%s: priority %d → %d%s", s, e.Priority[0], e.Priority[1], shares)
	}
	return fmt.Sprintf("%s: weight %d → %d%s", s, e.Weight[0], e.Weight[1], shares)
}

func priority(p int) string {
	if p == 0 {
		return ""
	}
	return fmt.Sprintf(", priority %d", p)
}

// round keeps four digits behind the point: what is more is noise.
func round(share float64) float64 { return math.Round(share*1e4) / 1e4 }

func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1000)/10, 'f', -1, 64) + "%"
}
