package main

import (
	"encoding/json"
	"fmt"
	"net"

	"go-loadbalancer/sim/backend"
	"go-loadbalancer/sim/endpoint"
	"go-loadbalancer/sim/model"
)

type backendCommand struct {
	Listen  string `default:"127.0.0.1:9001" placeholder:"ADDR" help:"Address to serve on; :PORT for every address (default ${default})."`
	Name    string `placeholder:"NAME" help:"What it calls itself; left out, its address."`
	Seed    uint64 `default:"1" placeholder:"N" help:"Decides what is left to chance (default ${default})."`
	Latency string `default:"0s" placeholder:"D[,D]" help:"How long it takes over a request: a fixed time, or the median and the 99th percentile, such as 20ms,80ms (default ${default})."`
	Fault   string `placeholder:"JSON" help:"Faults to begin with, as PUT /_fault takes them, such as '{\"errors\": 0.1}'."`
	Control string `placeholder:"ADDR" help:"Play an endpoint of a scenario, and be told at this address what is to be wrong with it: what sim run --stage containers starts. Of the other flags --listen and --model count then."`
	Model   string `default:"{}" placeholder:"JSON" help:"With --control: what the endpoint is like when it is well."`
}

// Help follows the summary of sim backend --help.
func (*backendCommand) Help() string {
	return fmt.Sprintf(`Faults are a JSON object: --fault to begin with, and while it runs

    curl -X PUT localhost:9001%[1]s -d '{"hang": true, "for": "40s"}'

GET %[1]s shows them, DELETE %[1]s ends them. One of these instead of an answer:

    respond        {"status": 503, "after": "2s"}
    hang           true: never answer
    garbage        true: answer bytes that are not HTTP
    close          true: close the connection
    reset          true: reset the connection

and any of these with it:

    latency        "100ms", or {"p50": "20ms", "p99": "80ms"}
    errors         0.1: the share that fails, or {"share": 0.1, "status": 500}
    first          5: so many fail, or {"requests": 5, "status": 500}
    slowBody       bytes of body a second
    truncate       close after so many bytes of body
    contentLength  announce this length
    health         "pass" or "fail": what /healthz says
    for            "40s": how long all of it lasts`, backend.ControlPath)
}

func (c *backendCommand) Run(s session) error {
	if c.Control != "" {
		return c.play(s)
	}
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

// play is an endpoint of a scenario.
func (c *backendCommand) play(s session) error {
	var o model.Options
	if err := json.Unmarshal([]byte(c.Model), &o); err != nil {
		return fmt.Errorf("%w: --model: %w", errUsage, err)
	}
	control, err := net.Listen("tcp", c.Control)
	if err != nil {
		return fmt.Errorf("cannot be told anything at %s: %w", c.Control, err)
	}
	return endpoint.New(c.Listen, o).Serve(s, control)
}
