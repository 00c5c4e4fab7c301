// Package virtual is the stage in which scenarios are replayed in virtual time: the
// balancer as everybody builds it, between modelled clients, backends and Redis, on a
// network in memory. Ten minutes take a second or so, and the same seed gives the same
// run.
//
//	func main() {
//		virtual.Work() // does not return in a worker process
//		// …
//		run, err := virtual.Run(ctx, virtual.Job{Scenario: s, Files: files}, virtual.Options{})
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
// # What there is
//
// Replica N of the balancer is 198.18.0.N, whatever addresses its policy listens on;
// their ports are kept. Without Redis they have the key of session cookies in common.
// Every address that the policies of the scenario name has a backend; a host name has
// one address. Clients have addresses of their own, as many as there are sessions, else
// 250. A policy that keeps sessions in Redis finds one, unless
// the scenario says that there is none.
//
// The run's beginning is when all replicas serve. Faults without an end last until all
// requests have ended.
//
// # What it cannot do
//
// HTTP/2 and gRPC (checks included), TLS, and faults of a target that has no such thing:
// those are told as skipped, with the reason.
package virtual
