// Package load is the clients of a run: they make the requests that a scenario's loads
// say, and keep a record of each.
//
//	g := load.New(load.Options{Loads: s.Load, Seed: s.Seed, Began: time.Now(), End: s.Duration, Dial: dial, …})
//	g.Run(ctx)                         // until the last request has ended
//	requests, behind := g.Requests(), g.Behind()
//
// A load is an open loop, whose requests come when they come whatever became of those
// before, or a closed one of users. Latency counts from when a request should have
// begun, so that a slow system does not hide how slow it is by being asked less often.
//
// Clients are browsers, roughly: they keep connections and use them again, and ask once
// more on a new connection if a kept one turns out to be closed and asking twice does
// no harm. Clients with sessions have connections and an address of their own, and keep
// cookies; the others share theirs. Slow ones drip what they send and sip what they read,
// and read an answer that comes before they are done.
//
// A generator has a goroutine for each load or user, and one for each request of an open
// loop; Run joins them.
package load
