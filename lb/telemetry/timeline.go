package telemetry

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
)

// Incident is something that happened and that an operator may want to know of.
type Incident struct {
	N        uint64       `json:"n"` // from 1, without gaps
	At       time.Time    `json:"at"`
	Kind     IncidentKind `json:"kind"`
	Severity Severity     `json:"severity"`
	Pool     string       `json:"pool,omitempty"`
	Endpoint string       `json:"endpoint,omitempty"` // address
	Text     string       `json:"text"`               // may hold what a server sent: hostile
}

// IncidentKind is what an [Incident] is about.
type IncidentKind string

const (
	OfBreaker  IncidentKind = "breaker"
	OfHealth   IncidentKind = "health" // ejections and returns, panic mode
	OfPolicy   IncidentKind = "policy"
	OfSessions IncidentKind = "sessions"
	OfRequest  IncidentKind = "request" // an example of those that failed
	OfNetwork  IncidentKind = "network" // names, listeners
)

// Severity is how bad it is.
type Severity string

const (
	Good Severity = "good" // something is well again
	Note Severity = "note"
	Warn Severity = "warn"
	Bad  Severity = "bad"
)

// Trouble says since when an endpoint is not as it should be.
type Trouble struct {
	Breaker   time.Time // since it was last closed; zero: it is closed
	Trips     int       // how often it opened since then
	Reason    string    // why it opened first
	Unhealthy time.Time // zero: it is healthy
}

const (
	maxIncidents = 512
	maxExamples  = 64  // of failed requests, beside the incidents
	maxText      = 512 // bytes
	// exampleEvery is how often a failed request is kept: requests pay for it only then.
	exampleEvery = time.Second
)

// Timeline remembers the last incidents, and since when which endpoint is in trouble.
// What it holds is bounded: the newest 512 incidents, 64 failed requests, and an entry
// for each endpoint in trouble. It must be made with [NewTimeline].
type Timeline struct {
	changed chan struct{}
	began   time.Time
	example atomic.Int64 // when the next failed request may be kept, nanoseconds since began

	mu        sync.Mutex
	incidents []Incident // oldest first
	examples  []Incident // the same, of failed requests
	n         uint64     // the newest incident's
	troubles  map[place]Trouble
	panics    map[string]time.Time // since when, by pool
	storeAway time.Time            // zero: it is not
	names     map[string]bool      // host names that do not resolve; true: one failed since the last policy
	places    map[event.ID]served  // of endpoints
	commits   uint64               // how many there were
	pauses    map[string]time.Time // of listeners: when a pause was last told of
}

// served is where an endpoint is, by the last commit that had it.
type served struct {
	place
	commit uint64
}

// NewTimeline returns an empty timeline.
func NewTimeline() *Timeline {
	return &Timeline{
		changed: make(chan struct{}, 1), began: time.Now(),
		troubles: make(map[place]Trouble), panics: make(map[string]time.Time),
		names: make(map[string]bool), places: make(map[event.ID]served), pauses: make(map[string]time.Time),
	}
}

// Changed delivers something soon after an incident; it has one reader.
func (t *Timeline) Changed() <-chan struct{} { return t.changed }

// After returns the incidents that are remembered with a number above n, in order, and
// the newest number.
func (t *Timeline) After(n uint64) ([]Incident, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Incident
	a, b := t.incidents, t.examples
	for len(a) > 0 || len(b) > 0 {
		from := &a
		if len(a) == 0 || len(b) > 0 && b[0].N < a[0].N {
			from = &b
		}
		if (*from)[0].N > n {
			out = append(out, (*from)[0])
		}
		*from = (*from)[1:]
	}
	return out, t.n
}

// Trouble returns what is known of an endpoint; the zero value: nothing is wrong.
func (t *Timeline) Trouble(pool, address string) Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.troubles[place{pool, address}]
}

// Panic returns since when a pool ignores health; zero: it does not.
func (t *Timeline) Panic(pool string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.panics[pool]
}

// StoreAway returns since when the session store is away; zero: it is not.
func (t *Timeline) StoreAway() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.storeAway
}

// Events returns the listener that feeds it.
func (t *Timeline) Events() *event.Listener {
	return &event.Listener{
		RequestEnded:        t.requestEnded,
		BreakerChanged:      t.breakerChanged,
		HealthChanged:       t.healthChanged,
		PanicChanged:        t.panicChanged,
		NameResolved:        t.nameResolved,
		SessionStoreChanged: t.storeChanged,
		PolicyCommitted:     t.committed,
		PolicyRejected:      t.rejected,
		EndpointRetired:     t.retired,
		AcceptPaused:        t.acceptPaused,
	}
}

