//go:build !linux

package socket

import (
	"context"
	"net"
	"time"
)

// Deferral is how long the kernel may keep a connection back until its first
// bytes have come: only Linux can.
const Deferral time.Duration = 0

// Listen listens on an address of a TCP network. Errors are those of [net.ListenConfig.Listen].
func Listen(ctx context.Context, network, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, network, address)
}
