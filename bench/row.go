package main

import (
	"slices"
	"time"

	"go-loadbalancer/bench/load"
)

// metric is what a row measures; less is better in all of them.
type metric uint8

const (
	cpuPerRequest   metric = iota // CPU time of all its processes by requests answered
	latencyP99                    // counted from when a request was due
	memoryPerClient               // proportional set size by idle connections
)

// row is one line of the table for each candidate.
type row struct {
	name      string
	what      string
	load      load.Spec
	metric    metric
	accessLog bool
	bulk      bool // peers tuned for large bodies, where that differs
	// against is the variant that the product alone is compared with, in place of
	// the peers.
	against string
	// subject is the variant that stands for the product there; empty: itself.
	subject string
	// sessions is how many sessions the requests belong to, in turns; not 0: those
	// who keep sessions are compared each with the same without, which gets the same
	// requests.
	sessions int
	// target is the most the product may cost relative to the reference, and
	// limit the most in the metric's own unit. 0: none.
	target float64
	limit  float64 // bytes, for memoryPerClient
}

// measures reports whether a candidate is measured in the row, and refers whether
// it is relative to another one.
func (row *row) measures(c candidate) bool {
	switch {
	case row.sessions > 0:
		return c.sessions != "" || slices.ContainsFunc(candidates(), func(k candidate) bool { return k.without == c.name })
	case c.sessions != "":
		return false
	case row.against != "":
		return c.name == row.against || c.product && row.stars(c)
	}
	return !c.variant
}

// stars reports whether a candidate stands for the product in a row that compares it
// with a variant.
func (row *row) stars(c candidate) bool {
	if row.subject != "" {
		return c.name == row.subject
	}
	return !c.variant
}

func (row *row) refers(c, to candidate) bool {
	switch {
	case row.sessions > 0 && c.without != "":
		return c.without == to.name
	case row.sessions > 0:
		return c.name == to.name
	case row.against != "":
		return to.name == row.against
	}
	return to.reference
}

// rows are all that are measured.
func rows() []row {
	return []row{
		{
			name: "small64", what: "GET, 100 bytes, keep-alive, 64 connections",
			load:      load.Spec{Connections: 64, Reply: "small"},
			accessLog: true, target: 0.93,
		},
		{
			name: "small256", what: "GET, 100 bytes, keep-alive, 256 connections",
			load:      load.Spec{Connections: 256, Reply: "small"},
			accessLog: true, target: 0.93,
		},
		{
			name: "small64-nolog", what: "as small64, no access logs",
			load: load.Spec{Connections: 64, Reply: "small"},
		},
		{
			name: "features", what: "as small64, beside a build without metrics whose policy has no breaker: what breaker, budget, limits and metrics cost",
			load:      load.Spec{Connections: 64, Reply: "small"},
			accessLog: true, against: "plain", target: 1.06,
		},
		{
			name: "telemetry", what: "as small64, beside a build without metrics, access log and traces: what metrics, an access log to a file and traces of 1% of the requests cost; clients and backend never sleep",
			load:      load.Spec{Connections: 64, Reply: "small", Awake: true},
			accessLog: true, against: "silent", subject: "lb-traces", target: 1.08,
		},
		{
			name: "session", what: "as small64, requests of 1,000 known sessions in turns, beside the same requests without sessions: what keeping them costs; clients and backend never sleep",
			load:      load.Spec{Connections: 64, Reply: "small", Awake: true},
			accessLog: true, sessions: 1000, target: 1.05,
		},
		{
			name: "post4k", what: "POST, body of 4 KiB, 64 connections",
			load:      load.Spec{Connections: 64, Method: "POST", Body: 4 << 10, Reply: "small"},
			accessLog: true, target: 1.0,
		},
		{
			name: "chunked", what: "GET, 4 chunks of 1 KiB, 64 connections",
			load:      load.Spec{Connections: 64, Reply: "chunked"},
			accessLog: true, target: 1.0,
		},
		{
			name: "churn", what: "GET, 100 bytes, a new connection each, 64 at once",
			load:      load.Spec{Connections: 64, Reply: "small", NewConnections: true},
			accessLog: true, target: 1.0,
		},
		{
			name: "down1m", what: "GET, 1 MiB, 16 connections",
			load:      load.Spec{Connections: 16, Reply: "large"},
			accessLog: true, target: 0.60,
		},
		{
			name: "up1m", what: "POST, body of 1 MiB, 16 connections",
			load:      load.Spec{Connections: 16, Method: "POST", Body: 1 << 20, Reply: "small"},
			accessLog: true, target: 0.90,
		},
		{
			name: "down1m-bulk", what: "as down1m, HAProxy with buffers of 64 KiB, which cost it small requests",
			load:      load.Spec{Connections: 16, Reply: "large"},
			accessLog: true, bulk: true,
		},
		{
			name: "up1m-bulk", what: "as up1m, HAProxy with buffers of 64 KiB",
			load:      load.Spec{Connections: 16, Method: "POST", Body: 1 << 20, Reply: "small"},
			accessLog: true, bulk: true,
		},
		{
			name: "p99", what: "GET, 100 bytes, 64 connections, 10,000 a second, open loop",
			load:      load.Spec{Connections: 64, Reply: "small", Rate: 10_000},
			metric:    latencyP99,
			accessLog: true, target: 1.1,
		},
		{
			name: "idle", what: "memory of an idle keep-alive connection, 4,000 of them after a request each",
			load:      load.Spec{Connections: 4_000, Reply: "small"},
			metric:    memoryPerClient,
			accessLog: true, limit: 8 << 10,
		},
	}
}

// reloadTarget is the longest a reload of reloadPools × reloadEndpoints may take.
const (
	reloadTarget    = 250 * time.Millisecond
	reloadPools     = 1000
	reloadEndpoints = 10 // of each pool
)
