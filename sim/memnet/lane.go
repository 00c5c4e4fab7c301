package memnet

import "time"

// quantum is how far the instants of one lane are apart. There are as many lanes as it
// has nanoseconds; when they are used up they are used again.
const quantum = 1 << 15

// lane is a remainder of instants.
type lane int64

// instant is the first of the lane's instants that is not before t. Both count from the
// network's beginning, in nanoseconds.
func (l lane) instant(t int64) int64 {
	wait := (int64(l) - t) % quantum
	if wait < 0 {
		wait += quantum
	}
	return t + wait
}

// lanes takes so many of them.
func (n *Network) lanes(count int64) lane { return lane(n.taken.Add(count) - count) }

// now is the time since the network's beginning.
func (n *Network) now() int64 { return int64(time.Since(n.epoch)) }

// Clock is a lane for somebody who is no connection: what generates load, say. It is of
// one goroutine.
type Clock struct {
	net  *Network
	lane lane
}

// Clock returns a new clock.
func (n *Network) Clock() *Clock { return &Clock{n, n.lanes(1)} }

// Sleep sleeps for d and a little: less than 33 µs, until an instant at which nobody
// else wakes.
func (c *Clock) Sleep(d time.Duration) { c.net.sleep(c.lane, d) }

// Round is the first such instant that is not before t.
func (c *Clock) Round(t time.Time) time.Time {
	return c.net.epoch.Add(time.Duration(c.lane.instant(int64(t.Sub(c.net.epoch)))))
}

func (n *Network) sleep(l lane, d time.Duration) {
	now := n.now()
	time.Sleep(time.Duration(l.instant(now+max(int64(d), 1)) - now))
}
