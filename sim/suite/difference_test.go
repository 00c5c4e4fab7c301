package suite

import (
	"testing"
	"time"

	"go-loadbalancer/sim/history"
)

// Runs that differ are told apart by the first thing that does.
func TestDifference(t *testing.T) {
	base := func() *history.Run {
		return &history.Run{Seed: 1, Requests: []history.Request{{ID: "a"}, {ID: "b"}}, Metrics: map[string]map[string]float64{"lb/1": {"lb_x": 1}}}
	}
	for _, tt := range []struct {
		change func(*history.Run)
		want   string
	}{
		{func(*history.Run) {}, "nothing"},
		{func(r *history.Run) { r.Behind = time.Second }, "behind: 0s, then 1s"},
		{func(r *history.Run) { r.Requests = r.Requests[:1] }, "requests: 2, then 1"},
		{func(r *history.Run) { r.Metrics["lb/1"]["lb_x"] = 2 }, "metrics"},
		{func(r *history.Run) { r.Notes = []history.Note{{Text: "x"}} }, "notes: 0, then 1"},
	} {
		changed := base()
		tt.change(changed)
		if got := difference(base(), changed); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
