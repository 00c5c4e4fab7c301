// Package redistest runs real Redis servers for tests: one, one behind Sentinel,
// or a cluster, on free ports of 127.0.0.1.
//
//	server, err := redistest.Start(t.TempDir(), redistest.Options{})
//	if err != nil {
//		t.Fatal(err)
//	}
//	defer server.Stop()
//	store, err := redisstore.New(redisstore.Options{URL: server.URL(), Namespace: "shop"})
//	…
//	server.Pause() // it accepts connections and never answers
//
// It needs redis-server in the PATH. Servers are ready when they are returned, keep
// their data in memory only, and end with the process that started them at the
// latest; whoever starts one stops it, which waits for its end.
package redistest
