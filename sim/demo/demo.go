// Package demo shows a load balancer at work in one process: a fake backend
// for each endpoint the policy names, misbehaving on a loop; load; the balancer
// with its dashboard.
//
//	err := demo.Run(ctx, demo.Options{
//		Policies: "policies",
//		Admin:    ":8080",
//		Out:      os.Stdout,
//		Balancer: func(ctx context.Context) error { return app.Run(ctx, …) },
//	})
//
// Run starts from the back: backends, balancer, load, programme. It ends them
// the other way round, each joined before the next, so that ending the demo
// breaks no request.
//
// What the balancer does is seen from outside only, by its status on the admin
// address, and what policy there is by reading the same directory.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go-loadbalancer/lb/policy"
)

// Options say what to show. Policies, Admin, Balancer and Out are required.
type Options struct {
	// Policies is the directory of the policy.
	Policies string
	// Admin is the address on which the balancer serves its dashboard and
	// status, host:port; no host: this machine.
	Admin string
	// Balancer runs the load balancer over the same directory and admin address
	// until its context is done, and returns nil if it stopped as told.
	Balancer func(context.Context) error
	// Rate is how many requests a second are made, up to MaxRate; 0: none.
	Rate float64
	// Cycle is how long the programme takes once through, at least a second;
	// 0: a minute.
	Cycle time.Duration
	// Every is the time between summaries, at least 100ms; 0: 10s.
	Every time.Duration
	// Seed decides what is left to chance in the backends.
	Seed uint64
	// Out is told what happens, in lines for people.
	Out io.Writer
}

// MaxRate bounds [Options.Rate].
const MaxRate = 5000

// ErrOption is wrapped by errors about a value in [Options].
var ErrOption = errors.New("bad option")

// startTimeout is how long the balancer may take until it serves.
const startTimeout = 15 * time.Second

func (o *Options) setDefaults() error {
	if o.Cycle == 0 {
		o.Cycle = time.Minute
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	switch {
	case !(o.Rate >= 0 && o.Rate <= MaxRate): // NaN too
		return fmt.Errorf("%w: rate %v: a number from 0 to %d is wanted", ErrOption, o.Rate, MaxRate)
	case o.Cycle < time.Second:
		return fmt.Errorf("%w: cycle %v: at least 1s is wanted", ErrOption, o.Cycle)
	case o.Every < 100*time.Millisecond:
		return fmt.Errorf("%w: every %v: at least 100ms is wanted", ErrOption, o.Every)
	}
	if _, _, err := net.SplitHostPort(o.Admin); err != nil {
		return fmt.Errorf("%w: admin address %q: host:port or :port is wanted", ErrOption, o.Admin)
	}
	return nil
}

// findPolicies fails if there is no policy directory, which is likely where
// the demo is run from another directory than the checkout's.
func findPolicies(dir string) error {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("policy directory %s does not exist: give --policies DIR", dir)
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory: give --policies DIR", dir)
	}
	return nil // whatever else may be wrong is said by reading it
}

// Run shows the demo until ctx is done, and then returns nil. It fails if the
// policy is invalid, names an endpoint that is not on a loopback address, or
// if an address is taken, and whenever the balancer or a backend fails.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.setDefaults(); err != nil {
		return err
	}
	if err := findPolicies(o.Policies); err != nil {
		return err
	}
	p, found := policy.Load(os.DirFS(o.Policies))
	if found.HasErrors() {
		return fmt.Errorf("the policy in %s is invalid:\n%v", o.Policies, found)
	}

	// Stopping is one cause for all of it: the caller, or a part that failed.
	stopping, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := log.New(o.Out, "", log.Ltime)

	cast := newCast(o.Seed, stop)
	defer cast.close()
	if err := cast.follow(p); err != nil {
		return err
	}

	var t *traffic
	defer func() {
		if err == nil && t != nil {
			total := t.total()
			out.Printf("the end: %d requests, %d errors", total.requests, total.errors)
		}
	}()

	balancer := start(stopping, func(ctx context.Context) error {
		err := o.Balancer(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("the balancer stopped by itself")
		}
		if err != nil {
			stop(err)
		}
		return err
	})
	defer func() {
		switch failed := balancer.end(); {
		case failed == nil || err != nil:
		case ctx.Err() != nil:
			out.Printf("! the balancer: %v", failed) // somebody's own stream, say
		default:
			err = failed
		}
	}()

	w := newWatch(o, out, cast)
	defer w.close()
	if err := w.ready(stopping, startTimeout); err != nil {
		if ctx.Err() != nil {
			return nil // ended before it began
		}
		return err
	}
	t = newTraffic(o.Rate)
	defer t.close()
	t.aim(p)
	w.retarget = t.aim
	w.seen(p)
	greet(o, p)
	w.warn(found)

	var wg sync.WaitGroup
	wg.Go(func() { t.run(stopping) })
	wg.Go(func() { w.run(stopping) })
	wg.Go(func() { programme(o.Cycle).run(stopping, out, cast) })
	wg.Go(func() { summarise(stopping, out, o.Every, t, cast) })
	wg.Wait()

	if ctx.Err() == nil {
		return context.Cause(stopping)
	}
	return nil
}

// part is something that runs until it is ended.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// start runs f in its own time: it goes on when ctx is done, until end.
func start(ctx context.Context, f func(context.Context) error) *part {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = f(own)
	}()
	return p
}

func (p *part) end() error {
	p.cancel()
	<-p.done
	return p.err
}

// greet says what there is to see and to do.
func greet(o Options, p *policy.Policy) {
	traffic, admin := localURL(p.Listeners[0].Address), localURL(o.Admin)
	fmt.Fprintf(o.Out, `
  go-loadbalancer: a demo of one process, with its own backends and load

  traffic     %s
  dashboard   %s
`, traffic, admin)
	if pool := firstPool(p); pool != nil {
		file := filepath.Join(o.Policies, pool.Pos.File)
		fmt.Fprintf(o.Out, `  edit        %s, a weight for example, and save: it acts at once
  break       curl -X PUT %s/_fault -d '{"hang": true, "for": "20s"}'
`, file, localURL(pool.Endpoints[0].Address))
	}
	fmt.Fprintf(o.Out, `
  %v requests a second. Ctrl-C ends it.

`, o.Rate)
}

// localURL is where an address is reached from this machine.
func localURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
