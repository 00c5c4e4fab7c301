// Package containers is the stage on which scenarios are played on real containers: the
// balancer from its real image, as many replicas as the scenario wants, a container for
// each backend, and a real Redis. The load comes from this machine, and everything is
// told and asked over HTTP.
//
//	containers.Work() // in main: see there
//	run, err := containers.Run(ctx, stage.Job{Scenario: s, Files: files}, containers.Options{})
//
// # Network
//
// A run has one of its own, over which balancers reach backends and Redis. By ports of
// 127.0.0.1 that stay the same for the run come the load, and what the simulator tells and
// asks; what is cut is cut between two containers, and never that. Addresses of a policy
// are other ones there: each file is given to the balancers with the real ones in their
// place, and what they tell is put back. Whoever reads the history sees the scenario's.
//
// # How long it takes
//
// What the engine does for a container, it does for one after the other: a second network
// for each would double it. So there is one, and each container is started as soon as
// those that it needs serve. Balancers end as SIGTERM has them end, which takes a second,
// for they still serve who connects just then: that they do end, and well, is judged.
//
// # What is known
//
// A balancer streams what happens from its admin address (GET /api/v1/tail), and a
// backend which requests came; nothing is sampled. Its metrics are asked for when it has
// no request any more, before it is told to stop.
//
// # Nothing is left
//
// Each run's containers and network have a label of their own. They are removed when
// the run ends, however it does; should this process not live to do it, a second one
// does, which does nothing but wait for that. See [Work].
package containers
