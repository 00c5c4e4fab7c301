package expect

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go-loadbalancer/sim/scenario"
)

// judgePath judges what states an endpoint's breaker goes through.
func (x *index) judgePath(e *scenario.Expectation, from, to time.Duration, out *Expectation) {
	endpoints := []string{targetName(e.Breaker)}
	if e.Breaker.Index == 0 {
		endpoints = nil
		for _, name := range x.cast.endpoints {
			if poolOf(name) == e.Breaker.Pool {
				endpoints = append(endpoints, name)
			}
		}
	}
	if e.Operator != scenario.During {
		to = never // what happens after the load's end counts, too
	}
	stayed := 0
	for _, endpoint := range endpoints {
		for _, replica := range x.replicas {
			if x.upAll(replica, 0, x.Duration) {
				stayed++
			}
			if why := cmp.Or(x.path(e, replica, endpoint, from, to), x.longest(e, replica, endpoint, from, to)); why != "" {
				out.Status, out.Why = Violated, why
				return
			}
		}
	}
	if len(e.Path) > 0 && stayed == 0 {
		out.Status, out.Vacuous, out.Why = Violated, true, "no replica was up all the time"
	}
}

// path says why a breaker's states in [from, to) are not as expected; empty: they are.
func (x *index) path(e *scenario.Expectation, replica, endpoint string, from, to time.Duration) string {
	states, turns := []string{x.breaker(replica, endpoint).when(from)}, map[string]int{}
	for i := range x.Breakers {
		b := &x.Breakers[i]
		if b.Replica != replica || b.Endpoint != endpoint || b.At < from || b.At >= to {
			continue
		}
		if b.At == from && len(states) == 1 {
			states[0] = b.From // it turns at the very beginning
		}
		states = append(states, b.To)
		turns[b.To]++
		if most, ok := e.Max[b.To]; ok && turns[b.To] > most {
			return fmt.Sprintf("the breaker of %s at %s turned %s for the %d. time at %s", endpoint, replica, b.To, turns[b.To], brief(b.At))
		}
	}
	if !x.upAll(replica, 0, x.Duration) {
		return "" // it had not the time to go all the way
	}
	at := 0
	for _, s := range states {
		if at < len(e.Path) && s == e.Path[at] {
			at++
		}
	}
	if at < len(e.Path) {
		return fmt.Sprintf("the breaker of %s at %s went %s, and never came to %s", endpoint, replica, strings.Join(states, ", "), strings.Join(e.Path[at:], ", "))
	}
	return ""
}

// longest says why an endpoint's breaker was in a state for too long within [from, to);
// empty: it was not. A stay is over at the latest with the run.
func (x *index) longest(e *scenario.Expectation, replica, endpoint string, from, to time.Duration) string {
	line := x.breaker(replica, endpoint)
	for i, state := range line.state {
		most, bounded := e.Longest[state]
		begin, end := max(line.at[i], from), min(to, x.Duration)
		if i+1 < len(line.at) {
			end = min(to, line.at[i+1])
		}
		if bounded && end-begin > most {
			return fmt.Sprintf("the breaker of %s at %s was %s for %s from %s on", endpoint, replica, state, brief(end-begin), brief(begin))
		}
	}
	return ""
}
