package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go-loadbalancer/bench/machine"
)

// conditions is all that a reader needs to judge or repeat a run.
type conditions struct {
	machine  machine.Description
	started  time.Time
	command  string
	duration time.Duration
	rate     int
	seed     uint64
	goVer    string
	version  string
	pinned   bool
	realTime bool
	// ownNetwork: the loopback is nobody else's.
	ownNetwork bool
}

// markdown is the whole report; invalid, if not nil, says why the run counts for
// nothing.
func markdown(c conditions, r *result, checks []check, invalid error) string {
	var b strings.Builder
	b.WriteString("# Soak\n\nWritten by `make soak`, not by hand.\n\n## Verdict\n\n")
	if invalid != nil {
		fmt.Fprintf(&b, "**INVALID**: %v\n", invalid)
	} else {
		b.WriteString("| | | |\n|---|---|---|\n")
		for _, k := range checks {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", k.name, map[bool]string{true: "ok", false: "**FAILED**"}[k.ok], strings.ReplaceAll(k.said, "|", "\\|"))
		}
	}
	writeLatencies(&b, r)
	writePhases(&b, r)
	writeAttacks(&b, r)

	b.WriteString("\n## Conditions\n\n")
	item := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	item("date", c.started.UTC().Format("2006-01-02 15:04 UTC"))
	item("command", "`"+c.command+"`")
	item("parameters", fmt.Sprintf("%v, %d honest requests/s, seed %d", c.duration, c.rate, c.seed))
	item("CPU", fmt.Sprintf("%s, %d cores", c.machine.CPU, c.machine.Cores))
	item("memory", c.machine.Memory)
	item("system", strings.Trim(c.machine.System+", Linux "+c.machine.Kernel, ", "))
	item("load average at the start", c.machine.Load)
	item("Go", c.goVer)
	item("lb", c.version)
	if c.pinned {
		item("cores", "balancer on core 0; honest clients, backends and hostile clients on core 1")
	} else {
		item("cores", "**DEGRADED: not pinned**; balancer and clients disturb each other")
	}
	if c.realTime {
		item("scheduling", "SCHED_RR for the balancer, the honest clients and the backends; hostile clients get what is left of core 1")
	} else {
		item("scheduling", "**DEGRADED: no real-time scheduling**; hostile clients also take the core from honest ones")
	}
	item("network", machine.Network(c.ownNetwork))
	fmt.Fprintf(&b, method, harmFactor, harmSlack, enough, 100*riseTolerance, riseSlack>>20, 100*endTolerance, heapTolerance>>20, keptFiles, lateTolerance)
	return b.String()
}

func writeLatencies(b *strings.Builder, r *result) {
	b.WriteString("\n## Honest clients\n\n| kind | phase | answered | failed | p50 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|\n")
	for _, name := range slices.Sorted(maps.Keys(r.phases[0].honest.Kinds)) {
		for _, phase := range []string{baselinePhase, allPhase, recoveryPhase} {
			l := r.phase(phase).honest.Kinds[name]
			fmt.Fprintf(b, "| %s | %s | %d | %d | %s | %s | %s | %s |\n", name, phase, l.Answered, l.Failures, ms(l.P50), ms(l.P99), ms(l.P999), ms(l.Max))
		}
	}
	var outcomes []string
	for name, n := range sum(r.phases, func(p phaseResult) map[string]int { return p.honest.Kinds["faulty"].Outcomes }) {
		outcomes = append(outcomes, fmt.Sprintf("%s: %d", name, n))
	}
	slices.Sort(outcomes)
	fmt.Fprintf(b, "\nOf the requests to the pool with a faulty endpoint, which may fail: %s.\n", strings.Join(outcomes, ", "))
}

// sum adds up counts over the phases.
func sum[K comparable](phases []phaseResult, of func(phaseResult) map[K]int) map[K]int {
	total := map[K]int{}
	for _, p := range phases {
		for k, n := range of(p) {
			total[k] += n
		}
	}
	return total
}

