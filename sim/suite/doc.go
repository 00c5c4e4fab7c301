// Package suite plays scenarios and has them judged: each twice, to see that the same
// seed gives the same run, and once with each of its mutations, which must make it fail.
//
//	plans, found := suite.Read(os.DirFS("."), []string{"scenarios"}, suite.Options{})
//	if found.HasErrors() {
//		fmt.Print(found) // file:line:col: …
//		return
//	}
//	out := &report.Suite{Files: os.DirFS(".")}
//	err := suite.Play(ctx, plans, suite.Options{Stage: play}, out, report.NewTerminal(os.Stdout, os.Getenv))
//
// Read finds all that is wrong before anything is played: in scenarios, policies,
// expectations and mutations. Where they are played is the [Stage]'s affair.
package suite

import (
	"context"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// Stage is where scenarios are played.
type Stage struct {
	Name string
	// Args is what else a command line needs to play them there.
	Args []string
	// Cannot says why a fault cannot be made there; empty: it can. Nil: all can.
	Cannot func(*scenario.Fault) string
	// Run plays a job, as [go-loadbalancer/sim/virtual.Run] and
	// [go-loadbalancer/sim/local.Run] do. It is called by several goroutines at once if
	// Options.Workers is not 1.
	Run func(ctx context.Context, j stage.Job) (*history.Run, error)
}

// Options say how scenarios are played.
type Options struct {
	// Stage is where they are played; Play needs it.
	Stage Stage
	// Policy replaces the policy of every scenario: its files by base name; nil: each has
	// its own. PolicyDir is what it is called in messages.
	Policy    policy.Files
	PolicyDir string
	// Seed replaces that of every scenario; 0: each has its own.
	Seed uint64
	// Mutate plays each mutation too.
	Mutate bool
	// Once plays a scenario once, so that nobody knows whether it repeats: on a stage on
	// which nothing does, or to save time.
	Once bool
	// Program is what the simulator is called in commands that do the same again; empty:
	// sim.
	Program string
	// Workers is how many runs there are at once; 0: as many as processors.
	Workers int
}
