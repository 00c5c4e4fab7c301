package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"go-loadbalancer/lb/app"
	"go-loadbalancer/sim/demo"
)

type demoCommand struct {
	Policies string        `default:"policies" placeholder:"DIR" help:"Directory of the policy (default ${default}). Its endpoints must be on loopback addresses."`
	Admin    string        `default:":8080" placeholder:"ADDR" help:"Address of the dashboard (default ${default})."`
	Rate     float64       `default:"50" placeholder:"N" help:"Requests a second; 0 for none (default ${default})."`
	Cycle    time.Duration `default:"1m" placeholder:"D" help:"How long the programme takes once through (default ${default})."`
	Seed     uint64        `default:"1" placeholder:"N" help:"Decides what is left to chance (default ${default})."`
	Verbose  bool          `help:"Show the balancer's own log too."`
}

func (c *demoCommand) Run(s session) error {
	logger := slog.New(slog.DiscardHandler)
	if c.Verbose {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return demo.Run(s, demo.Options{
		Policies: c.Policies, Admin: c.Admin, Rate: c.Rate, Cycle: c.Cycle, Seed: c.Seed, Out: s.stdout,
		Balancer: func(ctx context.Context) error {
			return app.Run(ctx, app.Config{
				Policies:        c.Policies,
				Admin:           c.Admin,
				ShutdownTimeout: 3 * time.Second,
				Logger:          logger,
			})
		},
	})
}
