// Package admin serves the admin address: the dashboard, health, metrics, status,
// and the request to reload. It never serves traffic.
//
//	s := admin.New(admin.Options{Address: ":8080", Balancer: b, Metrics: metrics})
//	if err := s.Start(ctx); err != nil {
//		return err // the port is taken, say
//	}
//	defer s.Close(ctx)
//
//	GET  /               the dashboard; without scripts a plain page
//	GET  /metrics        Prometheus text or OpenMetrics; Accept: application/json gives [Health]
//	GET  /healthz        200 while the process runs
//	GET  /readyz         200 while a policy is loaded and the balancer does not drain, else 503
//	GET  /api/v1/status  [balancer.Status]
//	GET  /api/v1/explain what becomes of a request: [explain.Decision]; POST takes the question as a form
//	GET  /api/v1/events  server-sent events, of which the dashboard is made
//	POST /-/reload       reads the policy anew; answers with [Reload]
//
// # Who may reload
//
// Whoever can reach the address, with plain curl, unless a token is set: then
// `Authorization: Bearer TOKEN` is needed. A browser is refused if another site
// sent it, by `Sec-Fetch-Site` or `Origin`; and if it came by a host name that
// is not this address's own, since a name that suddenly resolves to a private
// address (DNS rebinding) would otherwise make any site look like the same one.
//
// # The dashboard
//
// One goroutine reads the balancer's status and the counters of telemetry once a
// second, if anybody looks, and makes one message of what has changed for all viewers.
// The page in static/ is a handful of modules without a build step; it makes nodes of
// what it is sent, never markup, and runs under a content security policy that allows
// nothing from elsewhere and nothing inline.
//
// # Overload
//
// At most 256 connections are served, 128 of them viewers, and four scrapes run at a
// time. Whoever comes then is served too: what is idle, or takes long, is closed for it.
// Everything has a time limit. A viewer that does not read is dropped.
package admin
