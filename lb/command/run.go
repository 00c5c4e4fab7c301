package command

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go-loadbalancer/lb/app"
	"go-loadbalancer/lb/telemetry"
)

type runCommand struct {
	Policies        string        `default:"policies" placeholder:"DIR" help:"Directory of the policy; it is watched, and SIGHUP reads it anew (default ${default})."`
	Admin           string        `default:":8080" placeholder:"ADDR" help:"Address of health, metrics, status and reload (default ${default})."`
	AdminTokenFile  string        `placeholder:"FILE" help:"File with the token that POST /-/reload asks for (default: none is asked for)."`
	StateDir        string        `placeholder:"DIR" help:"Where the last good policy is kept, for a start with a bad one (default: nowhere)."`
	LogFormat       string        `default:"json" enum:"json,text" placeholder:"FORMAT" help:"json or text, on the standard error (default ${default})."`
	AccessLog       string        `default:"stdout" placeholder:"WHERE" help:"off, stdout or a file, which SIGHUP reopens (default ${default})."`
	ShutdownTimeout time.Duration `default:"25s" placeholder:"TIME" help:"How long requests in flight may take to finish at the end (default ${default})."`
	Redis           string        `env:"LB_REDIS_URL" placeholder:"URL" help:"Redis in which replicas share sessions: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// (default: none). It may hold a password, so the environment is the better place."`
	RedisNamespace  string        `env:"LB_REDIS_NAMESPACE" default:"default" placeholder:"NAME" help:"Keeps balancers that share a Redis apart; all replicas of one have the same (default ${default})."`
	CookieKeys      string        `env:"LB_COOKIE_KEYS" placeholder:"FILE" help:"Keys that seal session cookies, one a line, the first one seals; SIGHUP reads them anew (default: replicas agree on one in Redis, else a random one)."`
}

func (c *runCommand) Run(out streams) error {
	if _, port, err := net.SplitHostPort(c.Admin); err != nil || port == "" {
		return fmt.Errorf("%w: --admin %q: host:port or :port is wanted", errUsage, c.Admin)
	}
	if c.ShutdownTimeout <= 0 {
		return fmt.Errorf("%w: --shutdown-timeout %v: more than 0s is wanted", errUsage, c.ShutdownTimeout)
	}
	logger, err := telemetry.NewLogger(out.stderr, c.LogFormat)
	if err != nil {
		return fmt.Errorf("%w: --log-format: %w", errUsage, err)
	}
	// Of three signals the first drains, the second cuts, and the third, which
	// nobody here receives any more, kills.
	received := make(chan os.Signal, 4)
	signal.Notify(received, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(received)

	build := telemetry.ReadBuild()
	logger.Info("starting", "version", build.Version, "revision", build.Revision, "policies", c.Policies, "admin", c.Admin)
	err = app.Run(context.Background(), app.Config{
		Policies:        c.Policies,
		Admin:           c.Admin,
		AdminTokenFile:  c.AdminTokenFile,
		StateDir:        c.StateDir,
		Redis:           c.Redis,
		RedisNamespace:  c.RedisNamespace,
		CookieKeysFile:  c.CookieKeys,
		AccessLog:       c.AccessLog,
		Stdout:          out.stdout,
		ShutdownTimeout: c.ShutdownTimeout,
		Signals:         received,
		Logger:          logger,
		Build:           build,
	})
	if err == nil {
		logger.Info("stopped")
	}
	return err
}
