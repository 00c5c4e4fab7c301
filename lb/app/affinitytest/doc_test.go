// Package affinitytest proves that sessions stay: real lb processes on one real Redis,
// real sockets, and backends that say who they are, under load from clients of which
// each keeps its ticket and visits the replicas in turn. Whatever happens to a policy,
// a replica or Redis, every request is answered, and a session moves only where it
// must.
//
//	w := open(t, redis.URL(), 3)
//	w.start(2)
//	w.serve(policy{endpoints: w.backends})
//	c := newCrowd(w, 1000)
//	stop := c.visit(load{})
//	c.rounds(4)
//	…
//	r := stop()
//	r.noFailures(t)
//	c.staysWhere(t, nobody)
package affinitytest
