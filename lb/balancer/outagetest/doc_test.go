// Package outagetest plays outages: a balancer, built as everybody builds one,
// between clients and endpoints that misbehave at given times, on a network in
// memory and in virtual time. Each pattern of failure that the product must be
// right about is a test with its numbers and its source; a randomised test
// throws seeded sequences of faults at pools and checks what must hold in all.
// [TestGuards] takes out of the production code, one by one, the rules that the
// patterns are about, and has their tests fail.
//
//	play(t, seed, func(w *world) {
//		pool := w.backends(4)
//		r := w.start(policy{endpoints: pool})
//		traffic := w.offer(load{rate: 100, lasts: 30 * time.Second})
//		w.until(10 * time.Second)
//		pool[0].serve(respond(503))
//		results := traffic.wait()
//		…
//	})
//
// Everything random comes from the seed: latencies from the number of connection
// and packet, so that one connection more does not move all others.
package outagetest
