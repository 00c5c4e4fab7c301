package impact

import (
	"fmt"
	"slices"
	"strings"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/schema"
	"go-loadbalancer/lb/snapshot"
)

// Sessions is what becomes of the sessions of routes with the same pools.
type Sessions struct {
	Routes []string `json:"routes"`
	// Sampled is how many sessions were drawn and sent through both policies: shares are
	// those of them.
	Sampled int     `json:"sampled"`
	Share   float64 `json:"share"` // that gets another home, or none
	Moves   []Move  `json:"moves"` // the largest first
	// Note is what else is to be known.
	Note string `json:"note,omitempty"`
}

// Move is sessions that move for one reason.
type Move struct {
	// Reason is carrier, ended, route, pool, homeless, removed, drains or weight-0.
	Reason string  `json:"reason"`
	From   string  `json:"from"` // a pool, or an endpoint as POOL ADDRESS; empty: all of the route
	To     string  `json:"to"`   // a pool; empty: another endpoint, or none
	Share  float64 `json:"share"`
	// WithinSeconds is until when at the latest; 0: at once, with its next request.
	WithinSeconds float64 `json:"withinSeconds"`
}

// So many sessions and keys are drawn, of all routes and pools together and of each.
const (
	mostDraws   = 2_000_000
	drawsOfEach = 10_000
	leastDraws  = 500
)

// draws is how many are drawn of each.
func draws(of int) int { return min(drawsOfEach, max(leastDraws, mostDraws/max(1, of))) }

