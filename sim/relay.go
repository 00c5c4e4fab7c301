package main

import (
	"fmt"
	"net"

	"go-loadbalancer/sim/relay"
)

// relayCommand is for a container of sim run --stage containers.
type relayCommand struct {
	Listen  string `required:"" placeholder:"ADDR" help:"Address that it relays."`
	To      string `required:"" placeholder:"ADDR" help:"Address of the server."`
	Control string `required:"" placeholder:"ADDR" help:"Address at which it is told what to do."`
}

func (c *relayCommand) Run(s session) error {
	control, err := net.Listen("tcp", c.Control)
	if err != nil {
		return fmt.Errorf("cannot be told anything at %s: %w", c.Control, err)
	}
	return relay.New(c.To).Serve(s, c.Listen, control)
}
