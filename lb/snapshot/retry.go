package snapshot

import (
	"slices"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Retry is which failed tries of a route are made again.
type Retry struct {
	Attempts int           // after the first try, at least 1
	Codes    pool.Statuses // statuses that are tried again
	Backoff  time.Duration // base of the pause

	methods []string
}

// newRetry returns nil where nothing is tried again.
func newRetry(r *policy.Retry) *Retry {
	if r == nil || r.Attempts == 0 {
		return nil
	}
	return &Retry{Attempts: r.Attempts, Codes: pool.NewStatuses(r.Codes), Backoff: r.Backoff, methods: r.Methods}
}

// Method reports whether requests of a method may be sent twice: those that the
// policy names, or else the idempotent ones. r may be nil.
func (r *Retry) Method(method []byte) bool {
	if r == nil || len(r.methods) == 0 {
		return idempotent(method)
	}
	return slices.ContainsFunc(r.methods, func(m string) bool { return m == string(method) })
}

// idempotent reports whether a method means the same done twice (RFC 9110 section
// 9.2.2).
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
