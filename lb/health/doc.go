// Package health checks endpoints: it asks each, again and again, whether it is
// well, and tells the endpoint.
//
//	checker := health.New(health.Options{Dial: dial, Rand: rand.Uint64, Logger: logger})
//	defer checker.Stop()
//	checker.Apply(snapshot.Pools) // and again with the pools of every later policy
//	fmt.Println(checker.State(endpoint).Falls)
//
// # What counts
//
// An endpoint turns unhealthy by so many failures in a row, healthy by so many
// passes in a row; its first check decides alone. One that keeps coming and
// going is held out: from its second fall on it stays unhealthy for a time that
// doubles with each further fall, however well it does, until it has stayed
// healthy for as long as the longest such time.
//
// A check fails by an error that is the endpoint's. That the balancer had no
// descriptor or port for a connection counts neither way.
//
// # What a check costs
//
// Every check has a connection of its own, since a kept one says nothing about
// whether new ones are accepted. The connection is dialed past the endpoint's
// transport: it counts against no limit, is seen by no breaker, and is no
// traffic. What is read is bounded, and so is the time, whatever the endpoint
// does. At most 1,024 checks are under way at once, and of one pool no more than
// are left for the others; those that are due wait for their turn in the order in
// which they fell due.
//
// # Spread
//
// The first check of an endpoint is at a random time within the interval, and
// each later one an interval after the one before, give or take a tenth. So the
// checks of many endpoints are spread evenly and stay so, and those of several
// balancers do not meet. One that had to wait for its turn does not move the next:
// those that waited together are spread again afterwards. An endpoint has one check
// at a time.
//
// # Concurrency
//
// One goroutine starts what is due; each check under way has one. [Checker.Stop]
// joins them all. A verdict is told under a lock of its endpoint's, so that the
// verdicts of an endpoint are told in order; what listens to them must not call
// Apply or Stop.
package health
