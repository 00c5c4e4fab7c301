package expect

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/event"
)

// overtime is by how much a request may miss its deadline.
const overtime = 100 * time.Millisecond

func exactlyOnce(x *index, v *violations) {
	turned := map[string]int{} // requests that found the door closed, by replica
	for i := range x.Requests {
		r := &x.Requests[i]
		switch {
		case x.byID[r.ID] != int32(i):
			v.add(r.Start, r.ID, "two requests have the id %s", r.ID)
		case r.Unsent && r.Ends == 0:
			// Nobody but its client knows which request it was.
		case r.Ends > 1:
			v.add(r.End, r.ID, "the balancer said %d times that it ended", r.Ends)
		case r.Ends == 0 && (r.Replica == "" || !slices.Contains(x.replicas, r.Replica)):
			if r.Status != 0 || x.tries[i] >= 0 {
				v.add(r.End, r.ID, "it was answered or tried, and never ended, at no replica that is known")
			}
		case r.Ends == 0 && r.First && r.Status == 0 && x.tries[i] < 0 && (r.Err == "closed" || r.Err == "reset") && turned[r.Replica] < x.turnedAway(r.Replica):
			turned[r.Replica]++
		case r.Ends == 0 && x.upAll(r.Replica, r.Start, r.End):
			v.add(r.End, r.ID, "%s was up all the time and never said that it ended; its client was told: %s", r.Replica, cmp.Or(r.Err, "all is well"))
		}
	}
}

// turnedAway is how many connections a replica has closed unread, since there were too
// many: whoever asked on one of them was never a request of the balancer's. What one
// that ended meanwhile counted is not known.
func (x *index) turnedAway(replica string) int {
	if !x.upAll(replica, 0, x.Duration) {
		return math.MaxInt
	}
	n := 0.0
	for text, counted := range x.Run.Metrics[replica] {
		s := sorted(text)
		family, _, _ := strings.Cut(string(s), "{")
		reason := event.CloseReason(s.label("reason"))
		if family == "lb_client_connections_closed_total" && (reason == event.ClosedOverLimit || reason == event.ClosedCrowded) {
			n += counted
		}
	}
	return int(n)
}

func deadline(x *index, v *violations) {
	for i := range x.Requests {
		if r := &x.Requests[i]; r.Deadline > 0 && r.End > r.Deadline+overtime {
			v.add(r.End, r.ID, "it ended %s after its deadline", brief(r.End-r.Deadline))
		}
	}
}

func cleanSuccess(x *index, v *violations) {
	for i := range x.Requests {
		if r := &x.Requests[i]; r.LooksWhole && !r.Whole && !r.CloseDelimited {
			v.add(r.End, r.ID, "the answer %d of %s is broken, and looks whole", r.Status, r.By)
		}
	}
}

func retryAfter(x *index, v *violations) {
	for i := range x.Requests {
		r := &x.Requests[i]
		if !shed(r) {
			continue
		}
		if n, err := strconv.Atoi(r.RetryAfter); err != nil || n < 1 {
			v.add(r.End, r.ID, "it was refused by a 503 with Retry-After: %s, which is no time to come again", quote(r.RetryAfter))
		}
	}
}
