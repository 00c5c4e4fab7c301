package report

import (
	"math"
	"net/http"
	"slices"
	"time"

	"go-loadbalancer/sim/history"
)

// numbers is what a run comes to.
type numbers struct {
	requests, errors, sheds   int
	attempts, retries, probes int
	p50, p99                  time.Duration
}

// shed says whether the balancer itself answered that there is too much to do, or
// nobody to do it.
func shed(q *history.Request) bool {
	return q.By == "" && q.Status == http.StatusServiceUnavailable
}

// tally counts a run. A request that was shed is no error beside.
func tally(h *history.Run) numbers {
	var n numbers
	if h == nil {
		return n
	}
	latencies := make([]time.Duration, 0, len(h.Requests))
	for i := range h.Requests {
		q := &h.Requests[i]
		n.requests++
		switch {
		case shed(q):
			n.sheds++
		case !q.OK():
			n.errors++
		}
		latencies = append(latencies, q.Latency())
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		if a.Mirror {
			continue
		}
		n.attempts++
		if a.Probe {
			n.probes++
		}
		if a.Number > 1 {
			n.retries++
		}
	}
	slices.Sort(latencies)
	n.p50, n.p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
	return n
}

// quantile is that of sorted values: the smallest one that as many as q of them do not
// exceed. Of none it is 0.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
