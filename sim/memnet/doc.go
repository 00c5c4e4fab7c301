// Package memnet is TCP in memory, as far as a proxy can tell the difference: latency,
// bandwidth, windows, backlogs, FIN and RST; and what goes wrong with networks, one
// file a fault. Who dials is known, so that some can be kept from reaching others.
//
//	n := memnet.New(memnet.Options{Seed: 42})
//	shop := n.Host("shop", netip.MustParseAddr("10.0.0.1"))
//	l, err := shop.Listen(ctx, "tcp", "10.0.0.1:80")
//	// …
//	c, err := n.Host("client", netip.MustParseAddr("10.2.0.1")).Dial(ctx, "tcp", "10.0.0.1:80")
//
//	hole := n.Blackhole(shop)
//	// …
//	hole.End()
//	fmt.Println(hole.Touched(), "packets and attempts to connect met it")
//
// All waits are on timers and conditions of whoever waits, so a network runs in a
// bubble of [testing/synctest]; there all of it is of one bubble. It has no goroutines.
//
// # Repeatability
//
// A latency is drawn from what it is for: the seed, the connection and the number of the
// packet, and a connection is known by who dials whom, when, and by which code. So one
// connection more does not move all others, nor does the order of those that are made at
// one instant. And no two things happen at one instant if they need not, for the order of
// those would be left to chance: each takes an instant that nobody has (see [Clock]).
//
// # Bounds
//
// A stream holds so many bytes as its window has, a listener so many connections as its
// backlog; whoever writes or dials beyond that waits as on a network.
package memnet
