// Package app wires a load balancer for a machine: a watched directory, real
// sockets, metrics, the access log and the admin address. `lb run` and the demo
// of the simulator share it.
//
//	err := app.Run(ctx, app.Config{
//		Policies:  "policies",
//		Admin:     ":8080",
//		AccessLog: "stdout",
//		Stdout:    os.Stdout,
//		Logger:    logger,
//	})
//
// # Order
//
// The access log comes first, then the admin address, so that /healthz answers
// while the policy loads; then the watching of the directory, before its first
// reading, so that no change is missed; then the balancer. They end the other
// way round, except that the admin address outlives the balancer: /readyz
// answers 503 while requests in flight finish.
package app
