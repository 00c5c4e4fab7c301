// Package telemetry turns events into metrics, the access log and traces, and sets up
// the process's own log.
//
//	metrics := telemetry.NewMetrics(telemetry.ReadBuild())
//	access := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogFile("access.log")})
//	if err := access.Start(); err != nil {
//		return err
//	}
//	defer access.Close(ctx)
//	b := balancer.New(balancer.Options{Events: event.Tee(metrics.Events(), access.Events())})
//	http.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
//
// # On the request path
//
// An event finds its counters by index: routes and endpoints carry small ids,
// and a table of what to count for each hangs behind one atomic pointer. It is
// replaced, but for the slots of endpoints, when a policy is prepared or something
// is retired.
// Counting takes no lock, looks no label up and allocates nothing. Label values
// are put together when somebody scrapes.
//
// # Life of a series
//
// A series appears when a policy that names its route, pool or endpoint is prepared,
// with the value 0, so that the first failure is seen as an increase; those of a
// pool's sessions, which most pools keep none of, with the first of them. It goes
// when the route is in no served policy and its last request has ended, when the
// pool is in none, or when the endpoint was retired. An event that comes later
// still is dropped.
//
// # Overload
//
// Metrics cannot be overloaded. The access log has a fixed number of batch
// buffers; if the disk is slower than the traffic, lines are dropped and
// counted (lb_access_log_lines_dropped_total), and no request waits.
package telemetry
