// Plain is the balancer without metrics and traces: what the benchmark compares the
// product with, to tell what those cost, and, by a policy without one, the breaker.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/socket"
	"go-loadbalancer/lb/source"
	"go-loadbalancer/lb/telemetry"
)

func main() {
	policies := flag.String("policies", "", "directory of the policy")
	accessLog := flag.String("access-log", "", "file; empty: none")
	version := flag.Bool("version", false, "say what this is, and exit")
	flag.Parse()
	if *version {
		fmt.Println("this tree, without metrics and traces")
		return
	}
	if err := run(*policies, *accessLog); err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
}

func run(policies, accessLog string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	dir := source.NewDir(policies, source.Options{})
	o := balancer.Options{Policies: dir, Listen: socket.Listen, AcceptGrace: socket.Deferral}
	if accessLog != "" {
		access := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogFile(accessLog)})
		if err := access.Start(); err != nil {
			return err
		}
		defer access.Close(context.Background())
		o.Events = access.Events()
	}
	b := balancer.New(o)
	if err := b.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.Shutdown(within)
}
