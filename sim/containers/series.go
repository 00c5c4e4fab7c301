//go:build !image

package containers

import (
	"fmt"
	"strconv"
	"strings"
)

// seriesOf are the balancer's own series of a page of metrics (the Prometheus text
// format), with the scenario's addresses; of histograms sum and count.
func seriesOf(page string, b *book) map[string]float64 {
	series := map[string]float64{}
	for line := range strings.Lines(page) {
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || !strings.HasPrefix(line, "lb_") || strings.HasPrefix(line, "lb_build_info") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
		if err != nil || strings.Contains(line[:i], "_bucket{") {
			continue
		}
		name := line[:i]
		for _, label := range []string{`endpoint="`, `hash="`} {
			before, rest, ok := strings.Cut(name, label)
			if !ok {
				continue
			}
			if real, after, ok := strings.Cut(rest, `"`); ok {
				name = before + label + b.hash(b.place(real)) + `"` + after
			}
		}
		series[name] = value
	}
	return series
}

// underWay is what the series say is not over.
func underWay(series map[string]float64) (what []string) {
	for name, value := range series {
		if value != 0 && (strings.HasPrefix(name, "lb_requests_in_flight") || strings.HasPrefix(name, "lb_upstream_in_flight") ||
			strings.HasPrefix(name, "lb_queue_depth")) {
			what = append(what, fmt.Sprintf("%s is %v", name, value))
		}
	}
	return what
}
