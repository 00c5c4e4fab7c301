package telemetry

import (
	"maps"

	"go-loadbalancer/lb/event"
)

// Totals sums up what happened since the process started, over all routes,
// endpoints and listeners, those that are gone included.
type Totals struct {
	// Requests ended, by the class of their status: 1xx to 5xx, and none where
	// the client got no response.
	Requests struct {
		Informational uint64 `json:"1xx"`
		Successful    uint64 `json:"2xx"`
		Redirected    uint64 `json:"3xx"`
		ClientError   uint64 `json:"4xx"`
		ServerError   uint64 `json:"5xx"`
		None          uint64 `json:"none"`
	} `json:"requests"`
	// ResponseFlags counts requests by each flag that any had: one may have several.
	ResponseFlags map[string]uint64 `json:"responseFlags"`
	// RequestsInFlight are routed and not yet ended.
	RequestsInFlight int64 `json:"requestsInFlight"`
	// Upstream counts attempts at endpoints; Failed are those that went badly, not
	// counting clients that left, nor want of connections on this side.
	Upstream struct {
		Attempts uint64 `json:"attempts"`
		Failed   uint64 `json:"failed"`
	} `json:"upstream"`
	// Connections of clients: open now, and opened since the start.
	Connections struct {
		Open   int64  `json:"open"`
		Opened uint64 `json:"opened"`
	} `json:"connections"`
	// Reloads of the policy, by outcome; the first load is one.
	Reloads struct {
		Committed uint64 `json:"committed"`
		Restored  uint64 `json:"restored"`
		Rejected  uint64 `json:"rejected"`
	} `json:"reloads"`
}

// Totals returns the sums as they are now. They are read one after the other
// while counting goes on.
func (m *Metrics) Totals() Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.past
	t.ResponseFlags = make(map[string]uint64, len(m.past.ResponseFlags))
	maps.Copy(t.ResponseFlags, m.past.ResponseFlags)
	t.addRoute(m.noRoute)
	for _, r := range m.routes {
		t.addRoute(r)
		t.RequestsInFlight += r.inFlight.n.Load()
	}
	for _, e := range m.endpoints {
		t.addEndpoint(e)
	}
	for _, l := range m.table.Load().listeners {
		t.addListener(l)
		t.Connections.Open += l.open.n.Load()
	}
	t.Reloads.Committed = m.reloads.results[committed]
	t.Reloads.Restored = m.reloads.results[restored]
	t.Reloads.Rejected = m.reloads.results[rejected]
	return t
}

func (t *Totals) addRoute(r *route) {
	for i, f := range event.EachFlag {
		if n := r.flags[i].Load(); n > 0 {
			if t.ResponseFlags == nil {
				t.ResponseFlags = map[string]uint64{}
			}
			t.ResponseFlags[f.String()] += n
		}
	}
	for code := range r.codes {
		n := r.codes[code].Load()
		if n == 0 {
			continue
		}
		switch code / 100 {
		case 1:
			t.Requests.Informational += n
		case 2:
			t.Requests.Successful += n
		case 3:
			t.Requests.Redirected += n
		case 4:
			t.Requests.ClientError += n
		case 5:
			t.Requests.ServerError += n
		default:
			t.Requests.None += n
		}
	}
}

func (t *Totals) addEndpoint(e *endpoint) {
	for i, r := range event.Results {
		n := e.results[i].Load()
		t.Upstream.Attempts += n
		if blames(r) {
			t.Upstream.Failed += n
		}
	}
}

// blames says whether an attempt's result speaks against its endpoint.
func blames(r event.Result) bool {
	return r != event.OK && r != event.ClientCanceled && r != event.Exhausted && r != event.Overflowed && r != event.Aborted
}

func (t *Totals) addListener(l *listener) { t.Connections.Opened += l.opened.Load() }
