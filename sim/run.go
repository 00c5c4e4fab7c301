package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/suite"
	"go-loadbalancer/sim/virtual"
)

type runCommand struct {
	Paths     []string `arg:"" name:"path" help:"Scenarios: files, or directories of *.yaml files."`
	Policies  string   `placeholder:"DIR" help:"Directory of a policy to try instead of each scenario's own."`
	Stage     string   `default:"virtual" placeholder:"NAME" help:"Where it is played: virtual (default), which is in memory and in virtual time."`
	Seed      uint64   `placeholder:"N" help:"Seed instead of each scenario's own."`
	Mutate    bool     `help:"Play each mutation too: the scenario must fail by it."`
	NoRecheck bool     `help:"Play each scenario once. Left out, it is played twice, and must be the same."`
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
	switch c.Stage {
	case virtual.Stage:
	case "local", "containers":
		return fmt.Errorf("%w: --stage %s is not built yet: there is virtual", errUsage, c.Stage)
	default:
		return fmt.Errorf("%w: --stage %s: there is virtual", errUsage, c.Stage)
	}
	o := suite.Options{Seed: c.Seed, Mutate: c.Mutate, Once: c.NoRecheck}
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
