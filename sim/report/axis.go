package report

import (
	"strconv"
	"time"

	"go-loadbalancer/sim/history"
)

const (
	maxBins = 300 // of a run: what a page can show, and what bounds its size
	minBins = 60
	perBin  = 20 // requests that a bin should have, so that it says something
	maxTick = 8
)

// axis is the time that all charts of a run share, cut into bins of equal width.
type axis struct {
	end   time.Duration
	width time.Duration // of a bin
	bins  int
}

// steps are widths that people reckon in.
var steps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// step returns the least of the steps of which at most n make up d.
func step(d time.Duration, n int) time.Duration {
	for _, s := range steps {
		if d <= s*time.Duration(n) {
			return s
		}
	}
	return (d + time.Duration(n) - 1) / time.Duration(n)
}

// axisOf is long enough for the scenario and for what came after its end, as far as
// that is no more than a quarter of it.
func axisOf(h *history.Run) axis {
	end := h.Duration
	for i := range h.Requests {
		end = max(end, h.Requests[i].End)
	}
	if h.Duration > 0 {
		end = min(end, h.Duration+h.Duration/4)
	}
	end = max(end, time.Millisecond)
	width := step(end, min(max(len(h.Requests)/perBin, minBins), maxBins))
	return axis{end: end, width: width, bins: int((end + width - 1) / width)}
}

// bin is the one that t is in; what is outside goes to the first or the last.
func (a axis) bin(t time.Duration) int {
	return int(min(max(t/a.width, 0), time.Duration(a.bins-1)))
}

// span is the axis in bins: a little less than all of them, where the last one is cut.
func (a axis) span() float64 { return float64(a.end) / float64(a.width) }

// at is where t is, in percent of the axis.
func (a axis) at(t time.Duration) float64 {
	return 100 * float64(min(max(t, 0), a.end)) / float64(a.end)
}

// tick is a mark of the axis.
type tick struct {
	X, Text string
	Anchor  string // how the text lies by it, where it would leave the page
}

func (a axis) ticks() (all []tick) {
	every := step(a.end, maxTick)
	for t := time.Duration(0); t <= a.end; t += every {
		k := tick{X: x(a.at(t)), Text: instant(t)}
		switch at := a.at(t); {
		case at < 2:
			k.Anchor = "start"
		case at > 98:
			k.Anchor = "end"
		}
		all = append(all, k)
	}
	return all
}

// x is a coordinate: two digits are a tenth of a pixel.
func x(v float64) string { return strconv.FormatFloat(v, 'f', -1, 32) }
