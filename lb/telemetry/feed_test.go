package telemetry_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// tells are what waits for a subscriber.
func tells(s *telemetry.Subscription) (all []telemetry.Told) {
	for range len(s.Told()) {
		all = append(all, <-s.Told())
	}
	return all
}

// into is the data of one that must be of a kind.
func into[T any](t *testing.T, one telemetry.Told, kind string) (data T) {
	t.Helper()
	if one.Kind != kind {
		t.Fatalf("a %s was told, want a %s: %s", one.Kind, kind, one.Data)
	}
	if err := json.Unmarshal(one.Data, &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// A subscriber is told of each request and try with the names of the policy, and of
// every change; also of changes before it came, but not of requests.
func TestFeed(t *testing.T) {
	f := telemetry.NewFeed()
	l := f.Events()
	at := time.Date(2026, 11, 30, 7, 0, 0, 123456789, time.UTC)
	catalog := &event.Catalog{
		Policy: event.PolicyInfo{Version: "7", Hash: "abc"}, Pools: []event.Named{{ID: 3, Name: "cart"}},
		Endpoints: []event.NamedEndpoint{{ID: 5, Pool: 3, PoolName: "cart", Address: "10.0.0.1:80"}},
	}
	l.PolicyPrepared(catalog)
	l.PolicyCommitted(&event.Commit{Catalog: catalog, At: at})
	l.PolicyCommitted(&event.Commit{Catalog: catalog, At: at, Refresh: true}) // is no change
	request := &event.Request{Start: at, Duration: time.Second, RequestID: []byte("r1"), RouteName: "all", Status: 503, Flags: event.BreakersOpen | event.Retried, Session: event.SessionHome}
	l.RequestEnded(request) // nobody asks yet
	s, err := f.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l.AttemptEnded(&event.Attempt{Pool: 3, Endpoint: 5, Number: 2, Start: at, Duration: 1, Result: event.Reset, Resend: event.ResentUnanswered, Probe: true, RequestID: []byte("r1")})
	l.RequestEnded(request)
	l.BreakerChanged(event.BreakerChange{PoolName: "cart", Address: "10.0.0.1:80", From: event.BreakerClosed, To: event.BreakerOpen, Reason: "failure_percent", At: at})
	l.PolicyRejected(&event.Rejection{At: at, Hash: "def", Reason: "invalid", Err: errors.New("line 1")})

	all := tells(s)
	if len(all) != 5 {
		t.Fatalf("%d were told: %s", len(all), all)
	}
	if p := into[telemetry.PolicyTold](t, all[0], "policy"); p.Version != "7" || p.Hash != "abc" || p.Error != "" || !p.At.Equal(at) {
		t.Errorf("%+v", p)
	}
	want := telemetry.AttemptTold{Start: at, End: at.Add(1), Request: "r1", Pool: "cart", Endpoint: "10.0.0.1:80", Number: 2, Result: "reset", Resend: "unanswered", Probe: true}
	if a := into[telemetry.AttemptTold](t, all[1], "attempt"); a != want {
		t.Errorf("%+v", a)
	}
	if r := into[telemetry.RequestTold](t, all[2], "request"); r.ID != "r1" || r.Flags != "CB,RT" || r.Session != "home" || r.End.Sub(r.Start) != time.Second {
		t.Errorf("%+v", r)
	}
	if b := into[telemetry.BreakerTold](t, all[3], "breaker"); b.From != "closed" || b.To != "open" || b.Endpoint != "10.0.0.1:80" {
		t.Errorf("%+v", b)
	}
	if p := into[telemetry.PolicyTold](t, all[4], "policy"); p.Hash != "def" || p.Error != "line 1" {
		t.Errorf("%+v", p)
	}
}

// One that does not listen loses what there is no room for, is told how much, and keeps
// nobody waiting; who comes later is told of the latest changes.
func TestFeedTooSlow(t *testing.T) {
	f := telemetry.NewFeed()
	slow, err := f.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	l := f.Events()
	const events = 20000
	for i := range events {
		l.HealthChanged(event.HealthChange{PoolName: "cart", Reason: time.Duration(i).String()})
	}
	kept := len(tells(slow))
	lost, any := slow.Missed()
	if !any || uint64(events-kept) != into[telemetry.MissedTold](t, lost, "missed").Count || kept == 0 {
		t.Errorf("%d of %d were told, and then %s", kept, events, lost.Data)
	}
	if _, any := slow.Missed(); any {
		t.Error("the same was missed twice")
	}
	late, err := f.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	before := tells(late)
	late.Close()
	if len(before) == 0 || len(before) > 256 {
		t.Fatalf("who comes later is told of %d changes", len(before))
	}
	if last := into[telemetry.HealthTold](t, before[len(before)-1], "health"); last.Reason != time.Duration(events-1).String() {
		t.Errorf("the last one was %s", last.Reason)
	}
}

// There is a bound, and who leaves makes room.
func TestFeedSubscribers(t *testing.T) {
	f := telemetry.NewFeed()
	var all []*telemetry.Subscription
	for range telemetry.MostSubscribers {
		s, err := f.Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if _, err := f.Subscribe(); !errors.Is(err, telemetry.ErrSubscribers) {
		t.Errorf("one more got %v", err)
	}
	all[0].Close()
	all[0].Close() // harmless
	s, err := f.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range append(all[1:], s) {
		one.Close()
	}
}
