package redisstore

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
)

// Options are what a store needs to know.
type Options struct {
	// URL says where Redis is; see the package's documentation.
	URL string
	// Namespace keeps the sessions of one policy apart from those of others on the
	// same Redis: its name. It must not be empty.
	Namespace string
	// Logger is told when watching does not work and when it does again; nil: nobody is.
	Logger *slog.Logger
	// Dial opens a connection, TLS aside; nil: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wall is the time by which sessions have a last day; nil: time.Now.
	Wall func() time.Time
	// Rand spreads the replicas' attempts to reconnect; nil: rand.Uint64.
	Rand func() uint64
}

// withDefaults returns the options with nothing left nil.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	return o
}
