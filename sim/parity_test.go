package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/local"
	"go-loadbalancer/sim/report"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/suite"
	"go-loadbalancer/sim/virtual"
)

// played is a scenario in which an endpoint is silent and then fails, a policy is changed
// and a replica restarted; and one with the same faults, that nobody can bear.
const played = `
apiVersion: sim/v1
kind: Scenario
metadata: {name: borne}
spec:
  duration: 3s
  policy:
    apiVersion: lb/v1
    kind: Policy
    metadata: {name: shop, version: "1"}
    spec:
      listeners: [{name: http, address: ":8000"}]
      routes: [{name: cart, backendRefs: [{pool: cart}], retry: {attempts: 2}, timeouts: {request: 2s, backendRequest: 400ms}}]
      pools:
        - name: cart
          endpoints: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80"}, {address: "10.0.0.3:80"}]
          circuitBreaker: {consecutiveFailures: 3, openDuration: 10s}
          retryBudget: {percent: 100}
  topology: {replicas: 2}
  load: [{rate: 100, requests: [{get: /cart}]}]
  timeline:
    - {name: hole, at: 500ms, for: 500ms, on: cart/1, blackhole: true}
    - {name: dead, at: 1200ms, on: cart/2, refuse: true}
    - {name: bad, at: 1500ms, on: policy, apply: {apiVersion: lb/v1, kind: Policy}}
  expect:
    - that: success("1s") == 1.0
    - {that: 'breaker("cart/2", "lb/1") == "open"', within: 1500ms, after: dead}
    - {that: 'breaker("cart/3") == "closed"', during: dead}
---
apiVersion: sim/v1
kind: Scenario
metadata: {name: unborne}
spec:
  duration: 2s
  policy:
    apiVersion: lb/v1
    kind: Policy
    metadata: {name: shop, version: "1"}
    spec:
      listeners: [{name: http, address: ":8000"}]
      routes: [{name: cart, backendRefs: [{pool: cart}]}]
      pools: [{name: cart, endpoints: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80"}]}]
  load: [{rate: 100, requests: [{get: /cart}]}]
  timeline:
    - {name: garbage, at: 500ms, for: 500ms, on: cart/1, garbage: true}
  expect:
    - that: success("1s") == 1.0
    - that: share("cart/2") > 0.4
`

// A scenario comes to the same on both stages: each expectation and each invariant.
func TestParity(t *testing.T) {
	files := fstest.MapFS{"parity.yaml": {Data: []byte(played)}}
	play := func(run func(context.Context, stage.Job) (*history.Run, error)) []*report.Run {
		o := suite.Options{Stage: suite.Stage{Run: run}, Once: true, Workers: 1}
		plans, found := suite.Read(files, []string{"parity.yaml"}, o)
		if found.HasErrors() {
			t.Fatal(found)
		}
		out := &report.Suite{Files: files}
		if err := suite.Play(t.Context(), plans, o, out, report.NewTerminal(io.Discard, os.Getenv)); err != nil {
			t.Fatal(err)
		}
		return out.Runs
	}
	inMemory := play(func(ctx context.Context, j stage.Job) (*history.Run, error) {
		return virtual.Run(ctx, j, virtual.Options{})
	})
	if inMemory[0].Verdict != report.Passed || inMemory[1].Verdict != report.Failed {
		t.Errorf("in virtual time the verdicts are %s and %s", inMemory[0].Verdict, inMemory[1].Verdict)
	}
	const tries, late = 3, 10 * time.Millisecond
	for range tries {
		real := play(func(ctx context.Context, j stage.Job) (*history.Run, error) {
			return local.Run(ctx, j, local.Options{})
		})
		if behind := max(real[0].History.Behind, real[1].History.Behind); behind > late {
			t.Logf("the generator was %v late", behind)
			continue
		}
		for i := range real {
			if a, b := outcome(inMemory[i]), outcome(real[i]); a != b {
				t.Errorf("%s: in virtual time\n%son real sockets\n%s%s", real[i].Scenario.Name, a, b, details(real[i]))
			}
		}
		return
	}
	t.Skipf("in %d runs the machine had no time for the generator", tries)
}

// outcome is a verdict and what it is made of.
func outcome(r *report.Run) string {
	text := fmt.Sprintln(r.Verdict)
	for _, e := range r.Expectations {
		text += fmt.Sprintln(e.Pos, e.Status)
	}
	for _, i := range r.Invariants {
		text += fmt.Sprintln(i.ID, i.Status)
	}
	return text
}

func details(r *report.Run) (text string) {
	for _, e := range r.Expectations {
		if e.Status == report.Violated {
			text += fmt.Sprintf("%+v\n", e)
		}
	}
	for _, i := range r.Invariants {
		if i.Status == report.Violated {
			text += fmt.Sprintf("%+v\n", i)
		}
	}
	return text
}
