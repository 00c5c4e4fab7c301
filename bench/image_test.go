package main

import (
	"errors"
	"strings"
	"testing"
)

func TestReportOfImage(t *testing.T) {
	mib := func(values ...float64) []float64 {
		for i := range values {
			values[i] *= 1 << 20
		}
		return values
	}
	var r report
	r.image(&contained{
		started: []float64{0.030, 0.035, 0.040, 0.045, 0.050}, told: []float64{0.2, 0.2, 0.2, 0.2, 0.2},
		rest:   memory{mib(6, 6, 6, 6, 6), mib(20, 20, 20, 20, 20)},
		before: memory{workingSet: mib(6, 6, 6, 6, 6)}, idle: memory{mib(126, 126, 126, 126, 126), mib(130, 130, 130, 130, 130)}, clients: 5000,
	}, nil)
	text := r.markdown(conditions{})
	for _, want := range []string{
		"| 40.0 (10.0) ms | 50.0 ms | ≤ 150 ms: met |",
		"| `rest`: working set | 6.0 (0.0) MiB | 6.0 MiB | ≤ 25 MiB: met |",
		"`idle10k`, 5000 clients: working set | 126.0 (0.0) MiB | 126.0 MiB |  |",
		"by that for 10000 | 246.0 (0.0) MiB | 246.0 MiB | ≤ 120 MiB: MISSED |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if r.invalid {
		t.Error("invalid")
	}
}

// Without Docker the report says so, and the run does not pass for one of everything.
func TestReportOfNoImage(t *testing.T) {
	var r report
	r.image(nil, errors.New("no Docker Engine answers"))
	if text := r.markdown(conditions{}); !r.invalid || !strings.Contains(text, "**NOT MEASURED: the container image:** no Docker Engine answers") {
		t.Error(text)
	}
}
