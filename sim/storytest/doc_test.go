// Package storytest proves that all that the balancer tells is one story. A shop of three
// servers is served by the balancer, on real sockets; one server is made to fail, so that
// its breaker opens, probes in vain, opens again, probes and closes. What came to pass is
// known from outside: from the servers, which keep a record of every request and do what
// the test's script says, and from the clients. Metrics, access log, traces, dashboard,
// status and explanations are then held against that, and so is what docs/operate.md
// quotes of them.
//
//	s := newShop(t)
//	load := s.open(t) // clients come
//	s.servers[1].does(`{"respond": {"status": 503}}`)
//	s.await("open")
//	load.stop()
//	s.metricsAgree(truth)
package storytest
