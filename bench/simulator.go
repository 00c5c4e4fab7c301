package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"go-loadbalancer/bench/server"
)

// What is asked of the simulator.
const (
	simulatedTarget = 12000 // requests a second of processor time, at least
	minuteTarget    = 80 * time.Millisecond
	catalogueTarget = 90 * time.Second
	memoryTarget    = 200 << 20 // of a worker, in bytes
)

// simulatorRounds is the most rounds of the simulator: it is measured by processor time
// and varies little.
const simulatorRounds = 5

// catalogueDir is where the scenarios are that are shipped.
const catalogueDir = "scenarios"

// simulated is a scenario of nothing but load: its duration and its requests a second
// are left to be filled in.
const simulated = `apiVersion: sim/v1
kind: Scenario
metadata: {name: speed}
spec:
  duration: %v
  policy:
    apiVersion: lb/v1
    kind: Policy
    metadata: {name: shop, version: "1"}
    spec:
      listeners: [{name: http, address: ":8000"}]
      routes: [{name: cart, backendRefs: [{pool: cart}]}]
      pools:
        - name: cart
          endpoints: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80"}, {address: "10.0.0.3:80"}, {address: "10.0.0.4:80"}]
          healthCheck: {active: {interval: 2s}}
  load: [{rate: %d, arrivals: Constant, requests: [{get: /cart}]}]
`

// simulation is what the simulator did, by round.
type simulation struct {
	rate      []float64 // requests a second of processor time, the start of processes not counted
	minute    []float64 // seconds of processor time for a minute at 20 requests a second, everything counted
	catalogue []float64 // seconds of real time for all scenarios, each played twice
	memory    []float64 // bytes of the largest process of any scenario played by itself
}

// simulator measures `sim run`, all processes of it together.
func (b *bench) simulator(ctx context.Context) (*simulation, error) {
	binary := filepath.Join(b.dir, "sim.bin")
	if err := server.Build(ctx, "go-loadbalancer/sim", binary); err != nil {
		return nil, err
	}
	const long, rate = time.Minute, 2000
	files := map[string]string{}
	for name, text := range map[string]string{
		"start":  fmt.Sprintf(simulated, time.Millisecond, rate),
		"minute": fmt.Sprintf(simulated, time.Minute, 20),
		"long":   fmt.Sprintf(simulated, long, rate),
	} {
		files[name] = filepath.Join(b.dir, name+".yaml")
		if err := os.WriteFile(files[name], []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	scenarios, err := filepath.Glob(filepath.Join(catalogueDir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var s simulation
	for round := range min(b.rounds, simulatorRounds) {
		used := map[string]time.Duration{}
		for name, file := range files {
			u, err := simulate(ctx, binary, "--no-recheck", file)
			if err != nil {
				return nil, err
			}
			used[name] = u.cpu
		}
		all, err := simulate(ctx, binary, catalogueDir)
		if err != nil {
			return nil, err
		}
		s.rate = append(s.rate, rate*long.Seconds()/(used["long"]-used["start"]).Seconds())
		s.minute = append(s.minute, used["minute"].Seconds())
		s.catalogue = append(s.catalogue, all.took.Seconds())
		largest := int64(0)
		for _, file := range scenarios {
			u, err := simulate(ctx, binary, "--no-recheck", file)
			if err != nil {
				return nil, err
			}
			largest = max(largest, u.memory)
		}
		s.memory = append(s.memory, float64(largest))
		b.progress("simulator: round %d of %d", round+1, min(b.rounds, simulatorRounds))
	}
	return &s, nil
}

// usage is what a command and its children needed.
type usage struct {
	cpu, took time.Duration
	memory    int64 // bytes of the largest of them
}

// simulate runs `sim run`, which must pass.
func simulate(ctx context.Context, binary string, args ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, binary, append([]string{"run"}, args...)...)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return usage{}, fmt.Errorf("sim run %v: %w\n%s", args, err, out[max(0, len(out)-4096):])
	}
	took, state := time.Since(start), cmd.ProcessState
	u := usage{cpu: state.UserTime() + state.SystemTime(), took: took}
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.memory = r.Maxrss << 10
	}
	return u, nil
}
