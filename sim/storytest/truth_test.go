package storytest

import (
	"fmt"
	"slices"
	"strings"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/backend"
)

// truth is what came to pass, as servers and clients saw it.
type truth struct {
	shop    *shop
	asked   []asked
	tries   map[string][]try // by request id, in order
	homes   []visitor
	changes []event.BreakerChange // of the script, with the balancer's own times
}

// try is a request that came to a server.
type try struct {
	*server
	backend.Served
	resend event.Resend // what the balancer must say of it
}

// result is what the balancer must call it.
func (t try) result() event.Result {
	switch {
	case !t.Whole:
		return event.Reset
	case t.Status == 503:
		return event.Failed
	}
	return event.OK
}

// heard is what the client of the last try gets to see of it.
func (t try) heard() int {
	if !t.Whole {
		return 502
	}
	return t.Status
}

func newTruth(s *shop, c *clients, changes ...event.BreakerChange) *truth {
	w := &truth{shop: s, asked: c.all, tries: map[string][]try{}, homes: c.visitors, changes: changes}
	for _, one := range s.servers {
		for _, served := range one.record() {
			if served.RequestID == "" {
				continue // the test itself asked it
			}
			w.tries[served.RequestID] = append(w.tries[served.RequestID], try{server: one, Served: served})
		}
	}
	known := map[string]bool{}
	for _, a := range w.asked {
		known[a.id] = true
		tries := ofAttempts(w.tries[a.id])
		w.tries[a.id] = tries
		if len(tries) == 0 {
			s.t.Errorf("request %s was answered %d, and came to no server", a.id, a.status)
			continue
		}
		if last := tries[len(tries)-1]; a.status != last.heard() || last.Whole && a.by != last.address {
			s.t.Errorf("request %s was answered %d by %q; the last server that it came to, %s, answered %d", a.id, a.status, a.by, last.address, last.Status)
		}
		if a.method != "GET" && len(tries) > 1 {
			s.t.Errorf("request %s, a %s, was tried %d times", a.id, a.method, len(tries))
		}
	}
	for id := range w.tries {
		if !known[id] {
			s.t.Errorf("request %s came to a server, and no client sent it", id)
		}
	}
	return w
}

// ofAttempts has what came to servers in order, one of each attempt: when a connection that
// had served before ends without a byte of an answer, the same attempt is sent once more on
// another, as RFC 9112 section 9.5 allows, and the server is told the same span again.
func ofAttempts(came []try) (tries []try) {
	slices.SortFunc(came, func(a, b try) int { return a.Start.Compare(b.Start) })
	for _, one := range came {
		if n := len(tries); n > 0 && tries[n-1].Traceparent == one.Traceparent && tries[n-1].Status == 0 {
			one.resend = event.ResentUnanswered
			tries[n-1] = one
			continue
		}
		tries = append(tries, one)
	}
	return tries
}

// route is where a request goes.
func (a *asked) route() string {
	if strings.HasPrefix(a.path, "/cart") {
		return "cart"
	}
	return "checkout"
}

// use is how a request's session was served.
func (w *truth) use(a *asked) string {
	tries := w.tries[a.id]
	switch last := tries[len(tries)-1]; {
	case !a.known:
		return "new"
	case w.homes[a.visitor-1].home == last.address:
		return "home"
	}
	return "away"
}

// flags are what was remarkable.
func (w *truth) flags(a *asked) []string {
	var all []string
	tries := w.tries[a.id]
	if last := tries[len(tries)-1]; !last.Whole {
		all = append(all, "UC")
	}
	if len(tries) > 1 {
		all = append(all, "RT")
	}
	if slices.ContainsFunc(tries, func(t try) bool { return t.resend != "" }) {
		all = append(all, "RS")
	}
	return all
}

// id is POOL/N.
func (w *truth) id(address string) string {
	for i, s := range w.shop.servers {
		if s.address == address {
			return fmt.Sprintf("cart/%d", i+1)
		}
	}
	return "?"
}

// failedAt counts what came to a server, and what of it failed.
func (w *truth) at(s *server) (all, failed int) {
	for _, tries := range w.tries {
		for _, one := range tries {
			if one.server == s {
				all++
				if one.result() != event.OK {
					failed++
				}
			}
		}
	}
	return all, failed
}
