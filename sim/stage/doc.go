// Package stage plays scenarios: it puts a cast of clients, replicas of the balancer,
// modelled backends and a Redis on a network, makes the faults of the timeline at their
// times, and makes one history of what everybody saw.
//
//	run, err := stage.Play(ctx, ground, stage.Job{Scenario: s, Files: files})
//
// What it plays on is a [Ground]: in memory and in virtual time (package virtual), or on
// real sockets and the real clock (package local). Everything else is the same for both,
// so that a scenario means the same on each.
//
// # What there is
//
// Replica N of the balancer is 198.18.0.N, whatever addresses its policy listens on;
// their ports are kept. Without Redis they have the key of session cookies in common.
// Every address that the policies of the scenario name has a backend; a host name has
// one address. Clients have addresses of their own, as many as there are sessions, else
// 250. A policy that keeps sessions in Redis finds one, unless the scenario says that
// there is none. What those addresses are in truth is the ground's affair.
//
// The run's beginning is when all replicas serve. Faults without an end last until all
// requests have ended.
//
// # What it cannot do
//
// HTTP/2 and gRPC (checks included), TLS, and a balancer that stands still: see [Cannot],
// by which a scenario is refused before it is played. A fault that is not possible when its
// time comes is told as skipped, with the reason, and the run proves nothing.
package stage
