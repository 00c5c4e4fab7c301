package main

import (
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed testdata/*.tmpl
var templates embed.FS

// startTimeout bounds how long a proxy may take until it answers its first
// request, stopTimeout until it has gone after SIGTERM.
const (
	startTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second
)

// process is a running subject.
type process struct {
	instance instance
	cmd      *exec.Cmd
	stderr   string        // file
	exited   chan struct{} // closed when it has
}

// start starts a subject in a directory of its own below dir. It must be called
// from a locked thread, with whose end the process is told to end.
func (s subject) start(dir, binary, backend string) (*process, error) {
	dir, err := os.MkdirTemp(dir, s.name+"-")
	if err != nil {
		return nil, err
	}
	// A proxy that was started by root may serve as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	p := &process{
		instance: instance{Dir: dir, Listen: addresses[0], Admin: addresses[1], Backend: backend},
		stderr:   filepath.Join(dir, "stderr"), exited: make(chan struct{}),
	}
	config, err := templates.ReadFile("testdata/" + s.config)
	if err != nil {
		return nil, err
	}
	text, err := p.instance.expand(string(config))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.config, err)
	}
	file := filepath.Join(dir, s.configAs)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(binary)
	for _, arg := range s.args {
		arg, err := p.instance.expand(arg)
		if err != nil {
			return nil, err
		}
		p.cmd.Args = append(p.cmd.Args, arg)
	}
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, stderr, stderr
	// SIGTERM, not SIGKILL, so that a master takes its workers along.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
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

// await waits for the first answer.
func (p *process) await(ctx context.Context, r *runner) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := r.probe()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			err = fmt.Errorf("it ended at once: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			err = fmt.Errorf("no answer within %v: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
			continue
		}
		text, _ := os.ReadFile(p.stderr)
		return fmt.Errorf("%w; its standard error ends:\n%s", err, text[max(0, len(text)-2000):])
	}
}

// stop ends the process and its children.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(stopTimeout):
	}
	// It leads a process group of its own, which takes in its children.
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
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

// freeAddresses finds addresses on 127.0.0.1 that were free just now.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
