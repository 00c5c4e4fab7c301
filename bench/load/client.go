// Package load makes the benchmark's load: one process that is both the
// clients of a proxy and the backend behind it, in one single-threaded epoll
// loop, so that the core they share is not what a proxy waits for. It counts
// what was answered, checks every answer, and takes the proxy's CPU time at
// the very instants its window begins and ends, with nothing in flight.
//
//	p, err := load.Start([]string{"taskset", "-c", "1"}, "load")
//	// start a proxy in front of 127.0.0.1:p.Backend …
//	r, err := p.Run(load.Slot{
//		Spec:   load.Spec{Connections: 64, Reply: "small"},
//		Target: "127.0.0.1:8000", PIDs: pids, Window: time.Second,
//	})
//	err = p.Stop()
package load

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

// Process is a running load process: see [Main].
type Process struct {
	Backend int // the backend's port on 127.0.0.1

	cmd     *exec.Cmd
	slots   *os.File
	results *os.File
	lines   *bufio.Reader
}

// Start runs this very program with the given arguments, which must make it
// call [Main]; prefix, if not empty, is a command that runs it. The process
// ends with the thread that started it, so lock that.
func Start(prefix []string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append(append(prefix[:len(prefix):len(prefix)], self), args...)
	stdin, slots, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	results, stdout, err := os.Pipe()
	if err != nil {
		stdin.Close()
		slots.Close()
		return nil, err
	}
	p := &Process{slots: slots, results: results, lines: bufio.NewReader(results)}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, os.Stderr
	// A process group of its own: a SIGINT from the terminal is for the
	// benchmark, which ends this process in its own time.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err = p.cmd.Start()
	stdin.Close()
	stdout.Close()
	if err != nil {
		slots.Close()
		results.Close()
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	var h hello
	if err := p.read(&h, 10*time.Second); err != nil {
		p.Stop()
		return nil, err
	}
	p.Backend = h.Backend
	return p, nil
}

// Run runs a slot. The error is about the load process; what went wrong
// between clients and proxy is in the result.
func (p *Process) Run(s Slot) (Result, error) {
	var r Result
	line, err := json.Marshal(s)
	if err != nil {
		return r, err
	}
	if _, err := p.slots.Write(append(line, '\n')); err != nil {
		return r, fmt.Errorf("load process: %w", err)
	}
	err = p.read(&r, s.Warmup+s.Window+6*patience)
	return r, err
}

func (p *Process) read(v any, timeout time.Duration) error {
	if err := p.results.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("load process: %w", err)
	}
	line, err := p.lines.ReadBytes('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("load process: no answer within %v", timeout)
	}
	if err != nil {
		return fmt.Errorf("load process: it ended early: %w", err)
	}
	return json.Unmarshal(line, v)
}

// Stop ends the process.
func (p *Process) Stop() error {
	p.slots.Close()
	defer p.results.Close()
	kill := time.AfterFunc(2*time.Second, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("load process: %w", err)
	}
	return nil
}
