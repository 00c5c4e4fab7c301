package names

import "time"

// shortest is the least time between two look-ups of a name, but where its
// interval is shorter: a time to live of nothing would be a look-up without end.
const shortest = time.Second

// pace says when a name is looked up again.
type pace struct {
	ttl      time.Duration // of the answer; 0: unknown
	failures int           // in a row
	draw     float64       // [0, 1): where between a tenth early and a tenth late
}

// wait is the time until the next look-up.
func (p pace) wait(interval time.Duration) time.Duration {
	least := min(shortest, interval)
	switch {
	case p.failures > 0:
		return p.jitter(min(interval, least<<min(p.failures-1, 30)))
	case p.ttl > 0 && p.ttl < interval:
		return max(p.jitter(p.ttl), least)
	}
	return p.jitter(interval)
}

func (p pace) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*p.draw))
}
