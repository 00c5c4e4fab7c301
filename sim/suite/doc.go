// Package suite plays scenarios and has them judged: each twice, to see that the same
// seed gives the same run, and once with each of its mutations, which must make it fail.
//
//	plans, found := suite.Read(os.DirFS("."), []string{"scenarios"}, suite.Options{})
//	if found.HasErrors() {
//		fmt.Print(found) // file:line:col: …
//		return
//	}
//	out := &report.Suite{Files: os.DirFS(".")}
//	err := suite.Play(ctx, plans, suite.Options{}, out, report.NewTerminal(os.Stdout, os.Getenv))
//
// Read finds all that is wrong before anything is played: in scenarios, policies,
// expectations and mutations. Runs are in worker processes of this program, so its main
// begins with [go-loadbalancer/sim/virtual.Work].
package suite

import "go-loadbalancer/lb/policy"

// Options say how scenarios are played.
type Options struct {
	// Policy replaces the policy of every scenario: its files by base name; nil: each has
	// its own. PolicyDir is what it is called in messages.
	Policy    policy.Files
	PolicyDir string
	// Seed replaces that of every scenario; 0: each has its own.
	Seed uint64
	// Mutate plays each mutation too.
	Mutate bool
	// Once plays a scenario once, so that nobody knows whether it repeats.
	Once bool
	// Workers is how many runs there are at once; 0: as many as processors.
	Workers int
}
