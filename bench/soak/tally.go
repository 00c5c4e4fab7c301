package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tally is what became of one kind of honest requests.
type tally struct {
	mu       sync.Mutex
	latency  *hdrhistogram.Histogram // microseconds
	outcomes map[string]int          // beside those that went well
	failures int
	first    string // failure
}

// longest is the longest latency told apart, in microseconds.
const longest = 60_000_000

func newTally() *tally {
	return &tally{latency: hdrhistogram.New(1, longest, 3), outcomes: map[string]int{}}
}

func (t *tally) answered(latency time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latency.RecordValue(min(latency.Microseconds(), longest))
}

func (t *tally) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failures++; t.failures == 1 {
		t.first = fmt.Sprintf(format, args...)
	}
}

func (t *tally) outcome(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcomes[name]++
}

// Latencies is what a tally came to.
type Latencies struct {
	Answered            int64
	P50, P99, P999, Max time.Duration
	Failures            int
	First               string         // failure
	Outcomes            map[string]int // of requests that may fail
}

// take returns what there is so far, and begins anew.
func (t *tally) take() Latencies {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := func(q float64) time.Duration {
		return time.Duration(t.latency.ValueAtQuantile(q)) * time.Microsecond
	}
	l := Latencies{
		Answered: t.latency.TotalCount(), P50: at(50), P99: at(99), P999: at(99.9),
		Max:      time.Duration(t.latency.Max()) * time.Microsecond,
		Failures: t.failures, First: t.first, Outcomes: t.outcomes,
	}
	t.latency.Reset()
	t.failures, t.first, t.outcomes = 0, "", map[string]int{}
	return l
}
