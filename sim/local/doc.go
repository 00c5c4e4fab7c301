// Package local is the stage in which scenarios are played on real sockets and by the
// real clock, in this process: what virtual time cannot show of kernels, pollers and
// goroutines that really run at once. A scenario of four minutes takes four minutes.
//
//	run, err := local.Run(ctx, stage.Job{Scenario: s, Files: files}, local.Options{Redis: local.Start})
//
// # Addresses
//
// Whoever listens does so on a free port of 127.0.0.1. Addresses of policies and
// scenarios lead there by a table: no name is looked up and nobody else is asked. A port
// that is to refuse is one that is bound and not listened on. Clients have addresses of
// their own, 127.19.x.y, where the system lets them: Linux does, and a note of the run
// says if not.
//
// # Faults
//
// Everybody is given sockets of the kernel, whose own work it then is to refuse, reset
// and wait. Only bytes cannot be held back so: in a scenario with a black hole, a
// partition or somebody slow, connections to endpoints lead through a relay that does,
// and connections to Redis always do. A connection to a host in a black hole is not
// made until that ends. A reset is a socket closed with SO_LINGER 0; a process that is
// killed has all of its own closed so.
//
// # Redis
//
// It is one of: a Redis in this process; a redis-server that is started for the run; one
// that is there. The last is not changed but for the run's own sessions, which are in a
// namespace of their own and expire: faults that would change it for others cannot be made.
//
// # What it is not
//
// Repeatable: seeds fix the load and what backends do, not who comes first. A panic of
// what is tried ends the process, and an unfortunate neighbour on the machine makes the
// generator late, which makes a run invalid.
package local
