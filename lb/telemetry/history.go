package telemetry

import (
	"math"
	"time"

	"go-loadbalancer/lb/event"
)

const (
	// SlotWidth is the time that one [Slot] is about.
	SlotWidth = 5 * time.Second
	// Slots is how many a [Series] keeps: those of the last 15 minutes.
	Slots = int(15 * time.Minute / SlotWidth)
)

// Slot sums up what ended within [SlotWidth].
type Slot struct {
	Known    bool   // false: nobody looked then
	Requests uint32 // of a route: requests; of an endpoint: attempts
	Failed   uint32 // of a route: answered 5xx; of an endpoint: as in [Totals]
	MeanMs   float32
	// P99Ms is estimated from the histogram's buckets, as histogram_quantile of
	// Prometheus does. Both are 0 if nothing ended.
	P99Ms float32
}

// Series is the recent history of one thing.
type Series struct {
	slots   [Slots]Slot // by number of the slot, modulo Slots
	last    reading
	began   bool // last was read
	counted int64
}

// reading is what counters said at an instant. They only grow.
type reading struct {
	requests, failed uint64
	count            uint64    // of the histogram
	sum              float64   // of the histogram, seconds
	bounds           []float64 // upper bounds of the histogram's buckets, seconds
	below            []uint64  // by bound, cumulative
}

// History keeps the last 15 minutes of every route and endpoint: it reads the
// counters of [Metrics] from time to time, so requests pay nothing for it. What it
// holds is bounded by the number of routes and endpoints, and it forgets those that
// the metrics have forgotten. It is not safe for concurrent use: it has one owner.
type History struct {
	metrics   *Metrics
	total     *Series
	routes    map[string]*Series
	endpoints map[place]*Series
	slot      int64 // the number of the newest slot
}

// NewHistory returns an empty history of what is counted there.
func NewHistory(m *Metrics) *History {
	return &History{metrics: m, total: new(Series), routes: make(map[string]*Series), endpoints: make(map[place]*Series)}
}

// Sample reads the counters; what they have grown by since the last time is of the
// slot that since, a time since some fixed instant on the monotonic clock, ends. It is
// to be called once a SlotWidth; the slots it was not called for are not known.
func (h *History) Sample(since time.Duration) {
	h.slot = int64(since / SlotWidth)
	m := h.metrics
	m.mu.Lock()
	routes := make([]*route, 0, len(m.routes)+1)
	routes = append(routes, m.noRoute)
	for _, r := range m.routes {
		routes = append(routes, r)
	}
	endpoints := make([]*endpoint, 0, len(m.endpoints))
	for _, e := range m.endpoints {
		endpoints = append(endpoints, e)
	}
	m.mu.Unlock()

	total := growth{}
	for _, r := range routes {
		s := at(h.routes, r.name)
		g := s.grow(h.slot, r.read())
		total.add(g)
	}
	h.total.put(h.slot, total)
	for _, e := range endpoints {
		s := at(h.endpoints, e.place)
		s.grow(h.slot, e.read())
	}
	forget(h.routes, h.slot)
	forget(h.endpoints, h.slot)
}

func at[K comparable](all map[K]*Series, key K) *Series {
	s := all[key]
	if s == nil {
		s = new(Series)
		all[key] = s
	}
	return s
}

// forget lets go of what was not counted in the newest slot.
func forget[K comparable](all map[K]*Series, slot int64) {
	for k, s := range all {
		if s.counted != slot {
			delete(all, k)
		}
	}
}

// Total returns the history of all requests, those that no route matched included.
func (h *History) Total() []Slot { return h.total.until(h.slot) }

// Route returns the history of a route, oldest first, [Slots] of them; nil: there is none.
func (h *History) Route(name string) []Slot { return h.routes[name].until(h.slot) }

// Endpoint returns the history of an endpoint likewise.
func (h *History) Endpoint(pool, address string) []Slot {
	return h.endpoints[place{pool, address}].until(h.slot)
}

