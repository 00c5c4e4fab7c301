package app

import (
	"context"
	"log/slog"
	"net"

	"go-loadbalancer/lb/socket"
)

// listen opens listeners of one role and tells of them.
type listen struct {
	how    func(ctx context.Context, network, address string) (net.Listener, error)
	role   Role
	told   func(Role, net.Addr)
	logger *slog.Logger
}

func (l *listen) open(ctx context.Context, network, address string) (net.Listener, error) {
	ln, err := l.how(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.logger.Info("listening", "for", l.role, "address", ln.Addr().String())
	if l.told != nil {
		l.told(l.role, ln.Addr())
	}
	return ln, nil
}

// Kept for what is neither a client's nor an endpoint's: logs, the policy's
// files, the admin address; and for pipes to splice through, if there are many.
const ownDescriptors, pipeDescriptors = 64, 512

// clientShare is how many of the process's descriptors clients may have, so that
// there is one towards an endpoint for each of them; 0: no bound.
func clientShare(descriptors int) int {
	if descriptors == 0 {
		return 0
	}
	return max((descriptors-ownDescriptors-min(pipeDescriptors, descriptors/8))/2, 1)
}

func (c *Config) listen(role Role) *listen {
	l := &listen{how: new(net.ListenConfig).Listen, role: role, told: c.Listening, logger: c.Logger}
	if role == Traffic {
		l.how = socket.Listen
	}
	return l
}
