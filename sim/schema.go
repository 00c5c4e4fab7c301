package main

import (
	"bytes"

	"go-loadbalancer/sim/scenario"
)

type schemaCommand struct{}

func (*schemaCommand) Run(s session) error {
	_, err := s.stdout.Write(append(bytes.TrimSpace(scenario.JSONSchema()), '\n'))
	return err
}