// Newest returns the newest slot of each of the three: see [History.Total] and so on.
func (h *History) Newest() (total Slot, route func(name string) Slot, endpoint func(pool, address string) Slot) {
	return h.total.at(h.slot),
		func(name string) Slot { return h.routes[name].at(h.slot) },
		func(pool, address string) Slot { return h.endpoints[place{pool, address}].at(h.slot) }
}

func (s *Series) at(slot int64) Slot {
	if s == nil || s.counted != slot {
		return Slot{}
	}
	return s.slots[slot%int64(Slots)]
}

func (s *Series) until(slot int64) []Slot {
	if s == nil {
		return nil
	}
	out := make([]Slot, 0, Slots)
	for n := slot - int64(Slots) + 1; n <= slot; n++ {
		if n < 0 || n > s.counted {
			out = append(out, Slot{})
		} else {
			out = append(out, s.slots[n%int64(Slots)])
		}
	}
	return out
}

// growth is the difference of two readings.
type growth struct {
	reading
	known bool
}

func (g *growth) add(other growth) {
	if !other.known {
		return
	}
	if !g.known {
		*g = growth{known: true, reading: reading{bounds: other.bounds, below: make([]uint64, len(other.below))}}
	}
	g.requests += other.requests
	g.failed += other.failed
	g.count += other.count
	g.sum += other.sum
	for i := range min(len(g.below), len(other.below)) {
		g.below[i] += other.below[i]
	}
}

// grow puts into the slot what has been counted since the last reading.
func (s *Series) grow(slot int64, now reading) growth {
	// Counters begin at 0, so the first reading of what was added later is growth
	// too. They may be lower than before: of a route that went and came back.
	last := s.last
	if now.requests < last.requests || now.count < last.count || len(now.below) != len(last.below) {
		last = reading{below: make([]uint64, len(now.below))}
	}
	g := growth{known: true, reading: reading{
		requests: now.requests - last.requests, failed: now.failed - min(last.failed, now.failed),
		count: now.count - last.count, sum: now.sum - last.sum,
		bounds: now.bounds, below: make([]uint64, len(now.below)),
	}}
	for i := range now.below {
		g.below[i] = now.below[i] - last.below[i]
	}
	s.last = now
	s.put(slot, g)
	return g
}

func (s *Series) put(slot int64, g growth) {
	if !s.began {
		s.began, s.counted = true, slot-1
	}
	for n := max(s.counted+1, slot-int64(Slots)+1); n < slot; n++ {
		s.slots[n%int64(Slots)] = Slot{}
	}
	s.counted = slot
	out := Slot{Known: g.known, Requests: clip(g.requests), Failed: clip(g.failed)}
	if g.count > 0 {
		out.MeanMs = float32(1e3 * g.sum / float64(g.count))
		out.P99Ms = float32(1e3 * g.quantile(.99))
	}
	s.slots[slot%int64(Slots)] = out
}

func clip(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

// quantile estimates one in seconds, taking what is in a bucket to be spread evenly
// over it; beyond the last bound it is that bound.
func (r *reading) quantile(q float64) float64 {
	rank := q * float64(r.count)
	lower, before := 0.0, uint64(0)
	for i, n := range r.below {
		if float64(n) >= rank && n > before {
			return lower + (r.bounds[i]-lower)*(rank-float64(before))/float64(n-before)
		}
		lower, before = r.bounds[i], n
	}
	return lower
}

func (r *route) read() (out reading) {
	for code := range r.codes {
		n := r.codes[code].Load()
		out.requests += n
		if code >= 500 {
			out.failed += n
		}
	}
	out.histogram(&r.duration)
	return out
}

func (e *endpoint) read() (out reading) {
	for i, r := range event.Results {
		n := e.results[i].Load()
		out.requests += n
		if blames(r) {
			out.failed += n
		}
	}
	out.histogram(&e.duration)
	return out
}

func (r *reading) histogram(h *histogram) {
	below := h.below()
	last := len(below) - 1
	r.count, r.sum, r.bounds, r.below = below[last], h.seconds(), classicBounds[:], below[:last]
}
