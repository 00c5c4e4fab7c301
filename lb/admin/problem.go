package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/telemetry"
)

// Problem is something that is wrong now: what, since when, and what the balancer does
// about it.
type Problem struct {
	Severity telemetry.Severity `json:"severity"` // bad: requests fail, or may soon; warn: they do not
	What     string             `json:"what"`
	Breaker  string             `json:"breaker,omitempty"` // open or half-open, if that is what is wrong
	Doing    string             `json:"doing"`
	Since    int64              `json:"since"` // milliseconds since 1970; 0: not known
	Until    int64              `json:"until"` // when the next probe may be; 0: none is due
	Route    string             `json:"route,omitempty"`
	Pool     string             `json:"pool,omitempty"`
	Endpoint string             `json:"endpoint,omitempty"` // address; empty: the whole pool
}

const (
	// One pool's endpoints with the same trouble are told of together from this many on.
	together = 4
	// A route is told of if at least so many of its requests failed in the last slots,
	// and at least this share of them.
	failingSlots = 3
	failingLeast = 3
	failingShare = .01
	// A listener is told of from this share of its limit on, as the alert has it.
	nearLimit = .8
)

// problems says what is wrong, the worst first.
func problems(status balancer.Status, ready bool, t *telemetry.Timeline, h *telemetry.History, now time.Time) []Problem {
	out := []Problem{}
	if !ready {
		doing := "It answers no request until there is one."
		if status.Policy.Hash != "" {
			doing = "Requests under way may finish; /readyz tells others to send no new ones."
		}
		out = append(out, Problem{Severity: telemetry.Bad, What: "Not ready: " + notReady(status), Doing: doing})
	}
	for _, r := range status.Routes {
		if p, failing := failingRoute(r.Name, h.Route(r.Name), now); failing {
			out = append(out, p)
		}
	}
	for _, l := range status.Listeners {
		if p, full := fullListener(&l); full {
			out = append(out, p)
		}
	}
	for _, p := range status.Pools {
		out = append(out, poolProblems(p, t)...)
	}
	if e := status.Policy.LastError; e != nil {
		p := Problem{
			Severity: telemetry.Warn, What: "The newest policy was refused: " + firstLine(e.Message, e.Reason), Since: ms(e.At),
			Doing: "The last good one, version " + status.Policy.Version + ", serves on.",
		}
		if status.Policy.Hash == "" {
			p.Doing = "None serves until it is mended."
		}
		out = append(out, p)
	} else if status.Policy.LastGood {
		out = append(out, Problem{
			Severity: telemetry.Warn, What: "The policy that serves comes from the state directory", Since: ms(status.Policy.LoadedAt),
			Doing: "It is the last good one: the files were refused at the start.",
		})
	}
	if s := status.Sessions; s.State == "away" {
		what := "The session store is away"
		if s.Reason != "" {
			what += ": " + s.Reason
		}
		out = append(out, Problem{
			Severity: telemetry.Warn, What: what, Since: ms(t.StoreAway()),
			Doing: "No request waits for it. Known sessions go on to their homes; a new one gets a home that every replica computes alike.",
		})
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return rank(a.Severity) - rank(b.Severity) })
	return out
}

// firstLine is that of a message, not too long; or else what stands for it.
func firstLine(message, or string) string {
	line, _, _ := strings.Cut(message, "\n")
	if line == "" {
		return or
	}
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	return line
}

func rank(s telemetry.Severity) int {
	if s == telemetry.Bad {
		return 0
	}
	return 1
}

// fullListener says whether a listener has nearly as many connections as it may. Of those
// that it turns away no request is counted.
func fullListener(l *balancer.ListenerStatus) (Problem, bool) {
	switch {
	case l.Connections >= l.Limit:
		return Problem{
			Severity: telemetry.Bad, What: fmt.Sprintf("Listener %s has as many connections as it may: %d", l.Name, l.Limit),
			Doing: "New ones are closed at once, before an answer. Those that are open are served.",
		}, true
	case float64(l.Connections) > nearLimit*float64(l.Limit):
		return Problem{
			Severity: telemetry.Warn, What: fmt.Sprintf("Listener %s has %d of the %d connections that it may", l.Name, l.Connections, l.Limit),
			Doing: "At the limit new ones are closed at once, before an answer.",
		}, true
	}
	return Problem{}, false
}

