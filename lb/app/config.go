package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// Config says what to run. Policies and Admin are required.
type Config struct {
	// Policies is the directory of the policy. It is watched.
	Policies string
	// Admin is the admin address, host:port; an empty host means every address.
	Admin string
	// AdminTokenFile holds the token that reloading over the admin address asks
	// for; empty: none is asked for.
	AdminTokenFile string
	// StateDir keeps the last good policy, for a start with a bad one; empty:
	// none is kept.
	StateDir string
	// Redis is the URL of the Redis in which replicas share sessions; empty: there is
	// none. See package redisstore for what it may be. It may hold a password.
	Redis string
	// RedisNamespace keeps those who share a Redis apart; all replicas of one balancer
	// have the same. Empty: [DefaultRedisNamespace].
	RedisNamespace string
	// CookieKeysFile holds the keys that seal session cookies: see session.ParseKeys.
	// Empty: the replicas agree on one in Redis; without that it is a random one.
	CookieKeysFile string
	// AccessLog is "off", "stdout" or a file's path; empty is off.
	AccessLog string
	// Stdout is what AccessLog means by "stdout"; nil is [os.Stdout].
	Stdout io.Writer
	// ShutdownTimeout is how long requests in flight may take to finish at the
	// end; 0: [DefaultShutdownTimeout].
	ShutdownTimeout time.Duration

	// Signals delivers what the process was sent; nil: nothing. SIGHUP reopens
	// the access log, reads the cookie keys and reloads the policy. Any other ends Run, as its context
	// does; one more cuts short what is left to finish.
	Signals <-chan os.Signal
	// Events is told what happens, beside metrics and access log; nil: nobody.
	Events *event.Listener
	// Listening is called with the address of each listener that was opened,
	// later ones of reloads included; nil: nobody asks.
	Listening func(Role, net.Addr)
	// Logger gets what an operator should read; nil discards it.
	Logger *slog.Logger
	// Build is shown on the admin address; the zero value is what this binary
	// says of itself.
	Build telemetry.Build
}

// Role is what a listener is for.
type Role string

const (
	Admin   Role = "admin"
	Traffic Role = "traffic"
)

// DefaultShutdownTimeout is for what [Config] leaves out. It fits into the
// default termination grace period of Kubernetes, 30 s, with time to spare.
const DefaultShutdownTimeout = 25 * time.Second

// token reads the admin token.
func (c *Config) token() (string, error) {
	if c.AdminTokenFile == "" {
		return "", nil
	}
	f, err := os.Open(c.AdminTokenFile)
	if err != nil {
		return "", fmt.Errorf("admin token: %w", err)
	}
	defer f.Close()
	const most = 4096
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", fmt.Errorf("admin token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	switch {
	case token == "":
		err = errors.New("is empty: write the token into it")
	case len(text) > most:
		err = fmt.Errorf("has more than %d bytes: that is no token", most)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = errors.New("holds more than one word of printable ASCII, which no Authorization field can carry")
	}
	if err != nil {
		return "", fmt.Errorf("admin token: %s %w", c.AdminTokenFile, err)
	}
	return token, nil
}

// accessLog returns the access log that is wanted, not started; nil if none is.
func (c *Config) accessLog() *telemetry.AccessLog {
	var open func() (io.WriteCloser, error)
	switch c.AccessLog {
	case "", "off":
		return nil
	case "stdout":
		open = telemetry.LogTo(c.Stdout)
	default:
		open = telemetry.LogFile(c.AccessLog)
	}
	return telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: open, Logger: c.Logger})
}
