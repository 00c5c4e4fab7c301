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
	broken  []mark // what does not hold without any mutation
	mutants []trace
}

// Play plays the plans, several runs at once, and adds what they came to to the suite, in
// their order. It tells t of each as it ends. The error is ctx's; the suite then has those
// that had ended.
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
	s.Runs = append(s.Runs, slices.DeleteFunc(runs, func(r *report.Run) bool { return r == nil })...)
	return ctx.Err()
}

// tasks are the runs of a plan.
func (plan *Plan) tasks(at int, o Options) []task {
	p := &playing{Plan: plan, at: at, mutants: make([]trace, len(plan.mutants))}
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
		of := left(t.trial, run, err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mutants[t.mutant] = of
		return
	}
	var out *report.Run
	var failing []mark
	switch {
	case t.again:
	case err != nil:
		out = &report.Run{Scenario: p.Scenario, Verdict: report.Failure, Why: err.Error(), Real: took}
	default:
		result := t.trial.program.Judge(run)
		out, failing = report.Judged(p.Scenario, run, result, took), broken(result)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.again {
		p.again = run
		return
	}
	p.first, p.out, p.broken = run, out, failing
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
	for i := range p.mutants {
		p.out.Mutations = append(p.out.Mutations, p.mutation(i))
	}
	p.out.Stage, p.out.Args = o.Stage.Name, slices.Clone(o.Stage.Args)
	p.out.Program = o.Program
	if o.PolicyDir != "" {
		p.out.Args = append(p.out.Args, "--policies", o.PolicyDir)
	}
	if o.Mutate {
		p.out.Args = append(p.out.Args, "--mutate")
	}
	if p.out.Verdict == report.Passed && slices.ContainsFunc(p.out.Mutations, func(m report.Mutation) bool { return !m.Caught }) {
		p.out.Verdict = report.Failed
	}
	if o.Once || p.first == nil || p.out.Verdict == report.Failure {
		return
	}
	if p.again != nil && p.again.Failure != "" { // what is wrong with the balancer matters more
		p.out.Verdict, p.out.Why = report.Failure, "the second run: "+p.again.Failure
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

// trace is what a run of a mutation leaves.
type trace struct {
	broken  []mark
	vacuous string // an expectation of which it proves nothing; empty: there is none
	why     string // it proves nothing; empty: it does
}

// mark is something that did not hold.
type mark struct {
	expectation int    // its number; -1: it is an invariant
	text        string // what it says, or its id
}

// broken are the expectations and invariants that did not hold; not those of which nothing
// is proven.
func broken(r *expect.Result) (all []mark) {
	for i, e := range r.Expectations {
		if e.Status == expect.Violated && !e.Vacuous {
			all = append(all, mark{i, e.What})
		}
	}
	for _, i := range r.Invariants {
		if i.Status == expect.Violated && i.ID != expect.NonVacuity {
			all = append(all, mark{-1, i.ID})
		}
	}
	return all
}

// left is what a run of a mutation leaves: why it proves nothing, or what did not hold.
func left(t *trial, run *history.Run, err error) trace {
	switch {
	case err != nil:
		return trace{why: "it could not be run: " + err.Error()}
	case run.Failure != "":
		return trace{why: "its run came to no end: " + run.Failure}
	}
	if why, _ := expect.Behind(run); why != "" {
		return trace{why: "its run proves nothing: " + why}
	}
	result := t.program.Judge(run)
	out := trace{broken: broken(result)}
	for _, e := range result.Expectations {
		if e.Vacuous && out.vacuous == "" {
			out.vacuous = e.What
		}
	}
	return out
}

// mutation says whether a mutation was caught, and by what: by something that holds
// without it.
func (p *playing) mutation(i int) report.Mutation {
	m := p.Mutations[i]
	out, t := report.Mutation{Pos: m.Pos, Name: m.Name, By: p.mutants[i].why}, p.mutants[i]
	switch {
	case t.why != "":
		return out
	case p.out.Verdict == report.Failure:
		out.By = "without it the run came to no end"
		return out
	case len(t.broken) == 0 && t.vacuous != "":
		out.By = "nothing failed: too little was there to judge " + t.vacuous
		return out
	case len(t.broken) == 0:
		out.By = "everything held"
		return out
	}
	for _, one := range t.broken {
		if !slices.ContainsFunc(p.broken, func(b mark) bool { return b.expectation == one.expectation && b.text == one.text }) {
			out.Caught, out.By = true, one.text
			return out
		}
	}
	out.By = "nothing failed that does not fail without it"
	return out
}
