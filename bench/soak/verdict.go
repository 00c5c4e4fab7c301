package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Tolerances.
const (
	// An honest kind is unharmed if its 99th percentile under attack is at most
	// so many times that of the baseline, or at most so much above it, when what
	// requests past the balancer suffer has been taken off.
	harmFactor = 2.0
	harmSlack  = 3 * time.Millisecond
	// Memory is flat if its regression line, over the second half of the time that
	// all attacks go on, rises by at most this share of its mean, or so much: what
	// the collector of garbage lets it move within.
	riseTolerance = 0.05
	riseSlack     = 4 << 20 // bytes
	// At the end it may be above that mean by this share.
	endTolerance = 0.10
	// What the heap in use may have gained, once its garbage is collected.
	heapTolerance = 8 << 20 // bytes
	// The generator fell behind if one request in a hundred was sent so late.
	lateTolerance = 5 * time.Millisecond
	// What the balancer keeps open for the next long body: four pipes.
	keptFiles = 8
	// Fewer latencies have no 99th percentile to speak of.
	enough = 300
)

// check is one thing that was judged.
type check struct {
	name string
	ok   bool
	said string
}

// judge says what the result means. An error means that it means nothing.
func judge(r *result) ([]check, error) {
	for _, p := range r.phases {
		if late := p.honest.Late.P99; late > lateTolerance {
			return nil, fmt.Errorf("%w: in phase %q one honest request in a hundred was sent %v late: the machine is too busy, or -rate too high", errInvalid, p.name, late)
		}
	}
	return []check{
		judgeFailures(r), judgeLatency(r), judgeCuts(r), judgeContact(r), judgeFlat(r), judgeEnd(r), judgeHeap(r),
		judgeCount("descriptors", r.start.files, r.end.files, keptFiles),
		judgeCount("goroutines", r.start.goroutines, r.end.goroutines, 0),
		judgeCount("connections", 0, int(r.final["lb_client_connections"]), 0),
		judgeCount("requests in flight", 0, int(r.final["lb_requests_in_flight"]+r.final["lb_upstream_in_flight"]), 0),
		judgeReloads(r), judgeLog(r),
	}, nil
}

func judgeFailures(r *result) check {
	c := check{name: "honest requests", ok: true}
	var answered int64
	for _, p := range r.phases {
		for _, name := range slices.Sorted(maps.Keys(p.honest.Kinds)) {
			l := p.honest.Kinds[name]
			answered += l.Answered
			if l.Failures > 0 {
				c.ok = false
				c.said += fmt.Sprintf("%s, %s: %d failed, the first: %s; ", p.name, name, l.Failures, l.First)
			}
		}
	}
	c.said += fmt.Sprintf("%d answered", answered)
	return c
}

// phase finds a phase.
func (r *result) phase(name string) phaseResult {
	i := slices.IndexFunc(r.phases, func(p phaseResult) bool { return p.name == name })
	return r.phases[i]
}

// unharmed says whether a 99th percentile is as good as the baseline's.
func unharmed(baseline, attacked time.Duration) bool {
	return attacked <= max(time.Duration(harmFactor*float64(baseline)), baseline+harmSlack)
}

func judgeLatency(r *result) check {
	c := check{name: "honest p99", ok: true}
	baseline, attacked := r.phase(baselinePhase).honest, r.phase(allPhase).honest
	direct := max(0, attacked.Kinds[directKind].P99-baseline.Kinds[directKind].P99)
	var said []string
	judged := 0
	for _, name := range slices.Sorted(maps.Keys(attacked.Kinds)) {
		b, a := baseline.Kinds[name], attacked.Kinds[name]
		if name == directKind {
			continue
		}
		if min(a.Answered, b.Answered) < enough {
			said = append(said, name+": too few to judge")
			continue
		}
		judged++
		harm := ""
		if !unharmed(b.P99, a.P99-direct) {
			c.ok, harm = false, " HARMED"
		}
		said = append(said, fmt.Sprintf("%s %s → %s%s", name, ms(b.P99), ms(a.P99), harm))
	}
	c.ok = c.ok && judged > 0
	c.said = fmt.Sprintf("%s; past the balancer %s → %s", strings.Join(said, ", "), ms(baseline.Kinds[directKind].P99), ms(attacked.Kinds[directKind].P99))
	return c
}

