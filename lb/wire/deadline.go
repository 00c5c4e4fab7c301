package wire

import "time"

// deadline is a timeout for each of many operations, armed in a window instead
// of at a point: moving a timer costs more than most requests can spare, and
// nobody needs thirty seconds to the millisecond.
type deadline struct {
	least, most time.Duration // 0: no bound
	by          time.Duration // in force, since the connection's epoch; none or unknown
	end         time.Duration // since the epoch: no wait goes beyond it, but for the shortest; none: any may
	shortest    time.Duration
	asked       time.Duration // when it was last looked at, since the epoch
}

const (
	none    time.Duration = 0
	unknown time.Duration = -1
)

func (d *deadline) within(least, most time.Duration) {
	d.least, d.most = min(least, ages), min(most, ages)
}

// ages is as good as no bound, and small enough to be added to.
const ages = 1 << 61 * time.Nanosecond

// arm returns the deadline to set, if the one in force will not do.
func (d *deadline) arm(epoch time.Time) (by time.Time, move bool) {
	if d.least <= 0 {
		if d.by == none {
			return time.Time{}, false
		}
		d.by = none
		return time.Time{}, true
	}
	now := time.Since(epoch)
	d.asked = now
	least, most := d.least, d.most
	if d.end != none {
		left := max(d.end-now, d.shortest)
		least, most = min(least, left), min(most, left)
	}
	if d.by >= now+least && d.by <= now+most {
		return time.Time{}, false
	}
	d.by = now + most
	return epoch.Add(d.by), true
}

// late is the latest a deadline asked for after d may be.
func late(d time.Duration) time.Duration { return min(d, ages) + min(d/20, time.Second) }
