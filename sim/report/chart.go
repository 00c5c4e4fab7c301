package report

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A chart's paths are in units of its own: bins across, and unitsHigh down, stretched
// to what room there is.
const unitsHigh = 100

// chart is a lane that is drawn of paths.
type chart struct {
	ViewBox string
	Top     string // what its upper edge means
	Paths   []path
	Lines   []gridline
	Keys    []key
}

// path is one of a chart; Line: it is not filled.
type path struct {
	D     string
	Class string
	Line  bool
}

// gridline is a value of a chart's axis that is marked; Y in percent from above.
type gridline struct{ Y, Text string }

// stack draws series above each other. The last is drawn first, up to the sum of all,
// and the others over it, so each needs its upper edge only.
func (a axis) stack(keys []key, of [][]int) *chart {
	sums := make([]int, a.bins)
	most := 0
	edges := make([][]int, len(of))
	for i, s := range of {
		edges[i] = make([]int, a.bins)
		for bin, n := range s {
			sums[bin] += n
			edges[i][bin] = sums[bin]
			most = max(most, sums[bin])
		}
	}
	c := &chart{ViewBox: a.viewBox(), Top: a.rate(most)}
	for i := len(of) - 1; i >= 0; i-- {
		if total(of[i]) > 0 {
			c.Paths = append(c.Paths, path{D: steps2path(edges[i], most), Class: keys[i].Class})
		}
	}
	for i, k := range keys {
		if total(of[i]) > 0 {
			c.Keys = append(c.Keys, k)
		}
	}
	return c
}

func total(s []int) (n int) {
	for _, v := range s {
		n += v
	}
	return n
}

func (a axis) viewBox() string { return "0 0 " + x(a.span()) + " " + strconv.Itoa(unitsHigh) }

// rate is n events of a bin, a second.
func (a axis) rate(n int) string {
	return strconv.FormatFloat(float64(n)/a.width.Seconds(), 'g', 3, 64) + " a second"
}

// steps2path is the area below values, of which most reaches the top.
func steps2path(values []int, most int) string {
	var b strings.Builder
	b.WriteString("M0 " + strconv.Itoa(unitsHigh))
	height, run := 0, 0
	flush := func() {
		if run > 0 {
			b.WriteString("h" + strconv.Itoa(run))
			run = 0
		}
	}
	for _, v := range values {
		h := int(math.Round(unitsHigh * float64(v) / float64(max(most, 1))))
		if v > 0 && h == 0 {
			h = 1 // it is there, so it is seen
		}
		if h != height {
			flush()
			b.WriteString("v" + strconv.Itoa(height-h))
			height = h
		}
		run++
	}
	flush()
	b.WriteString("V" + strconv.Itoa(unitsHigh) + "z")
	return b.String()
}

// latency draws p50 and p99 on a logarithmic axis of whole powers of ten.
func (s *series) latency() *chart {
	least, most := time.Duration(math.MaxInt64), time.Duration(0)
	for i := range s.p99 {
		if s.p99[i] >= 0 {
			least, most = min(least, max(s.p50[i], time.Microsecond)), max(most, s.p99[i])
		}
	}
	if most == 0 {
		least, most = time.Millisecond, time.Millisecond
	}
	low := math.Floor(math.Log10(float64(least)))
	high := math.Max(math.Ceil(math.Log10(float64(most))), low+1)
	y := func(d time.Duration) int {
		return int(math.Round(unitsHigh * (high - math.Log10(float64(max(d, least)))) / (high - low)))
	}
	c := &chart{ViewBox: s.viewBox(), Keys: []key{{"p99", "p99"}, {"p50", "p50"}}}
	for _, line := range []struct {
		class  string
		values []time.Duration
	}{{"p99", s.p99}, {"p50", s.p50}} {
		c.Paths = append(c.Paths, path{D: linePath(line.values, y), Class: line.class, Line: true})
	}
	for e := low; e <= high; e++ {
		c.Lines = append(c.Lines, gridline{x(100 * (high - e) / (high - low)), instant(time.Duration(math.Pow(10, e)))})
	}
	return c
}

// linePath joins values that follow one another, each in the middle of its bin; those
// below 0 are gaps.
func linePath(values []time.Duration, y func(time.Duration) int) string {
	var b strings.Builder
	gap := true
	for i, v := range values {
		if v < 0 {
			gap = true
			continue
		}
		if gap {
			b.WriteString("M" + strconv.Itoa(i) + " " + strconv.Itoa(y(v)) + "h1")
		} else {
			b.WriteString("L" + strconv.Itoa(i) + " " + strconv.Itoa(y(v)) + "h1")
		}
		gap = false
	}
	return b.String()
}
