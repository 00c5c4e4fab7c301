package expect_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
)

// brute evaluates by the definitions alone, at every nanosecond there is.
type brute struct{ *history.Run }

type tri int

const (
	says tri = iota // true
	denies
	silent
)

func when(b bool) tri {
	if b {
		return says
	}
	return denies
}

func (b brute) requests(x, w time.Duration, f func(*history.Request)) {
	for i := range b.Requests {
		if r := &b.Requests[i]; r.Intended > x-w && r.Intended <= x {
			f(r)
		}
	}
}

func (b brute) success(x, w time.Duration) (float64, bool) {
	n, good := 0, 0
	b.requests(x, w, func(r *history.Request) {
		n++
		if r.OK() {
			good++
		}
	})
	return float64(good) / float64(n), n >= 20
}

func (b brute) latency(q float64, x, w time.Duration) (time.Duration, bool) {
	var all []time.Duration
	b.requests(x, w, func(r *history.Request) { all = append(all, r.End-r.Intended) })
	if len(all) < 20 {
		return 0, false
	}
	slices.Sort(all)
	return all[int(math.Ceil(q*float64(len(all))))-1], true
}

func (b brute) share(e string, x, w time.Duration) (float64, bool) {
	n, its := 0, 0
	for _, a := range b.Attempts {
		if a.Start > x-w && a.Start <= x && !a.Probe && !a.Mirror && a.Pool == "cart" {
			n++
			if a.Endpoint == e {
				its++
			}
		}
	}
	return float64(its) / float64(n), n >= 20
}

func (b brute) amplification(x, w time.Duration) (float64, bool) {
	n, first := 0, 0
	for _, a := range b.Attempts {
		if a.Start > x-w && a.Start <= x && !a.Mirror {
			n++
			if a.Number == 1 {
				first++
			}
		}
	}
	return float64(n) / float64(first), first >= 20
}

func (b brute) goodput(x, w time.Duration) float64 {
	n := 0
	for _, r := range b.Requests {
		if r.End > x-w && r.End <= x && r.OK() {
			n++
		}
	}
	return float64(n) / w.Seconds()
}

func (b brute) load(x, w time.Duration) (most float64, ok bool) {
	for i, a := range b.Attempts {
		if a.Start <= x-w || a.Start > x || a.Endpoint != "cart/1" || a.Mirror {
			continue
		}
		there, all := 0.0, 1.0
		for k, o := range b.Attempts {
			if o.Replica == a.Replica && o.Pool == "cart" && !o.Mirror && o.End > a.Start && (o.Start < a.Start || o.Start == a.Start && k < i) {
				all++
				if o.Endpoint == "cart/1" {
					there++
				}
			}
		}
		most, ok = max(most, there/(all/2)), true
	}
	return most, ok
}

func (b brute) inFlight(replica string, x time.Duration) (n int) {
	for _, a := range b.Attempts {
		if a.Replica == replica && a.Endpoint == "cart/1" && !a.Mirror && a.Start <= x && a.End > x {
			n++
		}
	}
	return n
}

func (b brute) open(replica string, x time.Duration) bool {
	state := "closed"
	for _, t := range b.Breakers {
		if t.Replica == replica && t.Endpoint == "cart/1" && t.At <= x {
			state = t.To
		}
	}
	return state == "open"
}

// expression is a way of asking for the same of both.
type expression struct {
	that   string
	window time.Duration
	at     func(b brute, x time.Duration) tri
}

