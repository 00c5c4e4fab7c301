package app

import (
	"context"
	"log/slog"
	"net"
)

// listen opens listeners of one role and tells of them.
type listen struct {
	net.ListenConfig
	role   Role
	told   func(Role, net.Addr)
	logger *slog.Logger
}

func (l *listen) open(ctx context.Context, network, address string) (net.Listener, error) {
	ln, err := l.Listen(ctx, network, address)
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
	l := &listen{role: role, told: c.Listening, logger: c.Logger}
	if role == Traffic {
		l.Control = deferAccept
		// Go would listen for Multipath TCP. A proxy cannot splice that, and the
		// clients that speak it are few.
		l.SetMultipathTCP(false)
	}
	return l
}
