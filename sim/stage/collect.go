package stage

import (
	"cmp"
	"slices"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/model"
)

// collect makes one history of what everybody saw.
func (st *stage) collect() {
	run := st.run
	requests := make(map[string]*history.Request, len(run.Requests))
	for i := range run.Requests {
		requests[run.Requests[i].ID] = &run.Requests[i]
	}
	run.Metrics = map[string]map[string]float64{}
	for _, r := range st.lbs {
		for _, e := range r.requests {
			if q := requests[e.id]; q != nil {
				q.Ends++
				q.Replica, q.Route, q.Policy, q.Flags, q.Sticky = r.replica, e.route, e.policy, e.flags, e.sticky
			}
		}
		r.complete()
		run.Attempts = append(run.Attempts, r.attempts...)
		run.Breakers = append(run.Breakers, r.breakers...)
		run.Healths = append(run.Healths, r.healths...)
		run.Panics = append(run.Panics, r.panics...)
		run.Policies = append(run.Policies, r.policies...)
		run.Moves = append(run.Moves, r.moves...)
		if r.killed {
			continue
		}
		series, err := r.Gather()
		if err != nil {
			st.note(st.now(), r.replica+": its metrics cannot be gathered: "+err.Error())
			continue
		}
		add(run.Metrics, r.replica, series)
		if p, ok := r.Balancer.(*inProcess); ok && p.access != nil {
			if run.AccessLogs == nil {
				run.AccessLogs = map[string]string{}
			}
			run.AccessLogs[r.replica] += p.log.String() // of all its lives
		}
	}
	for _, r := range st.lbs {
		if r.killed {
			delete(run.Metrics, r.replica) // not all that it counted is known
			delete(run.AccessLogs, r.replica)
		}
	}
	slices.SortStableFunc(run.Attempts, func(a, b history.Attempt) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Request, b.Request), cmp.Compare(a.Number, b.Number))
	})
	slices.SortStableFunc(run.Breakers, func(a, b history.Breaker) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Healths, func(a, b history.Health) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Panics, func(a, b history.Panic) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Policies, func(a, b history.Policy) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Moves, func(a, b history.Move) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Notes, func(a, b history.Note) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Text, b.Text))
	})
	st.arrivals()
	homes(run, requests)
}

// add adds the series of one process of a replica to those of its earlier ones.
func add(all map[string]map[string]float64, replica string, series map[string]float64) {
	if all[replica] == nil {
		all[replica] = series
		return
	}
	for name, value := range series {
		all[replica][name] += value
	}
}

// complete adds to the attempts what the record knows of their time.
func (r *record) complete() {
	turns := map[string][]history.Breaker{}
	for _, b := range r.breakers {
		turns[b.Endpoint] = append(turns[b.Endpoint], b)
	}
	slices.SortStableFunc(r.attempts, func(a, b history.Attempt) int { return cmp.Compare(a.Start, b.Start) })
	next := map[string]int{}
	serving := 0
	for i := range r.attempts {
		a := &r.attempts[i]
		of, n := turns[a.Endpoint], next[a.Endpoint]
		for n < len(of) && of[n].At <= a.Start {
			n++
		}
		next[a.Endpoint] = n
		a.Breaker = "closed"
		if n > 0 {
			a.Breaker = of[n-1].To
		}
		for serving+1 < len(r.policies) && r.policies[serving+1].At <= a.Start {
			serving++
		}
		at := serving
		for at > 0 && r.policies[at].Refused != "" {
			at--
		}
		if at < len(r.policies) {
			if open := r.cast.drains[r.policies[at].Hash]; open != nil {
				a.Draining = !open[a.Endpoint]
			}
		}
	}
}

// arrivals says of each attempt how much of its request the endpoint got.
func (st *stage) arrivals() {
	type key struct {
		backend *backend
		id      string
	}
	visits := map[key][]model.Visit{}
	for _, b := range st.cast.all {
		for _, v := range b.Visits() {
			if v.ID != "" {
				visits[key{b, v.ID}] = append(visits[key{b, v.ID}], v)
			}
		}
	}
	st.strays()
	backends := map[string]*backend{}
	for _, places := range st.cast.places {
		for _, p := range places {
			backends[p.name] = p.backend
		}
	}
	for i := range st.run.Attempts {
		a := &st.run.Attempts[i]
		a.Arrived = "none"
		if a.Mirror || a.Request == "" {
			a.Arrived = ""
			continue
		}
		k := key{backends[a.Endpoint], a.Request}
		// The attempts of a request come one after the other, and so do their visits.
		for n, v := range visits[k] {
			if at := v.At.Sub(st.began); at >= a.Start && at <= a.End+slack {
				a.Arrived, a.Sent = "all", v.Sent
				if v.Some {
					a.Arrived = "some"
				}
				visits[k] = visits[k][n+1:]
				break
			}
		}
	}
}

// strays are the requests that came to a backend beyond the attempts that are told of.
func (st *stage) strays() {
	type key struct{ endpoint, id string }
	name := map[string]string{} // of endpoints, as their backends are called
	for _, places := range st.cast.places {
		for _, p := range places {
			name[p.name] = p.backend.name
		}
	}
	told := map[key]int{}
	for i := range st.run.Attempts {
		a := &st.run.Attempts[i]
		told[key{name[a.Endpoint], a.Request}]++
	}
	for _, b := range st.cast.all {
		for _, v := range b.Visits() {
			k := key{b.name, v.ID}
			if told[k]--; told[k] < 0 && v.ID != "" {
				st.run.Strays = append(st.run.Strays, history.Stray{At: v.At.Sub(st.began), Endpoint: b.name, Request: v.ID})
			}
		}
	}
	slices.SortStableFunc(st.run.Strays, func(a, b history.Stray) int { return cmp.Compare(a.At, b.At) })
}

// slack is how long after an attempt's end its request may still arrive: what is on its
// way, if nothing holds it back.
const slack = time.Second

// homes says of each attempt whether the request's session is at home at its endpoint:
// where the balancer last said that it was.
func homes(run *history.Run, requests map[string]*history.Request) {
	last := map[string]*history.Attempt{} // of each request
	for i := range run.Attempts {
		a := &run.Attempts[i]
		if a.Mirror || a.Request == "" {
			continue
		}
		if l := last[a.Request]; l == nil || a.Number >= l.Number {
			last[a.Request] = a
		}
	}
	type key struct {
		load, session int
		pool          string
	}
	type move struct {
		at   time.Duration
		home string
	}
	moves := map[key][]move{}
	for i := range run.Requests {
		q := &run.Requests[i]
		a := last[q.ID]
		if q.Session == 0 || a == nil || q.Sticky == "" || q.Sticky == "away" || a.Status == 0 {
			continue
		}
		k := key{q.Load, q.Session, a.Pool}
		moves[k] = append(moves[k], move{a.Start, a.Endpoint})
		if q.Sticky == "home" {
			a.Home = true
		}
	}
	for _, list := range moves {
		slices.SortFunc(list, func(a, b move) int { return cmp.Compare(a.at, b.at) })
	}
	for i := range run.Attempts {
		a := &run.Attempts[i]
		q := requests[a.Request]
		if q == nil || q.Session == 0 || a.Home || a.Mirror {
			continue
		}
		list := moves[key{q.Load, q.Session, a.Pool}]
		before, _ := slices.BinarySearchFunc(list, a.Start, func(m move, at time.Duration) int { return cmp.Compare(m.at, at) })
		a.Home = before > 0 && list[before-1].home == a.Endpoint
	}
}
