package expect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
)

// series is a metric with its labels, sorted by name.
type series string

func newSeries(name string, labels ...string) series {
	pairs := make([]string, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
	}
	slices.Sort(pairs)
	return series(name + "{" + strings.Join(pairs, ",") + "}")
}

// label is the value of a label; empty: there is none. Values have no commas or quotes.
func (s series) label(name string) string {
	_, labels, _ := strings.Cut(string(s), "{")
	for pair := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
		if k, v, ok := strings.Cut(pair, "="); ok && k == name {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// compared are the metrics whose truth is known here.
var compared = []string{
	"lb_requests_total", "lb_upstream_requests_total", "lb_retries_total",
	"lb_circuit_breaker_transitions_total", "lb_sessions_moved_total",
}

// bounds is how often something came to pass, from least to most: what a client that
// left did not see is not known.
type bounds struct{ least, most float64 }

// metrics: what a replica that lived all the time has counted is what came to pass
// there. What a policy of the run does not have is left out, for its counters go with it.
func metrics(x *index, v *violations) {
	if len(x.Requests) == 0 {
		return
	}
	for _, replica := range x.replicas {
		if !x.upAll(replica, 0, x.Duration) {
			continue
		}
		counted := x.Run.Metrics[replica]
		if counted == nil {
			v.add(x.Duration, "", "%s has no metrics", replica)
			continue
		}
		truth := x.truth(replica)
		got := map[series]float64{}
		for name, n := range counted {
			s := sorted(name)
			if family, _, _ := strings.Cut(string(s), "{"); slices.Contains(compared, family) && x.lasting(s) && x.told(family) {
				got[s] += n
				if _, ok := truth[s]; !ok {
					truth[s] = bounds{}
				}
			}
		}
		for _, s := range slices.Sorted(maps.Keys(truth)) {
			want := truth[s]
			if family, _, _ := strings.Cut(string(s), "{"); !x.lasting(s) || !x.told(family) {
				continue
			}
			if n := got[s]; n < want.least || n > want.most {
				v.add(x.Duration, "", "%s has counted %s as %g; it was %g", replica, s, n, want.least)
			}
		}
	}
}

// told says whether the stage sees what a metric counts: without the balancer's events
// only requests are.
func (x *index) told(family string) bool {
	return x.Stage != "containers" || family == "lb_requests_total"
}

// sorted is a series as [newSeries] writes it.
func sorted(text string) series {
	name, labels, ok := strings.Cut(text, "{")
	if !ok {
		return series(text)
	}
	pairs := strings.Split(strings.TrimSuffix(labels, "}"), ",")
	for i := range pairs {
		pairs[i] = strings.TrimSpace(pairs[i])
	}
	slices.Sort(pairs)
	return series(name + "{" + strings.Join(pairs, ",") + "}")
}

// truth is what came to pass at a replica.
func (x *index) truth(replica string) map[series]bounds {
	out := map[series]bounds{}
	exactly := func(s series) { b := out[s]; out[s] = bounds{b.least + 1, b.most + 1} }
	unseen := map[string]float64{} // by route: whose status the client did not see, or the balancer not the head
	for i := range x.Requests {
		r := &x.Requests[i]
		if r.Replica == replica && r.Unsent && r.Ends == 0 {
			unseen["-"]++ // it ended, but which it was the balancer did not come to know
		}
		if r.Replica != replica || r.Ends == 0 {
			continue
		}
		route := r.Route
		if route == "" {
			route = "-" // no route
		}
		if r.Status == 0 {
			unseen[route] += float64(r.Ends)
			continue
		}
		s := newSeries("lb_requests_total", "route", route, "code", fmt.Sprint(r.Status))
		b := out[s]
		out[s] = bounds{b.least + float64(r.Ends), b.most + float64(r.Ends)}
	}
	for text := range x.Run.Metrics[replica] {
		if s := sorted(text); strings.HasPrefix(string(s), "lb_requests_total{") {
			b := out[s]
			b.most += unseen[s.label("route")]
			out[s] = b
		}
	}
	addresses := map[string]string{}
	address := func(endpoint string) string {
		if _, ok := addresses[endpoint]; !ok {
			addresses[endpoint] = x.address(endpoint)
		}
		return addresses[endpoint]
	}
	type attempted struct{ pool, endpoint, result string }
	attempts := map[attempted]float64{}
	for i := range x.Attempts {
		a := &x.Attempts[i]
		if a.Replica != replica {
			continue
		}
		attempts[attempted{a.Pool, a.Endpoint, a.Result}]++
		if a.Number > 1 && !a.Mirror {
			result := "failed"
			if a.Result == string(event.OK) {
				result = "ok"
			}
			exactly(newSeries("lb_retries_total", "pool", a.Pool, "result", result))
		}
	}
	for a, n := range attempts {
		if address(a.endpoint) == "" {
			continue // it came with a later policy, and has no series of which that is known
		}
		out[newSeries("lb_upstream_requests_total", "pool", a.pool, "endpoint", address(a.endpoint), "result", a.result)] = bounds{n, n}
	}
	for i := range x.Breakers {
		if b := &x.Breakers[i]; b.Replica == replica && address(b.Endpoint) != "" {
			exactly(newSeries("lb_circuit_breaker_transitions_total", "pool", poolOf(b.Endpoint), "endpoint", address(b.Endpoint), "to", b.To, "reason", b.Reason))
		}
	}
	for i := range x.Moves {
		if m := &x.Moves[i]; m.Replica == replica {
			exactly(newSeries("lb_sessions_moved_total", "pool", m.Pool, "reason", m.Reason))
		}
	}
	return out
}

// lasting says whether what a series counts is in every policy of the run. Why there
// were no retries is not known here.
func (x *index) lasting(s series) bool {
	if strings.HasPrefix(string(s), "lb_retries_total{") && s.label("result") != "ok" && s.label("result") != "failed" {
		return false
	}
	for _, p := range x.cast.policies {
		if route := s.label("route"); route != "" && route != "-" && !slices.ContainsFunc(p.Routes, func(r policy.Route) bool { return r.Name == route }) {
			return false
		}
		pool, address := s.label("pool"), s.label("endpoint")
		if pool == "" {
			continue
		}
		if !slices.ContainsFunc(p.Pools, func(p policy.Pool) bool {
			return p.Name == pool && (address == "" || slices.ContainsFunc(p.Endpoints, func(e policy.Endpoint) bool { return e.Address == address }))
		}) {
			return false
		}
	}
	return true
}
