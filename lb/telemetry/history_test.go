package telemetry_test

import (
	"math"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// catalog names a route and two endpoints of a pool.
func catalog() *event.Catalog {
	return &event.Catalog{
		Routes: []event.Named{{Name: "r"}}, Pools: []event.Named{{Name: "p"}},
		Endpoints: []event.NamedEndpoint{{PoolName: "p", Address: "a"}, {ID: 1, PoolName: "p", Address: "b"}},
	}
}

func serving(c *event.Catalog) (*telemetry.Metrics, *event.Listener) {
	m := telemetry.NewMetrics(telemetry.Build{})
	e := m.Events()
	e.PolicyPrepared(c)
	e.PolicyCommitted(&event.Commit{Catalog: c})
	return m, e
}

// sampled returns the time at which the n-th slot is sampled.
func sampled(n int) time.Duration { return time.Duration(n) * telemetry.SlotWidth }

func TestHistory(t *testing.T) {
	m, e := serving(catalog())
	h := telemetry.NewHistory(m)
	h.Sample(sampled(1))
	for range 3 {
		e.RequestEnded(&event.Request{Status: 200, Duration: 10 * time.Millisecond})
	}
	e.RequestEnded(&event.Request{Status: 503, Duration: 30 * time.Millisecond})
	e.RequestEnded(&event.Request{Status: 404, Route: event.None, Duration: 20 * time.Millisecond})
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.OK, Duration: 10 * time.Millisecond})
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.TimedOut, Duration: 10 * time.Millisecond})
	e.AttemptEnded(&event.Attempt{Endpoint: 1, Result: event.ClientCanceled, Duration: 10 * time.Millisecond}) // no judgement
	h.Sample(sampled(2))
	// Nobody looks at the third slot, so what ended in it is of the fourth.
	e.AttemptEnded(&event.Attempt{Endpoint: 0, Result: event.Reset, Duration: time.Second})
	h.Sample(sampled(4))

	type slot struct{ requests, failed uint32 }
	const unknown = math.MaxUint32
	tests := []struct {
		name string
		got  []telemetry.Slot
		want []slot // the newest
	}{
		{"total", h.Total(), []slot{{unknown, 0}, {0, 0}, {5, 1}, {unknown, 0}, {0, 0}}},
		{"route", h.Route("r"), []slot{{unknown, 0}, {0, 0}, {4, 1}, {unknown, 0}, {0, 0}}},
		{"none matched", h.Route(telemetry.NoRoute), []slot{{unknown, 0}, {0, 0}, {1, 0}, {unknown, 0}, {0, 0}}},
		{"a", h.Endpoint("p", "a"), []slot{{unknown, 0}, {0, 0}, {0, 0}, {unknown, 0}, {1, 1}}},
		{"b", h.Endpoint("p", "b"), []slot{{unknown, 0}, {0, 0}, {3, 1}, {unknown, 0}, {0, 0}}},
	}
	for _, tt := range tests {
		if len(tt.got) != telemetry.Slots {
			t.Errorf("%s: %d slots", tt.name, len(tt.got))
			continue
		}
		for i, want := range tt.want {
			got := tt.got[telemetry.Slots-len(tt.want)+i]
			if known := want.requests != unknown; got.Known != known || known && (got.Requests != want.requests || got.Failed != want.failed) {
				t.Errorf("%s, slot %d: %+v, want %+v", tt.name, i, got, want)
			}
		}
	}
	at := h.Route("r")[telemetry.Slots-3]
	if at.MeanMs != 15 {
		t.Errorf("mean %v ms, want 15", at.MeanMs)
	}
	// Three in the bucket up to 10 ms, and the slowest, by which the 99th percentile goes,
	// in that from 25 to 50 ms.
	if at.P99Ms < 25 || at.P99Ms > 50 {
		t.Errorf("99th percentile %v ms, want one of 25 to 50", at.P99Ms)
	}
	total, route, endpoint := h.Newest()
	if total != h.Total()[telemetry.Slots-1] || route("r") != h.Route("r")[telemetry.Slots-1] || endpoint("p", "a") != h.Endpoint("p", "a")[telemetry.Slots-1] {
		t.Error("the newest slot is not the last one")
	}
	if h.Endpoint("p", "none") != nil || endpoint("p", "none").Known || h.Route("none") != nil {
		t.Error("there is a history of what never was")
	}
}

// History goes on over a reload for what stays, begins for what is new, ends for what is
// gone, and after fifteen minutes the oldest makes room.
func TestHistoryOverReloads(t *testing.T) {
	c := catalog()
	m, e := serving(c)
	h := telemetry.NewHistory(m)
	attempt := func(id event.ID) { e.AttemptEnded(&event.Attempt{Endpoint: id, Result: event.OK}) }
	attempt(0)
	h.Sample(sampled(1))
	next := catalog()
	next.Endpoints[1] = event.NamedEndpoint{ID: 2, PoolName: "p", Address: "c"}
	e.PolicyPrepared(next)
	e.PolicyCommitted(&event.Commit{Catalog: next})
	attempt(2)
	h.Sample(sampled(2))
	if got := h.Endpoint("p", "a"); got[telemetry.Slots-2].Requests != 1 || !got[telemetry.Slots-1].Known {
		t.Error("the history of an endpoint that stays was lost")
	}
	if got := h.Endpoint("p", "c"); got[telemetry.Slots-2].Known || got[telemetry.Slots-1].Requests != 1 {
		t.Errorf("a new endpoint: %+v", got[telemetry.Slots-2:])
	}
	if h.Endpoint("p", "b") == nil {
		t.Error("one that drains has no history")
	}
	e.EndpointRetired(1)
	h.Sample(sampled(3))
	if h.Endpoint("p", "b") != nil {
		t.Error("the history of a retired endpoint is kept")
	}
	for n := 4; n <= telemetry.Slots+2; n++ {
		attempt(0)
		h.Sample(sampled(n))
	}
	got := h.Endpoint("p", "a")
	if got[0].Requests != 0 || !got[0].Known || got[1].Requests != 1 {
		t.Errorf("after a quarter of an hour: %+v", got[:2])
	}
	// After a long time in which nobody looked, nothing old passes for new.
	h.Sample(sampled(10 * telemetry.Slots))
	got = h.Endpoint("p", "a")
	for i, s := range got[:telemetry.Slots-1] {
		if s.Known {
			t.Fatalf("slot %d is known", i)
		}
	}
}

// What requests pay for the history is nothing, and for the examples of those that
// failed next to nothing.
func TestTimelineAllocatesNothing(t *testing.T) {
	tl := telemetry.NewTimeline()
	e := tl.Events()
	if e.AttemptEnded != nil || e.RequestRouted != nil {
		t.Error("the timeline is told of what it does not need")
	}
	ok, failed := &event.Request{Status: 200}, &event.Request{Status: 503, Method: []byte("GET"), Target: []byte("/")}
	e.RequestEnded(failed) // the example of this second
	if n := testing.AllocsPerRun(100, func() { e.RequestEnded(ok) }); n > 0 {
		t.Errorf("a request allocates %v times", n)
	}
}