func writePhases(b *strings.Builder, r *result) {
	b.WriteString("\n## Phases\n\n| phase | length | p99 of `get` | p99.9 | p99 of `connection` | p99 past the balancer | sent late, p99 | p99.9 | core busy | memory, MiB | TCP memory, most | descriptors, most |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, p := range r.phases {
		files, tcp := 0, int64(0)
		for _, s := range p.samples {
			files, tcp = max(files, s.files), max(tcp, s.tcp)
		}
		get, connection, late := p.honest.Kinds["get"], p.honest.Kinds["connection"], p.honest.Late
		fmt.Fprintf(b, "| %s | %v | %s | %s | %s | %s | %s | %s | %.0f%% | %.1f | %.0f | %d |\n", p.name, p.length.Round(time.Second/10),
			ms(get.P99), ms(get.P999), ms(connection.P99), ms(p.honest.Kinds[directKind].P99), ms(late.P99), ms(late.P999), 100*p.busy(),
			float64(p.samples[len(p.samples)-1].rss)/(1<<20), float64(tcp)/(1<<20), files)
	}
	b.WriteString("\nTCP memory, in MiB, is what the kernel uses for all connections of the machine, clients' and backends' ends included.\n")
	fmt.Fprintf(b, "\nAt the start %d descriptors, %d goroutines; at the end %d and %d.\n", r.start.files, r.start.goroutines, r.end.files, r.end.goroutines)
}

func writeAttacks(b *strings.Builder, r *result) {
	fmt.Fprintf(b, "\n## Attacks\n\n| attack | is | at once | %s | %s | %s | %s |\n|---|---|---:|---:|---:|---:|---:|\n", cut, gaveUp, notCut, unreachable)
	for _, a := range attacks() {
		n := sum(r.phases, func(p phaseResult) map[outcome]int { return p.hostile[a.name] })
		fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %d | %d |\n", a.name, a.what, a.workers, n[cut], n[gaveUp], n[notCut], n[unreachable])
	}
	closed := map[string]float64{}
	for series, n := range r.final {
		if _, labels, ok := strings.Cut(series, "lb_client_connections_closed_total{"); ok && n > 0 {
			_, reason, _ := strings.Cut(labels, `reason="`)
			closed[strings.TrimSuffix(reason, `"}`)] += n
		}
	}
	b.WriteString("\nWhy the balancer says connections ended:")
	for _, reason := range slices.Sorted(maps.Keys(closed)) {
		fmt.Fprintf(b, " %s %.0f;", reason, closed[reason])
	}
	fmt.Fprintf(b, " access log lines %.0f, dropped %.0f.\n", r.final["lb_access_log_lines_written_total"], r.final["lb_access_log_lines_dropped_total"])
}

const method = `
## Method

The real binary serves several pools with its breakers, access log and metrics on. Honest clients send each kind of
request at even intervals, whether or not earlier ones were answered (open loop); latency counts from the instant a
request was due, for event streams from the sending of the event. Every answer is checked for status and length; a
connection that closes unasked is a failure. The attacks come first one after the other, then all at once, with the
policy changing all the time, and one endpoint of one pool failing in nine ways throughout. Rates of attacks are such that
the core does not saturate: a full core is not what this is about.

- Unharmed: while all attacks go on, the p99 of every honest kind is at most %g times, or at most %v above, that of the
  baseline, once what requests straight to a backend have lost meanwhile is taken off: those show what the clients' and
  backends' own core costs. Kinds with fewer than %d answers are not judged.
- Memory flat: the regression line of the resident memory, over the second half of "all at once", rises by at most
  %g%% of its mean or %d MiB; at the end memory is at most %g%% above that mean, and the heap in use, garbage collected, at most
  %d MiB above the start.
- Goroutines: no more than at the start. Descriptors: at most %d more, for the pipes that are kept to splice the next long
  body through.
- The run is invalid if in any phase one honest request in a hundred was sent more than %v late.
`
