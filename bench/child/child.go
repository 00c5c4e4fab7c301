// Package child runs another role of the same program as a process of its own,
// on another core or with another priority, and talks to it in lines of JSON.
//
//	c, err := child.Start(prefix, "load-process")     // in the parent
//	var hello Hello
//	err = c.Read(&hello, time.Second)
//	err = c.Call(question, &answer, time.Minute)
//	err = c.Stop()
//
// The child reads its standard input and writes its standard output; the end of
// its input tells it to end.
package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// stopTimeout is how long a child may take to end.
const stopTimeout = 5 * time.Second

// Process is a running child.
type Process struct {
	PID int

	role    string
	cmd     *exec.Cmd
	in, out *os.File
	lines   *bufio.Reader
}

// Start runs this very program with the given arguments, the first of which
// names the role; prefix, if not empty, is a command that runs it. The process
// ends with the thread that started it, so lock that.
func Start(prefix []string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append(append(prefix[:len(prefix):len(prefix)], self), args...)
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		stdin.Close()
		in.Close()
		return nil, err
	}
	p := &Process{role: args[0], in: in, out: out, lines: bufio.NewReader(out)}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, os.Stderr
	// A process group of its own: a SIGINT from the terminal is for the parent,
	// which ends this process in its own time.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err = p.cmd.Start()
	stdin.Close()
	stdout.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("starting the %s: %w", p.role, err)
	}
	p.PID = p.cmd.Process.Pid
	return p, nil
}

// Call sends a line and reads the answer to it.
func (p *Process) Call(question, answer any, timeout time.Duration) error {
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s: %w", p.role, err)
	}
	return p.Read(answer, timeout)
}

// Read reads a line.
func (p *Process) Read(v any, timeout time.Duration) error {
	if err := p.out.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("%s: %w", p.role, err)
	}
	line, err := p.lines.ReadBytes('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %v", p.role, timeout)
	}
	if err != nil {
		return fmt.Errorf("%s: it ended early: %w", p.role, err)
	}
	return json.Unmarshal(line, v)
}

// Stop ends the process.
func (p *Process) Stop() error {
	p.in.Close()
	defer p.out.Close()
	kill := time.AfterFunc(stopTimeout, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.role, err)
	}
	return nil
}
