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

func (c *Config) listen(role Role) *listen {
	l := &listen{how: new(net.ListenConfig).Listen, role: role, told: c.Listening, logger: c.Logger}
	if role == Traffic {
		l.how = socket.Listen
	}
	return l
}