func expressions(rnd *rand.Rand) []expression {
	w, v := time.Duration(rnd.IntN(60)+1), time.Duration(rnd.IntN(60)+1)
	least, q := float64(rnd.IntN(21))/20, []float64{0.5, 0.9, 0.99, 1}[rnd.IntN(4)]
	limit := time.Duration(rnd.IntN(30))
	speed := float64(rnd.IntN(int(w))) / w.Seconds()
	ratio := func(v float64, ok bool, is func(float64) bool) tri {
		if !ok {
			return silent
		}
		return when(is(v))
	}
	success := func(b brute, x time.Duration) tri {
		s, ok := b.success(x, w)
		return ratio(s, ok, func(s float64) bool { return s >= least })
	}
	share := func(b brute, x time.Duration) tri {
		s, ok := b.share("cart/1", x, v)
		return ratio(s, ok, func(s float64) bool { return s <= least })
	}
	isOpen := func(b brute, x time.Duration) tri { return when(b.open("lb/1", x) && b.open("lb/2", x)) }
	few := rnd.IntN(4)
	return []expression{
		{fmt.Sprintf(`load("cart/1", "%dns") <= %g`, w, 2*least), w, func(b brute, x time.Duration) tri {
			l, ok := b.load(x, w)
			return ratio(l, ok, func(l float64) bool { return l <= 2*least })
		}},
		{fmt.Sprintf(`in_flight("cart/1") <= %d`, few), 0, func(b brute, x time.Duration) tri {
			return when(b.inFlight("lb/1", x) <= few && b.inFlight("lb/2", x) <= few)
		}},
		{fmt.Sprintf(`success("%dns") >= %g`, w, least), w, success},
		{fmt.Sprintf(`share("cart/1", "%dns") <= %g`, v, least), v, share},
		{fmt.Sprintf(`latency(%.2f, "%dns") <= duration("%dns")`, q, w, limit), w, func(b brute, x time.Duration) tri {
			l, ok := b.latency(q, x, w)
			if !ok {
				return silent
			}
			return when(l <= limit)
		}},
		{fmt.Sprintf(`amplification("%dns") <= %g`, w, 1+least), w, func(b brute, x time.Duration) tri {
			a, ok := b.amplification(x, w)
			return ratio(a, ok, func(a float64) bool { return a <= 1+least })
		}},
		{fmt.Sprintf(`goodput("%dns") >= %g`, w, speed), w, func(b brute, x time.Duration) tri { return when(b.goodput(x, w) >= speed) }},
		{`breaker("cart/1") == "open"`, 0, isOpen},
		{fmt.Sprintf(`success("%dns") >= %g && share("cart/1", "%dns") <= %g`, w, least, v, least), max(v, w), func(b brute, x time.Duration) tri {
			s, h := success(b, x), share(b, x)
			switch {
			case s == denies || h == denies:
				return denies
			case s == silent || h == silent:
				return silent
			}
			return says
		}},
		{fmt.Sprintf(`success("%dns") >= %g || breaker("cart/1") == "open"`, w, least), w, func(b brute, x time.Duration) tri {
			// Of each replica by itself.
			all := silent
			for _, replica := range []string{"lb/1", "lb/2"} {
				one := success(b, x)
				if b.open(replica, x) {
					one = says
				}
				switch {
				case one == denies:
					return denies
				case one == says:
					all = says
				}
			}
			return all
		}},
	}
}

// judge is what an operator makes of it; at is the first violating instant, or -1.
func (b brute) judge(e scenario.Expectation, of expression, from, to time.Duration) (held, vacuous bool, at time.Duration) {
	judged := false
	seen := func(x time.Duration) tri {
		t := of.at(b, x)
		judged = judged || t != silent
		return t
	}
	first := from + max(of.window, 1) - 1
	switch e.Operator {
	case scenario.At:
		t := seen(from)
		return t == says, t == silent, -1
	case scenario.Sometimes:
		for x := first; x < to; x++ {
			if seen(x) == says {
				return true, false, -1
			}
		}
		return false, !judged, -1
	case scenario.Within:
		for x := first; x <= from+e.Within && x < to; x++ {
			if seen(x) != says || x+max(e.Hold, 1) > to {
				continue
			}
			unbroken := true
			for y := x; y < x+e.Hold; y++ {
				unbroken = unbroken && seen(y) != denies
			}
			if unbroken {
				return true, false, -1
			}
		}
		return false, !judged, -1
	}
	type share struct{ judged, all int }
	var all, fault share
	at = -1
	for x := first; x < to; x++ {
		t := seen(x)
		if t == denies && at < 0 {
			at = x
		}
		for _, s := range []*share{&all, &fault} {
			if f := b.Faults[0]; s == &fault && (x < f.Start+max(of.window, 1)-1 || x >= f.End) {
				continue
			}
			if s.all++; t != silent {
				s.judged++
			}
		}
	}
	if at >= 0 {
		return false, false, at
	}
	vacuous = all.judged == 0 || !strings.Contains(of.that, "breaker") && !strings.Contains(of.that, "load(") && (2*all.judged < all.all || fault.all > 0 && fault.judged == 0)
	return !vacuous, vacuous, -1
}

// untrue are the instants of [from, to) at which it is denied.
func (b brute) untrue(of expression, from, to time.Duration) (spans []expect.Span) {
	for x := from + max(of.window, 1) - 1; x < to; x++ {
		switch n := len(spans); {
		case of.at(b, x) != denies:
		case n > 0 && spans[n-1].To == x:
			spans[n-1].To++
		default:
			spans = append(spans, expect.Span{From: x, To: x + 1})
		}
	}
	return spans
}

