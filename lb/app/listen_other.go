//go:build !linux

package app

import (
	"syscall"
	"time"
)

// Only Linux can keep a connection back until its first bytes have come.
const acceptGrace time.Duration = 0

var deferAccept func(network, address string, c syscall.RawConn) error
