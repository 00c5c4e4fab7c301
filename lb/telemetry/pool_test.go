package telemetry_test

import (
	"errors"
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
)

// Each flag of a request counts, under its route, and all begin at 0.
func TestMetricsOfFlags(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	end := func(route event.ID, flags event.Flags) {
		if route != event.None {
			e.RequestRouted(route)
		}
		e.RequestEnded(&event.Request{Route: route, Flags: flags})
	}
	end(0, 0)
	end(0, event.Retried|event.RetryRefused|event.UpstreamReset)
	end(0, event.Retried)
	end(event.None, event.NoRoute)
	var want []string
	for _, f := range event.EachFlag {
		n := map[event.Flags]string{event.Retried: "2", event.RetryRefused: "1", event.UpstreamReset: "1"}[f]
		if n == "" {
			n = "0"
		}
		want = append(want, "lb_response_flags_total{flag="+f.String()+",route=cart} "+n,
			"lb_response_flags_total{flag="+f.String()+",route=rest} 0")
		n = "0"
		if f == event.NoRoute {
			n = "1"
		}
		want = append(want, "lb_response_flags_total{flag="+f.String()+",route=-} "+n)
	}
	expect(t, series(t, m, "lb_response_flags"), strings.Join(want, "\n"))
	next := shop()
	next.Routes = next.Routes[1:]
	serve(e, next)
	if got := series(t, m, "lb_response_flags"); strings.Contains(got, "cart") {
		t.Errorf("a route that is gone has series:\n%s", got)
	}
}

// Retries are attempts after the first, of requests themselves; why there was
// none stands beside them. A pool that is gone has no series.
func TestMetricsOfPools(t *testing.T) {
	m, e := newMetrics()
	serve(e, shop())
	attempt := func(a event.Attempt) { e.AttemptEnded(&a) }
	attempt(event.Attempt{Number: 1, Result: event.OK})
	attempt(event.Attempt{Number: 2, Result: event.OK})
	attempt(event.Attempt{Number: 3, Result: event.OK, Endpoint: event.None})
	attempt(event.Attempt{Number: 2, Result: event.OK, Mirror: true})
	attempt(event.Attempt{Number: 2, Result: event.Failed})
	attempt(event.Attempt{Number: 2, Result: event.ClientCanceled})
	attempt(event.Attempt{Number: 2, Result: event.TimedOut})
	attempt(event.Attempt{Number: 2, Pool: 9})
	for i, why := range event.RetryRefusals {
		for range i + 1 {
			e.RetryRefused(0, why)
		}
	}
	e.RetryRefused(0, "other")
	e.RetryRefused(9, event.RetryTooLate)
	e.PanicChanged(event.PanicChange{Panic: true})
	e.PanicChanged(event.PanicChange{})
	e.PanicChanged(event.PanicChange{Pool: event.None, Panic: true})
	e.NameResolved(&event.Resolution{Addresses: 2, Changed: true})
	e.NameResolved(&event.Resolution{Addresses: 2})
	e.NameResolved(&event.Resolution{Addresses: 2})
	e.NameResolved(&event.Resolution{Addresses: 2, Err: errors.New("no such host")})
	e.NameResolved(&event.Resolution{Changed: true})
	const resolutions = `
		lb_name_resolutions_total{result=changed} 1
		lb_name_resolutions_total{result=failed} 2
		lb_name_resolutions_total{result=ok} 2`
	const counted = `
		lb_pool_panics_total{pool=cart} 1
		lb_retries_total{pool=cart,result=ok} 2
		lb_retries_total{pool=cart,result=failed} 3
		lb_retries_total{pool=cart,result=budget} 1
		lb_retries_total{pool=cart,result=too_late} 2
		lb_retries_total{pool=cart,result=body} 3` + resolutions
	all := func() string { return series(t, m, "lb_pool_", "lb_retries", "lb_name") }
	expect(t, all(), counted)

	refused := shop()
	refused.Pools = append(refused.Pools, event.Named{ID: 1, Name: "more"})
	e.PolicyPrepared(refused)
	e.PolicyRejected(&event.Rejection{})
	serve(e, shop())
	expect(t, all(), counted)

	without := shop()
	without.Pools, without.Endpoints = nil, nil
	serve(e, without)
	attempt(event.Attempt{Number: 2, Result: event.OK}) // late
	expect(t, all(), resolutions)
}
