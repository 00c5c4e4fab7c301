package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go-loadbalancer/bench/machine"
)

// report is the outcome of a run, as Markdown.
type report struct {
	table     strings.Builder
	scraped   strings.Builder // the table of scrapes
	outage    strings.Builder // the table of the outage
	simulated strings.Builder // the table of the simulator
	contained strings.Builder // the table of the container image
	notes     []string        // what is wrong with the run or a row
	invalid   bool            // a row is worth nothing
}

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

const tableHead = `| row | proxy | median (IQR) | × reference (IQR) | verdict | target | requests/s | core busy |
|---|---|---:|---:|---|---|---:|---:|
`

// unit says how a metric's values are shown.
func (m metric) unit() (name string, scale float64) {
	switch m {
	case cpuPerRequest:
		return "µs CPU/request", 1e6
	case latencyP99:
		return "µs p99", 1e6
	default:
		return "KiB/connection", 1.0 / 1024
	}
}

// row adds a row's lines.
func (r *report) row(row row, all []*series) {
	unit, scale := row.metric.unit()
	for _, s := range all {
		if s.invalid != "" {
			r.invalid = true
			r.note("**INVALID: row %s, %s:** %s", row.name, s.candidate.name, s.invalid)
			fmt.Fprintf(&r.table, "| %s | %s | **INVALID** | | | | | |\n", row.name, s.candidate.name)
			continue
		}
		v := summarize(s.values)
		cells := []string{row.name, s.candidate.name,
			fmt.Sprintf("%.2f (%.2f) %s", v.median*scale, v.iqr()*scale, unit),
			"", "", "", "", ""}
		var reference []float64
		for _, to := range all {
			if row.refers(s.candidate, to.candidate) && to.invalid == "" {
				reference = to.values
			}
		}
		relative := ratios(s.values, reference)
		own := row.refers(s.candidate, s.candidate) // it is its own reference
		if len(relative) > 0 {
			q := summarize(relative)
			cells[3] = fmt.Sprintf("%.3f (%.3f)", q.median, q.iqr())
			if !own {
				cells[4] = map[verdict]string{below: "less", above: "more", noVerdict: "no verdict"}[judge(relative, 1)]
			}
		}
		if s.candidate.product && !own {
			cells[5] = row.targets(s.values, relative)
		}
		if len(s.rate) > 0 {
			cells[6] = fmt.Sprintf("%.0f", summarize(s.rate).median)
			cells[7] = fmt.Sprintf("%.0f%%", 100*summarize(s.busy).median)
		}
		fmt.Fprintf(&r.table, "| %s |\n", strings.Join(cells, " | "))
	}
}

// targets says which targets a row has and whether the product meets them.
func (row row) targets(values, relative []float64) string {
	var s []string
	if row.target > 0 {
		s = append(s, against(relative, row.target, "%.2f"))
	}
	if row.limit > 0 {
		var kib []float64
		for _, v := range values {
			kib = append(kib, v/1024)
		}
		s = append(s, against(kib, row.limit/1024, "%.0f KiB"))
	}
	return strings.Join(s, "; ")
}

// reload adds the line of the reload.
func (r *report) reload(c candidate, took []float64, err error) {
	if err != nil {
		r.invalid = true
		r.note("**INVALID: reload, %s:** %v", c.name, err)
		fmt.Fprintf(&r.table, "| reload | %s | **INVALID** | | | | | |\n", c.name)
		return
	}
	v, slowest, ms := summarize(took), 0.0, []float64{}
	for _, t := range took {
		slowest = math.Max(slowest, t)
		ms = append(ms, 1000*t)
	}
	target := float64(reloadTarget) / float64(time.Millisecond)
	fmt.Fprintf(&r.table, "| reload | %s | %.0f (%.0f) ms, slowest %.0f ms | | | %s | | |\n", c.name,
		1000*v.median, 1000*v.iqr(), 1000*slowest, against(ms, target, "%.0f ms"))
}

const scrapeHead = `| proxy | format | time, median (IQR) | p99 | target | processor time (IQR) | size, compressed (and not) |
|---|---|---:|---:|---|---:|---:|
`

// scrape adds the table of scrapes.
func (r *report) scrape(c candidate, all []*scrapes, err error) {
	if err != nil {
		r.invalid = true
		r.note("**INVALID: scrape, %s:** %v", c.name, err)
		return
	}
	if r.scraped.Len() == 0 {
		r.scraped.WriteString(scrapeHead)
	}
	for _, s := range all {
		took, cpu := scaled(s.took, 1000), scaled(s.cpu, 1000)
		t, u := summarize(took), summarize(cpu)
		slices.Sort(took)
		fmt.Fprintf(&r.scraped, "| %s | %s | %.1f (%.1f) ms | %.1f ms | %s | %.1f (%.1f) ms | %.0f (%.0f) KiB |\n", c.name, s.format, t.median, t.iqr(), quantile(took, .99),
			against(took, float64(scrapeTarget.Milliseconds()), "%.0f ms"), u.median, u.iqr(), float64(s.sent)/1024, float64(s.whole)/1024)
	}
}

