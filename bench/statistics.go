package main

import (
	"fmt"
	"math"
	"slices"
)

// summary describes a sample by its median and its spread: the quartiles, and
// their distance, the interquartile range.
type summary struct{ q1, median, q3 float64 }

// summarize returns NaNs for an empty sample.
func summarize(sample []float64) summary {
	s := slices.Sorted(slices.Values(sample))
	return summary{quantile(s, 0.25), quantile(s, 0.5), quantile(s, 0.75)}
}

func (s summary) iqr() float64 { return s.q3 - s.q1 }

// quantile interpolates linearly between the nearest ranks of a sorted sample
// (Hyndman and Fan's type 7).
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// ratios divides round by round, so that what slows a whole round down slows
// both. Rounds where either is missing (NaN) are left out.
func ratios(values, reference []float64) []float64 {
	var r []float64
	for i := range min(len(values), len(reference)) {
		if q := values[i] / reference[i]; !math.IsNaN(q) {
			r = append(r, q)
		}
	}
	return r
}

// verdict is what a sample says about a bound.
type verdict string

const (
	below     verdict = "below"
	above     verdict = "above"
	noVerdict verdict = "no verdict"
)

// doubt is the most that is left of it when there is a verdict: the probability that
// rounds as one-sided as these come of a median that is at the bound.
const doubt = 0.05

// judge says on which side of a bound the median is that rounds without end would have, by
// the sign test (Dixon and Mood, "The statistical sign test", 1946): of a median at the
// bound, each round is above it or not as a coin falls. So the fewest rounds that have a
// verdict are five, all on one side.
func judge(sample []float64, bound float64) verdict {
	over := 0
	for _, v := range sample {
		if v > bound {
			over++
		}
	}
	n := len(sample)
	few, ways := min(over, n-over), 0.0
	for k, choose := 0, 1.0; k <= few; k++ {
		ways += choose
		choose *= float64(n-k) / float64(k+1)
	}
	switch {
	case ways/math.Exp2(float64(n)) > doubt:
		return noVerdict
	case over > few:
		return above
	default:
		return below
	}
}

// against says a target and whether it was met.
func against(sample []float64, target float64, format string) string {
	met := map[verdict]string{below: "met", above: "MISSED", noVerdict: "no verdict"}
	return fmt.Sprintf("≤ "+format+": %s", target, met[judge(sample, target)])
}

// atLeast is against for what more is better of.
func atLeast(sample []float64, target float64, format string) string {
	met := map[verdict]string{below: "MISSED", above: "met", noVerdict: "no verdict"}
	return fmt.Sprintf("≥ "+format+": %s", target, met[judge(sample, target)])
}
