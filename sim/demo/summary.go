package demo

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"
)

// maxShares is how many endpoints of a pool a summary shows.
const maxShares = 8

// summarise says at intervals what came of the requests and who answered them,
// until ctx is done.
func summarise(ctx context.Context, out *log.Logger, every time.Duration, t *traffic, c *cast) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	before := t.total()
	served := count(c)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, nowServed := t.total(), count(c)
		line := fmt.Sprintf("  %d requests, %d errors", now.requests-before.requests, now.errors-before.errors)
		if missed := now.missed - before.missed; missed > 0 {
			line += fmt.Sprintf(", %d not made: too many were waiting", missed)
		}
		out.Print(line + " | " + shares(c, served, nowServed))
		before, served = now, nowServed
	}
}

// count returns the requests each endpoint got so far.
func count(c *cast) map[string]uint64 {
	n := make(map[string]uint64)
	for _, pool := range c.pools() {
		for _, r := range pool.roles {
			n[r.id] = r.Requests()
		}
	}
	return n
}

// shares says how the requests of each pool were spread, in file order.
func shares(c *cast, before, now map[string]uint64) string {
	var pools []string
	for _, pool := range c.pools() {
		var sum uint64
		got := make([]uint64, len(pool.roles))
		for i, r := range pool.roles {
			if n := now[r.id]; n > before[r.id] {
				got[i] = n - before[r.id]
			}
			sum += got[i]
		}
		var b strings.Builder
		b.WriteString(pool.name)
		for i, n := range got {
			if i == maxShares {
				fmt.Fprintf(&b, " and %d more", len(got)-i)
				break
			}
			fmt.Fprintf(&b, " %d%%", (200*n+sum)/max(1, 2*sum)) // rounded
		}
		pools = append(pools, b.String())
	}
	return strings.Join(pools, ", ")
}