func scaled(sample []float64, factor float64) []float64 {
	out := slices.Clone(sample)
	for i := range out {
		out[i] *= factor
	}
	return out
}

const outageHead = `| Redis | sessions | median (IQR) | p99 (IQR) | added to p99 (IQR) | target | slowest, median (of all) |
|---|---|---:|---:|---:|---|---:|
`

// outageOf adds the table of the outage.
func (r *report) outageOf(c candidate, cells []*outageCell, err error) {
	if err != nil {
		r.invalid = true
		r.note("**INVALID: outage, %s:** %v", c.name, err)
		return
	}
	ms := func(sample []float64) []float64 { return scaled(sample, 1000) }
	cell := func(sample []float64) string {
		s := summarize(ms(sample))
		return fmt.Sprintf("%.2f (%.2f) ms", s.median, s.iqr())
	}
	r.outage.WriteString(outageHead)
	for _, o := range cells {
		added, target := "", ""
		if o.trouble != "well" {
			added, target = cell(o.added), against(ms(o.added), storeTimeout.Seconds()*1000, "%.0f ms")
		}
		fmt.Fprintf(&r.outage, "| %s | %s | %s | %s | %s | %s | %.2f (%.2f) ms |\n", o.trouble, o.sessions,
			cell(o.median), cell(o.p99), added, target, 1000*summarize(o.slowest).median, 1000*slices.Max(o.slowest))
	}
}

// simulator adds the table of the simulator.
func (r *report) simulator(s *simulation, err error) {
	if err != nil {
		r.invalid = true
		r.note("**INVALID: simulator:** %v", err)
		return
	}
	r.simulated.WriteString("| of the simulator | median (IQR) | target |\n|---|---:|---|\n")
	line := func(what, unit string, sample []float64, target string) {
		q := summarize(sample)
		fmt.Fprintf(&r.simulated, "| %s | %.0f (%.1f) %s | %s |\n", what, q.median, q.iqr(), unit, target)
	}
	line("requests a second of processor time, 2,000 a second for a minute", "", s.rate, atLeast(s.rate, simulatedTarget, "%.0f"))
	ms := scaled(s.minute, 1000)
	line("processor time of a minute at 20 requests a second", "ms", ms, against(ms, float64(minuteTarget.Milliseconds()), "%.0f ms"))
	line("all scenarios of the repository, each played twice", "s", s.catalogue, against(s.catalogue, catalogueTarget.Seconds(), "%.0f s"))
	mib := scaled(s.memory, 1.0/(1<<20))
	line("memory of the largest process of any of them, played by itself", "MiB", mib, against(mib, memoryTarget>>20, "%.0f MiB"))
}

// conditions is all that a reader needs to judge or repeat the figures.
type conditions struct {
	machine  machine.Description
	started  time.Time
	command  string
	rounds   int
	window   time.Duration
	pinned   bool
	realTime bool
	// ownNetwork: the loopback is nobody else's.
	ownNetwork bool
	commit     string
	goVer      string
	versions   []string // "name: version"
	rows       []row
	reload     bool
}

// markdown is the whole report.
func (r *report) markdown(c conditions) string {
	return "# Benchmark\n\nWritten by `make bench`, not by hand.\n\n" + r.body(c) + method
}

// part is the report of a part, measured by itself, as it stands below the one of
// everything, whose method is its own too.
func (r *report) part(c conditions) string {
	return fmt.Sprintf("# Measured on %s\n\nA part, added by `%s`, not by hand. The method is the one above.\n\n%s",
		c.started.UTC().Format("2006-01-02"), c.command, r.body(c))
}

