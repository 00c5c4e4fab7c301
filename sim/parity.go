package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"go-loadbalancer/sim/containers"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/parity"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/suite"
	"go-loadbalancer/sim/virtual"
)

type parityCommand struct {
	Paths []string `arg:"" name:"path" help:"Scenarios: files, or directories of *.yaml files."`
	Image string   `default:"${image}" placeholder:"NAME" help:"The image of lb and sim (default ${default})."`
	Seed  uint64   `placeholder:"N" help:"Seed instead of each scenario's own."`
	Tries int      `default:"3" placeholder:"N" help:"How often a scenario is played on containers at most, if the machine had no time for its generator (default ${default})."`
}

// Help follows the summary of sim parity --help.
func (*parityCommand) Help() string {
	return `Verdicts are the same, and so is what became of each expectation and each
invariant; figures are within the tolerances that are shown. What a stage cannot
make is left out, and told.

Exit status: 0 all agree, 1 some do not, 2 the command line, a scenario or a
policy is wrong, 3 none differs, but a run proves nothing.`
}

func (c *parityCommand) Run(s session) error {
	if err := containers.Check(s); err != nil {
		return err
	}
	root, paths, err := rooted(c.Paths)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	files := os.DirFS(root)
	o := suite.Options{Seed: c.Seed, Once: true}
	plans, found := suite.Read(files, paths, o)
	fmt.Fprint(os.Stderr, found)
	if found.HasErrors() {
		return exit(2)
	}
	play := func(plans []*suite.Plan, name string, workers int, run func(context.Context, stage.Job) (*history.Run, error)) ([]*report.Run, error) {
		o.Stage, o.Workers = suite.Stage{Name: name, Run: run}, workers
		out := &report.Suite{Files: files}
		err := suite.Play(s, plans, o, out, report.NewTerminal(io.Discard, os.Getenv))
		if s.Err() != nil {
			err = errInterrupted
		}
		return out.Runs, err
	}
	first, err := play(plans, virtual.Stage, 0, func(ctx context.Context, j stage.Job) (*history.Run, error) {
		return virtual.Run(ctx, j, virtual.Options{})
	})
	if err != nil {
		return err
	}
	agreed, vain := 0, 0
	for i, plan := range plans {
		var second *report.Run
		for range max(1, c.Tries) {
			runs, err := play([]*suite.Plan{plan}, containers.Stage, 1, func(ctx context.Context, j stage.Job) (*history.Run, error) {
				return containers.Run(ctx, j, containers.Options{Image: c.Image})
			})
			if err != nil {
				return err
			}
			if second = runs[0]; second.Verdict != report.Invalid {
				break
			}
		}
		switch compared := parity.Compare(first[i], second); {
		case compared.Agrees():
			agreed++
			fmt.Fprint(s.stdout, compared)
		case second.Verdict == report.Invalid && first[i].Verdict != report.Invalid:
			vain++
			fmt.Fprintf(s.stdout, "INVALID %s  %s\n%s", plan.Name, second.Why, compared)
		default:
			fmt.Fprint(s.stdout, compared)
		}
	}
	fmt.Fprintf(s.stdout, "\n%d of %d agree\n", agreed, len(plans))
	switch {
	case agreed+vain < len(plans):
		return exit(1)
	case vain > 0:
		return exit(3)
	}
	return nil
}
