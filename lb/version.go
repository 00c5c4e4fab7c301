package main

import (
	"fmt"

	"go-loadbalancer/lb/telemetry"
)

type versionCommand struct{}

func (*versionCommand) Run(out streams) error {
	b := telemetry.ReadBuild()
	line := "lb " + b.Version
	if b.Revision != "" {
		line += fmt.Sprintf(" (revision %s of %s)", b.Revision, b.Time)
	}
	_, err := fmt.Fprintf(out.stdout, "%s, %s\n", line, b.GoVersion)
	return err
}
