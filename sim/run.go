package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/containers"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/local"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/suite"
	"go-loadbalancer/sim/virtual"
)

type runCommand struct {
	Paths     []string `arg:"" name:"path" help:"Scenarios: files, or directories of *.yaml files."`
	Policies  string   `placeholder:"DIR" help:"Directory of a policy to try instead of each scenario's own."`
	Stage     string   `default:"virtual" placeholder:"NAME" help:"Where it is played: virtual (default), which is in memory and in virtual time; local, which is on real sockets and by the real clock, one scenario after the other; or containers, which is local on real containers."`
	Image     string   `default:"${image}" placeholder:"NAME" help:"With --stage containers: the image of lb and sim (default ${default})."`
	Redis     string   `placeholder:"URL|start" help:"With --stage local: the Redis to play with, or start to start a redis-server for each run. Left out, it is one in this process."`
	Seed      uint64   `placeholder:"N" help:"Seed instead of each scenario's own."`
	Mutate    bool     `help:"Play each mutation too: the scenario must fail by it."`
	NoRecheck bool     `help:"Play each scenario once. Left out, it is played twice in virtual time, and must be the same."`
	JUnit     string   `name:"junit" placeholder:"FILE" help:"Write JUnit XML."`
	HTML      string   `name:"html" placeholder:"FILE" help:"Write a page that shows what happened."`
	JSON      string   `name:"json" placeholder:"FILE" help:"Write JSON."`
	Markdown  string   `placeholder:"FILE" help:"Write Markdown."`
}

// Help follows the summary of sim run --help.
func (*runCommand) Help() string {
	return `Exit status: 0 all passed, 1 an expectation or an invariant did not hold, or a
mutation was not caught, 2 the command line, a scenario or a policy is wrong,
3 a run proves nothing (a fault that touched nothing, another run by the same
seed) and none failed.`
}

// exit is an exit status, when all there is to say was said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func (c *runCommand) Run(s session) error {
	o := suite.Options{Seed: c.Seed, Mutate: c.Mutate, Once: c.NoRecheck}
	if err := c.stage(&o); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if c.Policies != "" {
		files, err := policy.ReadFiles(os.DirFS(c.Policies))
		if err != nil {
			return fmt.Errorf("%w: --policies: %w", errUsage, err)
		}
		o.Policy, o.PolicyDir = files, filepath.ToSlash(c.Policies)
	}
	root, paths, err := rooted(c.Paths)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	files := os.DirFS(root)
	plans, found := suite.Read(files, paths, o)
	fmt.Fprint(os.Stderr, found)
	if found.HasErrors() {
		return exit(2)
	}
	if c.Stage == containers.Stage {
		if err := containers.Check(s); err != nil {
			return err
		}
	}
	out := &report.Suite{Files: files}
	terminal := report.NewTerminal(s.stdout, os.Getenv)
	if err := suite.Play(s, plans, o, out, terminal); err != nil {
		return err
	}
	terminal.Summary(out)
	if err := c.write(s.stdout, out); err != nil {
		return err
	}
	if code := out.Exit(); code != 0 {
		return exit(code)
	}
	return nil
}

// stage sets where scenarios are played.
func (c *runCommand) stage(o *suite.Options) error {
	o.Stage.Name = c.Stage
	switch c.Stage {
	case virtual.Stage:
		if c.Redis != "" {
			return errors.New("--redis is for --stage local: in virtual time Redis is one in memory")
		}
		o.Stage.Run = func(ctx context.Context, j stage.Job) (*history.Run, error) {
			return virtual.Run(ctx, j, virtual.Options{})
		}
	case local.Stage:
		l := local.Options{Redis: c.Redis}
		if err := l.Check(); err != nil {
			return fmt.Errorf("--redis: %w", err)
		}
		o.Stage.Run = func(ctx context.Context, j stage.Job) (*history.Run, error) { return local.Run(ctx, j, l) }
		if c.Redis != "" {
			o.Stage.Args = []string{"--redis", c.Redis}
		}
		o.Once = true // nothing in real time is twice the same
		o.Workers = 1 // nor would it be real beside others
	case containers.Stage:
		if c.Redis != "" {
			return errors.New("--redis is for --stage local: on containers Redis is one of them")
		}
		o.Stage.Run = func(ctx context.Context, j stage.Job) (*history.Run, error) {
			return containers.Run(ctx, j, containers.Options{Image: c.Image})
		}
		if c.Image != containers.DefaultImage {
			o.Stage.Args = []string{"--image", c.Image}
		}
		o.Once, o.Workers = true, 1
	default:
		return fmt.Errorf("--stage %s: there are virtual, local and containers", c.Stage)
	}
	return nil
}

// rooted returns the directory that all paths are under, and the paths as seen from
// there: the working directory, or the file system's root.
func rooted(names []string) (root string, paths []string, err error) {
	root = "."
	for _, name := range names {
		if !filepath.IsLocal(name) {
			root = string(filepath.Separator)
		}
	}
	for _, name := range names {
		if root != "." {
			if name, err = filepath.Abs(name); err != nil {
				return "", nil, err
			}
			name = name[len(filepath.VolumeName(name))+1:]
		}
		paths = append(paths, filepath.ToSlash(filepath.Clean(name)))
	}
	return root, paths, nil
}

// write writes the reports that are wanted.
func (c *runCommand) write(stdout io.Writer, s *report.Suite) error {
	errs := []error{report.GitHub(stdout, s, os.Getenv)}
	for _, one := range []struct {
		name  string
		write func(io.Writer, *report.Suite) error
	}{{c.JUnit, report.WriteJUnit}, {c.HTML, report.WriteHTML}, {c.JSON, report.WriteJSON}, {c.Markdown, report.WriteMarkdown}} {
		if one.name == "" {
			continue
		}
		f, err := os.Create(one.name)
		if err == nil {
			err = errors.Join(one.write(f, s), f.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
