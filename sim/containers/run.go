//go:build !image

package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/stage"
)

// patience is how long a run may take beyond its scenario.
const patience = 5 * time.Minute

var errPatience = errors.New("out of patience")

// Run plays a job. It takes as long as the scenario says, and some seconds more. A run
// that failed is one with a Failure; an error is of a job that cannot be played here, of
// Docker, or ctx's. Nothing is left behind in any case.
func Run(ctx context.Context, j stage.Job, o Options) (run *history.Run, err error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	called := time.Now()
	e, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer e.close()
	g, err := newGround(e, &j)
	if err != nil {
		return nil, explained(err)
	}
	// Also when something here panics.
	defer func() {
		if left := g.remove(); len(left) > 0 && err == nil {
			if run != nil {
				run.Leaks = append(run.Leaks, left...)
			} else {
				err = fmt.Errorf("containers are left: %v", left)
			}
		}
	}()
	limit := j.Scenario.Duration + patience
	watched, stop := context.WithTimeoutCause(ctx, limit, errPatience)
	defer stop()
	g.ctx = watched
	before := time.Since(called)
	run, err = stage.Play(watched, g, j)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && context.Cause(watched) == errPatience:
		return j.Failed(Stage, fmt.Sprintf("it did not end within %v", limit)), nil
	case err != nil:
		return nil, explained(err)
	}
	run.SetUp += before
	g.finish(run)
	slices.SortStableFunc(run.Notes, func(a, b history.Note) int { return int(a.At - b.At) })
	return run, nil
}
