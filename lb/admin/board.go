package admin

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/telemetry"
)

// board is what the dashboard shows, as of the last tick. It makes the two messages of
// /api/v1/events from it: the whole, for whoever joins, and what has changed since the
// tick before, for all others. It belongs to the goroutine of [stream].
type board struct {
	options  Options
	history  *telemetry.History
	began    time.Time
	slot     int64 // the last one that was sampled
	tickSlot int64 // the last one that a tick carried

	now      time.Time
	head     head
	policy   []byte // JSON, as are the next ones
	sessions []byte
	routes   []byte
	problems []byte
	names    []string // of the routes
	pools    []poolRow
	rows     []endpointRow // of all pools, one after the other
	inFlight []int64       // by row
	incident uint64        // the newest that was told of

	whole []byte // message; nil: to be made
}

// head is what changes with every tick.
type head struct {
	Now              int64     `json:"now"` // milliseconds since 1970
	Condition        Condition `json:"condition"`
	RequestsInFlight int64     `json:"requestsInFlight"`
	Connections      int64     `json:"connections"`
}

type poolRow struct {
	Name    string `json:"name"`
	Panic   bool   `json:"panic"`
	Waiting int    `json:"waiting"`
	Size    int    `json:"size"` // endpoints
}

// endpointRow is an endpoint without what changes all the time. Instants are
// milliseconds since 1970; 0: none.
type endpointRow struct {
	ID         string `json:"id"`
	Address    string `json:"address"`
	Name       string `json:"name,omitempty"`
	Healthy    bool   `json:"healthy"`
	Check      string `json:"check"`
	CheckError string `json:"checkError,omitempty"` // hostile
	HeldUntil  int64  `json:"heldUntil,omitempty"`
	Breaker    string `json:"breaker"`
	OpenUntil  int64  `json:"openUntil,omitempty"`
	Since      int64  `json:"since,omitempty"` // since when it is in trouble
	Trips      int    `json:"trips,omitempty"`
	Weight     int    `json:"weight"`
	Priority   int    `json:"priority"`
	Draining   bool   `json:"draining"`
	Eligible   bool   `json:"eligible"`
	Why        string `json:"why,omitempty"`
}

func newBoard(o Options) *board {
	return &board{options: o, history: telemetry.NewHistory(o.Metrics), began: time.Now()}
}

// sample lets the history read the counters, once a slot.
func (b *board) sample() {
	since := time.Since(b.began)
	if n := int64(since / telemetry.SlotWidth); n > b.slot {
		b.slot = n
		b.history.Sample(since)
		b.whole = nil
	}
}

// tick brings the board up to date and returns the message that says what has
// changed. If what is there has changed, other endpoints say, that is the whole.
func (b *board) tick() []byte {
	old := *b
	b.read()
	b.whole = nil
	if !b.alike(&old) {
		b.tickSlot = b.slot
		_, b.incident = b.options.Timeline.After(b.incident)
		return b.message()
	}
	var out struct {
		head
		Policy    json.RawMessage       `json:"policy,omitempty"`
		Sessions  json.RawMessage       `json:"sessions,omitempty"`
		Problems  json.RawMessage       `json:"problems,omitempty"`
		Pools     []change[poolRow]     `json:"pools,omitempty"`
		Endpoints []change[endpointRow] `json:"endpoints,omitempty"`
		InFlight  []int64               `json:"inFlight"`
		Incidents []telemetry.Incident  `json:"incidents,omitempty"`
		Slot      json.RawMessage       `json:"slot,omitempty"`
	}
	out.head, out.InFlight = b.head, b.inFlight
	out.Policy, out.Sessions, out.Problems = fresh(old.policy, b.policy), fresh(old.sessions, b.sessions), fresh(old.problems, b.problems)
	out.Pools, out.Endpoints = changes(old.pools, b.pools), changes(old.rows, b.rows)
	out.Incidents, b.incident = b.options.Timeline.After(b.incident)
	if b.slot > b.tickSlot {
		b.tickSlot = b.slot
		out.Slot = b.newest()
	}
	return message("tick", out)
}

// change is a row that is other than it was, with its index.
type change[T any] struct {
	Index int `json:"i"`
	Row   T   `json:"row"`
}

func changes[T comparable](old, now []T) (out []change[T]) {
	for i := range now {
		if now[i] != old[i] {
			out = append(out, change[T]{i, now[i]})
		}
	}
	return out
}

func fresh(old, now []byte) []byte {
	if bytes.Equal(old, now) {
		return nil
	}
	return now
}

// alike says whether the same things are there, in the same order.
func (b *board) alike(old *board) bool {
	if len(b.pools) != len(old.pools) || len(b.rows) != len(old.rows) || !bytes.Equal(b.routes, old.routes) || old.now.IsZero() {
		return false
	}
	for i, p := range b.pools {
		if p.Name != old.pools[i].Name || p.Size != old.pools[i].Size {
			return false
		}
	}
	for i := range b.rows {
		if b.rows[i].ID != old.rows[i].ID || b.rows[i].Address != old.rows[i].Address {
			return false
		}
	}
	return true
}

