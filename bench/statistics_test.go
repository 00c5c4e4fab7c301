package main

import (
	"math"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		name   string
		sample []float64
		want   summary
	}{
		{"one", []float64{7}, summary{7, 7, 7}},
		{"two", []float64{4, 2}, summary{2.5, 3, 3.5}},
		{"odd, unsorted", []float64{5, 1, 4, 2, 3}, summary{2, 3, 4}},
		{"even", []float64{1, 2, 3, 4}, summary{1.75, 2.5, 3.25}},
		{"an outlier moves nothing", []float64{1, 2, 3, 4, 1000}, summary{2, 3, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			given := slices.Clone(c.sample)
			if got := summarize(c.sample); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if !slices.Equal(given, c.sample) {
				t.Errorf("the sample was changed to %v", c.sample)
			}
		})
	}
	if got := summarize(nil); !math.IsNaN(got.median) {
		t.Errorf("of nothing: %v, want NaN", got)
	}
}

func TestRatios(t *testing.T) {
	nan := math.NaN()
	got := ratios([]float64{1, 2, nan, 8, 9}, []float64{2, 1, 1, nan})
	if want := []float64{0.5, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: rounds missing on either side are left out", got, want)
	}
	if got := ratios([]float64{1}, nil); got != nil {
		t.Errorf("without a reference: %v, want none", got)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		sample []float64
		bound  float64
		want   verdict
	}{
		{"all below", []float64{0.80, 0.81, 0.82, 0.99, 0.98}, 1, below},
		{"all above", []float64{1.20, 1.21, 1.22, 1.01, 1.02}, 1, above},
		{"one of six on the other side", []float64{0.90, 0.98, 0.91, 0.92, 0.93, 1.01}, 1, noVerdict},
		{"one of eight on the other side", []float64{1.90, 1.98, 1.91, 1.92, 1.93, 0.9, 2, 2}, 1, above},
		{"ten of thirty-one on the other side", append(slices.Repeat([]float64{0.9}, 21), slices.Repeat([]float64{5}, 10)...), 1, below},
		{"eleven of thirty-one on the other side", append(slices.Repeat([]float64{0.9}, 20), slices.Repeat([]float64{5}, 11)...), 1, noVerdict},
		{"exactly there", []float64{1, 1, 1, 1, 1}, 1, below},
		{"too few", []float64{0.5, 0.5, 0.5, 0.5}, 1, noVerdict},
		{"none", nil, 1, noVerdict},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(c.sample, c.bound); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	r := row{target: 0.93}
	if got, want := r.targets(nil, []float64{0.95, 0.96, 0.97, 0.95, 0.96}), "≤ 0.93: MISSED"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r = row{limit: 8 << 10}
	if got, want := r.targets([]float64{4096, 4100, 4104, 4096, 4096}, nil), "≤ 8 KiB: met"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
