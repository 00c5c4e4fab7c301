package command

import (
	"fmt"

	"go-loadbalancer/lb/telemetry"
)

type versionCommand struct{}

func (*versionCommand) Run(out streams) error {
	b := telemetry.ReadBuild()
	line := "lb " + b.Version
	if b.Revision != "" {
		line += " (revision " + b.Revision
		if b.Time != "" {
			line += " of " + b.Time
		}
		line += ")"
	}
	_, err := fmt.Fprintf(out.stdout, "%s, %s\n", line, b.GoVersion)
	return err
}
