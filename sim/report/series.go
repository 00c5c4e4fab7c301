package report

import (
	"slices"
	"time"

	"go-loadbalancer/sim/history"
)

// series is a run in bins: what its charts show. Requests are counted when they should
// have begun, attempts when they did.
type series struct {
	axis
	keys     []key
	answers  [][]int // by key, then by bin
	attempts [][]int // likewise; none by the balancer itself, or by nobody
	errors   []int
	sheds    []int
	p50, p99 []time.Duration // -1: no request
	moves    []int
	reasons  map[string]int // of moves
}

// key is what a part of a stack stands for.
type key struct {
	Name  string
	Class string // its colour
}

const (
	maxColours = 5 // endpoints that have their own; the rest of the palette means something else
	balancer   = "the balancer itself"
	nobody     = "no answer"
)

// seriesOf counts h.
func seriesOf(h *history.Run) *series {
	s := &series{axis: axisOf(h), reasons: map[string]int{}}
	index := s.keysOf(h)
	others, itself, none := len(s.keys)-3, len(s.keys)-2, len(s.keys)-1
	of := func(endpoint string) int {
		if i, known := index[endpoint]; known {
			return i
		}
		return others
	}
	s.answers, s.attempts = make([][]int, len(s.keys)), make([][]int, len(s.keys))
	for i := range s.keys {
		s.answers[i], s.attempts[i] = make([]int, s.bins), make([]int, s.bins)
	}
	s.errors, s.sheds, s.moves = make([]int, s.bins), make([]int, s.bins), make([]int, s.bins)

	latencies := make([][]time.Duration, s.bins)
	for i := range h.Requests {
		q := &h.Requests[i]
		bin := s.bin(q.Intended)
		switch {
		case q.Status == 0:
			s.answers[none][bin]++
		case q.By == "":
			s.answers[itself][bin]++
		default:
			s.answers[of(q.By)][bin]++
		}
		switch {
		case shed(q):
			s.sheds[bin]++
		case !q.OK():
			s.errors[bin]++
		}
		latencies[bin] = append(latencies[bin], q.Latency())
	}
	for _, all := range latencies {
		slices.Sort(all)
		if len(all) == 0 {
			s.p50, s.p99 = append(s.p50, -1), append(s.p99, -1)
			continue
		}
		s.p50, s.p99 = append(s.p50, quantile(all, 0.5)), append(s.p99, quantile(all, 0.99))
	}
	for i := range h.Attempts {
		if a := &h.Attempts[i]; !a.Mirror {
			s.attempts[of(a.Endpoint)][s.bin(a.Start)]++
		}
	}
	for _, m := range h.Moves {
		s.moves[s.bin(m.At)]++
		s.reasons[m.Reason]++
	}
	return s
}

// keysOf chooses the endpoints that have a colour of their own: those that something
// happened to, and then those with the most attempts; in file order. It returns their
// indices. Three more keys follow: other endpoints, the balancer itself, and nobody.
func (s *series) keysOf(h *history.Run) map[string]int {
	weight := map[string]int{}
	for i := range h.Attempts {
		weight[h.Attempts[i].Endpoint]++
	}
	const notable = 1 << 40
	for _, f := range h.Faults {
		weight[f.On] += notable
	}
	for _, b := range h.Breakers {
		weight[b.Endpoint] |= notable / 2
	}
	for _, c := range h.Healths {
		weight[c.Endpoint] |= notable / 2
	}
	all := endpoints(h)
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b string) int { return weight[b] - weight[a] })
	order = order[:min(maxColours, len(order))]
	index := map[string]int{}
	for _, e := range all {
		if slices.Contains(order, e) {
			index[e] = len(s.keys)
			s.keys = append(s.keys, key{visible(e), "e" + string(rune('0'+len(s.keys)))})
		}
	}
	s.keys = append(s.keys, key{"other endpoints", "eo"}, key{balancer, "lb"}, key{nobody, "no"})
	return index
}

// endpoints are all of a run, in file order.
func endpoints(h *history.Run) (all []string) {
	for _, p := range h.Pools {
		for i := range p.Endpoints {
			all = append(all, endpointName(p.Name, i+1))
		}
	}
	return all
}
