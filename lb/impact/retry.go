package impact

import (
	"fmt"
	"strconv"
	"time"

	"go-loadbalancer/lb/policy"
)

// Amplification is how many tries the requests may cost, at worst: when every try fails
// at once.
type Amplification struct {
	Worst  [2]Worst `json:"worst"`  // of all routes, old and new
	Routes []Retry  `json:"routes"` // of which it changes
	Copies []Copies `json:"copies"` // mirrored requests, where they change
}

// Worst is how many tries there may be at worst.
type Worst struct {
	// Tries of a single request, the first one included.
	Tries int `json:"tries"`
	// Sustained is tries to requests in the long run, as the pool's budget bounds them,
	// but for PerSecond: with few requests a second that, and Tries, is what bounds.
	Sustained float64 `json:"sustained"`
	PerSecond int     `json:"perSecond"` // retries that the budget allows in any case
}

// Retry is the worst of routes and a pool; nil where they were not, or are no more.
type Retry struct {
	Routes []string `json:"routes"`
	Pool   string   `json:"pool"`
	Old    *Worst   `json:"old"`
	New    *Worst   `json:"new"`
}

// Copies is a pool that is sent copies of a route's requests. They come on top, are not
// made again, and take nothing out of a budget.
type Copies struct {
	Route string     `json:"route"`
	Pool  string     `json:"pool"`
	Share [2]float64 `json:"share"` // of the route's requests, old and new
}

// worstOf is what a route may send to a pool of it.
func worstOf(r *policy.Route, p *policy.Pool) Worst {
	w := Worst{Tries: 1, Sustained: 1}
	b := p.RetryBudget
	if r.Retry == nil || b.Percent == 0 && b.MinRetriesPerSecond == 0 {
		return w
	}
	retries := fitting(r.Retry, r.Timeouts.Request)
	if retries == 0 {
		return w
	}
	return Worst{1 + retries, round(1 + min(float64(retries), b.Percent/100)), b.MinRetriesPerSecond}
}

// maxPause is what bounds the pause before a retry (package proxy).
const maxPause = time.Minute

// fitting is how many retries there is time for, with pauses as short as they can be.
func fitting(r *policy.Retry, limit time.Duration) int {
	var pauses time.Duration
	for i := range r.Attempts {
		if pauses += min(r.Backoff<<i, maxPause) / 2; limit > 0 && pauses >= limit {
			return i
		}
	}
	return r.Attempts
}

func amplification(old, new *policy.Policy) Amplification {
	a := Amplification{Routes: []Retry{}, Copies: []Copies{}}
	type place struct{ route, pool string }
	var order []place
	worst, copies := [2]map[place]*Worst{}, [2]map[place]float64{}
	seen := map[place]bool{}
	note := func(at place) {
		if !seen[at] {
			seen[at] = true
			order = append(order, at)
		}
	}
	for _, i := range []int{1, 0} { // the new order first
		p := []*policy.Policy{old, new}[i]
		worst[i], copies[i] = map[place]*Worst{}, map[place]float64{}
		a.Worst[i] = Worst{Sustained: 1}
		pools := byName(p.Pools, func(p *policy.Pool) string { return p.Name })
		for j := range p.Routes {
			r := &p.Routes[j]
			for _, ref := range r.BackendRefs {
				if ref.Weight == 0 {
					continue
				}
				at := place{r.Name, ref.Pool}
				w := worstOf(r, pools[ref.Pool])
				worst[i][at] = &w
				a.Worst[i] = Worst{max(a.Worst[i].Tries, w.Tries), max(a.Worst[i].Sustained, w.Sustained), max(a.Worst[i].PerSecond, w.PerSecond)}
				note(at)
			}
			if m := r.Filters.Mirror; m != nil && m.Percent > 0 {
				at := place{r.Name, m.Pool}
				copies[i][at] = m.Percent / 100
				note(at)
			}
		}
	}
	type values struct {
		pool              string
		hadOld, hasNew    bool
		oldWorst, newWors Worst
	}
	groups := map[values]int{}
	for _, at := range order {
		if share := [2]float64{round(copies[0][at]), round(copies[1][at])}; share[0] != share[1] {
			a.Copies = append(a.Copies, Copies{at.route, at.pool, share})
		}
		x, y := worst[0][at], worst[1][at]
		v := values{pool: at.pool, hadOld: x != nil, hasNew: y != nil}
		if x != nil {
			v.oldWorst = *x
		}
		if y != nil {
			v.newWors = *y
		}
		none := Worst{Tries: 1, Sustained: 1}
		if v.hadOld == v.hasNew && v.oldWorst == v.newWors || (x == nil || *x == none) && (y == nil || *y == none) {
			continue
		}
		if g, known := groups[v]; known {
			a.Routes[g].Routes = append(a.Routes[g].Routes, at.route)
			continue
		}
		groups[v] = len(a.Routes)
		a.Routes = append(a.Routes, Retry{[]string{at.route}, at.pool, x, y})
	}
	return a
}

func (w *Worst) String() string {
	switch {
	case w == nil:
		return "none, as nothing is sent"
	case w.Tries <= 1:
		return "1 try"
	case w.Sustained >= float64(w.Tries):
		return fmt.Sprintf("%d tries", w.Tries)
	}
	s := fmt.Sprintf("%d tries, in the long run ×%s", w.Tries, strconv.FormatFloat(w.Sustained, 'f', -1, 64))
	if w.PerSecond > 0 {
		s += fmt.Sprintf(" and %d a second", w.PerSecond)
	}
	return s
}

func (r *Retry) String() string {
	return fmt.Sprintf("%s, to pool %s: %s → %s", routesOf(r.Routes), r.Pool, r.Old, r.New)
}

func (c *Copies) String() string {
	return fmt.Sprintf("pool %s is sent copies of %s → %s of the requests of route %s", c.Pool, percent(c.Share[0]), percent(c.Share[1]), c.Route)
}
