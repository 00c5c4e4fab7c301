// Package affinitytest proves that sessions stay: real lb processes on one real Redis,
// real sockets, and backends that say who they are, under load from clients of which
// each keeps its ticket and visits the replicas in turn. Whatever happens to a policy,
// a replica or Redis, every request is answered, and a session moves only where it
// must.
//
//	w := newWorld(t, 3, redis.URL(), redis.URL()) // three backends, two replicas
//	w.begin(policy{endpoints: w.backends})
//	c := newCrowd(w, 1000)
//	v := c.visit(load{newcomers: 50, most: 2000})
//	v.rounds(2)
//	w.replicas[0].kill()
//	v.rounds(2)
//	v.stop() // a request that failed is an error
//	c.stays(t)
package affinitytest
