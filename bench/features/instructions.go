package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/server"
)

//go:embed testdata/policy.yaml.tmpl
var policyText string

// A build gets requests until all is warm, and then those that are counted.
const (
	warmRequests    = 4_000
	countedRequests = 20_000
	countRounds     = 9
)

// build is a program whose instructions are counted.
type build struct {
	name, pkg string
	breaker   string // its policy's circuitBreaker
	args      func(policies, admin, log string) []string
}

func builds() []build {
	return []build{
		{"lb", "go-loadbalancer/lb", "consecutiveFailures: 5, failurePercent: 20", func(policies, admin, log string) []string {
			return []string{"run", "--policies", policies, "--admin", admin, "--access-log", log}
		}},
		{"plain", "go-loadbalancer/bench/plain", "consecutiveFailures: 0, failurePercent: 0", func(policies, _, log string) []string {
			return []string{"-policies", policies, "-access-log", log}
		}},
	}
}

// instructions counts those of a request, outside the kernel, by build and round.
func instructions(ctx context.Context) (map[string][]float64, error) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return nil, fmt.Errorf("%w: run .ci/install bench", err)
	}
	dir, err := os.MkdirTemp("", "features-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	generator, err := load.Start(nil, loadCommand)
	if err != nil {
		return nil, err
	}
	defer generator.Stop()
	counted := map[string][]float64{}
	for _, b := range builds() {
		if err := server.Build(ctx, b.pkg, filepath.Join(dir, b.name)); err != nil {
			return nil, err
		}
	}
	for range countRounds {
		for _, b := range builds() {
			n, err := b.count(ctx, dir, generator)
			if err != nil {
				return nil, err
			}
			counted[b.name] = append(counted[b.name], float64(n)/countedRequests)
		}
	}
	return counted, nil
}

// count runs a build under callgrind, and returns the instructions of all requests that
// are counted.
func (b build) count(ctx context.Context, dir string, generator *load.Process) (int64, error) {
	dir, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return 0, err
	}
	addresses, err := server.FreeAddresses(2)
	if err != nil {
		return 0, err
	}
	policies, profile := filepath.Join(dir, "watched", "policies"), filepath.Join(dir, "profile")
	if err := os.MkdirAll(policies, 0o755); err != nil {
		return 0, err
	}
	text := strings.NewReplacer("LISTEN", addresses[0], "BACKEND", fmt.Sprintf("127.0.0.1:%d", generator.Backend), "BREAKER", b.breaker).Replace(policyText)
	if err := os.WriteFile(filepath.Join(policies, "policy.yaml"), []byte(text), 0o644); err != nil {
		return 0, err
	}
	s, err := server.Start(ctx, server.Command{
		Name: b.name + " under callgrind",
		Argv: append([]string{"valgrind", "--tool=callgrind", "--callgrind-out-file=" + profile, filepath.Join(filepath.Dir(dir), b.name)},
			b.args(policies, addresses[1], filepath.Join(dir, "access.log"))...),
		Dir: dir,
		// Valgrind knows neither that instruction nor, in callgrind, signals within a call.
		Env:   []string{"GOMAXPROCS=1", "GODEBUG=cpu.rdtscp=off,asyncpreemptoff=1"},
		Await: "http://" + addresses[0] + "/small",
	})
	if err != nil {
		return 0, err
	}
	// Callgrind 3.19 fails at a Go program's end, so it must tell its counts before.
	defer s.Stop()
	ask := func(what string) error {
		if text, err := exec.CommandContext(ctx, "vgdb", fmt.Sprintf("--pid=%d", s.PID), what).CombinedOutput(); err != nil {
			return fmt.Errorf("vgdb %s: %w: %s", what, err, text)
		}
		return nil
	}
	run := func(requests int) error {
		r, err := generator.Run(load.Slot{
			Spec: load.Spec{Connections: 64, Reply: "small"}, Target: addresses[0], Host: "bench.example.com",
			Window: time.Minute, Requests: requests,
		})
		if err == nil && (r.Errors > 0 || r.Requests != requests) {
			err = fmt.Errorf("%s: %d of %d requests answered, %d errors, the first: %s", b.name, r.Requests, requests, r.Errors, r.Error)
		}
		return err
	}
	if err := run(warmRequests); err != nil {
		return 0, err
	}
	if err := ask("zero"); err != nil {
		return 0, err
	}
	if err := run(countedRequests); err != nil {
		return 0, err
	}
	if err := ask("dump"); err != nil {
		return 0, err
	}
	return total(profile + ".1")
}

// total is what a profile of callgrind sums up to.
func total(profile string) (int64, error) {
	f, err := os.Open(profile)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if n, is := strings.CutPrefix(lines.Text(), "totals: "); is {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, errors.Join(fmt.Errorf("%s has no totals", profile), lines.Err())
}

// median is that of a sample that is not empty, and how far its extremes are apart.
func median(sample []float64) (middle, spread float64) {
	s := slices.Sorted(slices.Values(sample))
	return s[len(s)/2], s[len(s)-1] - s[0]
}
