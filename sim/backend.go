package main

import (
	"fmt"
	"net"

	"go-loadbalancer/sim/backend"
)

type backendCommand struct {
	Listen  string `default:"127.0.0.1:9001" placeholder:"ADDR" help:"Address to serve on; :PORT for every address (default ${default})."`
	Name    string `placeholder:"NAME" help:"What it calls itself; left out, its address."`
	Seed    uint64 `default:"1" placeholder:"N" help:"Decides what is left to chance (default ${default})."`
	Latency string `default:"0s" placeholder:"D[,D]" help:"How long it takes over a request: a fixed time, or the median and the 99th percentile, such as 20ms,80ms (default ${default})."`
	Fault   string `placeholder:"JSON" help:"Faults to begin with, as PUT /_fault takes them, such as '{\"errors\": 0.1}'."`
}

func (c *backendCommand) Run(s session) error {
	latency, err := backend.ParseLatency(c.Latency)
	if err != nil {
		return fmt.Errorf("%w: --latency: %w", errUsage, err)
	}
	b := backend.New(backend.Options{Name: c.Name, Seed: c.Seed, Latency: latency})
	if c.Fault != "" {
		f, err := backend.ParseFaults([]byte(c.Fault))
		if err == nil {
			err = b.SetFaults(f)
		}
		if err != nil {
			return fmt.Errorf("%w: --fault: %w", errUsage, err)
		}
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("cannot serve on %s: %w", c.Listen, err)
	}
	fmt.Fprintf(s.stdout, "backend on %s, faults at http://%s%s\n", ln.Addr(), ln.Addr(), backend.ControlPath)
	return b.Serve(s, ln)
}
