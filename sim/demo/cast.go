package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/sim/backend"
)

// maxBackends bounds how many backends the edits of a policy can call up.
const maxBackends = 256

// cast is the backends by address. A backend whose endpoint leaves the policy
// goes on until the end: requests may be draining from it.
type cast struct {
	seed   uint64
	failed func(error) // told of a backend that ended by itself
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	policy   *policy.Policy // the one last followed
	backends map[string]*backend.Backend
}

func newCast(seed uint64, failed func(error)) *cast {
	c := &cast{seed: seed, failed: failed, backends: make(map[string]*backend.Backend)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// close ends all backends.
func (c *cast) close() {
	c.cancel()
	c.wg.Wait()
}

// follow starts a backend for each endpoint of p that has none yet. The error
// names every endpoint that cannot have one.
func (c *cast) follow(p *policy.Policy) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policy = p
	var errs []error
	for _, pool := range p.Pools {
		for _, e := range pool.Endpoints {
			if c.backends[e.Address] != nil {
				continue
			}
			if err := c.play(e.Address); err != nil {
				errs = append(errs, fmt.Errorf("endpoint %s of pool %s (%s:%d): %w", e.Address, pool.Name, e.Pos.File, e.Pos.Line, err))
			}
		}
	}
	return errors.Join(errs...)
}

// play starts the backend of one address.
func (c *cast) play(address string) error {
	if !isLoopback(address) {
		return errors.New("not a loopback address: the demo plays backends on 127.0.0.0/8, [::1] and localhost only; change the address, or serve this policy by lb run")
	}
	if len(c.backends) >= maxBackends {
		return fmt.Errorf("there are %d backends already, the most the demo plays", maxBackends)
	}
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return errors.New("something listens there already: end it, or change the address")
	}
	if err != nil {
		return err
	}
	b := backend.New(backend.Options{
		Name:    address,
		Seed:    c.seed + uint64(len(c.backends)),
		Latency: backend.Latency{P50: backend.Duration(4 * time.Millisecond), P99: backend.Duration(30 * time.Millisecond)},
	})
	c.backends[address] = b
	c.wg.Go(func() {
		if err := b.Serve(c.ctx, ln); err != nil {
			c.failed(fmt.Errorf("the backend on %s: %w", address, err))
		}
	})
	return nil
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// role is an endpoint with the backend that plays it.
type role struct {
	id string // POOL/N
	*backend.Backend
}

// poolRoles is the endpoints of one pool that are played.
type poolRoles struct {
	name  string
	roles []role
}

// pools returns the pools of the policy last followed, in file order.
func (c *cast) pools() []poolRoles {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []poolRoles
	for _, pool := range c.policy.Pools {
		pr := poolRoles{name: pool.Name}
		for i, e := range pool.Endpoints {
			if b := c.backends[e.Address]; b != nil {
				pr.roles = append(pr.roles, role{fmt.Sprintf("%s/%d", pool.Name, i+1), b})
			}
		}
		all = append(all, pr)
	}
	return all
}

// pick returns the nth endpoint, from 0, that gets traffic in the first pool
// with two such endpoints, or in the first pool; the last one if there are not
// so many.
func (c *cast) pick(n int) (role, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pool := firstPool(c.policy)
	if pool == nil {
		return role{}, false
	}
	var found role
	for _, i := range serving(pool) {
		b := c.backends[pool.Endpoints[i].Address]
		if b == nil {
			continue
		}
		found = role{fmt.Sprintf("%s/%d", pool.Name, i+1), b}
		if n--; n < 0 {
			break
		}
	}
	return found, found.Backend != nil
}

// firstPool is the pool the programme plays in; nil if there is none.
func firstPool(p *policy.Policy) *policy.Pool {
	var first *policy.Pool
	for i := range p.Pools {
		switch n := len(serving(&p.Pools[i])); {
		case n >= 2:
			return &p.Pools[i]
		case n == 1 && first == nil:
			first = &p.Pools[i]
		}
	}
	return first
}

// serving returns the indices of the endpoints that get traffic while all are
// well: those of the lowest priority number that have a weight.
func serving(pool *policy.Pool) []int {
	var found []int
	lowest := math.MaxInt
	for i, e := range pool.Endpoints {
		if e.Weight == 0 || e.Drain || e.Priority > lowest {
			continue
		}
		if e.Priority < lowest {
			lowest, found = e.Priority, nil
		}
		found = append(found, i)
	}
	return found
}
