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
	"time"

	"go-loadbalancer/bench/child"
)

// Process is a running load process: see [Main].
type Process struct {
	Backend int // the backend's port on 127.0.0.1

	child *child.Process
}

// Start runs this very program with the given arguments, which must make it
// call [Main]; prefix, if not empty, is a command that runs it. The process
// ends with the thread that started it, so lock that.
func Start(prefix []string, args ...string) (*Process, error) {
	c, err := child.Start(prefix, args...)
	if err != nil {
		return nil, err
	}
	var h hello
	if err := c.Read(&h, 10*time.Second); err != nil {
		c.Stop()
		return nil, err
	}
	return &Process{Backend: h.Backend, child: c}, nil
}

// Run runs a slot. The error is about the load process; what went wrong
// between clients and proxy is in the result.
func (p *Process) Run(s Slot) (Result, error) {
	var r Result
	err := p.child.Call(s, &r, s.Warmup+s.Window+6*patience)
	return r, err
}

// Stop ends the process.
func (p *Process) Stop() error { return p.child.Stop() }