// number is the number of a session that is drawn: SplitMix64's, so that it is the same
// each time.
func number(i int) uint64 {
	x := uint64(i+1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sessions sends sessions through the old policy, which gives them homes, and then
// through the one that was reloaded.
func sessions(old, new, through *snapshot.Snapshot, t touched, heirs map[string]string) []Sessions {
	routes := byName(new.Routes, func(r **snapshot.Route) string { return (*r).Name })
	f := followed{
		through: byName(through.Pools, func(p **pool.Pool) string { return (*p).Name }),
		old:     byName(old.Policy.Pools, func(p *policy.Pool) string { return p.Name }),
		new:     byName(new.Policy.Pools, func(p *policy.Pool) string { return p.Name }),
	}
	type work struct {
		old, new *snapshot.Route
		routes   []string
	}
	var todo []*work
	known := map[string]*work{}
	for _, r := range old.Routes {
		if r.Carrier == nil {
			continue
		}
		var to *snapshot.Route
		if same := routes[r.Name]; same != nil {
			to = *same
		} else if heir := routes[heirs[r.Name]]; heir != nil {
			to = *heir
		}
		changed := t.routes[r.Name]
		key := backends(r) + " to " + backends(to)
		for _, b := range r.Backends {
			changed = changed || t.pools[b.Pool.Name]
		}
		if !changed {
			continue
		}
		if w := known[key]; w != nil {
			w.routes = append(w.routes, r.Name)
			continue
		}
		w := &work{r, to, []string{r.Name}}
		known[key] = w
		todo = append(todo, w)
	}
	out := []Sessions{}
	for _, w := range todo {
		s := f.follow(w.old, w.new, draws(len(todo)))
		s.Routes = w.routes
		if s.Share > 0 || s.Note != "" {
			out = append(out, s)
		}
	}
	return out
}

// backends is what decides of a route's sessions.
func backends(r *snapshot.Route) string {
	if r == nil {
		return ""
	}
	var b strings.Builder
	for i := range r.Backends {
		fmt.Fprintf(&b, "%s %d,", r.Backends[i].Pool.Name, r.Backends[i].Weight)
	}
	return b.String()
}

// followed is the pools that sessions are followed through, by name.
type followed struct {
	through  map[string]**pool.Pool // as the reload left them
	old, new map[string]*policy.Pool
}

func (f *followed) follow(old, new *snapshot.Route, n int) Sessions {
	s := Sessions{Sampled: n, Moves: []Move{}}
	switch {
	case old.Pick(0) == nil: // it serves nobody
		return s
	case new == nil:
		s.all("route")
		return s
	case new.Carrier == nil:
		s.all("ended")
		return s
	case new.Carrier.Realm != old.Carrier.Realm:
		s.all("carrier")
		return s
	case cookiePath(old) != cookiePath(new):
		s.all("carrier")
		if a, b := cookiePath(old), cookiePath(new); !covers(a, b) && !covers(b, a) {
			return s
		}
		s.Note = fmt.Sprintf("the cookie's path changes, %s → %s: a browser then has two cookies of one name, whose tickets are refused together, so that its session begins anew with each request until it forgets the old one; change the cookie's name as well, then each session begins anew just once",
			cookiePath(old), cookiePath(new))
		return s
	}
	counts := map[Move]int{}
	for i := range n {
		counts[f.fate(old, new, number(i))]++
	}
	moved := 0
	for m, count := range counts {
		if m.Reason == "" {
			continue
		}
		moved += count
		m.Share = round(float64(count) / float64(n))
		s.Moves = append(s.Moves, m)
	}
	s.Share = round(float64(moved) / float64(n))
	slices.SortFunc(s.Moves, func(a, b Move) int {
		if a.Share != b.Share {
			if a.Share > b.Share {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Reason+a.From+a.To, b.Reason+b.From+b.To)
	})
	return s
}

func (s *Sessions) all(reason string) {
	s.Share, s.Moves = 1, []Move{{Reason: reason, Share: 1}}
}

// covers reports whether a cookie of a path is sent with requests for another one
// (RFC 6265 section 5.1.4).
func covers(cookie, path string) bool {
	rest, under := strings.CutPrefix(path, cookie)
	return under && (rest == "" || strings.HasSuffix(cookie, "/") || rest[0] == '/')
}

// cookiePath is the path of a route's session cookie; "" if a header carries it.
func cookiePath(r *snapshot.Route) string {
	for i := range r.Backends {
		if s := r.Backends[i].Pool.Sessions; s != nil && s.Type == "Cookie" {
			return s.CookiePath
		}
	}
	return ""
}

// fate is how a session moves; the zero Move: not at all.
func (f *followed) fate(old, new *snapshot.Route, number uint64) Move {
	b, to := old.PickFor(number), new.PickFor(number)
	switch {
	case b.Sessions == nil:
		return Move{}
	case to == nil || to.Pool.Name != b.Pool.Name:
		m := Move{Reason: "pool", From: b.Pool.Name}
		if to != nil {
			m.To = to.Pool.Name
		}
		return m
	case b.Sessions.Homeless:
		return Move{}
	case to.Sessions == nil || to.Sessions.Homeless:
		return Move{Reason: "homeless", From: b.Pool.Name}
	}
	home, _ := b.Pool.PickFor(number, nil, breaker.Unwilling)
	if home == nil {
		return Move{} // it has no home yet
	}
	p := *f.through[b.Pool.Name]
	at, state := p.Home(home.Home, number, breaker.Unwilling)
	if state != pool.Gone && state != pool.Unknown && at != nil && !at.Draining() {
		return Move{}
	}
	m := Move{From: b.Pool.Name + " " + home.Address}
	is := slices.IndexFunc(p.Members(), func(m pool.Member) bool { return m.Address == home.Address })
	switch {
	case is < 0:
		m.Reason, m.WithinSeconds = "removed", seconds(f.old[b.Pool.Name].DrainTimeout)
	case p.Members()[is].Drain:
		m.Reason, m.WithinSeconds = "drains", seconds(f.new[b.Pool.Name].DrainTimeout)
	default:
		m.Reason = "weight-0"
	}
	return m
}

// why says what a move is for.
func (m *Move) why() string {
	within := ""
	if m.WithinSeconds > 0 {
		within = fmt.Sprintf(", when it has drained: within %s", schema.FormatDuration(duration(m.WithinSeconds)))
	}
	switch m.Reason {
	case "carrier":
		return "begin anew: what carries them has another name or path"
	case "ended":
		return "end: the route's pools keep no sessions any more"
	case "route":
		return "end: no route takes their requests"
	case "homeless":
		return fmt.Sprintf("stay in pool %s and lose their home there: it keeps no sessions any more", m.From)
	case "pool":
		if m.To == "" {
			return fmt.Sprintf("leave pool %s, and no pool has a weight", m.From)
		}
		return fmt.Sprintf("go from pool %s to %s, at once, as the route's backendRefs say", m.From, m.To)
	case "removed":
		return fmt.Sprintf("leave %s, which is removed%s", m.From, within)
	case "drains":
		return fmt.Sprintf("leave %s, which drains%s", m.From, within)
	}
	return fmt.Sprintf("leave %s, whose weight is 0 now, at once", m.From)
}
