package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/telemetry"
)

// Each measurement is of so many uses by each processor, and is done so often.
const (
	uses             = 2_000_000
	contentionRounds = 9
)

// feature is a part of what every request does.
type feature struct {
	name string
	use  func() // once, for one request
}

// contended are all of them, at one endpoint: the worst case, as every processor writes
// what every other one has just written.
func contended() (features []feature, end func(), err error) {
	text := strings.NewReplacer("LISTEN", "127.0.0.1:0", "BACKEND", "127.0.0.1:1", "BREAKER", "consecutiveFailures: 5, failurePercent: 20").Replace(policyText)
	parsed, found := policy.Files{"policy.yaml": []byte(text)}.Load()
	if found.HasErrors() {
		return nil, nil, fmt.Errorf("the policy: %v", found)
	}
	registry := pool.NewRegistry(pool.Options{})
	stage, err := registry.Stage(parsed.Pools)
	if err != nil {
		registry.Close()
		return nil, nil, err
	}
	stage.Commit(func() {})
	p := stage.Pools()[0]
	e, refusal := p.Pick(0, pool.Key{}, nil, breaker.Willing)
	if e == nil {
		registry.Close()
		return nil, nil, fmt.Errorf("no endpoint is to be had: %v", refusal)
	}
	metrics := telemetry.NewMetrics(telemetry.Build{}).Events()
	catalog := &event.Catalog{
		Listeners: []string{"http"}, Routes: []event.Named{{Name: "all"}}, Pools: []event.Named{{Name: "backend"}},
		Endpoints: []event.NamedEndpoint{{PoolName: "backend", Address: "127.0.0.1:1"}},
	}
	metrics.PolicyPrepared(catalog)
	metrics.PolicyCommitted(&event.Commit{Catalog: catalog, At: time.Now()})
	request := &event.Request{Status: 200, Duration: time.Millisecond, Session: event.NoSession}
	attempt := &event.Attempt{Result: event.OK, Status: 200, Duration: time.Millisecond}
	return []feature{
		{"limits and retry budget", func() {
			p.Requested()
			if e.Begin(nil) == pool.Started {
				e.End()
			}
		}},
		{"circuit breaker", func() {
			if done, _, ok := e.Breaker().Allow(breaker.Reluctant); ok {
				done(nil)
			}
		}},
		{"metrics", func() {
			metrics.RequestRouted(0)
			metrics.AttemptEnded(attempt)
			metrics.RequestEnded(request)
		}},
	}, registry.Close, nil
}

// used is the processor time of a use, in nanoseconds, by round.
type used struct {
	feature  string
	one, two []float64 // by one processor, and by two at once
}

// contention measures it.
func contention(ctx context.Context) ([]used, error) {
	features, end, err := contended()
	if err != nil {
		return nil, err
	}
	defer end()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	all := make([]used, len(features))
	for range contentionRounds {
		for i, f := range features {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			all[i].feature = f.name
			all[i].one = append(all[i].one, timed(f, 1))
			all[i].two = append(all[i].two, timed(f, 2))
		}
	}
	return all, nil
}

// timed is the processor time of a use of a feature by so many processors at once.
func timed(f feature, processors int) float64 {
	runtime.GOMAXPROCS(processors)
	before := processorTime()
	var all sync.WaitGroup
	for range processors {
		all.Go(func() {
			for range uses {
				f.use()
			}
		})
	}
	all.Wait()
	return float64(processorTime()-before) / float64(uses*processors)
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
