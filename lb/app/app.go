package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/socket"
	"go-loadbalancer/lb/source"
	"go-loadbalancer/lb/telemetry"
)

// closeTimeout bounds each thing that comes after the drain: the last lines of the
// access log, the last spans, and admin requests under way.
const closeTimeout = 2 * time.Second

// Run runs a load balancer until ctx ends or a signal ends it, and returns nil
// if all requests in flight could finish. It fails if no policy can serve, if an
// address is taken, if the access log cannot be opened, and if requests had to
// be cut at the end. Whatever it returns, everything it started has ended.
func Run(ctx context.Context, c Config) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	if c.ShutdownTimeout <= 0 {
		c.ShutdownTimeout = DefaultShutdownTimeout
	}
	if c.Build == (telemetry.Build{}) {
		c.Build = telemetry.ReadBuild()
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	// hurry ends when somebody asked a second time.
	hurry, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	a := &app{Config: c, hurry: hurry, hangup: make(chan struct{}, 1)}
	defer a.listenToSignals(stop, cut)()
	err := a.start(running)
	if err == nil {
		a.serve(running)
	} else if running.Err() != nil {
		err = nil // ended before it began, which is no failure
	}
	return errors.Join(err, a.end())
}

type app struct {
	Config
	hurry  context.Context
	hangup chan struct{} // a SIGHUP came

	access   *telemetry.AccessLog // nil: off
	balancer *balancer.Balancer
	ends     []func() error // what was started, to be ended in reverse
}

// listenToSignals heeds signals until the function it returns is called.
func (a *app) listenToSignals(stop, cut func()) (end func()) {
	done := make(chan struct{})
	var heeding sync.WaitGroup
	heeding.Go(func() {
		asked := false
		for {
			select {
			case <-done:
				return
			case s := <-a.Signals:
				switch {
				case s == syscall.SIGHUP:
					select {
					case a.hangup <- struct{}{}:
					default: // one is waiting to be heeded already
					}
				case !asked:
					asked = true
					a.Logger.Info("stopping: requests in flight may finish", "signal", s.String(), "within", a.ShutdownTimeout.String())
					stop()
				default:
					a.Logger.Warn("stopping at once", "signal", s.String())
					cut()
				}
			}
		}
	})
	return func() {
		close(done)
		heeding.Wait()
	}
}

func (a *app) start(ctx context.Context) error {
	token, err := a.token()
	if err != nil {
		return err
	}
	metrics := telemetry.NewMetrics(a.Build)
	changes := telemetry.NewChangeLog(a.Logger)
	changes.Start()
	a.atEnd(func() error { changes.Close(); return nil })
	timeline, feed := telemetry.NewTimeline(), telemetry.NewFeed()
	events := []*event.Listener{metrics.Events(), changes.Events(), timeline.Events(), feed.Events(), a.Events}
	if a.access = a.accessLog(); a.access != nil {
		if err := a.access.Start(); err != nil {
			return err
		}
		a.atEnd(func() error { return a.within(closeTimeout, a.access.Close) })
		metrics.Registry().MustRegister(a.access)
		events = append(events, a.access.Events())
	}
	tracer, err := telemetry.NewTracer(telemetry.TracerOptions{Build: a.Build, Logger: a.Logger})
	if err != nil {
		return err
	}
	var sampler event.Sampler
	if tracer != nil {
		tracer.Start()
		a.atEnd(func() error { return a.within(closeTimeout, tracer.Close) })
		metrics.Registry().MustRegister(tracer)
		events = append(events, tracer.Events())
		sampler = tracer.Sample
	}

	keys, err := a.cookieKeys()
	if err != nil {
		return err
	}
	sessions, err := a.sessionStore()
	if err != nil {
		return err
	}

	dir := source.NewDir(a.Policies, source.Options{Logger: a.Logger})
	var lastGood reload.LastGood
	if a.StateDir != "" {
		lastGood = source.NewStateDir(a.StateDir)
	}
	a.balancer = balancer.New(balancer.Options{
		Policies:    dir,
		LastGood:    lastGood,
		Listen:      a.listen(Traffic).open,
		AcceptGrace: socket.Deferral,
		Resolve:     resolve,
		// A request needs a descriptor on each side, and some are for other things.
		MaxConnections: clientShare(descriptors()),
		Sessions:       sessions,
		CookieKeys:     keys,
		Trace:          sampler,
		Events:         event.Tee(events...),
		Logger:         a.Logger,
	})

	server := admin.New(admin.Options{
		Address: a.Admin, Listen: a.listen(Admin).open, Balancer: a.balancer, Metrics: metrics, Timeline: timeline, Feed: feed,
		Token: token, Build: a.Build, Logger: a.Logger,
	})
	if err := server.Start(ctx); err != nil {
		return err
	}
	a.atEnd(func() error { return a.within(closeTimeout, server.Close) })

	dir.Start()
	a.atEnd(func() error { dir.Close(); return nil })

	if err := a.balancer.Start(ctx); err != nil {
		return err
	}
	a.atEnd(func() error {
		if err := a.within(a.ShutdownTimeout, a.balancer.Shutdown); err != nil {
			return fmt.Errorf("not all requests could finish in time: %w", err)
		}
		return nil
	})
	return nil
}

// serve heeds SIGHUP until ctx ends.
func (a *app) serve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.hangup:
		}
		if a.access != nil {
			if err := a.reopen(ctx); err != nil {
				a.Logger.Error("the access log stays as it was", "error", err)
			}
		}
		a.rereadKeys()
		// Why a policy was refused is logged where it happens.
		got := a.balancer.Reload(ctx)
		a.Logger.Info("reload asked for by SIGHUP", "outcome", got.Outcome, "hash", got.Hash)
	}
}

func (a *app) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	return a.access.Reopen(ctx)
}

func (a *app) atEnd(end func() error) { a.ends = append(a.ends, end) }

// within calls f with a context that ends after d, or when somebody is in a
// hurry.
func (a *app) within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(a.hurry, d)
	defer cancel()
	return f(ctx)
}

// end ends what was started, last things first.
func (a *app) end() error {
	var errs []error
	for i := len(a.ends) - 1; i >= 0; i-- {
		errs = append(errs, a.ends[i]())
	}
	return errors.Join(errs...)
}
