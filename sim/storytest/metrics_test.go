package storytest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go-loadbalancer/lb/event"
)

// totalsAgree holds the totals that /metrics says to programs against the truth.
func (w *truth) totalsAgree() {
	t := w.shop.t
	t.Helper()
	var well, failed, attempts, vain uint64
	for _, a := range w.asked {
		if a.status >= 500 {
			failed++
		} else {
			well++
		}
		for _, one := range w.tries[a.id] {
			attempts++
			if one.result() != event.OK {
				vain++
			}
		}
	}
	h := w.shop.health()
	if got := h.Totals; uint64(got.Requests.Successful) != well || uint64(got.Requests.ServerError) != failed || uint64(got.Upstream.Attempts) != attempts || uint64(got.Upstream.Failed) != vain || h.Condition != "ok" {
		t.Errorf("/metrics says as JSON %+v, %s; it was %d requests that went well, %d that failed, %d attempts, %d of them in vain", got, h.Condition, well, failed, attempts, vain)
	}
}

// counters are the metrics that are compared, all their series.
var counters = []string{
	"lb_requests_total", "lb_requests_in_flight", "lb_request_duration_seconds_count", "lb_response_flags_total",
	"lb_upstream_requests_total", "lb_upstream_resends_total", "lb_upstream_in_flight", "lb_upstream_request_duration_seconds_count", "lb_retries_total",
	"lb_circuit_breaker_transitions_total", "lb_circuit_breaker_state", "lb_endpoint_healthy", "lb_pool_panic", "lb_queue_depth",
	"lb_session_requests_total", "lb_sessions_moved_total", "lb_session_tickets_refused_total",
	"lb_access_log_lines_written_total", "lb_access_log_lines_dropped_total",
	"lb_trace_spans_exported_total", "lb_trace_spans_dropped_total",
}

// metricsAgree holds every series of those metrics against the truth, once all was counted.
func (w *truth) metricsAgree() {
	t := w.shop.t
	t.Helper()
	want := map[string]float64{}
	count := func(format string, of ...any) { want[fmt.Sprintf(format, of...)]++ }
	spans := 0
	for i := range w.asked {
		a := &w.asked[i]
		count(`lb_requests_total{code="%d",route=%q}`, a.status, a.route())
		count(`lb_request_duration_seconds_count{route=%q}`, a.route())
		count(`lb_session_requests_total{pool="cart",use=%q}`, w.use(a))
		count(`lb_access_log_lines_written_total`)
		for _, flag := range w.flags(a) {
			count(`lb_response_flags_total{flag=%q,route=%q}`, flag, a.route())
		}
		if a.sampled {
			spans += 1 + len(w.tries[a.id])
		}
		for n, one := range w.tries[a.id] {
			count(`lb_upstream_requests_total{endpoint=%q,pool="cart",result=%q}`, one.address, one.result())
			count(`lb_upstream_request_duration_seconds_count{endpoint=%q,pool="cart"}`, one.address)
			if one.resend != "" {
				count(`lb_upstream_resends_total{endpoint=%q,pool="cart",reason=%q}`, one.address, one.resend)
			}
			if n > 0 {
				result := "ok"
				if one.result() != event.OK {
					result = "failed"
				}
				count(`lb_retries_total{pool="cart",result=%q}`, result)
			}
		}
	}
	for _, e := range w.changes {
		count(`lb_circuit_breaker_transitions_total{endpoint=%q,pool="cart",reason=%q,to=%q}`, e.Address, e.Reason, e.To)
	}
	for _, s := range w.shop.servers {
		count(`lb_circuit_breaker_state{endpoint=%q,pool="cart",state="closed"}`, s.address)
		count(`lb_endpoint_healthy{endpoint=%q,pool="cart"}`, s.address)
	}
	want["lb_trace_spans_exported_total"] = float64(spans)

	var got map[string]float64
	w.shop.until("all is counted", func() bool {
		got = w.shop.metrics()
		return got["lb_trace_spans_exported_total"] >= float64(spans) && got["lb_access_log_lines_written_total"] >= float64(len(w.asked)) &&
			got[`lb_requests_in_flight{route="cart"}`]+got[`lb_requests_in_flight{route="checkout"}`] == 0
	})
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		family, _, _ := strings.Cut(name, "{")
		if !slices.Contains(counters, family) {
			continue
		}
		seen[family] = true
		if got[name] != want[name] {
			t.Errorf("/metrics says %s %v; it was %v", name, got[name], want[name])
		}
		delete(want, name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("/metrics does not have %s; it was %v", name, want[name])
	}
	for _, family := range counters {
		if !seen[family] {
			t.Errorf("there is no %s", family)
		}
	}
}
