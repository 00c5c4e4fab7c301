package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/procfs"
)

// warmup precedes each window: connections are made and kept, and every body
// is compared byte by byte.
const warmup = 150 * time.Millisecond

// memoryRounds is the most rounds of a memory row: a round is a fresh start
// and varies little. idlePause is left for garbage to be collected and
// buffers to be given back before memory is read.
const (
	memoryRounds = 5
	idlePause    = 3 * time.Second
)

// bench is one run of the benchmark.
type bench struct {
	candidates []candidate
	binaries   map[string]string // by candidate's name
	load       *load.Process
	dir        string     // for the candidates' files
	keys       string     // file of the keys that seal tickets
	storeCore  []string   // prefix that pins the store of sessions to its core
	store      *store     // nil: not needed so far
	collector  *collector // nil: not needed so far
	prefix     []string   // that pins a candidate to its core
	rounds     int
	window     time.Duration
	settle     time.Duration // before memory is read: see idlePause
	recovery   time.Duration // once the store is back: see recoveryPause
	progress   func(format string, args ...any)
}

// series is what one candidate did in one row.
type series struct {
	candidate candidate
	values    []float64 // by round; NaN where there is none
	rate      []float64 // requests a second
	busy      []float64 // CPU time by time
	invalid   string    // why the values are worth nothing
}

func (s *series) fail(format string, args ...any) {
	if s.invalid == "" {
		s.invalid = fmt.Sprintf(format, args...)
	}
}

// row measures all candidates, in turns, each round in another order.
func (b *bench) row(ctx context.Context, r row) ([]*series, error) {
	var all []*series
	for _, c := range b.candidates {
		if r.measures(c) {
			all = append(all, &series{candidate: c})
		}
	}
	if r.metric == memoryPerClient {
		return all, b.memoryRow(ctx, r, all)
	}
	processes := make([]*process, len(all))
	requests := make([]int, len(all))
	for i, s := range all {
		p, err := b.start(ctx, s.candidate, r)
		if err != nil {
			s.fail("%v", err)
			continue
		}
		defer p.Stop()
		processes[i] = p
	}
	cookies, err := b.visit(ctx, processes, r.sessions)
	if err != nil {
		return nil, err
	}
	for round := range b.rounds {
		for k := range all {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			i := (round + k) % len(all)
			s, p := all[i], processes[i]
			if s.invalid != "" {
				s.add(math.NaN(), load.Result{})
				continue
			}
			result, err := b.load.Run(load.Slot{
				Spec: r.load, Target: p.instance.Listen, Host: "bench.example.com", Cookies: cookies,
				PIDs: p.PIDs, Warmup: warmup, Window: b.window,
			})
			if err != nil {
				return nil, err
			}
			if result.Errors > 0 {
				s.fail("round %d: %d errors, the first: %s", round+1, result.Errors, result.Error)
			} else if result.Requests == 0 {
				s.fail("round %d: no request answered", round+1)
			}
			value := result.CPU.Seconds() / float64(result.Requests)
			if r.metric == latencyP99 {
				value = result.P99.Seconds()
			}
			s.add(value, result)
			requests[i] += result.Requests
			if err := p.truncateLog(); err != nil {
				return nil, err
			}
		}
		b.progress("%s: round %d of %d", r.name, round+1, b.rounds)
	}
	for i, p := range processes {
		if p == nil {
			continue
		}
		if p.candidate.sessions == storeInRedis {
			if err := p.storeAnswers(ctx); err != nil {
				all[i].fail("%v", err)
			}
		}
		if err := p.Stop(); err != nil {
			all[i].fail("%v", err)
		}
		if p.candidate.traces && b.collector.batches.Load() == 0 {
			all[i].fail("no span came to the collector")
		}
		if r.accessLog && !p.candidate.quiet {
			// Lines still buffered while a log was truncated are counted later,
			// and those of the warm-up too: what is missing was never logged.
			lines, err := p.countLog()
			if err != nil {
				return nil, err
			}
			if lines < requests[i] {
				all[i].fail("%d lines in the access log for %d requests", lines, requests[i])
			}
		}
	}
	return all, nil
}

func (b *bench) start(ctx context.Context, c candidate, r row) (*process, error) {
	in := instance{Dir: b.dir, Backend: fmt.Sprintf("127.0.0.1:%d", b.load.Backend), Bulk: r.bulk, Sessions: c.sessions, Keys: b.keys}
	if c.sessions == storeInRedis {
		if err := b.startStore(ctx); err != nil {
			return nil, err
		}
		in.Redis = b.store.address
	}
	if c.traces {
		if b.collector == nil {
			var err error
			if b.collector, err = startCollector(); err != nil {
				return nil, err
			}
		}
		in.Collector = b.collector.address
	}
	return start(ctx, c, b.binaries[c.name], b.prefix, in, r.accessLog)
}

func (s *series) add(value float64, r load.Result) {
	s.values = append(s.values, value)
	s.rate = append(s.rate, float64(r.Requests)/r.Elapsed.Seconds())
	s.busy = append(s.busy, r.CPU.Seconds()/r.Elapsed.Seconds())
}

// memoryRow measures what an idle connection adds to the memory of a process
// that has served a few. Each round is a fresh start, because memory once
// taken is rarely given back.
func (b *bench) memoryRow(ctx context.Context, r row, all []*series) error {
	rounds := min(b.rounds, memoryRounds)
	for round := range rounds {
		for _, s := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if s.invalid != "" {
				s.values = append(s.values, math.NaN())
				continue
			}
			value, err := b.memory(ctx, s.candidate, r)
			if err != nil {
				s.fail("round %d: %v", round+1, err)
				value = math.NaN()
			}
			s.values = append(s.values, value)
		}
		b.progress("%s: round %d of %d", r.name, round+1, rounds)
	}
	return nil
}

func (b *bench) memory(ctx context.Context, c candidate, r row) (float64, error) {
	p, err := b.start(ctx, c, r)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	few := r.load
	few.Connections = min(64, r.load.Connections/2)
	var used [2]int64
	for i, spec := range []load.Spec{few, r.load} {
		result, err := b.load.Run(load.Slot{Spec: spec, Target: p.instance.Listen, Host: "bench.example.com", HoldOpen: true})
		if err != nil {
			return 0, err
		}
		if result.Errors > 0 {
			return 0, fmt.Errorf("%d errors, the first: %s", result.Errors, result.Error)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(b.settle):
		}
		if used[i], err = procfs.ReadPSS(p.PIDs); err != nil {
			return 0, err
		}
	}
	return float64(used[1]-used[0]) / float64(r.load.Connections-few.Connections), nil
}