// failingRoute looks for failures in the last slots, and for when they began.
func failingRoute(name string, slots []telemetry.Slot, now time.Time) (Problem, bool) {
	var requests, failed uint32
	for _, s := range slots[max(0, len(slots)-failingSlots):] {
		requests += s.Requests
		failed += s.Failed
	}
	if failed < failingLeast || float64(failed) < failingShare*float64(requests) {
		return Problem{}, false
	}
	since := 0 // slots ago
	for i, quiet := len(slots)-1, 0; i >= 0 && quiet < failingSlots; i-- {
		if s := slots[i]; float64(s.Failed) >= max(1, failingShare*float64(s.Requests)) {
			since, quiet = len(slots)-i, 0
		} else {
			quiet++
		}
	}
	return Problem{
		Severity: telemetry.Bad, Route: name,
		What:  fmt.Sprintf("Route %s: %s of its requests are answered 5xx", name, percent(failed, requests)),
		Doing: fmt.Sprintf("%d of %d in the last %d s. Below and in the timeline: which endpoints, and examples.", failed, requests, failingSlots*int(telemetry.SlotWidth/time.Second)),
		Since: ms(now.Add(-time.Duration(since) * telemetry.SlotWidth)),
	}, true
}

func percent(part, whole uint32) string {
	p := 100 * float64(part) / float64(whole)
	if p >= 10 {
		return fmt.Sprintf("%.0f %%", p)
	}
	return fmt.Sprintf("%.1f %%", p)
}

func poolProblems(p balancer.PoolStatus, t *telemetry.Timeline) (out []Problem) {
	var broken, sick []balancer.EndpointStatus
	wanted, eligible, left := 0, 0, 0 // left: eligible, and no probe
	for _, e := range p.Endpoints {
		if e.Draining {
			continue
		}
		wanted++
		if e.Eligible {
			eligible++
			if e.Breaker.State == "closed" {
				left++
			}
		}
		switch {
		case e.Breaker.State != "closed":
			broken = append(broken, e)
		case !e.Healthy:
			sick = append(sick, e)
		}
	}
	removed := len(p.Endpoints) > 0 && !slices.ContainsFunc(p.Endpoints, func(e balancer.EndpointStatus) bool { return !isRemoved(e) })
	others := fmt.Sprintf("The %d of %d endpoints that are left take its requests.", left, wanted)
	switch left {
	case 0:
		others = "No endpoint is left for what else comes: it is answered 503 at once, with Retry-After."
	case 1:
		others = fmt.Sprintf("The only one of %d endpoints that is left takes its requests.", wanted)
	}
	if eligible == 0 && !removed {
		out = append(out, deadPool(p.Name, wanted, broken, sick, t))
		broken, sick = nil, nil
	}
	if p.Panic {
		out = append(out, Problem{
			Severity: telemetry.Bad, What: "Pool " + p.Name + " is in panic mode: too few endpoints are healthy", Pool: p.Name, Since: ms(t.Panic(p.Name)),
			Doing: "Health is ignored, and requests are spread over all endpoints whose breakers admit them.",
		})
	}
	out = append(out, brokenProblems(p.Name, broken, others, t)...)
	if p.Panic {
		others = "It gets requests nevertheless, since the pool is in panic mode."
	}
	out = append(out, sickProblems(p.Name, sick, others, t)...)
	if p.Waiting > 0 {
		out = append(out, Problem{
			Severity: telemetry.Warn, What: fmt.Sprintf("Pool %s: %s in its queue", p.Name, count(p.Waiting, "request waits", "requests wait")), Pool: p.Name,
			Doing: "The pool, or every endpoint, has as many as its limits allow. Those that wait too long are answered 503.",
		})
	}
	return out
}

