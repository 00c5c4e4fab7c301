package telemetry

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"go-loadbalancer/lb/event"
)

// pool counts what happens to a pool as a whole.
type pool struct {
	name     string
	retries  [retryRefusals + maxRefusals]atomic.Uint64
	panics   atomic.Uint64
	sessions poolSessions
}

// What became of retries, as indices; behind them, in the order of
// [event.RetryRefusals], why there were none.
const (
	retryOK = iota
	retryFailed
	retryRefusals

	maxRefusals = 8
)

func (p *pool) retried(r event.Result) {
	if r == event.OK {
		p.retries[retryOK].Add(1)
	} else {
		p.retries[retryFailed].Add(1)
	}
}

func (p *pool) refused(why event.RetryRefusal) {
	if i := slices.Index(event.RetryRefusals, why); i >= 0 {
		p.retries[retryRefusals+i].Add(1)
	}
}

func (p *pool) collect(ch chan<- prometheus.Metric) {
	ch <- counter(retriesDesc, p.retries[retryOK].Load(), p.name, "ok")
	ch <- counter(retriesDesc, p.retries[retryFailed].Load(), p.name, "failed")
	for i, why := range event.RetryRefusals {
		ch <- counter(retriesDesc, p.retries[retryRefusals+i].Load(), p.name, string(why))
	}
	ch <- counter(panicsDesc, p.panics.Load(), p.name)
	p.sessions.collect(ch, p.name)
}

// What became of look-ups of names.
const (
	resolvedSame  = iota // to the addresses there were
	resolvedOther        // to others
	resolvedNot          // there was no answer, or one without addresses
)

var resolutionResults = [...]string{resolvedSame: "ok", resolvedOther: "changed", resolvedNot: "failed"}
