package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"go-loadbalancer/bench/procfs"
)

//go:embed testdata/*.tmpl
var templates embed.FS

// startTimeout bounds how long a proxy may take until it answers its first
// request, stopTimeout until it has gone after SIGTERM.
const (
	startTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second
)

// process is a running candidate.
type process struct {
	candidate candidate
	instance  instance
	pids      []int // it and its children, once it answers

	cmd    *exec.Cmd
	stderr string        // file
	exited chan struct{} // closed when it has
	lines  int           // access log lines truncated away
}

// start starts a candidate in a directory of its own below in.Dir and waits
// until it answers from in.Backend; its own addresses are filled in. It must be called from a locked thread, with
// whose end the process is told to end.
func start(ctx context.Context, c candidate, binary string, prefix []string, in instance, accessLog bool) (*process, error) {
	dir, err := os.MkdirTemp(in.Dir, c.name+"-")
	if err != nil {
		return nil, err
	}
	// A proxy that was started by root may serve as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	ports, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	in.Dir, in.Listen, in.Admin = dir, ports[0], ports[1]
	p := &process{candidate: c, instance: in, stderr: filepath.Join(dir, "stderr"), exited: make(chan struct{})}
	if accessLog {
		p.instance.Log = filepath.Join(dir, "access.log")
	}
	if err := p.configure(); err != nil {
		return nil, err
	}
	if err := p.launch(binary, prefix); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if err := p.await(ctx); err != nil {
		p.stop()
		text, _ := os.ReadFile(p.stderr)
		return nil, fmt.Errorf("%s: %w; its standard error ends:\n%s", c.name, err, tail(text, 2000))
	}
	return p, nil
}

func tail(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

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

func (p *process) launch(binary string, prefix []string) error {
	argv := append(prefix[:len(prefix):len(prefix)], binary)
	for _, arg := range p.candidate.args {
		arg, err := p.expand(arg)
		if err != nil {
			return err
		}
		argv = append(argv, arg)
	}
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = p.instance.Dir
	p.cmd.Env = append(os.Environ(), p.candidate.env...)
	p.cmd.Stdout, p.cmd.Stderr = stderr, stderr
	if p.candidate.stdoutIsLog && p.instance.Log != "" {
		log, err := os.OpenFile(p.instance.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer log.Close()
		p.cmd.Stdout = log
	}
	// SIGTERM, not SIGKILL, so that a master takes its workers along.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	return nil
}

// await waits for the first answer.
func (p *process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for {
		err := get(ctx, &client, "http://"+p.instance.Listen+"/small")
		if err == nil {
			p.pids, err = procfs.Tree(p.cmd.Process.Pid)
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended at once: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// stop ends the process and its children.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	// It leads a process group of its own, which takes in its children.
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
	return fmt.Errorf("%s: not gone %v after SIGTERM: killed", p.candidate.name, stopTimeout)
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