// deadPool is a pool without an eligible endpoint: since the last of them went.
func deadPool(name string, wanted int, broken, sick []balancer.EndpointStatus, t *telemetry.Timeline) Problem {
	p := Problem{Severity: telemetry.Bad, What: "Pool " + name + " has no eligible endpoint", Pool: name, Doing: "Its requests are answered 503 at once, with Retry-After."}
	if wanted == 0 {
		p.What = "Pool " + name + " has no endpoint: all drain, or no address of its names is known"
		return p
	}
	var why []string
	if n := len(broken); n > 0 {
		why = append(why, count(n, "breaker is open or half-open", "breakers are open or half-open"))
		p.Breaker = "open"
		p.Doing += " Probes close the breakers as soon as endpoints answer."
	}
	if n := len(sick); n > 0 {
		why = append(why, count(n, "is unhealthy", "are unhealthy"))
		p.Doing += " Checks go on, and bring back what passes."
	}
	if why != nil {
		p.What += ": " + strings.Join(why, ", ")
	}
	for _, e := range broken {
		p.Since = max(p.Since, ms(t.Trouble(name, e.Address).Breaker))
		if e.Breaker.OpenUntil != nil {
			p.Until = earlier(p.Until, ms(*e.Breaker.OpenUntil))
		}
	}
	for _, e := range sick {
		p.Since = max(p.Since, ms(t.Trouble(name, e.Address).Unhealthy))
	}
	return p
}

func brokenProblems(pool string, broken []balancer.EndpointStatus, others string, t *telemetry.Timeline) (out []Problem) {
	all := Problem{Severity: telemetry.Warn, Breaker: "open", Pool: pool, Doing: "They get nothing but probes. " + strings.Replace(others, "its requests", "their requests", 1)}
	for _, e := range broken {
		trouble := t.Trouble(pool, e.Address)
		p := Problem{Severity: telemetry.Warn, Breaker: e.Breaker.State, Pool: pool, Endpoint: e.Address, Since: ms(trouble.Breaker)}
		p.What = "Endpoint " + e.ID + ", " + e.Address
		if trouble.Reason != "" {
			p.What += ": " + telemetry.Reason(trouble.Reason)
		}
		if e.Breaker.State == "open" {
			p.Doing = "It gets nothing until its next probe. " + others
			if until := e.Breaker.OpenUntil; until != nil {
				p.Until = ms(*until)
			}
		} else {
			p.Doing = "Probes decide whether it closes. " + others
		}
		if trouble.Trips > 1 {
			p.Doing += fmt.Sprintf(" It has opened %d times.", trouble.Trips)
		}
		out = append(out, p)
		all.Since, all.Until = earlier(all.Since, p.Since), earlier(all.Until, p.Until)
	}
	if len(out) < together {
		return out
	}
	all.What = fmt.Sprintf("Pool %s: the breakers of %d endpoints are open or half-open", pool, len(out))
	return []Problem{all}
}

func sickProblems(pool string, sick []balancer.EndpointStatus, others string, t *telemetry.Timeline) (out []Problem) {
	all := Problem{Severity: telemetry.Warn, Pool: pool, Doing: strings.Replace(strings.Replace(others, "its requests", "their requests", 1), "It gets", "They get", 1)}
	for _, e := range sick {
		p := Problem{Severity: telemetry.Warn, Pool: pool, Endpoint: e.Address, Since: ms(t.Trouble(pool, e.Address).Unhealthy), Doing: others}
		p.What = "Endpoint " + e.ID + ", " + e.Address + ", is unhealthy"
		if e.Check.LastError != "" {
			p.What += ": " + e.Check.LastError
		}
		if until := e.Check.HeldUntil; until != nil {
			p.Doing = fmt.Sprintf("It has turned unhealthy %s and is held out. ", count(e.Check.Falls, "time", "times")) + others
		}
		out = append(out, p)
		all.Since = earlier(all.Since, p.Since)
	}
	if len(out) < together {
		return out
	}
	all.What = fmt.Sprintf("Pool %s: %d endpoints are unhealthy", pool, len(out))
	return []Problem{all}
}

// isRemoved says whether the policy has let go of an endpoint that still drains.
func isRemoved(e balancer.EndpointStatus) bool { return strings.HasSuffix(e.ID, "/-") }

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// ms is an instant for the page: milliseconds since 1970; 0 for none.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// earlier is the smaller of two instants, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
