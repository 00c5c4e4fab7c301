//go:build image

package containers

import (
	"context"
	"errors"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/stage"
)

// In the container image there is no engine to be had, and so nothing of this package but
// what says so: it is a tenth of the program.
var errAbsent = errors.New("the sim of the container image has no stage containers: use one that is built by go build ./sim")

// Work does nothing.
func Work() {}

// Check says that there is no such stage.
func Check(context.Context) error { return errAbsent }

// Run says that there is no such stage.
func Run(context.Context, stage.Job, Options) (*history.Run, error) { return nil, errAbsent }
