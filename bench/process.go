package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"go-loadbalancer/bench/server"
)

//go:embed testdata/*.tmpl
var templates embed.FS

// process is a running candidate.
type process struct {
	*server.Process
	candidate candidate
	instance  instance
	lines     int // access log lines truncated away
}

// start starts a candidate in a directory of its own below in.Dir and waits
// until it answers from in.Backend; its own addresses are filled in. It must be
// called from a locked thread, with whose end the process is told to end.
func start(ctx context.Context, c candidate, binary string, prefix []string, in instance, accessLog bool) (*process, error) {
	dir, err := os.MkdirTemp(in.Dir, c.name+"-")
	if err != nil {
		return nil, err
	}
	// A proxy that was started by root may serve as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	addresses, err := server.FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	in.Dir, in.Listen, in.Admin = dir, addresses[0], addresses[1]
	p := &process{candidate: c, instance: in}
	if accessLog && !c.quiet {
		p.instance.Log = filepath.Join(dir, "access.log")
	}
	if err := p.configure(); err != nil {
		return nil, err
	}
	command := server.Command{
		Name: c.name, Argv: append(prefix[:len(prefix):len(prefix)], binary), Dir: dir,
		Await: "http://" + in.Listen + "/small",
	}
	for _, variable := range c.env {
		variable, err := p.expand(variable)
		if err != nil {
			return nil, err
		}
		command.Env = append(command.Env, variable)
	}
	for _, arg := range c.args {
		arg, err := p.expand(arg)
		if err != nil {
			return nil, err
		}
		command.Argv = append(command.Argv, arg)
	}
	if c.stdoutIsLog {
		command.Stdout = p.instance.Log
	}
	p.Process, err = server.Start(ctx, command)
	return p, err
}

// configure writes the configuration.
func (p *process) configure() error {
	text, err := templates.ReadFile("testdata/" + p.candidate.config)
	if err != nil {
		return err
	}
	config, err := p.expand(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", p.candidate.config, err)
	}
	file := filepath.Join(p.instance.Dir, p.candidate.configAs)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(config), 0o644)
}

func (p *process) expand(text string) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, p.instance)
	return b.String(), err
}

// countLog counts the lines of the access log so far.
func (p *process) countLog() (int, error) {
	text, err := os.ReadFile(p.instance.Log)
	return p.lines + bytes.Count(text, []byte("\n")), err
}

// truncateLog counts and empties the access log, which would fill the disk.
func (p *process) truncateLog() error {
	if p.instance.Log == "" {
		return nil
	}
	n, err := p.countLog()
	if err != nil {
		return err
	}
	p.lines = n
	return os.Truncate(p.instance.Log, 0)
}
