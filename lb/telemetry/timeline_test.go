package telemetry_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

func told(t *testing.T, tl *telemetry.Timeline) (out []string) {
	t.Helper()
	all, newest := tl.After(0)
	last := uint64(0)
	for _, i := range all {
		if i.N <= last {
			t.Errorf("incident %d after %d", i.N, last)
		}
		last = i.N
		out = append(out, fmt.Sprintf("%s %s %s %s: %s", i.Severity, i.Kind, i.Pool, i.Endpoint, i.Text))
	}
	if last != newest && last != 0 {
		t.Errorf("the newest is %d, and %d was told of", newest, last)
	}
	return out
}

func TestTimeline(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	breaker := func(from, to event.BreakerState, reason string) event.BreakerChange {
		at = at.Add(time.Second)
		return event.BreakerChange{PoolName: "p", Address: "a", From: from, To: to, Reason: reason, At: at}
	}
	tl := telemetry.NewTimeline()
	e := tl.Events()
	c := catalog()
	c.Policy = event.PolicyInfo{Name: "shop", Version: "7", Hash: strings.Repeat("0123456789abcdef", 4)}
	e.PolicyCommitted(&event.Commit{Catalog: c, At: at, Kept: 1, Added: 2, Removed: 3})
	e.PolicyCommitted(&event.Commit{Catalog: c, At: at, Refresh: true}) // told of by the name that changed
	began := at.Add(time.Second)
	e.BreakerChanged(breaker(event.BreakerClosed, event.BreakerOpen, "consecutive_failures"))
	e.BreakerChanged(breaker(event.BreakerOpen, event.BreakerHalfOpen, "open_elapsed"))
	e.BreakerChanged(breaker(event.BreakerHalfOpen, event.BreakerOpen, "probe_failed"))
	e.HealthChanged(event.HealthChange{PoolName: "p", Address: "a", Reason: "status 500, <b>", Held: time.Minute, At: at})
	if got, want := tl.Trouble("p", "a"), (telemetry.Trouble{Breaker: began, Trips: 2, Reason: "consecutive_failures", Unhealthy: at}); got != want {
		t.Errorf("trouble %+v, want %+v", got, want)
	}
	e.HealthChanged(event.HealthChange{PoolName: "p", Address: "a", Healthy: true, At: at})
	e.BreakerChanged(breaker(event.BreakerHalfOpen, event.BreakerClosed, "probes_succeeded"))
	if got := tl.Trouble("p", "a"); got != (telemetry.Trouble{}) {
		t.Errorf("what is well again has %+v", got)
	}
	e.PanicChanged(event.PanicChange{PoolName: "p", Panic: true, Healthy: 1, Total: 3, At: at})
	if !tl.Panic("p").Equal(at) {
		t.Errorf("panic since %v", tl.Panic("p"))
	}
	e.PanicChanged(event.PanicChange{PoolName: "p", At: at})
	e.SessionStoreChanged(event.SessionStoreChange{Away: true, Err: errors.New("refused"), At: at})
	if !tl.StoreAway().Equal(at) {
		t.Errorf("away since %v", tl.StoreAway())
	}
	e.SessionStoreChanged(event.SessionStoreChange{At: at})
	for range 2 {
		e.NameResolved(&event.Resolution{Host: "cart.svc", Err: errors.New("no such host"), At: at})
	}
	e.NameResolved(&event.Resolution{Host: "cart.svc", Addresses: 1, At: at})
	e.NameResolved(&event.Resolution{Host: "cart.svc", Addresses: 1, At: at})
	e.NameResolved(&event.Resolution{Host: "cart.svc", Addresses: 2, Changed: true, At: at})
	e.PolicyRejected(&event.Rejection{At: at, Reason: "invalid", Err: errors.New("shop.yaml:3:5: no\n  a: b\n  ^")})
	less := *c
	less.Endpoints = slices.Clone(c.Endpoints[:1])
	e.PolicyCommitted(&event.Commit{Catalog: &less, At: at, Refresh: true})
	e.EndpointRetired(1)
	e.EndpointRetired(99) // of no committed policy
	e.EndpointRetired(0)  // at once, by a commit that is still to be told of
	e.AcceptPaused("http")
	e.AcceptPaused("http") // of the same minute
	e.RequestEnded(&event.Request{Status: 200})
	e.RequestEnded(&event.Request{
		Status: 503, Start: at, Duration: 20 * time.Millisecond, PoolName: "p", Upstream: "a", Attempts: 2, Flags: event.Retried | event.BreakersOpen,
		Method: []byte("GET"), Host: []byte("shop"), Target: []byte("/<script>\xff?token=secret"), RequestID: []byte("id1"),
	})
	e.RequestEnded(&event.Request{Status: 503}) // of the same second
	want := []string{
		"good policy  : policy shop version 7 serves (0123456789ab): endpoints 1 kept, 2 added, 3 removed",
		"bad breaker p a: breaker open: too many failures in a row",
		"note breaker p a: breaker half-open: probes are let through",
		"bad breaker p a: breaker open: its probe failed",
		"bad health p a: ejected as unhealthy: status 500, <b>; held out for 1m0s",
		"good health p a: healthy again",
		"good breaker p a: breaker closed: its probes succeeded",
		"bad health p : panic mode: only 1 of 3 endpoints are healthy, so health is ignored",
		"good health p : panic mode is over",
		"bad sessions  : session store away: refused",
		"good sessions  : session store is back",
		"warn network  : name cart.svc does not resolve; its last addresses serve on: no such host",
		"good network  : name cart.svc resolves again",
		"note network  : name cart.svc has other addresses: 2",
		"bad policy  : policy refused: shop.yaml:3:5: no\n  a: b\n  ^",
		"note policy p b: removed endpoint has drained and is gone",
		"bad network  : listener http pauses: no descriptors or memory to accept with",
		"bad request p a: 503 GET shop/<script>\uFFFD?… in 20ms, 2 attempts, CB,RT, id id1",
	}
	if diff := cmp.Diff(want, told(t, tl)); diff != "" {
		t.Error("(-want +got)", diff)
	}
	if after, _ := tl.After(uint64(len(want)) - 1); len(after) != 1 || after[0].Kind != telemetry.OfRequest {
		t.Errorf("after the last but one: %+v", after)
	}
}

