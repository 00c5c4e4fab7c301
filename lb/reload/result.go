package reload

import (
	"strings"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
)

// Outcome says how a reload ended.
type Outcome string

const (
	Unchanged Outcome = "unchanged" // the source holds what serves already
	Committed Outcome = "committed" // a new policy serves
	Rejected  Outcome = "rejected"  // the source's policy was refused; what served goes on
	Canceled  Outcome = "canceled"  // the caller's context ended first; nothing was changed
)

// Result is how a reload ended.
type Result struct {
	Outcome Outcome
	Hash    string // of what the source holds; empty if that could not be read
	Err     error  // why it was rejected or canceled; all diagnostics included
	Took    time.Duration
}

// Reason says at which step a policy was refused. Its values label a metric.
type Reason string

const (
	Unreadable Reason = "unreadable" // the source could not be read
	Invalid    Reason = "invalid"    // the policy has errors
	Listen     Reason = "listen"     // preparing failed: a listener could not be opened
)

// Failure is why the source's policy is not the one that serves.
type Failure struct {
	At       time.Time // when it was first found
	Hash     string    // empty if the files could not be read
	Revision string
	Reason   Reason
	Err      error // printable, all diagnostics included
}

// InvalidError is a policy's own errors, with its warnings.
type InvalidError struct{ Diagnostics policy.Diagnostics }

// Error prints every diagnostic with its source line and caret.
func (e *InvalidError) Error() string {
	return strings.TrimSuffix(e.Diagnostics.String(), "\n")
}

// Serving is the policy that serves.
type Serving struct {
	event.PolicyInfo
	LoadedAt time.Time
	// LastGood is true while it was restored from where the last good policy is
	// kept, and the source has not held it since.
	LastGood bool
	// Changes is what putting it to use did to the endpoints.
	Changes pool.Changes
}

// identity is what a policy is known by.
type identity struct{ hash, revision string }

func identify(b Bundle) identity {
	return identity{policy.Files(b.Files).Hash(), b.Revision}
}
