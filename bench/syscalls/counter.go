package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/server"
)

//go:embed testdata/policy.yaml.tmpl
var policy string

// traceable says why processes cannot be traced here; nil: they can.
func traceable() error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("%w: run .ci/install test", err)
	}
	if text, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		return fmt.Errorf("strace may not trace here (containers need CAP_SYS_PTRACE): %w: %s", err, text)
	}
	return nil
}

// counter counts the system calls of a balancer's binary.
type counter struct {
	binary string
	load   *load.Process
	dir    string // for the files of the balancers
}

// count has a fresh balancer serve requests of a kind under strace.
func (c *counter) count(ctx context.Context, k kind) (counts, error) {
	dir, err := os.MkdirTemp(c.dir, k.name+"-")
	if err != nil {
		return nil, err
	}
	addresses, err := server.FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	listen, admin := addresses[0], addresses[1]
	// The balancer watches the policies' parent too: nothing else is written there.
	policies, trace := filepath.Join(dir, "watched", "policies"), filepath.Join(dir, "trace")
	if err := os.MkdirAll(policies, 0o755); err != nil {
		return nil, err
	}
	text := strings.NewReplacer("LISTEN", listen, "BACKEND", fmt.Sprintf("127.0.0.1:%d", c.load.Backend)).Replace(policy)
	if err := os.WriteFile(filepath.Join(policies, "policy.yaml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	s, err := server.Start(ctx, server.Command{
		Name: "lb under strace",
		// -D: the balancer is our child, strace a bystander that ends with it.
		// Left out is what the runtime does by the clock, not by requests: the
		// sleeps of its monitor, and its reminding goroutines to yield.
		Argv: []string{"strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-s", "0", "-e", "signal=none", "-e", "trace=!nanosleep,getpid,tgkill,rt_sigreturn", "-o", trace,
			c.binary, "run", "--policies", policies, "--admin", admin, "--access-log", filepath.Join(dir, "access.log")},
		Dir: dir, Env: []string{"GOMAXPROCS=1"},
		Await: "http://" + listen + "/small",
	})
	if err != nil {
		return nil, err
	}
	r, err := c.load.Run(load.Slot{
		Spec: k.load, Target: listen, Host: "bench.example.com",
		Warmup: 200 * time.Millisecond, Window: time.Minute, Requests: k.requests,
	})
	if err := errors.Join(err, s.Stop()); err != nil {
		return nil, err
	}
	if r.Errors > 0 || r.Requests != k.requests {
		return nil, fmt.Errorf("%s: %d of %d requests answered, %d errors, the first: %s", k.name, r.Requests, k.requests, r.Errors, r.Error)
	}
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return tally(f, r.Began, r.Began.Add(r.Elapsed))
}
