package local

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/stage"
)

// Stage is what runs of this package are of.
const Stage = "local"

// Options say how to run.
type Options struct {
	// Redis is [Start], the URL of one that is there, or empty: one in this process.
	Redis string
}

// patience is how long a run may take beyond its scenario: more than requests and
// replicas have to end.
const patience = 5 * time.Minute

// errPatience is of a run that takes longer.
var errPatience = errors.New("out of patience")

// runs numbers those of the process, for what they leave to be told apart.
var runs atomic.Uint64

// Run plays a job. It takes as long as the scenario says, and a little longer. A run that
// failed is one with a Failure; an error is of a job that cannot be played, or ctx's.
// Nothing is left behind in any case, but what the run's Leaks tell. Several may be
// played at once, if the machine can bear it.
func Run(ctx context.Context, j stage.Job, o Options) (*history.Run, error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	number := strconv.FormatUint(runs.Add(1), 10)
	n, err := newNetwork(j.Scenario, o, number)
	if err != nil {
		return nil, err
	}
	limit := j.Scenario.Duration + patience
	watched, stop := context.WithTimeoutCause(ctx, limit, errPatience)
	defer stop()
	var run *history.Run
	pprof.Do(watched, pprof.Labels(label, number), func(ctx context.Context) { run, err = stage.Play(ctx, n, j) })
	n.close()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && context.Cause(watched) == errPatience:
		return j.Failed(Stage, fmt.Sprintf("it did not end within %v", limit)), nil
	case err != nil:
		return nil, err
	}
	if !n.sources {
		run.Notes = slices.Insert(run.Notes, 0, history.Note{Text: "all clients have one address: this system has no others than 127.0.0.1"})
	}
	return run, nil
}
