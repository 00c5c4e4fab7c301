package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go-loadbalancer/sim/history"
)

// maxRows is how many bands of a kind are shown; a lane says how many it leaves out.
const maxRows = 16

// band is one line of a lane: what something was like, from time to time.
type band struct {
	Label string
	Parts []part
}

// part is a stretch of a band. X and Width are in percent of the axis.
type part struct {
	X, Width string
	Class    string
	Title    string // what it is, and when
	Text     string // written into it; empty: nothing is
	Thin     bool   // all is well: a line will do
}

func endpointName(pool string, n int) string { return pool + "/" + strconv.Itoa(n) }

// change is that something is in another state from a time on.
type change struct {
	at    time.Duration
	state string
}

// rowOf shows changes as parts; first is the state before them. Each state that there
// was is seen, however short it was: a bin shows the one that comes first in rank, and
// one without a rank before all.
func (a axis) rowOf(label, first string, changes []change, rank []string, name func(string) string) band {
	row := make([]string, a.bins)
	fill := func(bin int, state string) {
		if row[bin] == "" || slices.Index(rank, state) < slices.Index(rank, row[bin]) {
			row[bin] = state
		}
	}
	state, bin := first, 0
	for _, c := range changes {
		for to := a.bin(c.at); bin < to; bin++ {
			fill(bin, state)
		}
		fill(bin, state)
		state = c.state
		fill(bin, state)
	}
	for ; bin < a.bins; bin++ {
		fill(bin, state)
	}
	b := band{Label: label}
	for from := 0; from < a.bins; {
		to := from
		for to < a.bins && row[to] == row[from] {
			to++
		}
		class := row[from]
		if !slices.Contains(rank, class) {
			class = "unknown"
		}
		p := a.part(time.Duration(from)*a.width, time.Duration(to)*a.width, class, name(row[from]))
		p.Thin = row[from] == rank[len(rank)-1] || row[from] == "healthy"
		b.Parts = append(b.Parts, p)
		from = to
	}
	return b
}

// part is a stretch that is wide enough to be seen.
func (a axis) part(from, to time.Duration, class, what string) part {
	to = min(max(to, from), a.end)
	title := what + ", " + Span{from, to}.String()
	if from == to {
		title = what + " at " + instant(from)
	}
	left := min(a.at(from), 99.6)
	return part{X: x(left), Width: x(max(a.at(to)-left, 0.4)), Class: class, Title: title}
}

// pair is an endpoint, or a pool, as one replica sees it.
type pair struct{ what, replica string }

// by gathers changes by pair; the pairs come in the order of their first change.
type by struct {
	order []pair
	all   map[pair][]change
}

func (g *by) add(p pair, c change) {
	if g.all == nil {
		g.all = map[pair][]change{}
	}
	if g.all[p] == nil {
		g.order = append(g.order, p)
	}
	g.all[p] = append(g.all[p], c)
}

// rows makes bands of all, endpoints in the order of names; the number is of those
// that are left out.
func (g *by) rows(h *history.Run, row func(pair, string, []change) band) (rows []band, more int) {
	names := endpoints(h)
	slices.SortStableFunc(g.order, func(a, b pair) int {
		return cmp.Or(cmp.Compare(slices.Index(names, a.what), slices.Index(names, b.what)), cmp.Compare(a.replica, b.replica))
	})
	for _, p := range g.order {
		if len(rows) == maxRows {
			return rows, len(g.order) - maxRows
		}
		label := visible(p.what)
		if h.Replicas > 1 {
			label += " at " + visible(p.replica)
		}
		rows = append(rows, row(p, label, g.all[p]))
	}
	return rows, 0
}

