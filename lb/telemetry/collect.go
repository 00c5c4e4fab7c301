package telemetry

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"go-loadbalancer/lb/event"
)

// The metrics that are counted in the table and put together by a scrape.
var (
	mirroredDesc = prometheus.NewDesc("lb_mirrored_requests_total",
		"Requests that were to be copied to a pool, by what became of the copy.", []string{"pool", "result"}, nil)
	retriesDesc = prometheus.NewDesc("lb_retries_total",
		"Attempts after the first of a request, by what became of them, or why there was none.", []string{"pool", "result"}, nil)
	panicsDesc = prometheus.NewDesc("lb_pool_panics_total",
		"Times that a pool began to ignore its endpoints' health.", []string{"pool"}, nil)
	resolutionsDesc = prometheus.NewDesc("lb_name_resolutions_total",
		"Look-ups of endpoints' host names, by result.", []string{"result"}, nil)
	sessionRequestsDesc = prometheus.NewDesc("lb_session_requests_total",
		"Requests with a session ended, by how it was served.", []string{"pool", "use"}, nil)
	sessionsMovedDesc = prometheus.NewDesc("lb_sessions_moved_total",
		"Times that a session got another home, by reason.", []string{"pool", "reason"}, nil)
	ticketsRefusedDesc = prometheus.NewDesc("lb_session_tickets_refused_total",
		"Tickets of clients that were no good, by reason.", []string{"reason"}, nil)
	sessionOperationsDesc = prometheus.NewDesc("lb_session_store_operations_total",
		"Operations of the shared session store, by result; busy: left out.", []string{"op", "result"}, nil)
	sessionStoreUpDesc = prometheus.NewDesc("lb_session_store_up",
		"1 while the shared session store is asked, 0 while it is given up.", nil, nil)
	connectionsDesc = prometheus.NewDesc("lb_client_connections",
		"Client connections open.", []string{"listener"}, nil)
	connectionsOpenedDesc = prometheus.NewDesc("lb_client_connections_opened_total",
		"Client connections accepted.", []string{"listener"}, nil)
	connectionsClosedDesc = prometheus.NewDesc("lb_client_connections_closed_total",
		"Client connections ended, by reason.", []string{"listener", "reason"}, nil)
	acceptPausesDesc = prometheus.NewDesc("lb_accept_pauses_total",
		"Times that accepting paused for want of descriptors or memory.", []string{"listener"}, nil)
	reloadsDesc = prometheus.NewDesc("lb_policy_reloads_total",
		"Policies read that differed from the one serving, by what became of them.", []string{"result"}, nil)
	rejectionsDesc = prometheus.NewDesc("lb_policy_rejections_total",
		"Policies refused, by reason.", []string{"reason"}, nil)
	policyInfoDesc = prometheus.NewDesc("lb_policy_info",
		"Always 1; the labels identify the policy that serves.", []string{"name", "version", "hash", "revision"}, nil)
	reloadOKDesc = prometheus.NewDesc("lb_policy_last_reload_successful",
		"1 if the newest policy serves, 0 if it was refused.", nil, nil)
	reloadAtDesc = prometheus.NewDesc("lb_policy_last_reload_success_timestamp_seconds",
		"When the policy that serves began to, in Unix time.", nil, nil)
	reloadTookDesc = prometheus.NewDesc("lb_policy_last_reload_duration_seconds",
		"Time from reading the files of the policy that serves to its swap.", nil, nil)

	descs = []*prometheus.Desc{
		mirroredDesc, retriesDesc, panicsDesc, resolutionsDesc,
		sessionRequestsDesc, sessionsMovedDesc, ticketsRefusedDesc, sessionOperationsDesc, sessionStoreUpDesc,
		connectionsDesc, connectionsOpenedDesc, connectionsClosedDesc, acceptPausesDesc,
		reloadsDesc, rejectionsDesc, policyInfoDesc, reloadOKDesc, reloadAtDesc, reloadTookDesc,
	}
)

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	// Copied first: the channel may be slow, and a reload must not wait for it.
	m.mu.Lock()
	listeners := slices.Collect(maps.Values(m.table.Load().listeners))
	mirrors, pools := m.table.Load().mirrors, m.table.Load().pools
	reloads := m.reloads
	m.mu.Unlock()

	for _, l := range listeners {
		l.collect(ch)
	}
	for _, mirror := range mirrors {
		if mirror != nil {
			mirror.collect(ch)
		}
	}
	for _, p := range pools {
		if p != nil {
			p.collect(ch)
		}
	}
	for i, result := range resolutionResults {
		ch <- counter(resolutionsDesc, m.resolutions[i].Load(), result)
	}
	m.sessions.collect(ch)
	reloads.collect(ch)
}

func (m *mirror) collect(ch chan<- prometheus.Metric) {
	for i, r := range event.MirrorResults {
		ch <- counter(mirroredDesc, m.results[i].Load(), m.pool, string(r))
	}
}

func (l *listener) collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(l.open.n.Load()), l.name)
	ch <- counter(connectionsOpenedDesc, l.opened.Load(), l.name)
	ch <- counter(acceptPausesDesc, l.paused.Load(), l.name)
	for i, reason := range event.CloseReasons {
		ch <- counter(connectionsClosedDesc, l.closed[i].Load(), l.name, string(reason))
	}
	if n := l.closed[len(event.CloseReasons)].Load(); n > 0 {
		ch <- counter(connectionsClosedDesc, n, l.name, "other")
	}
}

func (r *reloads) collect(ch chan<- prometheus.Metric) {
	for i, result := range reloadResults {
		ch <- counter(reloadsDesc, r.results[i], result)
	}
	for i, reason := range rejectionReasons {
		ch <- counter(rejectionsDesc, r.reasons[i], reason)
	}
	ok := 0.0
	if r.newestOK {
		ok = 1
	}
	ch <- prometheus.MustNewConstMetric(reloadOKDesc, prometheus.GaugeValue, ok)
	if p := r.serving; p != nil {
		ch <- prometheus.MustNewConstMetric(policyInfoDesc, prometheus.GaugeValue, 1, p.Name, p.Version, p.Hash, p.Revision)
		ch <- prometheus.MustNewConstMetric(reloadAtDesc, prometheus.GaugeValue, float64(r.at.UnixMilli())/1e3)
		ch <- prometheus.MustNewConstMetric(reloadTookDesc, prometheus.GaugeValue, r.took.Seconds())
	}
}

func counter(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

var (
	writtenDesc = prometheus.NewDesc("lb_access_log_lines_written_total",
		"Lines written to the access log.", nil, nil)
	droppedDesc = prometheus.NewDesc("lb_access_log_lines_dropped_total",
		"Access log lines lost because the destination was too slow or failed.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (l *AccessLog) Describe(ch chan<- *prometheus.Desc) {
	ch <- writtenDesc
	ch <- droppedDesc
}

// Collect implements [prometheus.Collector].
func (l *AccessLog) Collect(ch chan<- prometheus.Metric) {
	ch <- counter(writtenDesc, l.Written())
	ch <- counter(droppedDesc, l.Dropped())
}
