// Package virtual is the stage in which scenarios are replayed in virtual time: the
// balancer as everybody builds it, between modelled clients, backends and Redis, on a
// network in memory. Ten minutes take a second or so, and the same seed gives the same
// run.
//
//	func main() {
//		virtual.Work() // does not return in a worker process
//		// …
//		run, err := virtual.Run(ctx, stage.Job{Scenario: s, Files: files}, virtual.Options{})
//		// …
//		virtual.RunAll(ctx, jobs, virtual.Options{}, func(i int, run *history.Run, err error) { … })
//	}
//
// # Workers
//
// Each run has a process of its own, the same program again, with one processor: a
// panic or a deadlock of what is tried ends that run alone, and is told as its
// [history.Run.Failure]. A watchdog in real time ends a run that does not end.
//
// What there is, and what cannot be made, is told by package stage, which plays the
// scenario; here is the ground for it.
package virtual