// Names that are in no policy any more make place for others; one that stays is told of once.
func TestTimelineForgetsNames(t *testing.T) {
	tl := telemetry.NewTimeline()
	e := tl.Events()
	fail := func(host string) { e.NameResolved(&event.Resolution{Host: host, Err: errors.New("no such host")}) }
	for n := range 1023 {
		fail(fmt.Sprintf("old%d.svc", n))
	}
	fail("stays.svc")
	_, before := tl.After(0)
	for range 3 {
		fail("new.svc") // no place is left for it
		fail("stays.svc")
		e.PolicyCommitted(&event.Commit{Catalog: catalog()})
		e.PolicyCommitted(&event.Commit{Catalog: catalog(), Refresh: true}) // not another policy
	}
	e.NameResolved(&event.Resolution{Host: "stays.svc", Addresses: 1})
	after, _ := tl.After(before)
	var got []string
	for _, i := range after {
		if i.Kind == telemetry.OfNetwork {
			got = append(got, i.Text)
		}
	}
	want := []string{"name new.svc does not resolve; its last addresses serve on: no such host", "name stays.svc resolves again"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

// However much happens, little is kept: the newest.
func TestTimelineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := telemetry.NewTimeline()
		e := tl.Events()
		for n := range 10_000 {
			e.BreakerChanged(event.BreakerChange{PoolName: "p", Address: fmt.Sprint(n), From: event.BreakerClosed, To: event.BreakerOpen, Reason: "r"})
			e.RequestEnded(&event.Request{Status: 500, Target: []byte(strings.Repeat("/a", 50_000)), Host: []byte(strings.Repeat("h", 50_000)), RequestID: []byte(strings.Repeat("i", 5000))})
			time.Sleep(time.Second)
		}
		all, newest := tl.After(0)
		if newest != 20_000 || len(all) != 512+64 || all[len(all)-1].N != newest {
			t.Errorf("%d are kept, the newest of them %d of %d", len(all), all[len(all)-1].N, newest)
		}
		for _, i := range all {
			if len(i.Text) > 600 {
				t.Fatalf("a text of %d bytes", len(i.Text))
			}
		}
		// What the policy has no more is in no trouble.
		e.PolicyCommitted(&event.Commit{Catalog: &event.Catalog{Endpoints: []event.NamedEndpoint{{PoolName: "p", Address: "9999"}}}})
		if tl.Trouble("p", "9999") == (telemetry.Trouble{}) || tl.Trouble("p", "1") != (telemetry.Trouble{}) {
			t.Error("troubles are not kept for what stays, or kept for what is gone")
		}
	})
}
