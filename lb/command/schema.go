package command

import (
	"bytes"

	"go-loadbalancer/lb/policy"
)

type schemaCommand struct{}

func (*schemaCommand) Run(out streams) error {
	_, err := out.stdout.Write(append(bytes.TrimSpace(policy.JSONSchema()), '\n'))
	return err
}
