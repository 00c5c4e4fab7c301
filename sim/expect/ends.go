package expect

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// overtime is by how much a request may miss its deadline.
const overtime = 100 * time.Millisecond

func exactlyOnce(x *index, v *violations) {
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
		case r.Ends == 0 && x.upAll(r.Replica, r.Start, r.End):
			v.add(r.End, r.ID, "%s was up all the time and never said that it ended; its client was told: %s", r.Replica, cmp.Or(r.Err, "all is well"))
		}
	}
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
