package stage

import (
	"context"
	"net"
	"net/netip"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/scenario"
)

// Processes is a ground on which backends and balancers are processes of their own, not
// parts of this one: they are told what to do from afar, and tell what they see.
type Processes interface {
	Ground
	// Backend is one that is to be at an address. It does not listen yet.
	Backend(o model.Options, at netip.AddrPort) Backend
	// Prepare is called once, when all backends are known: so many balancers will be
	// wanted soon, a Redis perhaps, and the policies will be these, the first of which
	// they begin with.
	Prepare(ctx context.Context, balancers int, redis bool, policies []map[string][]byte) error
	// Balancer starts one, which may have been before, with a policy, and tells what
	// happens to it from its beginning on.
	Balancer(ctx context.Context, number int, policy map[string][]byte, tell *event.Listener) (Balancer, error)
}

// Backend is a backend's process.
type Backend interface {
	// Start has it listen: for the first time, after Drain, or when its host has crashed.
	Start() error
	// Begin has something be wrong with what it answers, or with it.
	Begin(*scenario.Fault) Fault
	// Drain ends it as SIGTERM does: what is under way is finished.
	Drain()
	// Visits are the requests that came, in order. They are asked for in the end.
	Visits() []model.Visit
	// Stop ends it.
	Stop()
}

// Balancer is a balancer's process.
type Balancer interface {
	// Apply has it find another policy.
	Apply(files map[string][]byte)
	// Shutdown ends it as SIGTERM does, and waits for the end.
	Shutdown(context.Context) error
	// Killed is called instead when its host has crashed.
	Killed()
	// Left is what it has not let go of in the end.
	Left() []string
	// Gather is what its metrics counted, by series.
	Gather() (map[string]float64, error)
}

// modelled is a backend in this process.
type modelled struct {
	*model.Endpoint
	host Host
	port string
}

func (m modelled) Start() error {
	l, err := m.host.Listen(context.Background(), "tcp", m.port)
	if err != nil {
		return err
	}
	m.Serve(l)
	return nil
}

func (m modelled) Begin(f *scenario.Fault) Fault { return &wrongly{m.Endpoint, m.Endpoint.Begin(f)} }

// wrongly is a fault of a backend in this process.
type wrongly struct {
	of    *model.Endpoint
	fault *model.Fault
}

func (w *wrongly) Touched() int { return w.of.Touched(w.fault) }
func (w *wrongly) End()         { w.of.End(w.fault) }

// newBackend is who is to be at an address.
func newBackend(g Ground, o model.Options, host Host, at netip.AddrPort) Backend {
	if p, ok := g.(Processes); ok {
		return p.Backend(o, at)
	}
	_, port, _ := net.SplitHostPort(at.String())
	return modelled{model.New(o), host, ":" + port}
}
