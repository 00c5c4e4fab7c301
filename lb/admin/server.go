package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/explain"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/telemetry"
)

// Balancer is what is administered: a [balancer.Balancer].
type Balancer interface {
	// Status is what it is doing now; also before it started.
	Status() balancer.Status
	// Ready reports whether a policy is loaded and it is not draining.
	Ready() bool
	// Explain says what would become of a request; an error is that it serves nothing yet.
	Explain(context.Context, *explain.Asked) (*explain.Decision, error)
	// Reload reads the policy anew.
	Reload(context.Context) reload.Result
}

// Options configure a [Server].
type Options struct {
	// Address is host:port; an empty host means every address. Required.
	Address string
	// Listen opens the listener; nil is [net.ListenConfig]'s.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Balancer is what is administered. Required.
	Balancer Balancer
	// Metrics is what /metrics shows. New adds the gauges made from
	// Balancer.Status to it. Required.
	Metrics *telemetry.Metrics
	// Timeline is what the dashboard tells of the past, beside Metrics; it must be
	// told of the balancer's events. Nil: of nothing.
	Timeline *telemetry.Timeline
	// Feed is what /api/v1/tail streams; nil: nothing is, and it is not found.
	Feed *telemetry.Feed
	// Token must be presented to reload; empty: none is asked for.
	Token string
	// Build is shown on the page and in the health document.
	Build telemetry.Build
	// Logger gets errors; nil discards them.
	Logger *slog.Logger
}

// Time limits. The last covers the slowest answer, which is that of a reload.
const (
	headTimeout   = 5 * time.Second
	readTimeout   = 10 * time.Second
	idleTimeout   = 60 * time.Second
	reloadTimeout = 30 * time.Second
	writeTimeout  = reloadTimeout + 10*time.Second

	maxConnections = 256 // all streams, and about as many again for requests
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 1 << 10 // no request but a question has a body that means anything
)

// Server serves the admin address. It must be made with [New].
type Server struct {
	options  Options
	log      *slog.Logger
	hostname string // by which browsers may come, beside IP addresses and localhost
	http     *http.Server
	seats    *seats
	stream   *stream
	// explaining has a place for each question that is being answered.
	explaining chan struct{}
	served     chan struct{} // closed when the serving goroutine has ended
	ending     chan struct{} // closed when it begins to close: tails end
}

// New returns a server that does nothing until it is started.
func New(o Options) *Server {
	s := &Server{options: o, log: o.Logger, explaining: make(chan struct{}, maxExplaining), served: make(chan struct{}), ending: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.options.Listen == nil {
		s.options.Listen = new(net.ListenConfig).Listen
	}
	if s.options.Timeline == nil {
		s.options.Timeline = telemetry.NewTimeline()
	}
	s.stream = newStream(newBoard(s.options))
	s.hostname, _, _ = net.SplitHostPort(o.Address)
	o.Metrics.AddFamilies(func() []*dto.MetricFamily { return gauges(o.Balancer.Status()) })
	s.seats = newSeats(maxConnections)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.seats.join(s.http)
	s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(s.ending) }))
	return s
}

// Start opens the address and serves it. It may be called once.
func (s *Server) Start(ctx context.Context) error {
	ln, err := s.options.Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		close(s.served)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("admin address %s: %w; free it, or give another --admin", s.options.Address, err)
		}
		return fmt.Errorf("admin address %s: %w", s.options.Address, err)
	}
	s.seats.Listener = ln
	s.stream.start()
	go func() {
		defer close(s.served)
		if err := s.http.Serve(s.seats); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the admin address is served no more", "address", s.options.Address, "error", err)
		}
	}()
	return nil
}

// Close stops listening and waits for the requests under way, but not longer
// than ctx: those still running then are cut, and an error is returned.
func (s *Server) Close(ctx context.Context) error {
	s.stream.close() // dashboards would stay for ever
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
		err = fmt.Errorf("admin address %s: requests were cut: %w", s.options.Address, err)
	}
	<-s.served
	return err
}