// read asks the balancer.
func (b *board) read() {
	status := normal(b.options.Balancer.Status())
	ready := b.options.Balancer.Ready()
	totals := b.options.Metrics.Totals()
	b.now = time.Now()
	condition, _ := judge(status, ready)
	b.head = head{Now: b.now.UnixMilli(), Condition: condition, RequestsInFlight: totals.RequestsInFlight, Connections: totals.Connections.Open}
	b.policy, b.sessions, b.routes = encode(status.Policy), encode(status.Sessions), encode(status.Routes)
	b.names = make([]string, len(status.Routes))
	for i, r := range status.Routes {
		b.names[i] = r.Name
	}
	b.problems = encode(problems(status, ready, b.options.Timeline, b.history, b.now))
	b.pools, b.rows, b.inFlight = make([]poolRow, 0, len(status.Pools)), make([]endpointRow, 0, len(b.rows)), make([]int64, 0, len(b.rows))
	for _, p := range status.Pools {
		b.pools = append(b.pools, poolRow{p.Name, p.Panic, p.Waiting, len(p.Endpoints)})
		for _, e := range p.Endpoints {
			b.rows = append(b.rows, row(&e, b.options.Timeline.Trouble(p.Name, e.Address)))
			b.inFlight = append(b.inFlight, e.InFlight)
		}
	}
}

func row(e *balancer.EndpointStatus, trouble telemetry.Trouble) endpointRow {
	r := endpointRow{
		ID: e.ID, Address: e.Address, Name: e.Name, Healthy: e.Healthy, Check: e.Check.State, CheckError: e.Check.LastError,
		Breaker: e.Breaker.State, Trips: trouble.Trips, Since: earlier(ms(trouble.Breaker), ms(trouble.Unhealthy)),
		Weight: e.Weight, Priority: e.Priority, Draining: e.Draining, Eligible: e.Eligible, Why: e.Why,
	}
	if e.Check.HeldUntil != nil {
		r.HeldUntil = ms(*e.Check.HeldUntil)
	}
	if e.Breaker.OpenUntil != nil {
		r.OpenUntil = ms(*e.Breaker.OpenUntil)
	}
	return r
}

// message returns the whole, as of the last tick.
func (b *board) message() []byte {
	if b.whole != nil {
		return b.whole
	}
	var out struct {
		head
		Build     telemetry.Build      `json:"build"`
		SlotMs    int64                `json:"slotMs"`
		Slots     int                  `json:"slots"`
		Policy    json.RawMessage      `json:"policy"`
		Sessions  json.RawMessage      `json:"sessions"`
		Routes    json.RawMessage      `json:"routes"`
		Problems  json.RawMessage      `json:"problems"`
		Pools     []poolRow            `json:"pools"`
		Endpoints []endpointRow        `json:"endpoints"`
		InFlight  []int64              `json:"inFlight"`
		Incidents []telemetry.Incident `json:"incidents"`
		History   json.RawMessage      `json:"history"`
	}
	out.head, out.Build, out.SlotMs, out.Slots = b.head, b.options.Build, telemetry.SlotWidth.Milliseconds(), telemetry.Slots
	out.Policy, out.Sessions, out.Routes, out.Problems = b.policy, b.sessions, b.routes, b.problems
	out.Pools, out.Endpoints, out.InFlight = b.pools, b.rows, b.inFlight
	// Incidents that came after the last tick are told again by the next one: the page
	// knows them by their numbers.
	out.Incidents, _ = b.options.Timeline.After(0)
	out.History = b.all()
	b.whole = message("state", out)
	return b.whole
}

// all is the history of everything: objects of total, routes and endpoints, the latter
// two by index.
func (b *board) all() []byte {
	return b.series(func(out []byte, slots []telemetry.Slot) []byte {
		out = append(out, '[')
		for i, s := range slots {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendSlot(out, s)
		}
		return append(out, ']')
	}, b.history.Total(), b.history.Route, b.history.Endpoint)
}

// newest is the newest slot of the same.
func (b *board) newest() []byte {
	total, route, endpoint := b.history.Newest()
	one := func(s telemetry.Slot) []telemetry.Slot { return []telemetry.Slot{s} }
	return b.series(func(out []byte, slots []telemetry.Slot) []byte { return appendSlot(out, slots[0]) },
		one(total), func(name string) []telemetry.Slot { return one(route(name)) },
		func(pool, address string) []telemetry.Slot { return one(endpoint(pool, address)) })
}

func (b *board) series(put func([]byte, []telemetry.Slot) []byte, total []telemetry.Slot, route func(string) []telemetry.Slot, endpoint func(string, string) []telemetry.Slot) []byte {
	out := put([]byte(`{"total":`), total)
	out = append(out, `,"routes":[`...)
	for i, name := range b.names {
		if i > 0 {
			out = append(out, ',')
		}
		out = put(out, route(name))
	}
	out = append(out, `],"endpoints":[`...)
	n := 0
	for _, p := range b.pools {
		for range p.Size {
			if n > 0 {
				out = append(out, ',')
			}
			out = put(out, endpoint(p.Name, b.rows[n].Address))
			n++
		}
	}
	return append(out, `]}`...)
}

// appendSlot writes requests, failures, mean and 99th percentile; 0 for a slot in which
// nothing ended, and null for one that is not known.
func appendSlot(out []byte, s telemetry.Slot) []byte {
	switch {
	case !s.Known:
		return append(out, "null"...)
	case s.Requests == 0:
		return append(out, '0')
	}
	out = append(out, '[')
	out = strconv.AppendUint(out, uint64(s.Requests), 10)
	out = append(out, ',')
	out = strconv.AppendUint(out, uint64(s.Failed), 10)
	out = append(out, ',')
	out = strconv.AppendFloat(out, float64(s.MeanMs), 'g', 3, 32)
	out = append(out, ',')
	out = strconv.AppendFloat(out, float64(s.P99Ms), 'g', 3, 32)
	return append(out, ']')
}

func encode(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil { // of our own types: none of them can fail
		panic(err)
	}
	return out
}

// message frames an event (https://html.spec.whatwg.org/multipage/server-sent-events.html).
// JSON has no line breaks but escaped ones, so one data line is enough.
func message(name string, v any) []byte {
	out := append([]byte("event: "), name...)
	out = append(out, "\ndata: "...)
	out = append(out, encode(v)...)
	return append(out, "\n\n"...)
}
