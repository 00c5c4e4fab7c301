package main

import (
	"fmt"
	"net/netip"

	"go-loadbalancer/sim/silence"
)

// silenceCommand is for containers, in which sim run --stage containers calls it.
type silenceCommand struct {
	End    bool     `help:"Drop them no longer."`
	Others []string `arg:"" help:"Addresses and networks: packets from and to them are dropped."`
}

func (c *silenceCommand) Run(session) error {
	var others []netip.Prefix
	for _, text := range c.Others {
		p, err := netip.ParsePrefix(text)
		if err != nil || !p.Addr().Is4() {
			return fmt.Errorf("%w: %q: a network such as 10.0.0.1/32 is wanted", errUsage, text)
		}
		others = append(others, p)
	}
	if c.End {
		return silence.End(others)
	}
	return silence.Begin(others)
}
