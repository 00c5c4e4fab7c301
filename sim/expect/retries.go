package expect

import (
	"cmp"
	"math"
	"slices"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
)

// idempotent are the methods of which two requests are as good as one (RFC 9110
// section 9.2.2).
var idempotent = []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}

func nonIdempotentRetry(x *index, v *violations) {
	for i := range x.Requests {
		r := &x.Requests[i]
		if slices.Contains(idempotent, r.Method) {
			continue
		}
		if route := x.cast.route(r.Policy, x.routes[i]); route != nil && route.Retry != nil && slices.Contains(route.Retry.Methods, r.Method) {
			continue // the policy says that it may be
		}
		sent := ""
		x.eachTry(i, func(a *history.Attempt) {
			if sent != "" {
				v.add(a.Start, r.ID, "this %s was sent to %s, and again to %s", r.Method, sent, a.Endpoint)
			}
			if a.Arrived != "none" && a.Result != string(event.ConnectFailed) {
				sent = a.Endpoint
			}
		})
	}
	x.strays(func(s *history.Stray, r *history.Request) {
		if !slices.Contains(idempotent, r.Method) {
			v.add(s.At, r.ID, "this %s came to %s, and nobody tells of an attempt there", r.Method, s.Endpoint)
		}
	})
}

// strays calls f with each of the strays that are of no replica which may have had it under
// way when it ended, for then nobody could tell.
func (x *index) strays(f func(*history.Stray, *history.Request)) {
	for i := range x.Strays {
		s := &x.Strays[i]
		if k, known := x.byID[s.Request]; known && x.upAll(x.Requests[k].Replica, x.Requests[k].Start, x.Requests[k].End) {
			f(s, &x.Requests[k])
		}
	}
}

// budgetTolerance is by how much what is left of a budget may differ here from what the
// balancer had: it is a tenth of what may be saved up, and two retries, for the balancer
// adds up now and then, and takes a retry out a moment before the failed try ends.
const (
	budgetTolerance = 1.1
	budgetRetries   = 2.0
)

// saving is a pool's retry budget at one replica.
type saving struct {
	percent, min float64
	at           time.Duration
	rate, even   float64 // requests a second: each forgotten by itself, and as if they came evenly since
	came         float64 // since the last retry
	looked       time.Duration
	tokens       float64
}

// retryBudget follows each pool's budget as the balancer does (see pool.budget): a
// request adds percent/100 of a retry, a second adds the minimum, and no more is saved
// up than comes together in a second. If a reload changed the budget the greatest holds.
func retryBudget(x *index, v *violations) {
	type step struct {
		at      time.Duration
		retry   bool
		attempt int32
	}
	type key struct{ replica, pool string }
	steps := map[key][]step{}
	for i := range x.Requests {
		r := &x.Requests[i]
		if x.tries[i] < 0 {
			// It was refused, by which of its route's pools is not known. It counts for each.
			if route := x.cast.route(r.Policy, x.routes[i]); route != nil {
				for _, b := range route.BackendRefs {
					steps[key{r.Replica, b.Pool}] = append(steps[key{r.Replica, b.Pool}], step{r.Start, false, -1})
				}
			}
			continue
		}
		var before *history.Attempt
		for at := x.tries[i]; at >= 0; at = x.then[at] {
			a := &x.Attempts[at]
			if a.Mirror {
				continue
			}
			k := key{a.Replica, a.Pool}
			if a.Number > 1 && before != nil {
				steps[k] = append(steps[k], step{min(before.End, a.Start), true, at})
			} else if a.Number == 1 {
				steps[k] = append(steps[k], step{a.Start, false, at})
			}
			before = a
		}
	}
	for k, all := range steps {
		if !slices.ContainsFunc(all, func(s step) bool { return s.retry }) {
			delete(steps, k)
		}
	}
	keys := make([]key, 0, len(steps))
	for k := range steps {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.replica, b.replica), cmp.Compare(a.pool, b.pool)) })
	for _, k := range keys {
		s, known := saving{}, false
		x.cast.each(k.pool, func(p *policy.Pool) {
			s.percent, s.min, known = max(s.percent, p.RetryBudget.Percent), max(s.min, float64(p.RetryBudget.MinRetriesPerSecond)), true
		})
		if !known {
			continue
		}
		s.tokens = s.most()
		all := steps[k]
		slices.SortStableFunc(all, func(a, b step) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(boolInt(a.retry), boolInt(b.retry)))
		})
		for _, one := range all {
			if !s.take(one.at, one.retry) {
				a := &x.Attempts[one.attempt]
				v.add(a.Start, a.Request, "a retry at %s that the budget of %s at %s does not have: %g%% of its requests and %g a second",
					a.Endpoint, k.pool, k.replica, s.percent, s.min)
			}
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take counts a request, or takes a retry; false: there was none.
func (s *saving) take(at time.Duration, retry bool) bool {
	took := (at - s.at).Seconds()
	s.at = at
	s.rate *= math.Exp(-took)
	s.tokens += s.min * took
	if !retry {
		s.tokens += s.percent / 100
		s.rate++
		s.came++
		return true
	}
	if since := (at - s.looked).Seconds(); since > 0 {
		kept := math.Exp(-since)
		s.even = s.even*kept + s.came*(1-kept)/since
	} else {
		s.even += s.came
	}
	s.came, s.looked = 0, at
	s.tokens = min(s.tokens, s.most())
	s.tokens--
	if s.tokens < -budgetRetries {
		s.tokens = 0
		return false
	}
	return true
}

func (s *saving) most() float64 {
	if s.percent == 0 && s.min == 0 {
		return 0
	}
	return budgetTolerance * max(1, s.min+s.percent/100*max(s.rate, s.even))
}
