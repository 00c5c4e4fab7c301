package telemetry

import (
	"slices"
	"strings"
	"time"

	"go-loadbalancer/lb/event"
)

// reloads is what became of the policies there were.
type reloads struct {
	results  [len(reloadResults)]uint64
	reasons  [len(rejectionReasons)]uint64
	newestOK bool              // the newest policy serves
	serving  *event.PolicyInfo // nil: none
	at       time.Time         // when it began to
	took     time.Duration
}

const (
	committed = iota // it serves
	restored         // the kept last good one serves instead
	rejected         // it was refused
)

var (
	reloadResults    = [...]string{committed: "committed", restored: "restored", rejected: "rejected"}
	rejectionReasons = [...]string{"unreadable", "invalid", "listen", "other"}
)

func (r *reloads) commit(c *event.Commit) {
	info := c.Policy
	for _, s := range []*string{&info.Name, &info.Version, &info.Hash, &info.Revision} {
		*s = strings.ToValidUTF8(*s, "\ufffd") // a revision may be a file name, which is just bytes; labels may not
	}
	r.serving, r.at, r.took = &info, c.At, c.Took
	if c.LastGood {
		r.results[restored]++
		r.newestOK = false
		return
	}
	r.results[committed]++
	r.newestOK = true
}

func (r *reloads) reject(e *event.Rejection) {
	r.results[rejected]++
	r.newestOK = false
	i := slices.Index(rejectionReasons[:], e.Reason)
	if i < 0 {
		i = len(rejectionReasons) - 1
	}
	r.reasons[i]++
}
