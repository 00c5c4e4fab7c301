// Package containers is the stage on which scenarios are played on real containers: the
// balancer from its real image, as many replicas as the scenario wants, a container for
// each backend, and a real Redis. The load comes from this machine, and everything is
// told and asked over HTTP.
//
//	containers.Work() // in main: see there
//	run, err := containers.Run(ctx, stage.Job{Scenario: s, Files: files}, containers.Options{})
//
// # Networks
//
// A run has two of its own. Over the data network balancers reach backends and Redis; all
// that is cut is cut there. Over the control network, by ports of 127.0.0.1 that stay the
// same for the run, come the load, and what the simulator tells and asks. Addresses of a
// policy are other ones there: each file is given to the balancers with the real ones in
// their place, and what they tell is put back. Whoever reads the history sees the
// scenario's.
//
// # What is known
//
// A balancer streams what happens from its admin address (GET /api/v1/tail), and a
// backend which requests came; nothing is sampled. Its metrics are asked for when it has
// no request any more, before it is told to stop.
//
// # Nothing is left
//
// Each run's containers and networks have a label of their own. They are removed when
// the run ends, however it does; should this process not live to do it, a second one
// does, which does nothing but wait for that. See [Work].
package containers
