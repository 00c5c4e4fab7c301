package suite

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"go-loadbalancer/lb/schema"
	"go-loadbalancer/sim/expect"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/scenario"
)

func failed(at scenario.Pos, code, format string, args ...any) schema.Diagnostic {
	return schema.Diagnostic{Severity: schema.SeverityError, Code: code, Pos: at, Message: fmt.Sprintf(format, args...)}
}

// task is one run of a plan.
type task struct {
	stage  Stage
	plan   *playing
	trial  *trial
	again  bool
	mutant int // its number, from 0; -1: it is none
}

// playing is a plan whose runs are under way.
type playing struct {
	*Plan
	at    int // in the suite
	begin sync.Once

	mu      sync.Mutex
	left    int // runs
	first   *history.Run
	again   *history.Run
	out     *report.Run
	mutants []report.Mutation
}

// Play plays the plans, several runs at once, and adds what they came to to the suite, in
// their order. It tells t of each as it ends. The error is ctx's; the suite is as it was
// then.
func Play(ctx context.Context, plans []*Plan, o Options, s *report.Suite, t *report.Terminal) error {
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	tasks := make(chan task)
	go func() {
		defer close(tasks)
		for i, plan := range plans {
			for _, next := range plan.tasks(i, o) {
				select {
				case tasks <- next:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	runs := make([]*report.Run, len(plans))
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for next := range tasks {
				p := next.plan
				p.begin.Do(func() { t.Begin(p.Name) })
				next.play(ctx)
				if ctx.Err() == nil && p.ended() {
					p.finish(o)
					runs[p.at] = p.out
					t.Done(s, p.out)
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Runs = append(s.Runs, runs...)
	return nil
}

// tasks are the runs of a plan.
func (plan *Plan) tasks(at int, o Options) []task {
	p := &playing{Plan: plan, at: at, mutants: make([]report.Mutation, len(plan.mutants))}
	all := []task{{stage: o.Stage, plan: p, trial: &plan.base, mutant: -1}}
	if !o.Once {
		all = append(all, task{stage: o.Stage, plan: p, trial: &plan.base, mutant: -1, again: true})
	}
	for i := range plan.mutants {
		all = append(all, task{stage: o.Stage, plan: p, trial: &plan.mutants[i], mutant: i})
	}
	p.left = len(all)
	return all
}

// play makes the run, judges it, and keeps of it what is needed.
func (t *task) play(ctx context.Context) {
	began := time.Now()
	run, err := t.stage.Run(ctx, t.trial.job)
	took := time.Since(began)
	p := t.plan
	if t.mutant >= 0 {
		m := mutation(p.Mutations[t.mutant], t.trial, run, err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mutants[t.mutant] = m
		return
	}
	var out *report.Run
	switch {
	case t.again:
	case err != nil:
		out = &report.Run{Scenario: p.Scenario, Verdict: report.Failure, Why: err.Error(), Real: took}
	default:
		out = report.Judged(p.Scenario, run, t.trial.program.Judge(run), took)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.again {
		p.again = run
		return
	}
	p.first, p.out = run, out
}

// ended says that one run more has, and whether it was the last.
func (p *playing) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	return p.left == 0
}

// finish puts together what the runs came to.
func (p *playing) finish(o Options) {
	p.out.Mutations, p.out.Stage, p.out.Args = p.mutants, o.Stage.Name, slices.Clone(o.Stage.Args)
	if o.PolicyDir != "" {
		p.out.Args = append(p.out.Args, "--policies", o.PolicyDir)
	}
	if o.Once || p.first == nil || p.out.Verdict == report.Failure {
		return
	}
	d := &p.out.Determinism
	d.Checked = true
	switch {
	case p.again == nil:
		d.What = "the second run could not be made"
	case p.first.Hash() == p.again.Hash():
		d.Same = true
	default:
		d.What = difference(p.first, p.again)
	}
	if !d.Same {
		p.out.Verdict, p.out.Why = report.Invalid, "the same seed gave another run: "+d.What
	}
}

// mutation says whether a run was caught, and by what.
func mutation(m scenario.Mutation, t *trial, run *history.Run, err error) report.Mutation {
	out := report.Mutation{Pos: m.Pos, Name: m.Name}
	if err != nil {
		out.By = "it could not be run: " + err.Error()
		return out
	}
	if run.Failure != "" {
		out.By = "its run came to no end: " + run.Failure
		return out
	}
	result := t.program.Judge(run)
	for _, e := range result.Expectations {
		if e.Status == expect.Violated {
			out.Caught, out.By = true, e.What
			return out
		}
	}
	for _, i := range result.Invariants {
		if i.Status == expect.Violated && i.ID != expect.NonVacuity {
			out.Caught, out.By = true, i.ID
			return out
		}
	}
	out.By = "everything held"
	return out
}
