package balancer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/server"
	"go-loadbalancer/lb/snapshot"
)

// listeners are the servers of the policy that serves, and those of earlier ones
// that are still ending.
type listeners struct {
	open    func(ctx context.Context, network, address string) (net.Listener, error)
	grace   time.Duration
	most    int // client connections of all; 0: no bound
	quota   *server.Quota
	events  *event.Listener
	logger  *slog.Logger
	handler server.Handler
	rand    func() uint64
	abort   func() // breaks every upstream request

	mu      sync.Mutex
	serving map[string]*server.Server // by the policy's address
	names   map[string]string         // a listener's name to its address
	leaving map[string]*server.Server // given up, the last one of each address
	ending  sync.WaitGroup
	warned  int // of that many allowed connections

	// life ends when those that leave must end at once.
	life context.Context
	cut  context.CancelFunc
}

// prepare opens the listeners a policy adds. It is called by one goroutine at a
// time.
func (l *listeners) prepare(ctx context.Context, snap *snapshot.Snapshot) (reload.Prepared, error) {
	p := &prepared{l: l, policies: snap.Listeners, trusted: snap.TrustedProxies, added: map[string]*server.Server{}}
	for _, want := range snap.Listeners {
		l.mu.Lock()
		kept, leaving := l.serving[want.Address], l.leaving[want.Address]
		l.mu.Unlock()
		if kept != nil {
			continue
		}
		if leaving != nil {
			// It was given up moments ago and has its address still.
			select {
			case <-leaving.Freed():
			case <-ctx.Done():
				p.Rollback()
				return nil, ctx.Err()
			}
		}
		nl, err := l.open(ctx, "tcp", want.Address)
		if err != nil {
			p.Rollback()
			return nil, &ListenError{Listener: want.Name, Address: want.Address, Err: err}
		}
		p.added[want.Address] = server.New(server.Options{
			Listener: nl, Settings: l.settings(&want, snap.TrustedProxies), Handler: l.handler,
			Events: l.events, Logger: l.logger, Grace: l.grace, Quota: l.quota, Rand: l.rand, Abort: l.abort,
		})
	}
	return p, nil
}

// ListenError is a listener that could not be opened.
type ListenError struct {
	Listener, Address string
	Err               error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listener %q cannot listen on %s: %v; free that address or change spec.listeners", e.Listener, e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// settings are a server's, as a policy has them. Where the process may have fewer
// connections than the listener, one address may have the same part of those.
func (l *listeners) settings(p *policy.Listener, trusted []netip.Prefix) server.Settings {
	perAddress, all := p.Limits.ConnectionsPerAddress, p.Limits.Connections
	if l.most > 0 && l.most < all {
		perAddress = (perAddress*l.most + all - 1) / all
	}
	return server.Settings{
		Name: p.Name, Idle: p.Timeouts.Idle, RequestHeader: p.Timeouts.RequestHeader,
		RequestBody: p.Timeouts.RequestBody, Write: p.Timeouts.Write, ConnectionAge: p.Timeouts.ConnectionAge,
		HeaderBytes: p.Limits.HeaderBytes, HeaderFields: p.Limits.HeaderFields, MaxConnections: p.Limits.Connections,
		Splice:        p.Splice,
		MaxPerAddress: perAddress, TrustedProxies: trusted,
		RequestBodyRate: p.Limits.RequestBodyRate, ResponseRate: p.Limits.ResponseRate,
		AllowTrace: p.Trace == "Allow",
	}
}

// prepared is the listeners of a policy that does not serve yet.
type prepared struct {
	l        *listeners
	policies []policy.Listener
	trusted  []netip.Prefix
	added    map[string]*server.Server
}

// Rollback closes what was opened.
func (p *prepared) Rollback() {
	for _, s := range p.added {
		s.Discard()
	}
}

// Commit starts what was opened, and gives up what the policy no longer has.
func (p *prepared) Commit() {
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life == nil {
		l.life, l.cut = context.WithCancel(context.Background())
		l.leaving = map[string]*server.Server{}
	}
	p.warn()
	before := l.serving
	l.serving, l.names = map[string]*server.Server{}, map[string]string{}
	for i := range p.policies {
		want := &p.policies[i]
		s := before[want.Address]
		if s != nil {
			s.Update(l.settings(want, p.trusted))
		} else {
			s = p.added[want.Address]
			s.Start()
		}
		l.serving[want.Address] = s
		l.names[want.Name] = want.Address
	}
	for address, s := range before {
		if l.serving[address] == nil {
			l.giveUp(address, s)
		}
	}
}

// warn tells the operator of limits that this process cannot keep.
func (p *prepared) warn() {
	allowed := 0
	for i := range p.policies {
		allowed += p.policies[i].Limits.Connections
	}
	most, warned := p.l.most, p.l.warned
	p.l.warned = allowed
	if most > 0 && allowed > most && allowed != warned {
		p.l.logger.Warn("fewer client connections will be accepted than the listeners' limits.connections allow: the process has too few file descriptors "+
			"for them and as many towards endpoints; raise its limit (ulimit -n, LimitNOFILE) or lower limits.connections", "allowed", allowed, "accepted", most)
	}
}

// giveUp ends a listener that no policy has any more. Its connections may finish
// what they do, tunnels and long responses included. l.mu is held.
func (l *listeners) giveUp(address string, s *server.Server) {
	l.leaving[address] = s
	l.ending.Go(func() {
		if err := s.Shutdown(l.life); err != nil {
			l.logger.Warn("a removed listener did not end by itself", "error", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.leaving[address] == s {
			delete(l.leaving, address)
		}
	})
}

// shutdown ends every listener.
func (l *listeners) shutdown(ctx context.Context) error {
	l.mu.Lock()
	serving := l.serving
	l.serving = nil
	l.mu.Unlock()
	errs := make([]error, len(serving))
	var ending sync.WaitGroup
	i := 0
	for _, s := range serving {
		slot := &errs[i]
		i++
		ending.Go(func() { *slot = s.Shutdown(ctx) })
	}
	stopCut := context.AfterFunc(ctx, l.cut)
	ending.Wait()
	l.ending.Wait()
	stopCut()
	l.cut()
	return errors.Join(errs...)
}

// status tells of those of a policy, in its order. One that it does not serve yet has
// no connection.
func (l *listeners) status(policies []policy.Listener) []ListenerStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]ListenerStatus, 0, len(policies))
	for i := range policies {
		p := &policies[i]
		s := ListenerStatus{Name: p.Name, Address: p.Address, Limit: p.Limits.Connections}
		if serving := l.serving[p.Address]; serving != nil {
			s.Connections, s.Limit = serving.Connections()
		}
		out = append(out, s)
	}
	return out
}

func (l *listeners) addr(name string) net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.serving[l.names[name]]; s != nil {
		return s.Addr()
	}
	return nil
}