// random is a small run with many events at the same instant and at the edges.
func random(r *play, rnd *rand.Rand) {
	r.Replicas = 2
	duration := int(r.Duration)
	share, bad := rnd.Float64(), rnd.Float64()/3
	var starts []time.Duration
	for range rnd.IntN(200) {
		starts = append(starts, time.Duration(rnd.IntN(duration)))
	}
	slices.Sort(starts)
	for _, at := range starts {
		r.came(at, "cart/1", func(r *history.Request) {
			r.End = at + time.Duration(rnd.IntN(30))
			if rnd.Float64() < bad {
				r.Status = 500
			}
		})
		for tries := 1 + rnd.IntN(4)/3; tries > 0; tries-- {
			endpoint := "cart/2"
			if rnd.Float64() < share {
				endpoint = "cart/1"
			}
			r.tried(at+time.Duration(rnd.IntN(5)), endpoint, func(a *history.Attempt) {
				a.Probe, a.Mirror = rnd.IntN(20) == 0, rnd.IntN(20) == 0
			})
		}
	}
	slices.SortStableFunc(r.Attempts, func(a, b history.Attempt) int { return int(a.Start - b.Start) })
	next := map[string]string{"closed": "open", "open": "half-open", "half-open": "closed"}
	for _, replica := range []string{"lb/1", "lb/2"} {
		state := "closed"
		for at := time.Duration(rnd.IntN(40)); at < r.Duration; at += time.Duration(rnd.IntN(60) + 1) {
			r.turned(at, replica, "cart/1", state, next[state], "")
			state = next[state]
		}
	}
	slices.SortStableFunc(r.Breakers, func(a, b history.Breaker) int { return int(a.At - b.At) })
}

// TestExactly: what is judged at the edges of events is what is true at every instant.
func TestExactly(t *testing.T) {
	p := load(t, shop)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	outcomes := map[string]int{}
	for n := range 60 {
		rnd := rand.New(rand.NewPCG(seed, uint64(n)))
		r := newPlay(p, 300)
		random(r, rnd)
		from := time.Duration(rnd.IntN(200))
		to := from + time.Duration(rnd.IntN(90)+10)
		r.fault("f", from, to)
		fault := scenario.Instant{Fault: "f"}
		for _, of := range expressions(rnd) {
			for _, e := range []scenario.Expectation{
				{Operator: scenario.Always},
				{Operator: scenario.During, During: fault, Grace: time.Duration(rnd.IntN(10))},
				{Operator: scenario.Sometimes},
				{Operator: scenario.At, At: fault},
				{Operator: scenario.Within, Within: of.window + time.Duration(rnd.IntN(60)), After: fault, Hold: time.Duration(rnd.IntN(20))},
			} {
				e.That = of.that
				begin, end := from, to
				switch {
				case e.Operator == scenario.Always && of.window == 0:
					continue // which is refused
				case e.Operator == scenario.Always, e.Operator == scenario.Sometimes:
					begin, end = 0, 300
				case e.Operator == scenario.During:
					begin += e.Grace
					if end-begin < max(of.window, 1) {
						continue // so is this
					}
				case e.Operator == scenario.At:
					end = 300
					if begin < of.window-1 {
						continue
					}
				default:
					end = 300
					if max(of.window, 1)+e.Hold > end-begin {
						continue
					}
				}
				held, vacuous, at := brute{&r.Run}.judge(e, of, begin, end)
				got := judge(t, p, &r.Run, e)
				ok := (got.Status == "held") == held && got.Vacuous == vacuous
				if at >= 0 {
					ok = ok && slices.Equal(got.Untrue, brute{&r.Run}.untrue(of, begin, end))
					first := at
					if of.window > 0 {
						first = at + 1
					}
					ok = ok && got.To == first && got.From == first-of.window
				}
				if !ok {
					t.Errorf("seed %d, run %d: %s, judged over [%d, %d):\n got %s (vacuous %v) [%d, %d): %s\nwant held %v, vacuous %v, at %d",
						seed, n, got.What, begin, end, got.Status, got.Vacuous, got.From, got.To, got.Why, held, vacuous, at)
				}
				outcomes[fmt.Sprint(e.Operator, held, vacuous)]++
			}
		}
		if t.Failed() {
			return
		}
	}
	// Were all of one kind it would prove little.
	for _, operator := range []scenario.Operator{scenario.Always, scenario.During, scenario.Sometimes, scenario.At, scenario.Within} {
		for _, kind := range []string{"true false", "false false", "false true"} {
			if outcomes[string(operator)+kind] == 0 {
				t.Errorf("%s never came out as %s: %v", operator, kind, outcomes)
			}
		}
	}
}
