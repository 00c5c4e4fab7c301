package telemetry_test

import (
	"testing"

	"go-loadbalancer/lb/event"
)

// TestMetricsOfMirrors: a pool that gets copies has a counter for each result from
// the beginning, kept across reloads, until no route mirrors to it.
func TestMetricsOfMirrors(t *testing.T) {
	m, e := newMetrics()
	c := shop()
	c.Mirrors = []event.Named{{ID: 0, Name: "cart"}}
	serve(e, c)
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 0, Result: event.MirrorSent})
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 0, Result: event.MirrorOverflow})
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 7, Result: event.MirrorSent}) // gone, or never known
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 0, Result: "other"})
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK, Mirror: true})
	serve(e, c)
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 0, Result: event.MirrorSent})
	expect(t, series(t, m, "lb_mirrored", "lb_requests_total"), `
		lb_mirrored_requests_total{pool=cart,result=failed} 0
		lb_mirrored_requests_total{pool=cart,result=incomplete} 0
		lb_mirrored_requests_total{pool=cart,result=no_endpoint} 0
		lb_mirrored_requests_total{pool=cart,result=overflow} 1
		lb_mirrored_requests_total{pool=cart,result=sent} 2
		lb_mirrored_requests_total{pool=cart,result=too_large} 0`)
	if n := m.Totals().Upstream.Attempts; n != 1 {
		t.Errorf("%d attempts at endpoints", n)
	}
	e.PolicyPrepared(shop())
	e.PolicyRejected(&event.Rejection{})
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 0, Result: event.MirrorSent})
	serve(e, shop())
	e.MirrorEnded(event.Mirror{Route: 0, Pool: 0, Result: event.MirrorSent})
	expect(t, series(t, m, "lb_mirrored"), "")
}
