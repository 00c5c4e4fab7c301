package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
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
	Seed      string   `placeholder:"N" help:"Seed instead of each scenario's own, from 1 on."`
	Mutate    bool     `help:"Play each mutation too: the scenario must fail by it."`
	NoRecheck bool     `help:"Play each scenario once. Left out, it is played twice in virtual time, and must be the same."`
	JUnit     string   `name:"junit" placeholder:"FILE" help:"Write JUnit XML; to -: standard output, and what is for people to standard error. So do the others."`
	HTML      string   `name:"html" placeholder:"FILE" help:"Write a page that shows what happened."`
	JSON      string   `name:"json" placeholder:"FILE" help:"Write JSON."`
	Markdown  string   `placeholder:"FILE" help:"Write Markdown."`
}

// Help follows the summary of sim run --help.
func (*runCommand) Help() string {
	return `Exit status: 0 all passed, 1 an expectation or an invariant did not hold, or a
mutation was not caught, 2 the command line, a scenario or a policy is wrong,
3 a run proves nothing (a fault that touched nothing, an expectation of which
too little could be judged, another run by the same seed) and none failed,
130 interrupted. The reports that are asked for are written in any case.`
}

// exit is an exit status, when all there is to say was said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func (c *runCommand) Run(s session) error {
	out := &report.Suite{}
	stdout, err := c.output(s.stdout)
	if err == nil {
		err = c.play(s, out, stdout)
	}
	if err != nil {
		out.Found = append(out.Found, schema.Diagnostic{Severity: schema.SeverityError, Code: "sim-run", Message: err.Error()})
	}
	// Also if nothing was played: CI is not to take the last run's for this one's.
	if wrong := c.write(s.stdout, stdout, out); err != nil || wrong != nil {
		return errors.Join(err, wrong)
	}
	if code := out.Exit(); code != 0 {
		return exit(code)
	}
	return nil
}

// output is where lines go that are for people: not to standard output if that is where
// a report goes.
func (c *runCommand) output(stdout io.Writer) (io.Writer, error) {
	n := 0
	for _, name := range []string{c.JUnit, c.HTML, c.JSON, c.Markdown} {
		if name == "-" {
			n++
		}
	}
	switch n {
	case 0:
		return stdout, nil
	case 1:
		return os.Stderr, nil
	}
	return os.Stderr, fmt.Errorf("%w: only one report can go to standard output", errUsage)
}

// play reads and plays the scenarios.
func (c *runCommand) play(s session, out *report.Suite, stdout io.Writer) error {
	o := suite.Options{Mutate: c.Mutate, Once: c.NoRecheck, Program: called(os.Args[0])}
	if c.Seed != "" {
		n, err := strconv.ParseUint(c.Seed, 10, 64)
		if err != nil || n == 0 {
			return fmt.Errorf("%w: --seed %s: a whole number from 1 on is wanted", errUsage, c.Seed)
		}
		o.Seed = n
	}
	ready, err := c.stage(&o)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if c.Policies != "" {
		files, err := policy.ReadFiles(os.DirFS(c.Policies))
		if err != nil {
			if e := (*fs.PathError)(nil); errors.As(err, &e) && e.Path == "." {
				err = e.Err // which is about the directory itself
			}
			return fmt.Errorf("%w: --policies %s: %w", errUsage, c.Policies, err)
		}
		o.Policy, o.PolicyDir = files, filepath.ToSlash(c.Policies)
	}
	root, paths, err := rooted(c.Paths)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	out.Files = os.DirFS(root)
	plans, found := suite.Read(out.Files, paths, o)
	out.Found = found
	fmt.Fprint(os.Stderr, found)
	if found.HasErrors() {
		return nil
	}
	if err := ready(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	terminal := report.NewTerminal(stdout, os.Getenv)
	err = suite.Play(s, plans, o, out, terminal)
	if s.Err() != nil {
		err = errInterrupted
	}
	terminal.Summary(out)
	return err
}

// called is the program as it was called, to be called again: that which go run made is
// gone then.
func called(name string) string {
	if strings.Contains(name, "go-build") {
		return "sim"
	}
	return name
}

// stage sets where scenarios are played. ready says why they cannot be, once they are
// known to be well written.
func (c *runCommand) stage(o *suite.Options) (ready func() error, err error) {
	o.Stage.Name = c.Stage
	switch c.Stage {
	case virtual.Stage:
		o.Stage.Cannot = stage.Cannot
		if c.Redis != "" {
			return nil, errors.New("--redis is for --stage local: in virtual time Redis is one in memory")
		}
		o.Stage.Run = func(ctx context.Context, j stage.Job) (*history.Run, error) {
			return virtual.Run(ctx, j, virtual.Options{})
		}
		return func() error { return nil }, nil
	case local.Stage:
		l := local.Options{Redis: c.Redis}
		if err := l.Check(); err != nil {
			return nil, fmt.Errorf("--redis: %w", err)
		}
		o.Stage.Cannot = l.Cannot
		o.Stage.Run = func(ctx context.Context, j stage.Job) (*history.Run, error) { return local.Run(ctx, j, l) }
		if c.Redis != "" {
			o.Stage.Args = []string{"--redis", c.Redis}
		}
		o.Once = true // nothing in real time is twice the same
		o.Workers = 1 // nor would it be real beside others
		return func() error {
			if err := l.Reach(); err != nil {
				return fmt.Errorf("--redis: %w", err)
			}
			return nil
		}, nil
	case containers.Stage:
		if c.Redis != "" {
			return nil, errors.New("--redis is for --stage local: on containers Redis is one of them")
		}
		o.Stage.Cannot = containers.Cannot
		o.Stage.Run = func(ctx context.Context, j stage.Job) (*history.Run, error) {
			return containers.Run(ctx, j, containers.Options{Image: c.Image})
		}
		if c.Image != containers.DefaultImage {
			o.Stage.Args = []string{"--image", c.Image}
		}
		o.Once, o.Workers = true, 1
		return func() error {
			if err := containers.Check(context.Background()); err != nil {
				return fmt.Errorf("--stage containers: %w", err)
			}
			return nil
		}, nil
	}
	return nil, fmt.Errorf("--stage %s: there are virtual, local and containers", c.Stage)
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
func (c *runCommand) write(stdout, people io.Writer, s *report.Suite) error {
	errs := []error{report.GitHub(people, s, os.Getenv)}
	for _, one := range []struct {
		name  string
		write func(io.Writer, *report.Suite) error
	}{{c.JUnit, report.WriteJUnit}, {c.HTML, report.WriteHTML}, {c.JSON, report.WriteJSON}, {c.Markdown, report.WriteMarkdown}} {
		switch one.name {
		case "":
		case "-":
			errs = append(errs, one.write(stdout, s))
		default:
			f, err := os.Create(one.name)
			if err == nil {
				err = errors.Join(one.write(f, s), f.Close())
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