// body is all but the title and the method.
func (r *report) body(c conditions) string {
	var b strings.Builder
	for _, n := range r.notes {
		fmt.Fprintf(&b, "> %s\n>\n", strings.ReplaceAll(n, "\n", "\n> "))
	}
	if len(r.notes) > 0 {
		b.WriteString("\n")
	}
	if r.table.Len() > 0 {
		fmt.Fprintf(&b, "## Result\n\n%s%s\nRows:\n\n", tableHead, r.table.String())
	}
	for _, row := range c.rows {
		logs := "access logs on"
		if !row.accessLog {
			logs = "access logs off"
		}
		fmt.Fprintf(&b, "- `%s`: %s; %s\n", row.name, row.what, logs)
	}
	if c.reload {
		fmt.Fprintf(&b, "- `reload`: `POST /-/reload` until its answer, for a new policy of %d endpoints in %d pools, reading and compiling it included\n",
			reloadPools*reloadEndpoints, reloadPools)
	}
	if r.table.Len() > 0 {
		b.WriteString("\n")
	}
	if r.scraped.Len() > 0 {
		fmt.Fprintf(&b, scrapeText, r.scraped.String(), scrapePools*scrapeEndpoints, scrapePools, scrapeVisits, scrapesARound)
	}

	if r.outage.Len() > 0 {
		fmt.Fprintf(&b, outageText, r.outage.String(), outageRate, storeTimeout, outageWindows*c.window, min(c.rounds, outageRounds))
	}

	if r.simulated.Len() > 0 {
		fmt.Fprintf(&b, simulatedText, r.simulated.String())
	}
	if r.contained.Len() > 0 {
		fmt.Fprintf(&b, imageText, r.contained.String())
	}

	fmt.Fprintf(&b, "## Conditions\n\n")
	item := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	item("date", c.started.UTC().Format("2006-01-02 15:04 UTC"))
	item("command", "`"+c.command+"`")
	item("CPU", fmt.Sprintf("%s, %d cores", c.machine.CPU, c.machine.Cores))
	item("memory", c.machine.Memory)
	item("system", strings.Trim(c.machine.System+", Linux "+c.machine.Kernel, ", "))
	item("load average at the start", c.machine.Load)
	item("commit", c.commit)
	item("Go", c.goVer)
	for _, v := range c.versions {
		name, version, _ := strings.Cut(v, ": ")
		item(name, version)
	}
	if c.pinned {
		item("cores", "proxy on core 0; clients and backend on core 1")
	}
	if c.realTime {
		item("scheduling", "SCHED_RR, priority 1")
	}
	item("network", machine.Network(c.ownNetwork))
	item("rounds", fmt.Sprintf("%d of %v for each row and proxy (memory: at most %d)", c.rounds, c.window, memoryRounds))
	return b.String()
}

const scrapeText = `## Scrapes

%s
A scrape is ` + "`GET /metrics`" + `, compressed, from the call to the last byte, of a balancer that serves a policy of %d endpoints in %d pools and has
sent each %d requests. There were %d scrapes a round in each format. Processor time is the balancer's.

`

const outageText = `## While Redis is in trouble

%s
Latencies of requests to a balancer whose sessions are in Redis: GET, 100 bytes, 64 connections, open loop, %d a second.
No request may wait for Redis for longer than its pool's ` + "`storeTimeout`" + ` of %v. Each window takes %v; with it begins
the trouble, which lasts: Redis is stopped by SIGSTOP, so that it takes what is sent and never answers, or killed. Sessions
are known to the balancer, or new with each request, or known to Redis and another replica alone, so that the balancer has
to ask: a request that finds Redis silent then waits until it is given up, and a few do that find out whether it is
back. There were %d rounds, with Redis well again before each window. All requests were answered, or there would be no figures.

`

const simulatedText = `## Simulator

%s
Processor time is that of all processes of one ` + "`sim run`" + `, generator, network, balancer, backends, judgement and report together.
Of the first line the time is taken off that a run of a millisecond takes. The catalogue is played on all cores.

`

const method = `
## Method

All proxies of a row run at once, and are measured in turns within each round, in another order each round. Clients and
backend are one single-threaded process on a core of its own. A window begins and ends with nothing in flight; at both
instants that process reads the CPU time of all the proxy's threads and worker processes
(` + "`/proc/PID/task/*/schedstat`" + `). Every response is checked for status and length, bodies byte by byte in the warm-up; a
single error makes a row invalid, and so does an access log with fewer lines than there were requests.

A value is shown as the median over the rounds with the interquartile range (IQR). Ratios are taken within a round, then
summarised. The reference is HAProxy, but for row features, where it is
` + "`plain`" + `, row telemetry, where it is ` + "`silent`" + `, and row session, where each that keeps sessions is relative to the same without. Less is better. A verdict, relative to the reference or to a target, needs that rounds as one-sided as these come by chance once in twenty at the most (sign test); where they are not, or are fewer than five, there is none.
Latencies count from the instant a request was due. Memory is the
proportional set size a connection adds, without the kernel's.

Each proxy runs on one core (one thread, one worker, GOMAXPROCS=1) with TCP_DEFER_ACCEPT on its listener, keeps connections on both sides and
streams bodies. The peers add X-Forwarded-For and nothing else; ours adds all its headers. Access logs go to a file: ours
in batches; HAProxy's by standard output, redirected, a write a line; nginx's by a buffer of 64 KiB flushed each second.
HAProxy can also hand its log lines to another process, by a ring over TCP: that took 4 to 9% off its small requests when
tried, but leaves the file, and the time to write it, to a process not counted here. Real-time processes get 95% of a core
where the kernel's ` + "`sched_rt_runtime_us`" + ` is left alone: that much "core busy" is saturation. The configurations are in ` + "`bench/testdata`" + `.
`
