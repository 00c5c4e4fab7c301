// Package server runs a server that is to be measured: started in a directory of
// its own, awaited until it answers, and gone with the program that started it.
//
//	runtime.LockOSThread()
//	s, err := server.Start(ctx, server.Command{
//		Name: "lb", Argv: []string{"bin/lb", "run"}, Dir: dir, Await: "http://127.0.0.1:8000/",
//	})
//	// …
//	err = s.Stop()
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"go-loadbalancer/bench/procfs"
)

// startTimeout bounds how long a server may take until it answers its first
// request, stopTimeout until it has gone after SIGTERM.
const (
	startTimeout = 10 * time.Second
	stopTimeout  = 5 * time.Second
)

// Command says how to run a server.
type Command struct {
	Name string   // in errors
	Argv []string // the binary, whatever prefixes it, and its arguments
	Dir  string   // to run in; a file stderr is written there
	Env  []string // beside this process's own
	// Stdout is a file to append the standard output to; empty: it joins the
	// standard error.
	Stdout string
	// Await is a URL that is asked for until it is answered with 200; Ready, if
	// there is one, is called instead, until it returns nil.
	Await string
	Ready func() error
}

// Process is a running server.
type Process struct {
	PID    int           // of what was started
	PIDs   []int         // it and its children, once it answered
	Stderr string        // file of the standard error
	Exited chan struct{} // closed when it has

	name string
	cmd  *exec.Cmd
}

// Start starts a server and waits until it answers. It must be called from a
// locked thread, with whose end the server is told to end.
func Start(ctx context.Context, c Command) (*Process, error) {
	p := &Process{name: c.Name, Stderr: filepath.Join(c.Dir, "stderr"), Exited: make(chan struct{})}
	if err := p.launch(c); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	ready := c.Ready
	if ready == nil {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
		ready = func() error { return Get(ctx, &client, c.Await) }
	}
	if err := p.await(ctx, ready); err != nil {
		p.Stop()
		text, _ := os.ReadFile(p.Stderr)
		return nil, fmt.Errorf("%s: %w; its standard error ends:\n%s", c.Name, err, text[max(0, len(text)-2000):])
	}
	return p, nil
}

func (p *Process) launch(c Command) error {
	stderr, err := os.Create(p.Stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	p.cmd = exec.Command(c.Argv[0], c.Argv[1:]...)
	p.cmd.Dir = c.Dir
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = stderr, stderr
	if c.Stdout != "" {
		stdout, err := os.OpenFile(c.Stdout, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer stdout.Close()
		p.cmd.Stdout = stdout
	}
	// SIGTERM, not SIGKILL, so that a master takes its workers along.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		p.cmd.Wait()
		close(p.Exited)
	}()
	return nil
}

// await waits for the first answer.
func (p *Process) await(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			p.PIDs, err = procfs.Tree(p.PID)
			return err
		}
		select {
		case <-p.Exited:
			return fmt.Errorf("it ended at once: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Get asks for a URL, which must be answered with 200.
func Get(ctx context.Context, client *http.Client, url string) error {
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

// Signal sends the server a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop ends the server and its children.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Exited:
		return nil
	case <-time.After(stopTimeout):
	}
	// It leads a process group of its own, which takes in its children.
	syscall.Kill(-p.PID, syscall.SIGKILL)
	<-p.Exited
	return fmt.Errorf("%s: not gone %v after SIGTERM: killed", p.name, stopTimeout)
}

// FreeAddresses finds addresses on 127.0.0.1 that were free just now.
func FreeAddresses(n int) ([]string, error) {
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

// Build builds a package of this module into a file.
func Build(ctx context.Context, pkg, file string) error {
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", file, pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not a command", pkg)
	}
	return nil
}
