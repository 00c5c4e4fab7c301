package virtual_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
	"go-loadbalancer/sim/virtual"
)

// used is the processor time of all workers that have ended.
func used() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRun is of whole runs, the start of their process and all: processor time of
// each, and requests in a second of it.
func BenchmarkRun(b *testing.B) {
	for _, rate := range []float64{20, 500} {
		b.Run(fmt.Sprintf("%v a second", rate), func(b *testing.B) {
			s := &scenario.Scenario{
				Seed: 42, Duration: time.Minute, Policy: scenario.Policy{Inline: policyOf(4, "", checks)}, Load: []scenario.Load{load(rate)},
				Topology: scenario.Topology{Replicas: 1},
			}
			before, requests := used(), 0
			for b.Loop() {
				r, err := virtual.Run(b.Context(), stage.Job{Scenario: s}, virtual.Options{})
				if err != nil || r.Failure != "" {
					b.Fatal(err, r)
				}
				requests += len(r.Requests)
			}
			cpu := used() - before
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N)/1000, "cpu-ms/run")
			b.ReportMetric(float64(requests)/cpu.Seconds(), "requests/cpu-s")
		})
	}
}
