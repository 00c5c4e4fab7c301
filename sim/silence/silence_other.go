//go:build !linux

package silence

import (
	"errors"
	"net/netip"
)

// errSystem is of systems that are no Linux.
var errSystem = errors.New("packets can be dropped on Linux only")

// Begin fails.
func Begin([]netip.Prefix) error { return errSystem }

// End fails.
func End([]netip.Prefix) error { return errSystem }
