package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go-loadbalancer/bench/child"
	"go-loadbalancer/bench/server"
)

// Paces of what goes on beside the load.
const (
	sampleEvery = time.Second
	reloadEvery = 2 * time.Second
	rotateEvery = 10 * time.Second // of the access log
	// quietWithin is how long the balancer may take, once nobody asks anything
	// any more, to be as it was at the start.
	quietWithin = 30 * time.Second
)

// result is what a soak found.
type result struct {
	start, end  state
	final       metrics
	phases      []phaseResult
	generations int      // of the policy
	complaints  []string // lines of the log that say something broke
	stopped     error    // how the balancer's end went
}

// phaseResult is what a phase found.
type phaseResult struct {
	phase
	honest  honestReport
	hostile hostileReport
	samples []sample
}

// soak is a run.
type soak struct {
	plan     plan
	rate     int
	seed     uint64
	dir      string
	binary   string
	prefix   []string // that pins the balancer
	progress func(format string, args ...any)

	honest, hostile *child.Process
	server          *server.Process
	listen          string
	policy          *policyFile
	log             string // access log
	reloaded        time.Time
	rotated         time.Time
}

// run soaks. The children are running.
func (s *soak) run(ctx context.Context) (*result, error) {
	var b backends
	if err := s.honest.Read(&b, 10*time.Second); err != nil {
		return nil, err
	}
	var h hostileHello
	if err := s.hostile.Read(&h, 10*time.Second); err != nil {
		return nil, err
	}
	admin, err := s.launch(ctx, b, h.Huge)
	if err != nil {
		return nil, err
	}
	defer s.server.Stop()
	scraper := newScraper(admin)
	defer scraper.close()
	r := &result{}
	// The connection that asked whether it is up closes, and this one stays.
	if r.start, err = s.settle(ctx, scraper, state{}); err != nil {
		return nil, err
	}
	var discarded honestReport
	if err := s.honest.Call(honestCommand{Start: true, Host: s.listen, Direct: b.Sound[0], Rate: s.rate}, &discarded, time.Second); err != nil {
		return nil, err
	}
	s.reloaded, s.rotated = time.Now(), time.Now()
	for _, p := range s.plan.phases(attacks()) {
		s.progress("%s: %v", p.name, p.length.Round(time.Second/10))
		got, err := s.phase(ctx, p)
		if err != nil {
			return nil, err
		}
		r.phases = append(r.phases, got)
	}
	s.progress("quiet")
	last := &r.phases[len(r.phases)-1]
	var rest honestReport
	if err := s.honest.Call(honestCommand{Stop: true}, &rest, 2*requestTimeout); err != nil {
		return nil, err
	}
	last.honest.addFailures(rest)
	if r.end, err = s.settle(ctx, scraper, r.start); err != nil {
		return nil, err
	}
	if err := scraper.collect(ctx, quietWithin); err != nil {
		return nil, err
	}
	if r.end, r.final, err = scraper.state(ctx, s.server.PID); err != nil {
		return nil, err
	}
	r.generations = s.policy.number
	scraper.close()
	r.stopped = s.server.Stop()
	r.complaints, err = complaints(s.server.Stderr)
	return r, err
}

// launch writes the policy and starts the balancer.
func (s *soak) launch(ctx context.Context, b backends, huge string) (admin string, err error) {
	addresses, err := server.FreeAddresses(2)
	if err != nil {
		return "", err
	}
	s.listen, admin = addresses[0], addresses[1]
	// In a directory of their own: their parent is watched too.
	policies := filepath.Join(s.dir, "watched", "policies")
	if err := os.MkdirAll(policies, 0o755); err != nil {
		return "", err
	}
	s.policy = &policyFile{file: filepath.Join(policies, "policy.yaml"), listen: s.listen, backends: b, huge: huge}
	if err := s.policy.write(); err != nil {
		return "", err
	}
	s.log = filepath.Join(s.dir, "access.log")
	argv := append(s.prefix[:len(s.prefix):len(s.prefix)], s.binary, "run", "--policies", policies, "--admin", admin, "--access-log", s.log)
	s.server, err = server.Start(ctx, server.Command{
		Name: "lb", Argv: argv, Dir: s.dir, Env: []string{"GOMAXPROCS=1"}, Await: "http://" + s.listen + "/small",
	})
	return admin, err
}

// phase spends the time of a phase.
func (s *soak) phase(ctx context.Context, p phase) (phaseResult, error) {
	r := phaseResult{phase: p}
	var discarded hostileReport
	if err := s.hostile.Call(hostileCommand{Host: s.listen, Seed: s.seed, Attacks: p.attacks}, &discarded, 30*time.Second); err != nil {
		return r, err
	}
	for end := time.Now().Add(p.length); ; {
		one, err := takeSample(s.server.PID)
		if err != nil {
			return r, fmt.Errorf("the balancer is gone: %w", err)
		}
		r.samples = append(r.samples, one)
		left := time.Until(end)
		if left <= 0 {
			break
		}
		if !sleep(ctx, min(left, sampleEvery)) {
			return r, ctx.Err()
		}
		if err := s.disturb(p); err != nil {
			return r, err
		}
	}
	err := s.honest.Call(honestCommand{}, &r.honest, 30*time.Second)
	if err == nil {
		err = s.hostile.Call(hostileCommand{Host: s.listen}, &r.hostile, 30*time.Second)
	}
	return r, err
}

// disturb changes the policy, if the phase wants it, and rotates the access log,
// when it is time.
func (s *soak) disturb(p phase) error {
	if p.reloads && time.Since(s.reloaded) >= reloadEvery {
		s.reloaded = time.Now()
		if err := s.policy.write(); err != nil {
			return err
		}
	}
	if time.Since(s.rotated) < rotateEvery {
		return nil
	}
	s.rotated = time.Now()
	if err := os.Rename(s.log, s.log+".1"); err != nil {
		return err
	}
	return s.server.Signal(syscall.SIGHUP)
}

// settle waits, at most for a while, until the balancer is as quiet as it was at
// the start, or, before there was one, until it is as quiet as it gets.
func (s *soak) settle(ctx context.Context, from *scraper, start state) (state, error) {
	var last state
	for end, same := time.Now().Add(quietWithin), 0; ; {
		now, _, err := from.state(ctx, s.server.PID)
		if err != nil {
			return now, err
		}
		if now.files != last.files || now.goroutines != last.goroutines {
			last, same = now, 0
		} else {
			same++
		}
		if start != (state{}) && now.quietAs(start) || start == (state{}) && same == 5 || time.Now().After(end) {
			return now, nil
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return now, ctx.Err()
		}
	}
}

// complaints are lines of the balancer's log that nothing a client or an endpoint
// does may cause.
func complaints(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte("panic: ")) || bytes.Contains(line, []byte(`"level":"ERROR"`)) || bytes.Contains(line, []byte("fatal error")) {
			found = append(found, string(line[:min(len(line), 2000)]))
		}
	}
	return found, nil
}

// addFailures adds what failed after the last report was taken.
func (r *honestReport) addFailures(rest honestReport) {
	for name, l := range rest.Kinds {
		sum := r.Kinds[name]
		if sum.Failures == 0 {
			sum.First = l.First
		}
		sum.Failures += l.Failures
		r.Kinds[name] = sum
	}
}

var errInvalid = errors.New("invalid run")
