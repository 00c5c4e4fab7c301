package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"go-loadbalancer/bench/server"
)

//go:embed testdata/*.tmpl
var templates embed.FS

// start starts a subject in a directory of its own below dir, and waits until it
// answers. The runner is for it alone. It must be called from a locked thread, with
// whose end the process is told to end.
func (s subject) start(ctx context.Context, dir, binary string, b *backend) (*server.Process, *runner, error) {
	dir, err := os.MkdirTemp(dir, s.name+"-")
	if err != nil {
		return nil, nil, err
	}
	// A proxy that was started by root may serve as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, nil, err
	}
	addresses, err := server.FreeAddresses(2)
	if err != nil {
		return nil, nil, err
	}
	in := instance{Dir: dir, Listen: addresses[0], Admin: addresses[1], Backend: b.addr()}
	config, err := templates.ReadFile("testdata/" + s.config)
	if err != nil {
		return nil, nil, err
	}
	text, err := in.expand(string(config))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.config, err)
	}
	file := filepath.Join(dir, s.configAs)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, nil, err
	}
	argv := []string{binary}
	for _, arg := range s.args {
		arg, err := in.expand(arg)
		if err != nil {
			return nil, nil, err
		}
		argv = append(argv, arg)
	}
	r := &runner{addr: in.Listen, backend: b, quiet: quiet, hold: hold}
	r.settle = r.settleProcess
	p, err := server.Start(ctx, server.Command{Name: s.name, Argv: argv, Dir: dir, Ready: r.probe})
	return p, r, err
}

func (in instance) expand(text string) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, in)
	return b.String(), err
}

// find looks a binary up, also where Debian keeps servers that are not on
// everybody's PATH.
func find(binary string) (string, error) {
	path, err := exec.LookPath(binary)
	if err == nil {
		return filepath.Abs(path)
	}
	if path := filepath.Join("/usr/sbin", binary); exec.Command(path, "-v").Run() == nil {
		return path, nil
	}
	return "", fmt.Errorf("%w: .ci/install conformance installs it", err)
}

// versionOf is the first line a subject's binary says about itself.
func (s subject) versionOf(binary string) string {
	if s.version == nil {
		return "this tree"
	}
	text, err := exec.Command(binary, s.version...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if err != nil && line == "" {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return line
}
