package storytest

import (
	"context"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
)

const (
	inTime = time.Second // from a breaker's opening to its being seen
	rounds = 4           // openings more than the story's, if none of them can be judged
	busy   = 200 * time.Millisecond
)

// clock notes when this process had no time for anything.
type clock struct {
	mu   sync.Mutex
	gaps [][2]time.Time
}

func watchClock(t *testing.T) *clock {
	c := new(clock)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		last := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			now := time.Now()
			if now.Sub(last) > 150*time.Millisecond {
				c.mu.Lock()
				c.gaps = append(c.gaps, [2]time.Time{last, now})
				c.mu.Unlock()
			}
			last = now
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return c
}

func (c *clock) stalled(from, to time.Time) (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.gaps {
		sum += overlap(from, to, g[0], g[1])
	}
	return sum
}

// seenInTime sees that an opening is shown within a second: from the time that the breaker
// itself gives for it to the page's, when its document changed. Both clocks are the
// machine's. A machine that had no time proves nothing: an opening during which the page's
// timer or this process's stood still for 200 ms in all is not judged, and if that is so of
// all the story's, there are more, until one is. It returns how the breaker changed meanwhile.
func (s *shop) seenInTime(p *page, watch *clock, broken *server, openings ...event.BreakerChange) (changes []event.BreakerChange) {
	t := s.t
	t.Helper()
	for round := 0; ; round++ {
		var shown []time.Time
		for _, m := range p.markers() {
			if m.Text == "[CB: OPEN]" {
				shown = append(shown, time.UnixMilli(m.At))
			}
		}
		judged := 0
		for i, e := range openings {
			at := e.At.Round(0).Truncate(time.Millisecond)
			took := shown[i].Sub(at)
			page, process := p.stalled(at, shown[i]), watch.stalled(at, shown[i])
			t.Logf("an opening is seen after %v; meanwhile the page stood still for %v, and this process for %v", took, page, process)
			switch {
			case took < 0:
				t.Errorf("an opening is seen %v before it was", -took)
			case page+process > busy:
				continue
			case took > inTime:
				t.Errorf("an opening is seen after %v, and the machine had time: within %v is wanted", took, inTime)
			}
			judged++
		}
		if judged > 0 {
			return changes
		}
		if round == rounds {
			t.Errorf("this machine had no time during any of %d openings: there is no verdict", len(openings))
			return changes
		}
		broken.does(`{"respond": {"status": 503}, "health": "pass"}`)
		opened := s.change(broken, event.BreakerOpen, "consecutive_failures")
		openings = append(openings, opened)
		p.shows("[CB: OPEN]", len(openings))
		broken.does("")
		half := s.change(broken, event.BreakerHalfOpen, "open_elapsed")
		closed := s.change(broken, event.BreakerClosed, "probes_succeeded")
		p.shows("[CB: CLOSED]", round+3)
		changes = append(changes, opened, half, closed)
	}
}
