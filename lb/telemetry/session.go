package telemetry

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"go-loadbalancer/lb/event"
)

// sessions counts what is asked of the shared session store, and the tickets that
// are refused. No pool can be told of either.
type sessions struct {
	operations [maxOperations][maxOperationResults]atomic.Uint64 // by index in event.SessionOperations and event.SessionResults
	duration   prometheus.Histogram
	away       atomic.Bool
	refused    [maxTicketRefusals]atomic.Uint64 // by index in event.SessionRefusals
}

const (
	maxOperations       = 8
	maxOperationResults = 8
	maxTicketRefusals   = 16
	maxMoveReasons      = 8
)

// newSessions returns counters of a store that is asked.
func newSessions() *sessions {
	return &sessions{duration: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "lb_session_store_operation_duration_seconds",
		Help: "Time of one operation of the shared session store, failed ones included.",
		// A store close by answers in the first few; the longest that a policy may
		// wait is beyond them.
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
	})}
}

func (s *sessions) asked(e event.SessionAsked) {
	op, result := slices.Index(event.SessionOperations, e.Operation), slices.Index(event.SessionResults, e.Result)
	if op < 0 || result < 0 {
		return
	}
	s.operations[op][result].Add(1)
	if e.Result != event.SessionBusy { // which took no time, since it was left out
		s.duration.Observe(e.Took.Seconds())
	}
}

func (s *sessions) storeChanged(e event.SessionStoreChange) { s.away.Store(e.Away) }

func (s *sessions) ticketRefused(reason string) {
	if i := slices.Index(event.SessionRefusals, reason); i >= 0 {
		s.refused[i].Add(1)
	}
}

func (s *sessions) collect(ch chan<- prometheus.Metric) {
	for i, op := range event.SessionOperations {
		for j, result := range event.SessionResults {
			ch <- counter(sessionOperationsDesc, s.operations[i][j].Load(), string(op), string(result))
		}
	}
	up := 1.0
	if s.away.Load() {
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(sessionStoreUpDesc, prometheus.GaugeValue, up)
	for i, reason := range event.SessionRefusals {
		ch <- counter(ticketsRefusedDesc, s.refused[i].Load(), reason)
	}
}

// poolSessions counts what becomes of a pool's sessions.
type poolSessions struct {
	uses  [event.SessionUses]atomic.Uint64
	moves [maxMoveReasons]atomic.Uint64 // by index in event.MoveReasons
}

func (s *poolSessions) used(use event.SessionUse) {
	if use < event.SessionUses {
		s.uses[use].Add(1)
	}
}

func (s *poolSessions) moved(why event.MoveReason) {
	if i := slices.Index(event.MoveReasons, why); i >= 0 {
		s.moves[i].Add(1)
	}
}

// seen says whether the pool has had a session at all. Most pools keep none, and
// nine series of each would be for nothing.
func (s *poolSessions) seen() bool {
	for i := range s.uses {
		if s.uses[i].Load() > 0 {
			return true
		}
	}
	for i := range s.moves {
		if s.moves[i].Load() > 0 {
			return true
		}
	}
	return false
}

func (s *poolSessions) collect(ch chan<- prometheus.Metric, pool string) {
	if !s.seen() {
		return
	}
	for use := event.NoSession + 1; use < event.SessionUses; use++ {
		ch <- counter(sessionRequestsDesc, s.uses[use].Load(), pool, use.String())
	}
	for i, why := range event.MoveReasons {
		ch <- counter(sessionsMovedDesc, s.moves[i].Load(), pool, string(why))
	}
}