// add must be called with mu held.
func (t *Timeline) add(i Incident) {
	t.n++
	i.N, i.At, i.Text = t.n, i.At.Round(0).UTC(), cut(i.Text)
	if i.Kind == OfRequest {
		t.examples = push(t.examples, i, maxExamples)
	} else {
		t.incidents = push(t.incidents, i, maxIncidents)
	}
	select {
	case t.changed <- struct{}{}:
	default: // it is told of already
	}
}

func push(to []Incident, i Incident, most int) []Incident {
	if len(to) == most {
		copy(to, to[1:])
		to = to[:most-1]
	}
	return append(to, i)
}

// cut shortens what is too long, and makes it valid UTF-8.
func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// requestEnded keeps an example of the failed requests now and then. All others pay a
// comparison.
func (t *Timeline) requestEnded(e *event.Request) {
	if e.Status < 500 {
		return
	}
	now, next := int64(time.Since(t.began)), t.example.Load()
	if now < next || !t.example.CompareAndSwap(next, now+int64(exampleEvery)) {
		return
	}
	path, _, hasQuery := strings.Cut(string(e.Target[:min(len(e.Target), maxText/2)]), "?")
	if hasQuery {
		path += "?…" // it may hold secrets
	}
	text := fmt.Sprintf("%d %s %s%s in %s", e.Status, e.Method, e.Host[:min(len(e.Host), 128)], path, e.Duration.Round(time.Millisecond))
	if e.Attempts > 1 {
		text += fmt.Sprintf(", %d attempts", e.Attempts)
	}
	if e.Flags != 0 {
		text += ", " + e.Flags.String()
	}
	if len(e.RequestID) > 0 {
		text += fmt.Sprintf(", id %s", e.RequestID[:min(len(e.RequestID), 64)])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(Incident{At: e.Start.Add(e.Duration), Kind: OfRequest, Severity: Bad, Pool: e.PoolName, Endpoint: e.Upstream, Text: text})
}

func (t *Timeline) breakerChanged(e event.BreakerChange) {
	i := Incident{At: e.At, Kind: OfBreaker, Severity: Note, Pool: e.PoolName, Endpoint: e.Address, Text: "breaker half-open: probes are let through"}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := place{e.PoolName, e.Address}
	switch trouble := t.troubles[at]; e.To {
	case event.BreakerOpen:
		i.Severity, i.Text = Bad, "breaker open: "+Reason(e.Reason)
		if trouble.Breaker.IsZero() {
			trouble.Breaker, trouble.Reason = e.At, e.Reason
		}
		trouble.Trips++
		t.troubles[at] = trouble
	case event.BreakerClosed:
		i.Severity, i.Text = Good, "breaker closed: "+Reason(e.Reason)
		trouble.Breaker, trouble.Trips, trouble.Reason = time.Time{}, 0, ""
		t.setTrouble(at, trouble)
	}
	t.add(i)
}

func (t *Timeline) setTrouble(at place, trouble Trouble) {
	if trouble == (Trouble{}) {
		delete(t.troubles, at)
	} else {
		t.troubles[at] = trouble
	}
}

// Reason says in words why a breaker changed.
func Reason(reason string) string {
	switch reason {
	case "consecutive_failures":
		return "too many failures in a row"
	case "failure_percent":
		return "too large a share of failures"
	case "probe_failed":
		return "its probe failed"
	case "probe_timeout":
		return "its probe had no result in time"
	case "probes_succeeded":
		return "its probes succeeded"
	case "open_elapsed":
		return "its open time is over"
	case "turned_off":
		return "the policy turned it off"
	}
	return reason
}

func (t *Timeline) healthChanged(e event.HealthChange) {
	i := Incident{At: e.At, Kind: OfHealth, Severity: Good, Pool: e.PoolName, Endpoint: e.Address, Text: "healthy again"}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := place{e.PoolName, e.Address}
	trouble := t.troubles[at]
	if e.Healthy {
		trouble.Unhealthy = time.Time{}
	} else {
		i.Severity, i.Text = Bad, "ejected as unhealthy: "+e.Reason
		if e.Held > 0 {
			i.Text += fmt.Sprintf("; held out for %s", e.Held.Round(time.Second))
		}
		if trouble.Unhealthy.IsZero() {
			trouble.Unhealthy = e.At
		}
	}
	t.setTrouble(at, trouble)
	t.add(i)
}

func (t *Timeline) panicChanged(e event.PanicChange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := Incident{At: e.At, Kind: OfHealth, Severity: Good, Pool: e.PoolName, Text: "panic mode is over"}
	if e.Panic {
		i.Severity, i.Text = Bad, fmt.Sprintf("panic mode: only %d of %d endpoints are healthy, so health is ignored", e.Healthy, e.Total)
		t.panics[e.PoolName] = e.At
	} else {
		delete(t.panics, e.PoolName)
	}
	t.add(i)
}

func (t *Timeline) storeChanged(e event.SessionStoreChange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := Incident{At: e.At, Kind: OfSessions, Severity: Good, Text: "session store is back"}
	t.storeAway = time.Time{}
	if e.Away {
		i.Severity, i.Text = Bad, "session store away"
		if e.Err != nil {
			i.Text += ": " + e.Err.Error()
		}
		t.storeAway = e.At
	}
	t.add(i)
}

// maxNames bounds the names whose failure is told of once only.
const maxNames = 1024

func (t *Timeline) nameResolved(e *event.Resolution) {
	failed := e.Err != nil || e.Addresses == 0
	t.mu.Lock()
	defer t.mu.Unlock()
	switch _, was := t.names[e.Host]; {
	case failed && was:
		t.names[e.Host] = true
	case failed && len(t.names) < maxNames:
		t.names[e.Host] = true
		text := "name " + e.Host + " does not resolve; its last addresses serve on"
		if e.Err != nil {
			text += ": " + e.Err.Error()
		}
		t.add(Incident{At: e.At, Kind: OfNetwork, Severity: Warn, Text: text})
	case !failed && was:
		delete(t.names, e.Host)
		t.add(Incident{At: e.At, Kind: OfNetwork, Severity: Good, Text: "name " + e.Host + " resolves again"})
	case !failed && e.Changed:
		t.add(Incident{At: e.At, Kind: OfNetwork, Severity: Note, Text: fmt.Sprintf("name %s has other addresses: %d", e.Host, e.Addresses)})
	}
}

func (t *Timeline) committed(e *event.Commit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commits++
	kept := make(map[place]bool, len(e.Endpoints))
	for _, n := range e.Endpoints {
		t.places[n.ID] = served{place{n.PoolName, n.Address}, t.commits}
		kept[place{n.PoolName, n.Address}] = true
	}
	for at := range t.troubles {
		if !kept[at] {
			delete(t.troubles, at)
		}
	}
	pools := make(map[string]bool, len(e.Pools))
	for _, p := range e.Pools {
		pools[p.Name] = true
	}
	for name := range t.panics {
		if !pools[name] {
			delete(t.panics, name)
		}
	}
	if e.Refresh {
		return // its name's change was told of
	}
	// A name that has not failed since the last policy is in none any more; if it is, it is
	// told of again.
	for host, seen := range t.names {
		if seen {
			t.names[host] = false
		} else {
			delete(t.names, host)
		}
	}
	i := Incident{At: e.At, Kind: OfPolicy, Severity: Good}
	i.Text = fmt.Sprintf("policy %s version %s serves (%.12s): endpoints %d kept, %d added, %d removed",
		e.Policy.Name, e.Policy.Version, e.Policy.Hash, e.Kept, e.Added, e.Removed)
	if e.LastGood {
		i.Severity, i.Text = Warn, i.Text+"; the last good one, from the state directory"
	}
	t.add(i)
}

func (t *Timeline) rejected(e *event.Rejection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := "policy refused: " + e.Reason
	if e.Err != nil {
		text = "policy refused: " + e.Err.Error()
	}
	t.add(Incident{At: e.At, Kind: OfPolicy, Severity: Bad, Text: text})
}

func (t *Timeline) retired(id event.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.places[id]
	if !ok {
		return
	}
	delete(t.places, id)
	if at.commit == t.commits {
		// It goes with a commit that is about to be told of, and had nothing to drain. A
		// thousand of them would push all out that is worth knowing.
		return
	}
	t.add(Incident{At: time.Now(), Kind: OfPolicy, Severity: Note, Pool: at.pool, Endpoint: at.address, Text: "removed endpoint has drained and is gone"})
}

// pauseEvery is how often one listener's pauses are told of.
const pauseEvery = time.Minute

func (t *Timeline) acceptPaused(listener string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if last, ok := t.pauses[listener]; ok && now.Sub(last) < pauseEvery {
		return
	}
	t.pauses[listener] = now
	t.add(Incident{At: now, Kind: OfNetwork, Severity: Bad, Text: "listener " + listener + " pauses: no descriptors or memory to accept with"})
}