func judgeCuts(r *result) check {
	c := check{name: "attacks are bounded", ok: true}
	cuts := 0
	for _, p := range r.phases {
		for _, name := range slices.Sorted(maps.Keys(p.hostile)) {
			cuts += p.hostile[name][cut]
			if n := p.hostile[name][notCut]; n > 0 {
				c.ok = false
				c.said += fmt.Sprintf("%s: %d of %s outlived their bound; ", p.name, n, name)
			}
		}
	}
	c.said += fmt.Sprintf("%d connections cut", cuts)
	return c
}

// judgeContact fails if an attack did not take place.
func judgeContact(r *result) check {
	c := check{name: "every attack took place", ok: true}
	total := 0
	for _, a := range attacks() {
		counts := r.phase(allPhase).hostile[a.name]
		reached := counts[cut] + counts[notCut] + counts[gaveUp]
		if total += reached; reached == 0 {
			c.ok = false
			c.said += a.name + " did not; "
		}
	}
	c.said += fmt.Sprintf("%d connections while all went on", total)
	return c
}

// steady is the memory while all attacks go on, once it has grown to that.
func (r *result) steady() (at []time.Duration, bytes []float64) {
	samples := r.phase(allPhase).samples
	for _, s := range samples[len(samples)/2:] {
		at = append(at, s.at.Sub(samples[0].at))
		bytes = append(bytes, float64(s.rss))
	}
	return at, bytes
}

// regress fits a line by least squares: y = mean + slope·(t − mean of t), the
// slope a second.
func regress(at []time.Duration, y []float64) (slope, mean float64) {
	var meanT float64
	for i := range y {
		meanT += at[i].Seconds() / float64(len(y))
		mean += y[i] / float64(len(y))
	}
	var up, down float64
	for i := range y {
		d := at[i].Seconds() - meanT
		up += d * (y[i] - mean)
		down += d * d
	}
	if down == 0 {
		return math.NaN(), mean
	}
	return up / down, mean
}

func judgeFlat(r *result) check {
	at, bytes := r.steady()
	slope, mean := regress(at, bytes)
	rise := slope * (at[len(at)-1] - at[0]).Seconds()
	return check{
		name: "memory flat", ok: rise <= max(riseTolerance*mean, riseSlack),
		said: fmt.Sprintf("%.1f MiB, %+.0f KiB a minute over %v: %+.1f%%", mean/(1<<20), slope*60/1024,
			(at[len(at)-1] - at[0]).Round(time.Second), 100*rise/mean),
	}
}

func judgeEnd(r *result) check {
	_, bytes := r.steady()
	_, mean := regress(make([]time.Duration, len(bytes)), bytes)
	return check{
		name: "memory at the end", ok: float64(r.end.rss) <= (1+endTolerance)*mean,
		said: fmt.Sprintf("%.1f MiB resident, %.1f under attack, %.1f at the start", float64(r.end.rss)/(1<<20), mean/(1<<20), float64(r.start.rss)/(1<<20)),
	}
}

func judgeHeap(r *result) check {
	return check{
		name: "heap at the end", ok: r.end.heap <= r.start.heap+heapTolerance,
		said: fmt.Sprintf("%.1f MiB in use, %.1f at the start", float64(r.end.heap)/(1<<20), float64(r.start.heap)/(1<<20)),
	}
}

func judgeCount(name string, start, end, more int) check {
	return check{name: name, ok: end <= start+more, said: fmt.Sprintf("%d, %d at the start: at most %d is wanted", end, start, start+more)}
}

func judgeReloads(r *result) check {
	committed, rejected := r.final[`lb_policy_reloads_total{result="committed"}`], r.final[`lb_policy_reloads_total{result="rejected"}`]
	return check{
		name: "reloads", ok: int(committed) == r.generations && rejected == 0 && r.final["lb_policy_last_reload_successful"] == 1,
		said: fmt.Sprintf("%.0f committed of %d generations, %.0f rejected", committed, r.generations, rejected),
	}
}

func judgeLog(r *result) check {
	c := check{name: "log and end", ok: len(r.complaints) == 0 && r.stopped == nil, said: "no panic, no error; it ended when told to"}
	if len(r.complaints) > 0 {
		c.said = fmt.Sprintf("%d lines, the first: %s", len(r.complaints), strings.TrimSpace(r.complaints[0]))
	}
	if r.stopped != nil {
		c.said += "; " + r.stopped.Error()
	}
	return c
}

// busy is the share of its core that the balancer used in a phase.
func (p phaseResult) busy() float64 {
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	used, err := last.cpu.Since(first.cpu)
	if err != nil {
		return math.NaN() // a thread ended
	}
	return used.Seconds() / last.at.Sub(first.at).Seconds()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
