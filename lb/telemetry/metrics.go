package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/event"
)

// Metrics counts events. It must be made with [NewMetrics].
type Metrics struct {
	registry *prometheus.Registry

	table   atomic.Pointer[table]
	noRoute *route // requests that matched no route

	sessions *sessions

	mu        sync.Mutex // held to replace the table, and for what follows
	routes    map[string]*route
	endpoints map[place]*endpoint
	prepared  []event.ID // endpoints the policy being prepared brought; nil if none is
	committed *event.Catalog
	reloads   reloads
	past      Totals // of what is in the table no more
	sources   []func() []*dto.MetricFamily

	resolutions [len(resolutionResults)]atomic.Uint64
}

// NoRoute is the value of the label route for requests that matched none.
const NoRoute = "-"

// NewMetrics returns metrics in a registry of their own, which also holds those
// of the Go runtime and the process.
func NewMetrics(build Build) *Metrics {
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		sessions:  newSessions(),
		routes:    make(map[string]*route),
		endpoints: make(map[place]*endpoint),
	}
	m.noRoute = newRoute(NoRoute)
	m.table.Store(&table{})
	m.sources = append(m.sources, m.routeFamilies, m.endpointFamilies)
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build.collector(),
		m.sessions.duration,
		m,
	)
	return m
}

// Registry holds every metric but those of routes and endpoints; [Metrics.Gather] has
// all. Other collectors may be registered with it.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Events returns the listener that feeds the metrics.
func (m *Metrics) Events() *event.Listener {
	return &event.Listener{
		RequestRouted:       m.requestRouted,
		RequestEnded:        m.requestEnded,
		AttemptEnded:        m.attemptEnded,
		MirrorEnded:         m.mirrorEnded,
		BreakerChanged:      m.breakerChanged,
		PanicChanged:        m.panicChanged,
		RetryRefused:        m.retryRefused,
		NameResolved:        m.nameResolved,
		SessionMoved:        m.sessionMoved,
		SessionRefused:      m.sessions.ticketRefused,
		SessionStoreAsked:   m.sessions.asked,
		SessionStoreChanged: m.sessions.storeChanged,
		PolicyPrepared:      m.prepare,
		PolicyCommitted:     m.commit,
		PolicyRejected:      m.reject,
		EndpointRetired:     m.retire,
		ConnectionOpened:    m.connectionOpened,
		ConnectionClosed:    m.connectionClosed,
		AcceptPaused:        m.acceptPaused,
	}
}

func (m *Metrics) requestRouted(id event.ID) {
	if r := m.table.Load().route(id); r != nil {
		r.inFlight.begin()
	}
}

func (m *Metrics) requestEnded(e *event.Request) {
	if e.Route == event.None {
		m.noRoute.ended(e)
		return
	}
	t := m.table.Load()
	if e.Session != event.NoSession {
		if p := t.pool(e.Pool); p != nil {
			p.sessions.used(e.Session)
		}
	}
	r := t.route(e.Route)
	if r == nil {
		return
	}
	r.ended(e)
	if r.inFlight.end() {
		m.dropRoute(r)
	}
}

func (m *Metrics) attemptEnded(e *event.Attempt) {
	t := m.table.Load()
	if e.Number > 1 && !e.Mirror {
		if p := t.pool(e.Pool); p != nil {
			p.retried(e.Result)
		}
	}
	ep := t.endpoint(e.Endpoint)
	if ep == nil {
		return
	}
	if i := resultIndex(e.Result); i >= 0 {
		ep.results[i].Add(1)
	}
	if i := slices.Index(event.Resends, e.Resend); i >= 0 {
		ep.resends[i].Add(1)
	}
	ep.duration.observe(e.Duration, e.Start, &e.Span)
}

func (m *Metrics) mirrorEnded(e event.Mirror) {
	mirror := m.table.Load().mirror(e.Pool)
	if i := slices.Index(event.MirrorResults, e.Result); mirror != nil && i >= 0 {
		mirror.results[i].Add(1)
	}
}

func (m *Metrics) breakerChanged(e event.BreakerChange) {
	if ep := m.table.Load().endpoint(e.Endpoint); ep != nil {
		ep.transition(transition{to: e.To, reason: e.Reason})
	}
}

func (m *Metrics) panicChanged(e event.PanicChange) {
	if p := m.table.Load().pool(e.Pool); p != nil && e.Panic {
		p.panics.Add(1)
	}
}

func (m *Metrics) retryRefused(id event.ID, reason event.RetryRefusal) {
	if p := m.table.Load().pool(id); p != nil {
		p.refused(reason)
	}
}

func (m *Metrics) sessionMoved(e event.SessionMove) {
	if p := m.table.Load().pool(e.Pool); p != nil {
		p.sessions.moved(e.Reason)
	}
}

func (m *Metrics) nameResolved(e *event.Resolution) {
	result := resolvedSame
	switch {
	case e.Err != nil || e.Addresses == 0:
		result = resolvedNot
	case e.Changed:
		result = resolvedOther
	}
	m.resolutions[result].Add(1)
}

func (m *Metrics) connectionOpened(name string) {
	if l := m.table.Load().listeners[name]; l != nil {
		l.opened.Add(1)
		l.open.begin()
	}
}

func (m *Metrics) connectionClosed(name string, reason event.CloseReason) {
	l := m.table.Load().listeners[name]
	if l == nil {
		return
	}
	l.closed[closeReasonIndex(reason)].Add(1)
	if l.open.end() {
		m.dropListener(l)
	}
}

func (m *Metrics) acceptPaused(name string) {
	if l := m.table.Load().listeners[name]; l != nil {
		l.paused.Add(1)
	}
}