func (a axis) breakers(h *history.Run) ([]band, int) {
	var g by
	first := map[pair]string{}
	for _, b := range h.Breakers {
		p := pair{b.Endpoint, b.Replica}
		if _, known := first[p]; !known {
			first[p] = b.From
		}
		g.add(p, change{b.At, b.To})
	}
	return g.rows(h, func(p pair, label string, changes []change) band {
		return a.rowOf(label, first[p], changes, []string{"half-open", "open", "closed"}, func(s string) string { return visible(s) })
	})
}

func (a axis) healths(h *history.Run) ([]band, int) {
	var g by
	word := func(healthy bool) string {
		if healthy {
			return "healthy"
		}
		return "unhealthy"
	}
	first := map[pair]string{}
	for _, c := range h.Healths {
		p := pair{c.Endpoint, c.Replica}
		if _, known := first[p]; !known {
			first[p] = word(!c.Healthy)
		}
		g.add(p, change{c.At, word(c.Healthy)})
	}
	for _, c := range h.Panics {
		p := pair{"pool " + c.Pool, c.Replica}
		first[p] = "calm"
		state := "calm"
		if c.On {
			state = "panic"
		}
		g.add(p, change{c.At, state})
	}
	return g.rows(h, func(p pair, label string, changes []change) band {
		return a.rowOf(label, first[p], changes, []string{"panic", "unhealthy", "healthy", "calm"}, func(s string) string {
			if s == "panic" {
				return "panic mode: health is ignored"
			}
			return s
		})
	})
}

func (a axis) faults(h *history.Run) (rows []band, more int) {
	for _, f := range h.Faults {
		if len(rows) == maxRows {
			return rows, len(h.Faults) - maxRows
		}
		b := band{Label: faultName(f)}
		title := visible(f.What) + " on " + visible(f.On)
		class := "fault"
		if f.Skipped != "" {
			class, title = "skipped", title+" (skipped: "+visible(f.Skipped)+")"
		}
		p := a.part(f.Start, f.End, class, title)
		p.Text = visible(f.What)
		b.Parts = append(b.Parts, p)
		rows = append(rows, b)
	}
	return rows, 0
}

func faultName(f history.Fault) string {
	if f.Name == "" {
		return visible(f.On)
	}
	return visible(f.Name) + ": " + visible(f.On)
}

// policies are rows only where there was more than one, or one was refused.
func (a axis) policies(h *history.Run) (rows []band, more int) {
	versions := map[string]bool{}
	refused := false
	replicas := map[string][]history.Policy{}
	var order []string
	for _, p := range h.Policies {
		versions[p.Hash] = true
		refused = refused || p.Refused != ""
		if replicas[p.Replica] == nil {
			order = append(order, p.Replica)
		}
		replicas[p.Replica] = append(replicas[p.Replica], p)
	}
	if len(versions) < 2 && !refused {
		return nil, 0
	}
	slices.Sort(order)
	for _, replica := range order {
		if len(rows) == maxRows {
			return rows, len(order) - maxRows
		}
		rows = append(rows, a.versions(replica, replicas[replica]))
	}
	return rows, 0
}

const maxVersions = 40 // shown of a replica

func (a axis) versions(replica string, all []history.Policy) band {
	b := band{Label: visible(replica)}
	var marks []part
	served := 0
	for i, p := range all[:min(len(all), maxVersions)] {
		if p.Refused != "" {
			marks = append(marks, a.part(p.At, p.At, "refused", "policy "+version(p)+" refused: "+visible(p.Refused)))
			continue
		}
		end := a.end
		for _, next := range all[i+1:] {
			if next.Refused == "" {
				end = next.At
				break
			}
		}
		served++
		v := a.part(p.At, end, fmt.Sprintf("policy%d", served%2), "policy "+version(p))
		v.Text = version(p)
		b.Parts = append(b.Parts, v)
	}
	b.Parts = append(b.Parts, marks...)
	return b
}

// version names a policy as people know it.
func version(p history.Policy) string {
	if p.Version != "" {
		return visible(p.Version)
	}
	return visible(p.Hash[:min(12, len(p.Hash))])
}
