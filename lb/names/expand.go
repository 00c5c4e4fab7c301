package names

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/policy"
)

// Hosts is how often each host name is to be looked up. Names are in lower case,
// with a dot at the end if it was written: it tells the resolver not to try the
// search list.
type Hosts map[string]time.Duration

// Of returns the names among the addresses of a policy's endpoints.
func Of(p *policy.Policy) Hosts {
	hosts := Hosts{}
	for i := range p.Pools {
		pool := &p.Pools[i]
		for j := range pool.Endpoints {
			host, _ := split(pool.Endpoints[j].Address)
			if host == "" {
				continue
			}
			if interval, ok := hosts[host]; !ok || pool.ResolveInterval < interval {
				hosts[host] = pool.ResolveInterval
			}
		}
	}
	return hosts
}

// split returns the name of an endpoint's address, in lower case, and the port;
// no name if the address is an IP address or localhost, which the system knows
// without asking.
func split(address string) (host string, port uint16) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0 // of no valid policy; dialling will say so
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0
	}
	host = strings.ToLower(host)
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return "", uint16(n)
	}
	return host, uint16(n)
}

// Expand returns the policy with an endpoint for each address that its names
// have now, in place of those names' endpoints. Where two endpoints of a pool
// would have the same address, the one it is written of has it, with all that is
// written there, else the first one in the file. A policy without names is returned
// as it is.
func (b *Book) Expand(p *policy.Policy) *policy.Policy {
	out := p
	for i := range p.Pools {
		endpoints, named := b.expand(p.Pools[i].Endpoints)
		if !named {
			continue
		}
		if out == p {
			out = new(*p)
			out.Pools = slices.Clone(p.Pools)
		}
		out.Pools[i].Endpoints = endpoints
	}
	return out
}

// expand says of one pool's endpoints what Expand says. named is false if there
// is no name among them.
func (b *Book) expand(written []policy.Endpoint) (out []policy.Endpoint, named bool) {
	named = slices.ContainsFunc(written, func(e policy.Endpoint) bool { host, _ := split(e.Address); return host != "" })
	if !named {
		return nil, false
	}
	taken := map[netip.AddrPort]bool{}
	for i := range written {
		if at, err := netip.ParseAddrPort(written[i].Address); err == nil {
			taken[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())] = true
		}
	}
	out = make([]policy.Endpoint, 0, len(written))
	for _, e := range written {
		host, port := split(e.Address)
		if host == "" {
			out = append(out, e)
			continue
		}
		e.Name = strings.TrimSuffix(host, ".") // as Host fields have it
		for _, ip := range b.addresses(host) {
			if at := netip.AddrPortFrom(ip, port); !taken[at] {
				taken[at] = true
				e.Address = at.String()
				out = append(out, e)
			}
		}
	}
	return out, true
}

// addresses are those a name has now.
func (b *Book) addresses(host string) []netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.names[host]; n != nil {
		return n.addresses
	}
	return nil
}
